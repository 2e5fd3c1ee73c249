"""The Lua scripts with hostile arguments and missing keys: they may refuse, but never write half."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis import exceptions
from redis.asyncio import Redis

from segmenter.adapters.keys import LaneKeys, boundary_key
from segmenter.adapters.redis_client import call
from segmenter.adapters.redis_commit import commit_args, commit_keys
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_scripts import ACKNOWLEDGE, ACQUIRE, COMMIT, GROW, PUBLISH, RENEW, STANDING, Script
from segmenter.domain.instants import DAY
from segmenter.ports import Output
from tests.contract.stores import Owner, entry, page, profile
from tests.fuzz.hostile import mutated

NAMESPACE = "fuzz"
NOW = 20_000 * DAY
_DONE = (b"stored", b"acquired")


@dataclass(frozen=True, slots=True)
class Call:
    """A script with the arguments it would rightly get."""

    name: str
    script: Script
    keys: Sequence[str]
    args: Sequence[bytes]


async def torment(client: Redis, seed: int, count: int) -> Counter[str]:
    """Run scripts with arguments gone wrong; return how often each refused, failed or did something.

    Raises AssertionError where one that did not do its work has written anything.
    """
    rng, outcomes = random.Random(seed), Counter[str]()
    await client.flushdb()
    calls, sound = await _calls(client), await _dumped(client)
    for _ in range(count):
        chosen = rng.choice(calls)
        missing = [key for key in sound if rng.random() < 0.02]
        if missing:
            await client.delete(*missing)
        before = {key: packed for key, packed in sound.items() if key not in missing}
        args = mutated(list(chosen.args), rng)
        outcome = await _outcome(client, chosen, args)
        outcomes[f"{chosen.name} {outcome}"] += 1
        after = await _dumped(client)
        if outcome != "done":
            assert after == before, f"{chosen.name} {outcome} and wrote {_differing(before, after)}: {args!r:.3000}"
        if after != sound:
            await _restore(client, sound)
    assert await client.ping()
    return outcomes


async def _outcome(client: Redis, chosen: Call, args: Sequence[bytes]) -> str:
    try:
        reply: Any = await call(client, "EVAL", chosen.script._text, len(chosen.keys), *chosen.keys, *args)
    except exceptions.ResponseError:
        return "failed"
    if isinstance(reply, list):
        return "done" if reply and reply[0] in _DONE else "refused"
    return "done" if reply in (1, 2) else "refused"


async def _calls(client: Redis) -> list[Call]:
    """Fill a lane, and return what would come next."""
    store, keys = RedisLaneStore(client, NAMESPACE), LaneKeys(NAMESPACE, 0)
    owner = await Owner(lanes=store).acquire()
    await owner.write(*(profile(f"c{n}", NOW + n * DAY // 3, 1 + n**3) for n in range(30)))
    await owner.note(
        pages=(page(0, entry(1)), page(1, entry(2))),
        hold=["c1", "c2"],
        sizes={("lifecycle", "new"): 30},
        positions={"orders/0": (None, 7)},
        taken={"clicks/0@0": 5},
    )
    commit = owner.commit_of([profile(f"c{n}", NOW + n * DAY, 7 + n) for n in range(0, 40, 2)], forget=["c1"])
    rich = replace(
        commit,
        pages=(page(2, entry(3)),),
        first_page=1,
        positions={"orders/0": (7, 9)},
        taken={"clicks/0@0": 8},
        markers={"clicks/0": NOW},
        sizes={("lifecycle", "new"): 3, ("value", "A"): -1},
        next_seq={Output.CHANGES: 4},
        hold=["c6"],
        release=["c2"],
    )
    token = str(owner.token).encode()
    bucket = f"{keys.profiles}0"
    moving = list(await client.hkeys(bucket))
    return [
        Call("commit", COMMIT, commit_keys(keys), commit_args(rich, 64)),
        Call("commit", COMMIT, commit_keys(keys), commit_args(rich, 64)),
        Call("acknowledge", ACKNOWLEDGE, [keys.lane, keys.outbox], [token, b"2", b"500", b"published:changes", b"2"]),
        Call("acquire", ACQUIRE, [keys.lane], [b"8:other", b"4", b"64", b"600"]),
        Call("renew", RENEW, [keys.lane], [token, b"9:ours", b"2"]),
        Call("grow", GROW, [keys.lane, bucket, f"{keys.profiles}64"], [token, b"64", b"65", *moving]),
        Call("publish", PUBLISH, [keys.lane, boundary_key(NAMESPACE)], [token, b"1", b"{}"]),
        Call("standing", STANDING, [keys.lane, bucket, keys.due, keys.ranks], [b"c1", b"1", b"20000", b"1", b"3"]),
    ]


async def _dumped(client: Redis) -> dict[bytes, bytes]:
    names = sorted([name async for name in client.scan_iter(f"{{{NAMESPACE}:*", 1_000)])
    async with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.dump(name)
        packed = await pipeline.execute()
    return {name: found for name, found in zip(names, packed, strict=True) if found is not None}


async def _restore(client: Redis, sound: Mapping[bytes, bytes]) -> None:
    await client.flushdb()
    async with client.pipeline(transaction=False) as pipeline:
        for name, packed in sound.items():
            pipeline.restore(name, 0, packed)
        await pipeline.execute()


def _differing(before: Mapping[bytes, bytes], after: Mapping[bytes, bytes]) -> list[bytes]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
