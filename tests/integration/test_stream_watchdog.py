"""What the watchdog frees, on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import faust
import pytest
from aiokafka import AIOKafkaProducer

from segmenter.stream.app import build_app
from segmenter.stream.binding import Binding
from segmenter.stream.ownership import GroupOwnership
from segmenter.stream.pulse import Pulse
from segmenter.stream.settings import StreamSettings
from segmenter.stream.source_log import KafkaSourceLog
from segmenter.stream.watchdog import Watchdog
from tests.bench.kafka import KafkaCluster
from tests.bench.proxy import Proxy
from tests.conftest import TopicMaker
from tests.integration.recording_engine import Observed, RecordingEngine, SystemClock, taken_keys


@pytest.fixture
async def settings(kafka: KafkaCluster, make_topics: TopicMaker, unique: Callable[[str], str]) -> StreamSettings:
    topic = unique("orders")
    await make_topics({topic: 2})
    return StreamSettings(bootstrap=kafka.bootstrap, group=unique("group"), lane_topics=(topic,), partitions=2)


@dataclass
class Started:
    """An app that runs, and what is behind it."""

    app: faust.App
    engine: RecordingEngine
    observed: Observed
    pulse: Pulse


@asynccontextmanager
async def started(settings: StreamSettings, folder: Path) -> AsyncIterator[Started]:
    engine = RecordingEngine(folder / "store.db", KafkaSourceLog(settings.bootstrap))
    observed, pulse = Observed(), Pulse()
    binding = Binding(
        settings=settings,
        engine=engine,
        clock=SystemClock(),
        ownership=GroupOwnership(),
        observer=observed,
        pulse=pulse,
    )
    app = build_app(binding, folder)
    await app.start()
    try:
        yield Started(app, engine, observed, pulse)
    finally:
        await app.stop()
        await engine.stop()


async def publish(settings: StreamSettings, *keys: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap)
    await producer.start()
    for key in keys:
        await producer.send(settings.topics[0], b"value", key=key.encode())
    await producer.stop()


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not is_true():  # noqa: ASYNC110  # the broker tells no event
            await asyncio.sleep(0.05)


async def test_a_poll_that_no_agent_begins_is_taken_back_and_read_again(
    settings: StreamSettings, tmp_path: Path
) -> None:
    async with started(settings, tmp_path) as worker:
        await until(lambda: worker.observed.polls > 0)

        worker.app.flow_control.suspend()  # as a rebalance does, but nobody resumes
        await publish(settings, "a", "b")
        await until(lambda: worker.observed.drops > 0)
        worker.app.flow_control.resume()

        await until(lambda: taken_keys(tmp_path / "store.db") == ["a", "b"])


async def test_a_position_that_stands_ahead_of_the_engine_is_put_back(
    settings: StreamSettings, tmp_path: Path
) -> None:
    await publish(settings, *"abcdefgh")
    async with started(settings, tmp_path) as worker:
        await until(lambda: len(taken_keys(tmp_path / "store.db")) == 8)
        await worker.app.consumer.halt()

        place = next(place for place, offset in worker.engine.positions().items() if offset > 0)
        worker.engine.rewind(place, 0)

        await until(lambda: worker.observed.reseeks == [place])


@dataclass
class BusyConsumer:
    """What the watchdog sees while the thread unpacks a large poll, or the machine is busy, for seconds."""

    binding: SimpleNamespace
    put_back: list[object] = field(default_factory=list)
    flow_active: bool = True
    has_begun: bool = True
    in_flight: None = None
    is_polling: bool = True
    polls: int = 7

    @property
    def reader_thread(self) -> SimpleNamespace:
        async def refuse_errors() -> None:
            """Nothing is wrong."""

        async def put_back(expected: object) -> list[tuple[tuple[str, int], int, int]]:
            self.put_back.append(expected)
            return []

        return SimpleNamespace(has_begun=True, refuse_errors=refuse_errors, put_back=put_back)


async def test_a_poll_that_takes_long_is_left_alone() -> None:
    consumer = BusyConsumer(SimpleNamespace(engine=SimpleNamespace(intake=dict), observer=Observed()))
    watchdog = Watchdog(consumer)  # type: ignore[arg-type]

    for _ in range(3):
        await watchdog.look()
    while_polling = list(consumer.put_back)
    consumer.is_polling = False
    await watchdog.look()

    assert while_polling == []
    assert consumer.put_back == [{}]


async def test_a_rebalance_that_never_ends_is_left_for_a_new_one(settings: StreamSettings, tmp_path: Path) -> None:
    hasty = replace(settings, rebalance_timeout_s=2, session_timeout_s=1, heartbeat_s=0.3)
    async with started(hasty, tmp_path) as worker:
        await until(lambda: worker.observed.polls > 0)
        polls = worker.observed.polls

        worker.app.consumer.stop_flow()
        await until(lambda: worker.observed.rebalances == 2)

        await until(lambda: worker.observed.polls > polls)


async def test_a_worker_that_starts_beside_slow_brokers_waits_for_them(
    settings: StreamSettings, tmp_path: Path
) -> None:
    with Proxy(int(settings.bootstrap.rpartition(":")[2])) as slow:
        slow.slow_down(0.6)
        async with started(replace(settings, bootstrap=f"127.0.0.1:{slow.port}"), tmp_path) as worker:
            await publish(settings, "a")

            await until(lambda: taken_keys(tmp_path / "store.db") == ["a"])
            assert not worker.app.crashed


async def test_the_watchdog_shows_that_it_runs(settings: StreamSettings, tmp_path: Path) -> None:
    async with started(settings, tmp_path) as worker:
        await asyncio.sleep(2.5)

        assert worker.pulse.age_s() < 2
