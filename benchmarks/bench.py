"""What every benchmark works with: servers on one core, topics, a worker on the other, records in and out."""

import asyncio
import os
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer
from redis import Redis

from benchmarks.machine import SERVER_CORE, cpu_seconds
from benchmarks.shop import CLICKS, ORDERS, SUPPORT, Sent
from segmenter.adapters.home import home_of
from segmenter.adapters.keys import LaneKeys
from tests.bench.kafka import KafkaCluster
from tests.bench.process import Child, free_ports, scratch_directory
from tests.bench.redis import RedisServer
from tests.bench.topics import create_topics

LANES = 8
NAMESPACE = "seg"
INPUTS = (ORDERS, CLICKS, SUPPORT, "customers")
CHANGES, MEMBERSHIPS, REJECTED = "segmenter.changes", "segmenter.memberships", "segmenter.rejected"
OUTPUTS = (CHANGES, MEMBERSHIPS, REJECTED, "segmenter.rekeyed")
_START_TIMEOUT_S = 60
_POLL_S = 0.1
_METRIC = re.compile(r"^(\w+)(?:\{(.*)\})? ([0-9.eE+-]+)$")


@dataclass(frozen=True, slots=True)
class Servers:
    """A Kafka and a Redis of our own, on the core of the servers."""

    kafka: KafkaCluster
    redis: RedisServer
    directory: Path

    def client(self) -> Redis:
        """Return a client of the Redis. The caller closes it."""
        return self.redis.client()


@contextmanager
def servers(topics: Iterable[str] = (*INPUTS, *OUTPUTS)) -> Iterator[Servers]:
    """Start both, with these topics of one partition a lane."""
    os.sched_setaffinity(0, {SERVER_CORE})  # what we start inherits it
    with ExitStack() as stack:
        kafka = stack.enter_context(KafkaCluster(heap="1g"))
        redis = stack.enter_context(RedisServer())
        asyncio.run(create_topics(kafka.bootstrap, dict.fromkeys(topics, LANES)))
        yield Servers(kafka, redis, scratch_directory("bench"))


def settings_of(at: Servers, port: int) -> dict[str, str]:
    """Return the environment of a worker whose pages are on this port."""
    keyed = {f"SEGMENTER_TOPICS__{name.upper()}__KEYED": "customer" for name in INPUTS}
    return {
        "SEGMENTER_KAFKA_BOOTSTRAP": at.kafka.bootstrap,
        "SEGMENTER_REDIS_URL": at.redis.url,
        "SEGMENTER_WEB_BIND": f"127.0.0.1:{port}",
        "SEGMENTER_PARTITIONS": str(LANES),
        "SEGMENTER_SESSION_TIMEOUT": "6s",
        "SEGMENTER_HEARTBEAT_INTERVAL": "1s",
        "SEGMENTER_REBALANCE_TIMEOUT": "10s",
        "SEGMENTER_REQUEST_TIMEOUT": "20s",
        **keyed,
    }


class Worker:
    """The real worker, in a process of its own, pinned to its core."""

    def __init__(self, at: Servers, *, rulebook: Path | None = None, profile: Path | None = None) -> None:
        self._port = free_ports(1)[0]
        environment = {
            **settings_of(at, self._port),
            **({"SEGMENTER_RULEBOOK": str(rulebook)} if rulebook else {}),
        }
        arguments = ["--profile", str(profile)] if profile else []
        command = [sys.executable, "-m", "benchmarks.worker_process", *arguments]
        self._child = Child(command, log=at.directory / f"worker-{self._port}.log", env=environment)
        self._child.wait_until_it_says("worker_started", _START_TIMEOUT_S)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def cpu_s(self) -> float:
        """Return what it has used so far; raises RuntimeError where it has ended."""
        if self._child.exit_code is not None:
            raise RuntimeError(f"the worker ended by itself:\n{self._child.output()[-3000:]}")
        return cpu_seconds(self.pid)

    def metrics(self) -> "Metrics":
        """Return its numbers as of now."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=30) as page:
            return Metrics(page.read().decode())

    def wait_until_live(self, timeout_s: float = 60) -> None:
        """Return when all lanes are held and live."""
        deadline = time.monotonic() + timeout_s
        while self.metrics().sum("segmenter_lanes", state="live") < LANES:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all lanes were live in {timeout_s} s:\n{self._child.output()[-3000:]}")
            time.sleep(0.3)

    def stop(self) -> None:
        """End it cleanly."""
        self._child.stop()

    def kill(self) -> None:
        """End it at once, with nothing put in order."""
        self._child.kill()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Metrics:
    """A page of metrics as Prometheus would read it."""

    def __init__(self, page: str) -> None:
        self._samples: Counter[tuple[str, str]] = Counter()
        for line in page.splitlines():
            if found := _METRIC.match(line):
                self._samples[found[1], found[2] or ""] += float(found[3])  # type: ignore[assignment]  # floats too

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of a metric that carry these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            value
            for (found, text), value in self._samples.items()
            if found == name and all(part in text for part in wanted)
        )


def publish(bootstrap: str, sent: Iterable[Sent], names: Mapping[str, str] | None = None) -> Counter[str]:
    """Publish under each event's own time, at home; return how many went into each partition, `topic/number`."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "compression.type": "lz4"})
    counts: Counter[str] = Counter()
    for event in sent:
        topic = (names or {}).get(event.topic, event.topic)
        home = home_of(event.customer, LANES)
        while True:
            try:
                producer.produce(topic, event.value, event.customer.encode(), home, timestamp=event.at // 1_000)
                break
            except BufferError:
                producer.poll(0.05)
        counts[f"{topic}/{home}"] += 1
    if producer.flush(120):
        raise RuntimeError("Kafka did not take all events within two minutes")
    return counts


def positions(redis: Redis) -> dict[str, int]:
    """Return how far each source is read and stored."""
    with redis.pipeline(transaction=False) as pipeline:
        for lane in range(LANES):
            pipeline.hgetall(LaneKeys(NAMESPACE, lane).positions)
        stored = pipeline.execute()
    return {source.decode(): int(offset) for lane in stored for source, offset in lane.items()}


def unpublished(redis: Redis) -> int:
    """Return how many records wait in the outboxes of all lanes."""
    return sum(int(redis.hget(LaneKeys(NAMESPACE, lane).lane, "entries") or 0) for lane in range(LANES))


def wait_until(is_done: "Counter[str]", redis: Redis, timeout_s: float) -> None:
    """Return when every source is read up to this many records."""
    deadline = time.monotonic() + timeout_s
    while any(positions(redis).get(source, 0) < count for source, count in is_done.items()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all events were read in {timeout_s} s")
        time.sleep(_POLL_S)
