"""What declared segments cost: the same history with none, ten and a hundred of them in one rulebook.

Most events touch few: segments differ by category, item, campaign or attribute, as those of a shop do. Each count has
a Kafka, a Redis and a worker of its own, which reads everything from nothing; the figure is CPU time an event.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Servers, Worker, positions, publish, servers, unpublished
from benchmarks.figures import Figure, Result, expect
from benchmarks.machine import load_average
from benchmarks.readback import check_profiles, read_log
from benchmarks.shop import Shop
from segmenter.domain.instants import DAY, SECOND

COUNTS = (0, 10, 100)
CUSTOMERS = 5_000
EVENTS = 150_000
_TIMEOUT_S = 300.0
_POLL_S = 0.2

_FORMS = (
    "{{measure: clicks, within: 30d, where: {{category: k-{n}}}, at_least: 5}}",
    "{{measure: clicks, within: 7d, where: {{item: i-{n}}}, at_least: 2}}",
    "{{measure: orders, within: 90d, where: {{campaign: c-{n}}}, at_least: 1}}",
    "{{all: [{{measure: open_tickets, where: {{category: t-{n}}}, at_least: 1}}, {{measure: orders, at_least: 2}}]}}",
    "{{attribute: region, equals: r-{n}}}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What one count of segments gave."""

    segments: int
    events: int
    cpu_s: float
    moves: int
    check: str
    load: float

    @property
    def microseconds(self) -> float:
        """CPU time an event."""
        return self.cpu_s / self.events * 1e6


def rulebook_of(segments: int) -> str:
    """Return a rulebook that declares so many segments."""
    if not segments:
        return "rulebook: 1\n"
    forms = (f"  s_{n}:\n    when: {_FORMS[n % len(_FORMS)].format(n=n % 40)}\n" for n in range(segments))
    return "rulebook: 1\nsegments:\n" + "".join(forms)


def run(scale: float) -> Result:
    """Return the cost an event by number of segments, and its growth from ten to a hundred."""
    runs = [_measured(count, int(EVENTS * scale)) for count in COUNTS]
    by_count = {one.segments: one.microseconds for one in runs}
    figures = [
        Figure(
            name=f"CPU time an event, {one.segments} segments ({one.events:,} events)",
            value=f"{one.microseconds:.1f} µs",
            check=f"{one.check}; {one.moves:,} moves in declared segments",
        )
        for one in runs
    ]
    growth = f"{by_count[100] / by_count[10]:.2f} times"
    figures.append(Figure(name="from 10 to 100 segments", value=growth, target="< 2 times", check="one run"))
    loads = ", ".join(f"{one.load:.1f}" for one in runs)
    return Result(figures=tuple(figures), notes=(f"load average {loads}",))


def _measured(segments: int, count: int) -> _Run:
    with servers() as at:
        shop, now = Shop(CUSTOMERS), time.time_ns() // 1_000
        total = publish(at.kafka.bootstrap, shop.history(count, now - 60 * DAY, now - 10 * SECOND)).total()
        path = at.directory / "rulebook.yaml"
        path.write_text(rulebook_of(segments))
        cpu_s, moves, load = _read(at, total, path)
        log = read_log(at.kafka.bootstrap)
        customers = check_profiles(at.redis.url, shop.purses, log.sequence_by_customer)
        check = f"{customers:,} customers equal the books, {log.changes:,} changes read back, without gaps"
    print(f"  {segments} segments: {cpu_s / total * 1e6:.1f} µs an event")
    return _Run(segments=segments, events=total, cpu_s=cpu_s, moves=moves, check=check, load=load)


def _read(at: Servers, total: int, rulebook: Path) -> tuple[float, int, float]:
    """Let a worker read all; return its CPU time till then, moves in declared segments, and the load."""
    with at.client() as redis, Worker(at, rulebook=rulebook) as worker:
        used_s, deadline = worker.cpu_s(), time.monotonic() + _TIMEOUT_S
        while sum(positions(redis).values()) < total:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{total:,} events were not read in {_TIMEOUT_S:.0f} s")
            time.sleep(_POLL_S)
        cpu_s, load = worker.cpu_s() - used_s, load_average()
        while unpublished(redis) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        expect("records left in the outbox", unpublished(redis), 0)
        metrics = worker.metrics()
        moves = int(
            metrics.sum("segmenter_changes_total", after="in") + metrics.sum("segmenter_changes_total", after="out")
        )
    return cpu_s, moves, load
