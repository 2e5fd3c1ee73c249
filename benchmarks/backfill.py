"""A rulebook applied over a million stored customers, with a kill -9 in the midst, while live events go on.

Everybody has ordered once or twice. The applied rulebook declares a segment of those with two orders, silently: the
pass over all customers must leave each of them in or out as he should be, and tell nobody. Meanwhile strangers order
for the first time, which is a change every time; how long these take is measured until the worker is killed.
"""

import asyncio
import json
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from benchmarks.bench import LANES, NAMESPACE, Servers, Worker, publish, servers, unpublished, wait_until
from benchmarks.figures import Figure, Result, expect, quantile
from benchmarks.live import TOPICS, Seen, Watch, now, send_on_time, start_after, wait_until_live
from benchmarks.machine import load_average
from benchmarks.shop import Sent, Shop, customer_id
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.instants import HOUR, SECOND
from segmenter.domain.walking import stop_of
from segmenter.settings import Settings
from segmenter.wiring.revisions import apply_file

CUSTOMERS = 1_000_000
RATE = 200
MEASURED_S = 10
REVISION = 2
_FILL_TIMEOUT_S = 1_800.0
_PASS_TIMEOUT_S = 3_600.0
_LOADED = 1_000
_RULEBOOK = "rulebook: 1\nsegments:\n  twice: {when: {measure: orders, at_least: 2}}\n"


def run(scale: float) -> Result:
    """Return how fast the pass is, and how long live events take meanwhile."""
    count = max(LANES, int(CUSTOMERS * scale))
    with servers((*TOPICS, "segmenter.rulebook")) as at:
        worker = Worker(at)
        try:
            _fill(at, worker, count)
            events = _strangers(count)
            with Watch(at.kafka.bootstrap) as watch:
                began = time.monotonic()
                _apply(at)
                sent = send_on_time(at.kafka.bootstrap, events)
                load = load_average()
                share = worker.metrics().sum("segmenter_backfill_share") / LANES
                worker.kill()
                killed = time.monotonic()
                worker = Worker(at)
                worker.wait_until_live()
                back = time.monotonic()
                asyncio.run(_until_done(at))
                ended = time.monotonic()
                seen = watch.wait_for(len(events), 60)
        finally:
            worker.stop()
        asyncio.run(_check(at, count, len(events)))
    latencies = _latencies(seen, events, sent)
    worked_s = ended - began - (back - killed)
    return _result(count, latencies, worked_s, f"{share:.0%} was done when the worker was killed; load {load:.1f}")


def _fill(at: Servers, worker: Worker, count: int) -> None:
    """Let everybody order once, and every second one twice, an hour ago."""
    shop, first = Shop(0), now() - HOUR

    def past() -> Iterator[Sent]:
        for number in range(count):
            for _ in range(_orders_of(number)):
                yield shop.order(customer_id(number), first + number * 1_000 % HOUR)

    with at.client() as redis:
        wait_until(publish(at.kafka.bootstrap, past()), redis, _FILL_TIMEOUT_S)
        while unpublished(redis):
            time.sleep(0.1)
    wait_until_live(worker)


def _orders_of(number: int) -> int:
    return 1 + number % 2


def _strangers(known: int) -> list[Sent]:
    shop, count = Shop(1), RATE * MEASURED_S
    start = start_after(count)
    return [shop.order(customer_id(known + number), start + number * SECOND // RATE) for number in range(count)]


def _apply(at: Servers) -> None:
    file = Path(at.directory) / "applied.yaml"
    file.write_text(_RULEBOOK)
    servers_of = {"kafka_bootstrap": at.kafka.bootstrap, "redis_url": at.redis.url, "partitions": LANES}
    applied = apply_file(Settings.model_validate(servers_of), file, is_announced=False, comment="a benchmark")
    expect("the revision in force", (applied.revision.number, applied.mirror_fault), (REVISION, ""))


async def _until_done(at: Servers) -> None:
    client, deadline = connect(at.redis.url), time.monotonic() + _PASS_TIMEOUT_S
    store = RedisLaneStore(client, NAMESPACE)
    try:
        while True:
            notes = [(await store.state(lane))[1].notes for lane in range(LANES)]
            if all(each.revision == REVISION and each.walk is None for each in notes):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"the pass was not done in {_PASS_TIMEOUT_S:.0f} s")
            await asyncio.sleep(0.1)
    finally:
        await client.aclose()


async def _check(at: Servers, count: int, strangers: int) -> None:
    """Look at every stored customer: none missing, each in or out as he should be."""
    client = connect(at.redis.url)
    store, found, wrong = RedisLaneStore(client, NAMESPACE), 0, list[str]()
    twice = {customer_id(number) for number in range(count) if _orders_of(number) > 1}
    try:
        for lane in range(LANES):
            await store.state(lane)
            customers = await store.stored(lane, None, _LOADED)
            while customers:
                profiles = await store.load(lane, customers)
                found += len(profiles)
                wrong += [
                    p.customer
                    for p in profiles
                    if p is None or _is_wrong(p.segment_in("custom.twice"), p.customer, twice)
                ]
                customers = await store.stored(lane, stop_of(customers[-1]), _LOADED)
            await asyncio.sleep(0)
    finally:
        await client.aclose()
    expect("customers that are stored", found, count + strangers)
    expect("customers who are not where they should be", wrong[:5], [])


def _is_wrong(segment: str | None, customer: str, twice: Collection[str]) -> bool:
    return (segment == "in") is not (customer in twice)


def _latencies(seen: Sequence[Seen], events: Sequence[Sent], sent: Sequence[int]) -> list[float]:
    """Return how long each first order took, in ms; CheckError unless all came, once each, and no silent move did."""
    expect("changes of lifecycle", sum(1 for change in seen if change.lifecycle is not None), len(events))
    moves = [move for change in seen for move in change.value["changes"]]
    expect("moves of the new segment", [move for move in moves if move["dimension"].startswith("custom.")], [])
    sent_at = {str(json.loads(event.value)["event_id"]): at for event, at in zip(events, sent, strict=True)}
    read_at = {change.event_ids[0]: change.at for change in seen if change.lifecycle == (None, "new")}
    expect("first orders that were told", read_at.keys(), sent_at.keys())
    return [(read_at[event_id] - at) / 1_000 for event_id, at in sent_at.items()]


def _result(count: int, latencies: list[float], worked_s: float, note: str) -> Result:
    check = f"all {count:,} customers stored and where they should be, none told; a kill -9 on the way"
    told = f"{len(latencies):,} first orders at {RATE}/s during the pass: each told once"
    figures = (
        Figure(name="pass over stored customers", value=f"{count / worked_s:,.0f} /s", target="", check=check),
        *(
            Figure(
                name=f"event → change during the pass, {name}",
                value=f"{quantile(latencies, share):.0f} ms",
                target=target,
                check=told,
            )
            for share, name, target in ((0.5, "p50", ""), (0.99, "p99", "≤ 250 ms"), (1.0, "longest", ""))
        ),
    )
    return Result(figures=figures, notes=(note,))
