"""A rulebook applied over a million stored customers, with a kill -9 in the midst, while live events go on.

Everybody has ordered once or twice. The applied rulebook declares a segment of those with two orders, silently: the
pass over all customers must leave each of them in or out as he should be, and tell nobody. Meanwhile strangers order
for the first time and others for the second, which is a change every time; how long these take is measured before the
rulebook is applied, and again from then until the worker is killed.
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
_P99 = 0.99
MEASURED_S = 10
REVISION = 2
# A pass must outlast what is measured meanwhile: some thousand customers a second, for 12 s.
_LEAST_CUSTOMERS = 60_000
_FILL_TIMEOUT_S = 1_800.0
_PASS_TIMEOUT_S = 3_600.0
_TOLD_WITHIN_S = 30.0
_LOADED = 1_000
_RULEBOOK = "rulebook: 1\nsegments:\n  twice: {when: {measure: orders, at_least: 2}}\n"


def run(scale: float) -> Result:
    """Return how fast the pass is, and how long live events take without it and meanwhile."""
    count = max(_LEAST_CUSTOMERS, int(CUSTOMERS * scale))
    with servers((*TOPICS, "segmenter.rulebook")) as at:
        worker, shop = Worker(at), Shop(0)
        try:
            _fill(at, worker, shop, count)
            with Watch(at.kafka.bootstrap) as watch:
                without = _measured(at, watch, _events(shop, count, 0))
                began = time.monotonic()
                _apply(at)
                _wait_until_walking(worker)
                during = _measured(at, watch, _events(shop, count, 1))
                load, share = load_average(), worker.metrics().sum("segmenter_backfill_share") / LANES
                expect("the pass is under way when the worker is killed", share < 1, True)
                worker.kill()
                killed = time.monotonic()
                worker = Worker(at)
                worker.wait_until_live()
                back = time.monotonic()
                asyncio.run(_until_done(at))
                ended = time.monotonic()
                expect("changes of lifecycle that come after all were told", _told_since(watch), [])
        finally:
            worker.stop()
        asyncio.run(_check(at, count))
    worked_s = ended - began - (back - killed)
    note = f"{share:.0%} was done when the worker was killed; load average {load:.1f}"
    return _result(count, without, during, worked_s, note)


def _fill(at: Servers, worker: Worker, shop: Shop, count: int) -> None:
    """Let everybody order once, and every second one twice, an hour ago."""
    first = now() - HOUR

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


def _again(turn: int) -> range:
    """Return the numbers of those stored who order for the second time in one of the two turns."""
    half = RATE * MEASURED_S // 2
    return range(2 * turn * half, 2 * (turn + 1) * half, 2)


def _events(shop: Shop, known: int, turn: int) -> list[Sent]:
    """Return first orders of strangers and second orders of others, by turns."""
    half = RATE * MEASURED_S // 2
    strangers = range(known + turn * half, known + (turn + 1) * half)
    numbers = [number for pair in zip(strangers, _again(turn), strict=True) for number in pair]
    start = start_after(len(numbers))
    return [shop.order(customer_id(number), start + place * SECOND // RATE) for place, number in enumerate(numbers)]


def _measured(at: Servers, watch: Watch, events: Sequence[Sent]) -> list[float]:
    """Send these and return how long each took to be told, in ms; CheckError unless all were, once each."""
    watch.take()
    sent = send_on_time(at.kafka.bootstrap, events)
    sent_at = {str(json.loads(event.value)["event_id"]): when for event, when in zip(events, sent, strict=True)}
    deadline, seen = time.monotonic() + _TOLD_WITHIN_S, list[Seen]()
    while len(told := [change for change in seen if change.lifecycle is not None]) < len(events):
        expect("all events told in time", time.monotonic() < deadline, True)
        time.sleep(0.1)
        seen += watch.take()
    read_at = {change.event_ids[0]: change.at for change in told}
    expect("changes of lifecycle", len(told), len(events))
    expect("orders that were told", read_at.keys(), sent_at.keys())
    _expect_silence(seen)
    return [(read_at[event_id] - when) / 1_000 for event_id, when in sent_at.items()]


def _told_since(watch: Watch) -> list[str]:
    time.sleep(2)
    seen = watch.take()
    _expect_silence(seen)
    return [change.value["customer_id"] for change in seen if change.lifecycle is not None]


def _expect_silence(seen: Sequence[Seen]) -> None:
    """Nobody is told to be in the new segment, but for those whom an order has brought there."""
    told = [c for c in seen if any(move["dimension"].startswith("custom.") for move in c.value["changes"])]
    expect("moves of the new segment without an event", [c.value["cause"] for c in told if not c.event_ids], [])


def _wait_until_walking(worker: Worker) -> None:
    deadline = time.monotonic() + _TOLD_WITHIN_S
    while worker.metrics().sum("segmenter_rulebook_revision") < REVISION * LANES:
        expect("all lanes have adopted the rulebook in time", time.monotonic() < deadline, True)
        time.sleep(0.1)


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


async def _check(at: Servers, count: int) -> None:
    """Look at every stored customer: none missing, each in or out as he should be."""
    client = connect(at.redis.url)
    store, found, wrong = RedisLaneStore(client, NAMESPACE), 0, list[str]()
    again = {*_again(0), *_again(1)}
    twice = {customer_id(number) for number in range(count) if _orders_of(number) > 1 or number in again}
    try:
        for lane in range(LANES):
            await store.state(lane)
            customers = await store.stored(lane, None, _LOADED)
            while customers:
                profiles = await store.load(lane, customers)
                found += len(profiles)
                wrong += [
                    customer
                    for customer, profile in zip(customers, profiles, strict=True)
                    if profile is None or _is_wrong(profile.segment_in("custom.twice"), customer, twice)
                ]
                customers = await store.stored(lane, stop_of(customers[-1]), _LOADED)
            await asyncio.sleep(0)
    finally:
        await client.aclose()
    expect("customers that are stored", found, count + RATE * MEASURED_S)
    expect("customers who are not where they should be", wrong[:5], [])


def _is_wrong(segment: str | None, customer: str, twice: Collection[str]) -> bool:
    return (segment == "in") is not (customer in twice)


def _result(count: int, without: list[float], during: list[float], worked_s: float, note: str) -> Result:
    check = f"all {count:,} customers stored once and where they should be, none told; a kill -9 on the way"
    figures = [Figure(name="pass over stored customers", value=f"{count / worked_s:,.0f} /s", check=check)]
    for when, latencies, target in (("without a pass", without, ""), ("during the pass", during, "≤ 250 ms")):
        told = f"{len(latencies):,} first and second orders at {RATE}/s: each told once"
        figures += [
            Figure(
                name=f"event → change {when}, {name}",
                value=f"{quantile(latencies, share):.0f} ms",
                target=target if share == _P99 else "",
                check=told,
            )
            for share, name in ((0.5, "p50"), (_P99, "p99"), (1.0, "longest"))
        ]
    return Result(figures=tuple(figures), notes=(note,))
