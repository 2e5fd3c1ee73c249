"""A server is away for ten minutes: what a worker under load does meanwhile, and how it comes back.

`python -m tests.chaos.outages redis|kafka|replicas --seconds 600`. `redis` is killed and comes back with what it
held; `kafka` is frozen; `replicas`: one of three brokers is frozen and the topic of changes demands three replicas,
so every produce to it is refused (NOT_ENOUGH_REPLICAS) while all else works.
"""

import argparse
import asyncio
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.bench import Metrics
from benchmarks.machine import resident_mib
from segmenter.ports import Output
from tests.bench.kafka import KafkaCluster
from tests.bench.process import Child, free_ports, scratch_directory
from tests.bench.redis import RedisServer
from tests.bench.topics import create_topics
from tests.integration.checker import check, hear
from tests.integration.till import Till
from tests.integration.workload import INPUTS, OUTPUTS, Shop, Site

_RULES = "lifecycle: {inactive_after: 90d}\nvalue: {min_ranked: 1000000}\n"
_LANES = 8
_SALES_A_SECOND = 20
_BEFORE_S, _AFTER_S = 20.0, 180.0
_SAMPLED_EVERY_S = 5.0
_NODE = 3
_TOLD = "segmenter_end_to_end_seconds_count"


@dataclass
class Ward:
    """The worker that is watched, and what was seen of it."""

    worker: Child
    port: int
    began: float = field(default_factory=time.monotonic)
    deepest: float = 0
    largest_mib: float = 0
    readiness: Counter[str] = field(default_factory=Counter)
    last_reason: str = ""

    async def look(self, phase: str) -> None:
        """Look once, and print what is seen."""
        assert self.worker.exit_code is None, self.worker.output()[-3000:]
        try:
            metrics, ready = await asyncio.to_thread(lambda: (self._metrics(), self._ready()))
        except (urllib.error.URLError, TimeoutError) as error:
            print(f"{phase:>7} {time.monotonic() - self.began:5.0f} s: no page ({error})", flush=True)
            return
        states = {
            s: metrics.sum("segmenter_lanes", state=s) for s in ("live", "behind", "paused", "full", "takeover")
        }
        depth, mib = metrics.sum("segmenter_outbox_entries"), resident_mib(self.worker.pid)
        self.deepest, self.largest_mib = max(self.deepest, depth), max(self.largest_mib, mib)
        self.readiness[f"{phase}: {'ready' if ready['ready'] else 'not ready'}"] += 1
        reasons = [said for said in ready["lanes"].values() if ":" in said]
        if phase == "outage" and reasons:
            self.last_reason = reasons[0]
        print(
            f"{phase:>7} {time.monotonic() - self.began:5.0f} s: {mib:.0f} MiB, outbox {depth:.0f}, "
            f"told {metrics.sum(_TOLD):.0f}, rebalances {metrics.sum('segmenter_rebalances_total'):.0f}, "
            f"ready {ready['ready']}, store {ready['store']}, "
            + ", ".join(f"{state} {count:.0f}" for state, count in states.items() if count),
            flush=True,
        )

    def _metrics(self) -> Metrics:
        return Metrics(self._page("/metrics"))

    def _ready(self) -> Any:
        return json.loads(self._page("/health/ready"))

    def _page(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as page:
                return page.read().decode()
        except urllib.error.HTTPError as error:  # not ready: the body says why
            return error.read().decode()


@dataclass(frozen=True)
class Outage:
    """How a server goes away and comes back, and whether a shop can sell meanwhile."""

    begin: Callable[[], None]
    end: Callable[[], None]
    is_sold: bool


async def play(kind: str, seconds: float) -> None:
    """Play one outage; raises AssertionError where something was lost, doubled or out of order."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        kafka = stack.enter_context(KafkaCluster(3, heap="256m") if kind == "replicas" else KafkaCluster(heap="400m"))
        site = _site(kafka, redis)
        counts = dict.fromkeys((site.topic(role) for role in (*INPUTS, *OUTPUTS)), _LANES)
        changes = site.topic("changes")
        demanded = {"min.insync.replicas": "3"} if kind == "replicas" else {}
        await create_topics(kafka.bootstrap, {changes: counts.pop(changes)}, demanded)
        await create_topics(kafka.bootstrap, counts)
        async with _worker(site) as ward, Shop(site) as shop:
            till = Till(site, shop)
            await _sell_and_look(ward, till, _BEFORE_S, "before")
            before_mib = ward.largest_mib
            await _suffer(ward, till, _outage(kind, kafka, redis), seconds)
            recovered_s = await _recover(ward, site, till)
            after_mib = resident_mib(ward.worker.pid)
        heard = await hear(site.bootstrap, site.outputs())
        check(heard)
        assert sorted(change["customer_id"] for change in heard.changes) == sorted(till.sold)
        assert heard.rejected == []
    print(f"{kind}: {seconds:.0f} s away, {len(till.sold)} sales each told once")
    print(f"all told {recovered_s:.0f} s after it came back; outbox at most {ward.deepest:.0f}")
    print(f"memory {before_mib:.0f} MiB before, {ward.largest_mib:.0f} at most, {after_mib:.0f} after")
    print(f"{dict(ward.readiness)}; said last: {ward.last_reason[:300]}")


def _site(kafka: KafkaCluster, redis: RedisServer) -> Site:
    return Site(
        bootstrap=kafka.bootstrap,
        redis_url=redis.url,
        unique=lambda name: f"{name}-outage",
        directory=scratch_directory("outage"),
        rules=_RULES,
        partitions=_LANES,
        settings={"announce_from": "2020-01-01T00:00:00Z", "outbox_entries": 1_000, "batch_size": 200},
    )


@asynccontextmanager
async def _worker(site: Site) -> AsyncIterator[Ward]:
    [port] = free_ports(1)
    worker = site.start_worker(web_bind=f"127.0.0.1:{port}")
    try:
        await asyncio.to_thread(worker.wait_until_it_says, "worker_started", 120)
        yield Ward(worker, port)
    finally:
        await asyncio.to_thread(site.stop_workers)
        print(f"what the worker said: {worker.log}")


def _outage(kind: str, kafka: KafkaCluster, redis: RedisServer) -> Outage:
    match kind:
        case "redis":
            dumps: list[Path] = []

            def die() -> None:
                dumps.append(redis.dump())
                redis.kill()

            return Outage(die, lambda: redis.restore(dumps[0]), is_sold=True)
        case "kafka":
            return Outage(kafka.pause, kafka.resume, is_sold=False)
        case _:
            return Outage(lambda: kafka.pause(_NODE), lambda: kafka.resume(_NODE), is_sold=True)


async def _suffer(ward: Ward, till: Till, outage: Outage, seconds: float) -> None:
    await asyncio.to_thread(outage.begin)
    await _sell_and_look(ward, till if outage.is_sold else None, seconds, "outage")
    await asyncio.to_thread(outage.end)


async def _recover(ward: Ward, site: Site, till: Till) -> float:
    """Return how long it took until all that was sold up to the end of the outage was told."""
    began = time.monotonic()
    await _until_told(ward, site, len(till.sold))
    took_s = time.monotonic() - began
    await _sell_and_look(ward, till, _BEFORE_S, "after")
    await _until_told(ward, site, len(till.sold))
    return took_s


async def _until_told(ward: Ward, site: Site, sold: int) -> None:
    """Return when so many orders are read and all that came of them is published, by what is stored."""
    began, orders = time.monotonic(), site.topic("orders")
    async with site.lanes() as lanes:
        while True:
            states = await lanes.states()
            read = sum(state.positions.get(f"{orders}/{state.lane}", 0) for state in states)
            waiting = sum(state.next_seq[out] - 1 - state.published[out] for state in states for out in Output)
            if read >= sold and not waiting:
                return
            await ward.look("after")
            assert time.monotonic() - began < _AFTER_S, f"{read} of {sold} read, {waiting} not told"
            await asyncio.sleep(1)


async def _sell_and_look(ward: Ward, till: Till | None, seconds: float, phase: str) -> None:
    until, look_at = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        if till is not None:
            await till.sell(_SALES_A_SECOND)
        if time.monotonic() >= look_at:
            await ward.look(phase)
            look_at = time.monotonic() + _SAMPLED_EVERY_S
        await asyncio.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="+", choices=["redis", "kafka", "replicas"])
    parser.add_argument("--seconds", type=float, default=600)
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        asyncio.run(play(kind, arguments.seconds))


if __name__ == "__main__":
    main()
