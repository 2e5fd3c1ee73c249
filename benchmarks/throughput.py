"""Events per CPU-second of one worker, and of a stock Faust agent that does the same job, in one run.

The first half of two months of history is published before anything starts. A worker reads it from nothing and is
stopped; the second half is published, and a new worker, whose memory is empty, goes on with the state in Redis. CPU
time is that of the whole worker process, user and system, from when it is ready to when the last event is stored; it
depends less on what else the machine does than wall time would. What Kafka and Redis use is not in it.
"""

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.bench import INPUTS, OUTPUTS, Metrics, Servers, Worker, positions, publish, servers, unpublished
from benchmarks.figures import Figure, Result, expect
from benchmarks.machine import load_average, resident_mib
from benchmarks.readback import check_profiles, read_log
from benchmarks.shop import Shop
from benchmarks.stock_run import STOCK_TOPICS, StockFigure, run_stock
from segmenter.domain.instants import DAY, SECOND

CUSTOMERS = 20_000
EVENTS = 1_000_000
STOCK_EVENTS = 40_000
HISTORY = 60 * DAY
_TIMEOUT_S = 300.0
_POLL_S = 0.2
_QUIET_POLLS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What one worker has read and stored, and the CPU time that took."""

    events: int
    cpu_s: float
    metrics: Metrics
    mib: float
    load: float

    @property
    def rate(self) -> float:
        """Events a CPU-second."""
        return self.events / self.cpu_s

    @property
    def told(self) -> float:
        """Change-sets and silent moves an event."""
        return self.metrics.sum("segmenter_changes_total") / self.events


def run(scale: float, profile: Path | None = None) -> Result:
    """Return the figures of both, and their ratio."""
    with servers((*INPUTS, *OUTPUTS, *STOCK_TOPICS)) as at:
        shop, now = Shop(CUSTOMERS), time.time_ns() // 1_000
        count = int(EVENTS * scale)
        sent = shop.history(count, now - HISTORY, now - 10 * SECOND)
        total = publish(at.kafka.bootstrap, islice(sent, count // 2)).total()
        first = _read(at, total, None)
        print(f"  from nothing: {first.events:,} events, {first.rate:,.0f} a CPU-second")
        total += publish(at.kafka.bootstrap, sent).total()
        second = _read(at, total, profile)
        print(f"  with state in Redis: {second.events:,} events, {second.rate:,.0f} a CPU-second")
        check = _check(at, shop, total)
        # As many events a customer as ours has, in as long a time.
        stock = run_stock(at, CUSTOMERS * STOCK_EVENTS // EVENTS, int(STOCK_EVENTS * min(1.0, scale)), HISTORY)
        print(f"  stock agent: {stock.events:,} events, {stock.rate:,.0f} a CPU-second")
    return _result(first, second, check, stock)


def _read(at: Servers, until: int, profile: Path | None) -> _Part:
    """Let a new worker read until this many events are stored in all; then let it publish, and stop it."""
    with at.client() as redis, Worker(at, profile=profile) as worker:
        before, used_s, deadline = sum(positions(redis).values()), worker.cpu_s(), time.monotonic() + _TIMEOUT_S
        while (done := sum(positions(redis).values())) < until:
            if time.monotonic() > deadline:
                raise RuntimeError(f"read {done:,} of {until:,} events in {_TIMEOUT_S:.0f} s")
            time.sleep(_POLL_S)
        part = _Part(
            events=done - before,
            cpu_s=worker.cpu_s() - used_s,
            metrics=worker.metrics(),
            mib=resident_mib(worker.pid),
            load=load_average(),
        )
        quiet = 0
        # A lane that has caught up may still sweep to a new boundary.
        while quiet < _QUIET_POLLS and time.monotonic() < deadline:
            quiet = 0 if unpublished(redis) else quiet + 1
            time.sleep(_POLL_S)
    return part


def _check(at: Servers, shop: Shop, total: int) -> str:
    """Read everything back."""
    expect("events published", total, shop.unique + shop.repeated)
    with at.client() as redis:
        expect("events read", sum(positions(redis).values()), total)
        expect("records left in the outbox", unpublished(redis), 0)
    log = read_log(at.kafka.bootstrap)
    customers = check_profiles(at.redis.url, shop.purses, log.sequence_by_customer)
    return (
        f"{customers:,} customers: orders and net revenue equal the books, {log.changes:,} changes and "
        f"{log.memberships:,} memberships read back, numbered without gaps"
    )


def _result(first: _Part, second: _Part, check: str, stock: StockFigure) -> Result:
    stock_check = f"{stock.customers:,} customers: orders and net revenue equal the books, {stock.changes:,} changes"
    figures = (
        Figure(
            name=f"events per worker CPU-second, state in Redis ({second.events:,} events)",
            value=f"{second.rate:,.0f}",
            target="≥ 40,000",
            check=check,
        ),
        Figure(
            name=f"the same from nothing: everybody is new ({first.events:,} events)",
            value=f"{first.rate:,.0f}",
            check="the same",
        ),
        Figure(
            name=f"stock Faust agent, `redis.asyncio` GET and SET an event ({stock.events:,} events)",
            value=f"{stock.rate:,.0f}",
            check=stock_check,
        ),
        Figure(name="ratio", value=f"{second.rate / stock.rate:.1f}", check="both in this run"),
        Figure(name="memory of the worker at the end", value=f"{second.mib:.0f} MiB", check=""),
    )
    loads = f"load average {first.load:.1f} and {second.load:.1f} while the worker was measured"
    moves = f"moves an event: {second.told:.1%} with state in Redis, {first.told:.1%} from nothing"
    return Result(figures=figures, notes=(moves, loads))
