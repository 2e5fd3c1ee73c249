"""Events sent when their time has come, and a default consumer that notes when each change could be read."""

import json
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.bench import CHANGES, INPUTS, LANES, OUTPUTS, Worker
from benchmarks.figures import expect
from benchmarks.shop import Sent
from segmenter.adapters.home import home_of
from segmenter.domain.instants import SECOND, Instant

TOPICS = (*INPUTS, *OUTPUTS)
# librdkafka's default is 5; whatever it is, it is part of what is measured.
LINGER_MS = 1
_PAUSE_S = 0.001
_LIVE_WITHIN_S = 60.0
_POLL_S = 0.2


def now() -> Instant:
    """Return the instant it is."""
    return time.time_ns() // 1_000


def wait_until_live(worker: Worker) -> None:
    """Return when the worker holds all lanes and all have caught up."""
    deadline = time.monotonic() + _LIVE_WITHIN_S
    while (live := worker.metrics().sum("segmenter_lanes", state="live")) < LANES:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{live:.0f} of {LANES} lanes were live after {_LIVE_WITHIN_S:.0f} s")
        time.sleep(0.3)


def scheduled_s(pid: int) -> tuple[float, float]:
    """Return how long a process has run, and how long it was ready while its core did something else."""
    tasks = [task.joinpath("schedstat").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(ran) for ran, _, _ in tasks) / 1e9, sum(int(waited) for _, waited, _ in tasks) / 1e9


def send_on_time(bootstrap: str, events: Sequence[Sent]) -> list[Instant]:
    """Send each event when its time has come, whatever became of those before; return when each was sent."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": LINGER_MS})
    producer.list_topics(timeout=10)
    homes = [home_of(event.customer, LANES) for event in events]
    sent: list[Instant] = []
    for event, home in zip(events, homes, strict=True):
        while (at := now()) < event.at:
            producer.poll(0)
            time.sleep(_PAUSE_S)
        sent.append(at)
        producer.produce(event.topic, event.value, event.customer.encode(), home, timestamp=at // 1_000)
    expect("events that Kafka did not take", producer.flush(30), 0)
    return sent


def start_after(count: int) -> Instant:
    """Return an instant by which so many events will be made: 60 µs each is plenty."""
    return now() + SECOND + 60 * count


@dataclass(frozen=True, slots=True)
class Seen:
    """A change, and when it was read."""

    at: Instant
    value: dict[str, Any]

    @property
    def event_ids(self) -> list[str]:
        """The events that caused it; none where time or others did."""
        return list(self.value["cause"].get("event_ids", ()))

    @property
    def lifecycle(self) -> tuple[str | None, str | None] | None:
        """The lifecycle before and after; None where it did not move."""
        moves = (move for move in self.value["changes"] if move["dimension"] == "lifecycle")
        return next(((move["before"], move["after"]) for move in moves), None)


class Watch(AbstractContextManager["Watch"]):
    """Reads the changes from their present ends on, in a thread; record by record, as most consumers do."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "watch", "enable.auto.commit": False})
        places = [TopicPartition(CHANGES, lane) for lane in range(LANES)]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place)[1]
        self._consumer.assign(places)
        self._read: list[tuple[Instant, bytes]] = []
        self._is_over = False
        self._thread = threading.Thread(target=self._watch, name="watch")
        self._thread.start()

    def wait_for(self, count: int, timeout_s: float) -> list[Seen]:
        """Return what was read once so many were, or the time is over; two seconds more for any that come twice."""
        deadline = time.monotonic() + timeout_s
        while len(self._read) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(2)
        return [Seen(at, json.loads(value)) for at, value in self._read.copy()]

    def take(self) -> list[Seen]:
        """Return what was read since the last call, and forget it."""
        taken, self._read = self._read, []
        return [Seen(at, json.loads(value)) for at, value in taken]

    def _watch(self) -> None:
        while not self._is_over:
            message = self._consumer.poll(_POLL_S)
            if message is not None and not message.error():
                self._read.append((now(), message.value()))

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()
        self._consumer.close()
