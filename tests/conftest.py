"""Fixtures of every suite: real servers, started once a run, and names of one's own per test."""

import itertools
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NoReturn

import pytest

from tests.bench.durations import write_table
from tests.bench.kafka import KafkaCluster
from tests.bench.kafka_jars import KafkaUnavailableError
from tests.bench.redis import RedisServer
from tests.bench.topics import create_topics

# A run that must prove something (CI) sets it: then a missing server is a failure, not a skip.
SERVERS_REQUIRED = os.environ.get("SEGMENTER_REQUIRE_KAFKA") == "1"

TopicMaker = Callable[..., Awaitable[None]]

_databases = itertools.cycle(range(1, 64))


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster]:
    """A broker shared by the whole run: name topics, groups and ids with `unique`, and do not kill it."""
    cluster = KafkaCluster()
    try:
        cluster.start()
    except KafkaUnavailableError as error:
        unavailable(str(error))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis shared by the whole run: do not kill it, take a `RedisServer` of your own for that."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty database of the shared Redis; the one of the test before is another."""
    url = f"redis://127.0.0.1:{redis_server.port}/{next(_databases)}"
    with redis_server.client(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Give a name that no other test has: `unique("orders")` is `orders-3f9c1a2b`, the same all test long."""
    suffix = uuid.uuid4().hex[:8]
    return lambda name: f"{name}-{suffix}"


@pytest.fixture
def make_topics(kafka: KafkaCluster) -> TopicMaker:
    """Create topics on the shared broker: `await make_topics({"orders-1": 8}, {"retention.ms": "1000"})`."""

    async def make(partitions_by_name: Mapping[str, int], configs: Mapping[str, str] | None = None) -> None:
        await create_topics(kafka.bootstrap, partitions_by_name, configs)

    return make


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where servers are required."""
    if SERVERS_REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the broker, so that `-m "not kafka"` runs without Java."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print minutes by suite."""
    write_table(terminalreporter)
