"""What a customer takes in Redis, all keys together: the growth of `used_memory` by a million customers."""

import re
from collections import Counter

from redis import Redis

from benchmarks.bench import LANES, NAMESPACE
from benchmarks.figures import Figure, Result, expect
from benchmarks.machine import load_average
from benchmarks.population import Population, check_profiles, population
from segmenter.adapters.keys import LaneKeys

CUSTOMERS = 1_000_000
_MEMBERS_LOOKED_AT = 200
_KIND = re.compile(r"\{[^}]*\}:([a-z]+)")
_KINDS_OF_THEIR_OWN = ("profiles", "due", "ranks")


def run(scale: float) -> Result:
    """Return bytes a customer, as a whole and by kind of key."""
    found = population(int(CUSTOMERS * scale))
    with found.client() as redis:
        used = int(redis.info("memory")["used_memory"]) - found.used_before
        by_kind = _by_kind(redis)
        check = f"{_counted(redis, found):,} customers counted, {check_profiles(found)}"
        buckets = sum(int(redis.hget(LaneKeys(NAMESPACE, lane).lane, "buckets") or 0) for lane in range(LANES))
    figures = [
        Figure(
            name=f"Redis per customer, all keys ({found.customers:,} customers, default rulebook, ids of 12 bytes)",
            value=f"{used / found.customers:.0f} B",
            target="≤ 350 B",
            check=check,
        )
    ]
    for kind in (*_KINDS_OF_THEIR_OWN, "other"):
        name = f"of that: {kind}" if kind != "other" else "of that: histograms, lanes, sizes"
        check = f"MEMORY USAGE of every key, {_MEMBERS_LOOKED_AT} members of each looked at"
        figures.append(Figure(name=name, value=f"{by_kind[kind] / found.customers:.1f} B", check=check))
    notes = (
        f"{found.events:,} events were stepped and stored in {found.seconds:.0f} s; {buckets:,} buckets of profiles",
        f"load average {load_average():.1f}, which does not matter here",
    )
    return Result(figures=tuple(figures), notes=notes)


def _by_kind(redis: Redis) -> Counter[str]:
    """Return bytes by kind of key."""
    total: Counter[str] = Counter()
    for key in redis.scan_iter(count=1_000):
        named = _KIND.match(key.decode())
        kind = named[1] if named and named[1] in _KINDS_OF_THEIR_OWN else "other"
        total[kind] += int(redis.memory_usage(key, samples=_MEMBERS_LOOKED_AT) or 0)
    return total


def _counted(redis: Redis, found: Population) -> int:
    """Return how many profiles there are; CheckError unless it is everybody."""
    count = sum(
        int(redis.hlen(key))
        for lane in range(LANES)
        for key in redis.scan_iter(match=f"{LaneKeys(NAMESPACE, lane).profiles}*", count=1_000)
    )
    expect("stored profiles", count, found.customers)
    return count
