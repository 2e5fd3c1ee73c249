"""From event to change: how long after it was handed to a producer a default consumer has read what it led to.

Events come at an even rate: 80 % clicks, 15 % orders, 5 % support. Three in a hundred are the first order of
somebody unknown, which is a change every time. The worker has a core for itself; Kafka, Redis, the producer and
the consumer share the other one.
"""

import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.bench import Servers, Worker, publish, servers, unpublished, wait_until
from benchmarks.figures import Figure, Result, expect, quantile
from benchmarks.live import (
    LINGER_MS,
    TOPICS,
    Seen,
    Watch,
    now,
    scheduled_s,
    send_on_time,
    start_after,
    wait_until_live,
)
from benchmarks.machine import load_average
from benchmarks.shop import SUPPORT, Sent, Shop, customer_id
from segmenter.domain.instants import HOUR, SECOND, Instant, rfc3339

REGULARS = 5_000
MEASURED_S = 16
_WARM_UP_S = 4
_TIMEOUT_S = 60.0
_TARGETS_MS: Mapping[int, tuple[int, int] | None] = {1_000: (12, 50), 10_000: None}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What one rate gave."""

    rate: int
    events: int
    milliseconds: list[float]
    latest_ms: float
    load: float
    waited: float
    """Seconds for which the worker was ready and had to wait for its core, a second it ran."""


def run(scale: float) -> Result:
    """Return the latencies at each rate."""
    runs = []
    with servers(TOPICS) as at, Worker(at) as worker:
        source = _Source()
        with at.client() as redis:
            wait_until(publish(at.kafka.bootstrap, source.past()), redis, _TIMEOUT_S)
            while unpublished(redis):
                time.sleep(0.1)
        wait_until_live(worker)
        for rate in _TARGETS_MS:
            _measured((at, worker), source, rate, _WARM_UP_S)
            runs.append(_measured((at, worker), source, rate, max(1, round(MEASURED_S * scale))))
            print(f"  {rate:,}/s: p50 {quantile(runs[-1].milliseconds, 0.5):.1f} ms")
    loads = ", ".join(f"{one.load:.1f} at {one.rate:,}/s" for one in runs)
    waits = ", ".join(f"{one.waited:.1f} s at {one.rate:,}/s" for one in runs)
    latest = ", ".join(f"{one.latest_ms:.0f} ms at {one.rate:,}/s" for one in runs)
    notes = (
        f"the producer is librdkafka with a linger of {LINGER_MS} ms; it was behind its schedule by at most {latest}",
        f"load average {loads}; a second that the worker ran it waited for its core, which others used, {waits}",
    )
    return Result(figures=tuple(figure for one in runs for figure in _figures(one)), notes=notes)


class _Source:
    """Makes the events, and knows which of them are a first order."""

    def __init__(self) -> None:
        self._random = Random(11)
        self._shop = Shop(0)
        self._regulars = [customer_id(number) for number in range(REGULARS)]
        self._strangers = REGULARS
        self._tickets = 0

    def past(self) -> Iterator[Sent]:
        """Yield two orders of an hour ago for every regular: none of them changes its lifecycle any more."""
        first = time.time_ns() // 1_000 - HOUR
        for number, customer in enumerate(self._regulars * 2):
            yield self._shop.order(customer, first + number * 1_000)

    def event(self, at: Instant) -> tuple[Sent, bool]:
        """Return an event, and whether it is somebody's first order."""
        chance = self._random.random()
        if chance < 0.03:
            self._strangers += 1
            return self._shop.order(customer_id(self._strangers), at), True
        customer = self._random.choice(self._regulars)
        if chance < 0.15:
            return self._shop.order(customer, at), False
        if chance < 0.95:
            return self._shop.click(customer, at), False
        return self._ticket(customer, at), False

    def _ticket(self, customer: str, at: Instant) -> Sent:
        self._tickets += 1
        name = f"ticket-{self._tickets}"
        value = {
            "event_id": f"opened-{name}",
            "type": "support.opened",
            "customer_id": customer,
            "occurred_at": rfc3339(at),
            "ticket_id": name,
            "channel": "mail",
        }
        return Sent(SUPPORT, customer, json.dumps(value).encode(), at)


def _measured(to: tuple[Servers, Worker], source: _Source, rate: int, seconds: int) -> _Run:
    """Publish at this rate for so long, and hold every change that has to come against those that came."""
    (at, worker), count = to, rate * seconds
    start = start_after(count)
    made = [source.event(start + number * SECOND // rate) for number in range(count)]
    if now() > start:
        raise RuntimeError("the events were not made in time")
    with Watch(at.kafka.bootstrap) as watch:
        before = scheduled_s(worker.pid)
        sent = send_on_time(at.kafka.bootstrap, [event for event, _ in made])
        load, (ran_s, waited_s) = load_average(), scheduled_s(worker.pid)
        sent_at = {
            _event_id(event): sent_at for (event, is_first), sent_at in zip(made, sent, strict=True) if is_first
        }
        seen = watch.wait_for(len(sent_at), _TIMEOUT_S)
    read_at = _checked(seen, sent_at.keys())
    return _Run(
        rate=rate,
        events=count,
        milliseconds=[(read_at[event_id] - at) / 1_000 for event_id, at in sent_at.items()],
        latest_ms=max(sent - event.at for (event, _), sent in zip(made, sent, strict=True)) / 1_000,
        load=load,
        waited=(waited_s - before[1]) / (ran_s - before[0]),
    )


def _event_id(event: Sent) -> str:
    return str(json.loads(event.value)["event_id"])


def _checked(seen: Sequence[Seen], expected: Collection[str]) -> dict[str, Instant]:
    """Return when the change of each first order was read; CheckError unless all came, once each."""
    times = Counter(event_id for change in seen for event_id in change.event_ids)
    expect("changes that came twice", [event_id for event_id, count in times.items() if count > 1], [])
    first = {change.event_ids[0]: change.at for change in seen if change.lifecycle == (None, "new")}
    expect("first orders that were told", len(first.keys() & set(expected)), len(expected))
    expect("changes of lifecycle", sum(1 for change in seen if change.lifecycle is not None), len(expected))
    return first


def _figures(one: _Run) -> Iterator[Figure]:
    targets = _TARGETS_MS[one.rate] or (None, None)
    count = len(one.milliseconds)
    check = f"{count:,} first orders among {one.events:,} events: each was read as one change, and no other lifecycle"
    for share, name, target in ((0.50, "p50", targets[0]), (0.99, "p99", targets[1]), (1.0, "longest", None)):
        yield Figure(
            name=f"event → change, {one.rate:,} events/s, {name}",
            value=f"{quantile(one.milliseconds, share):.1f} ms",
            target="" if target is None else f"≤ {target} ms",
            check=check,
        )
