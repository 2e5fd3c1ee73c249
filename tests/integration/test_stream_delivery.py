"""Every record reaches the engine's store exactly once, whatever happens to the group; on a real broker."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from segmenter.engine.intake import Place, Poll
from segmenter.errors import ConfigurationError, InvariantError, TransientError
from segmenter.stream.binding import Binding
from segmenter.stream.ownership import GroupOwnership
from segmenter.stream.run import run_stream
from segmenter.stream.settings import StreamSettings
from segmenter.stream.source_log import KafkaSourceLog
from tests.bench.kafka import KafkaCluster
from tests.bench.process import Child
from tests.conftest import TopicMaker
from tests.integration.recording_engine import Observed, RecordingEngine, SystemClock, taken_keys

PARTITIONS = 4


@pytest.fixture
async def settings(kafka: KafkaCluster, make_topics: TopicMaker, unique: Callable[[str], str]) -> StreamSettings:
    lanes, other = (unique("orders"), unique("rekeyed")), unique("clicks")
    await make_topics({lanes[0]: PARTITIONS, lanes[1]: PARTITIONS, other: 3})
    return StreamSettings(
        bootstrap=kafka.bootstrap,
        group=unique("group"),
        lane_topics=lanes,
        other_topics=(other,),
        partitions=PARTITIONS,
        session_timeout_s=3,
        heartbeat_s=0.5,
        rebalance_timeout_s=8,
        request_timeout_s=15,
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


class Worker:
    """The stream in this process."""

    def __init__(self, settings: StreamSettings, engine: RecordingEngine) -> None:
        self.engine = engine
        self.observed = Observed()
        self.ownership = GroupOwnership()
        self.stop = asyncio.Event()
        self.binding = Binding(
            settings=settings,
            engine=engine,
            clock=SystemClock(),
            ownership=self.ownership,
            observer=self.observed,
        )


@asynccontextmanager
async def working(settings: StreamSettings, engine: RecordingEngine) -> AsyncIterator[Worker]:
    worker = Worker(settings, engine)
    task = asyncio.create_task(run_stream(worker.binding, worker.stop), name="worker")
    try:
        yield worker
    finally:
        worker.stop.set()
        await task


def engine_of(settings: StreamSettings, store: Path, name: str = "one") -> RecordingEngine:
    return RecordingEngine(store, KafkaSourceLog(settings.bootstrap), name)


async def publish(settings: StreamSettings, keys: range, *, pause_s: float = 0) -> list[str]:
    """Write one record a key to each topic in turn; return all keys as text, sorted."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, linger_ms=2)
    await producer.start()
    try:
        for number in keys:
            topic = settings.topics[number % len(settings.topics)]
            await producer.send(topic, b"value", key=f"{number:06}".encode())
            if pause_s and number % 100 == 0:
                await asyncio.sleep(pause_s)
        await producer.flush()
    finally:
        await producer.stop()
    return [f"{number:06}" for number in keys]


async def until(is_true: Callable[[], bool], timeout_s: float = 25) -> None:
    async with asyncio.timeout(timeout_s):
        while not is_true():  # noqa: ASYNC110  # what is waited for is in other processes
            await asyncio.sleep(0.05)


async def until_taken(store: Path, keys: list[str]) -> None:
    """Wait until as many records are stored; then they must be these, each once."""
    await until(lambda: len(taken_keys(store)) >= len(keys))
    assert taken_keys(store) == keys


async def test_two_workers_share_the_lanes_and_take_every_record_once(settings: StreamSettings, store: Path) -> None:
    keys = await publish(settings, range(3_000))

    async with working(settings, engine_of(settings, store)) as one:
        await until(lambda: one.ownership.lanes == frozenset(range(PARTITIONS)))
        async with working(settings, engine_of(settings, store, "two")) as two:
            await until(lambda: len(one.ownership.lanes) == len(two.ownership.lanes) == 2)
            keys += await publish(settings, range(3_000, 6_000))
            await until_taken(store, keys)
            assert one.ownership.lanes | two.ownership.lanes == frozenset(range(PARTITIONS))
            assert one.ownership.generation == two.ownership.generation
        await until(lambda: len(one.ownership.lanes) == PARTITIONS)
        keys += await publish(settings, range(6_000, 7_000))
        await until_taken(store, keys)


async def test_all_partitions_of_a_lane_are_with_one_worker(settings: StreamSettings, store: Path) -> None:
    async with (
        working(settings, engine_of(settings, store)) as one,
        working(settings, engine_of(settings, store, "two")) as two,
    ):
        await until(lambda: len(one.ownership.lanes) == len(two.ownership.lanes) == 2)
        await until(lambda: one.observed.polls > 0 and two.observed.polls > 0)

        for worker in (one, two):
            lane_places = {place for place in worker.engine.intake() if place[0] in settings.lane_topics}
            assert lane_places == {(topic, lane) for topic in settings.lane_topics for lane in worker.ownership.lanes}


async def test_a_rebalance_in_the_middle_of_a_poll_loses_and_doubles_nothing(
    settings: StreamSettings, store: Path
) -> None:
    keys = await publish(settings, range(4_000))
    slow = engine_of(settings, store)
    slow.take_delay_s = 0.3

    async with working(replace(settings, max_partition_records=50), slow) as one:
        await until(lambda: one.observed.records > 0)
        async with working(settings, engine_of(settings, store, "two")) as two:
            await until(lambda: two.observed.rebalances > 0)
            await until(lambda: two.observed.records > 0 or len(taken_keys(store)) == len(keys))
        slow.take_delay_s = 0
        await until_taken(store, keys)


class Slow(RecordingEngine):
    """Takes longer to be told of an assignment than the group waits, and meets a store that is away."""

    told = 0

    async def assigned(self, generation: int, partitions: Collection[Place]) -> None:
        self.told += 1
        if self.told == 1:
            raise TransientError("the store is away")
        await asyncio.sleep(4)
        await super().assigned(generation, partitions)


async def test_an_engine_that_learns_slowly_is_told_in_full_before_the_first_poll(
    settings: StreamSettings, store: Path
) -> None:
    keys = await publish(settings, range(100))
    engine = Slow(store, KafkaSourceLog(settings.bootstrap))

    async with working(settings, engine) as worker:
        await until_taken(store, keys)

        assert (engine.told, worker.observed.rebalances) == (2, 1)


class Refusing(RecordingEngine):
    """Refuses every third poll that has records, as a store does that another owner has taken."""

    asked = 0

    async def take(self, poll: Poll) -> None:
        if poll.records:
            self.asked += 1
            if self.asked % 3 == 0:
                return
            if self.asked % 3 == 1:
                raise TransientError("the store is away")
        await super().take(poll)


async def test_a_poll_that_was_refused_is_read_again(settings: StreamSettings, store: Path) -> None:
    keys = await publish(settings, range(600))
    engine = Refusing(store, KafkaSourceLog(settings.bootstrap))

    async with working(replace(settings, max_partition_records=40), engine) as worker:
        await until_taken(store, keys)

        assert worker.observed.reseeks


async def test_a_worker_that_pauses_everything_keeps_its_place_in_the_group(
    settings: StreamSettings, store: Path
) -> None:
    engine = engine_of(settings, store)

    async with working(settings, engine) as worker:
        await until(lambda: worker.observed.polls > 0)
        engine.paused.update(engine.intake())
        await asyncio.sleep(1)  # a poll that was under way may still bring records
        keys = await publish(settings, range(100))
        await asyncio.sleep(settings.session_timeout_s + 1)
        assert taken_keys(store) == []
        engine.paused.clear()
        await until_taken(store, keys)

        assert worker.observed.rebalances == 1


async def test_a_log_that_was_cut_stops_its_partition_and_no_other(settings: StreamSettings, store: Path) -> None:
    await publish(settings, range(300))
    cut: Place = (settings.lane_topics[0], 1)
    engine = engine_of(settings, store)
    engine.paused.add(cut)

    async with working(settings, engine) as worker:
        await until(lambda: worker.observed.polls > 0)
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
        await admin.start()
        await admin.delete_records({TopicPartition(*cut): RecordsToDelete(before_offset=10)})
        await admin.close()
        engine.paused.clear()
        await until(lambda: bool(engine.out_of_range_calls))
        before = len(taken_keys(store))
        await publish(settings, range(300, 600))
        await until(lambda: len(taken_keys(store)) > before + 200)

    place, position, log_start, log_end = engine.out_of_range_calls[0]
    assert (place, position, log_start) == (cut, 0, 10)
    assert log_end > 10
    assert "OffsetOutOfRangeError" in worker.observed.fetch_errors


async def test_lag_tools_see_the_stored_positions(settings: StreamSettings, store: Path) -> None:
    keys = await publish(settings, range(900))
    async with working(settings, engine_of(settings, store)) as worker:
        await until_taken(store, keys)
        stored = dict(worker.engine.positions())

    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    committed = await admin.list_consumer_group_offsets(settings.group)
    await admin.close()
    assert {tuple(place): offset.offset for place, offset in committed.items()} == stored


async def test_topics_of_unequal_counts_are_refused_at_the_start(settings: StreamSettings, store: Path) -> None:
    wrong = replace(settings, lane_topics=settings.topics, other_topics=("nowhere",))

    with pytest.raises(ConfigurationError) as refused:
        await run_stream(Worker(wrong, engine_of(settings, store)).binding, asyncio.Event())

    assert refused.value.faults == (
        "topic nowhere does not exist; create it first",
        f"topic {settings.other_topics[0]} has 3 partitions; every topic read at home must have 4",
    )


class Broken(RecordingEngine):
    """Has a bug."""

    async def take(self, poll: Poll) -> None:
        raise InvariantError("a profile has two lives")


async def test_a_bug_in_the_engine_ends_the_worker_and_shows(settings: StreamSettings, store: Path) -> None:
    worker = Worker(settings, Broken(store, KafkaSourceLog(settings.bootstrap)))

    with pytest.raises(InvariantError, match="two lives"):
        await asyncio.wait_for(run_stream(worker.binding, worker.stop), 20)

    assert worker.engine.events[-1] == "stop"


async def test_a_worker_that_stops_leaves_nothing_behind(settings: StreamSettings, store: Path) -> None:
    async with working(settings, engine_of(settings, store)) as worker:
        await until(lambda: worker.observed.polls > 0)

    assert worker.engine.events == ["start", "assigned", "stop"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_worker_that_rejoins_gets_a_new_generation(settings: StreamSettings, store: Path) -> None:
    keys = await publish(settings, range(100))
    async with working(settings, engine_of(settings, store)) as worker:
        await until(lambda: worker.observed.polls > 0)
        first = worker.ownership.generation

        await worker.ownership.rejoin()
        await until(lambda: worker.ownership.generation > first)

        keys += await publish(settings, range(100, 200))
        await until_taken(store, keys)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.kill()


def start_process(settings: StreamSettings, store: Path, name: str, processes: list[Child]) -> Child:
    command = [sys.executable, "-m", "tests.integration.stream_worker", str(store), name]
    processes.append(Child([*command, json.dumps(asdict(settings))], log=store.with_name(f"{name}.log")))
    return processes[-1]


async def test_a_killed_process_loses_and_doubles_nothing(
    settings: StreamSettings, store: Path, processes: list[Child]
) -> None:
    one = start_process(settings, store, "one", processes)
    two = start_process(settings, store, "two", processes)
    writing = asyncio.create_task(publish(settings, range(8_000), pause_s=0.1))
    await until(lambda: len(taken_keys(store)) > 1_000)

    one.kill()
    await until(lambda: len(taken_keys(store)) > 3_000)
    three = start_process(settings, store, "three", processes)

    await until_taken(store, await writing)
    await until(lambda: "Worker ready" in three.output())
    started_at = time.monotonic()
    for process in (two, three):
        process.stop()
        assert process.exit_code == 0, process.output()[-3000:]
        assert "was destroyed" not in process.output()
    assert time.monotonic() - started_at < 10


async def test_a_member_with_a_name_comes_back_without_disturbing_the_others(
    settings: StreamSettings, store: Path, processes: list[Child]
) -> None:
    # The session outlives the time a process takes to start, also on a busy machine.
    settings = replace(settings, session_timeout_s=10)
    async with working(replace(settings, instance_id="a"), engine_of(settings, store)) as one:
        named = replace(settings, instance_id="b")
        two = start_process(named, store, "two", processes)
        await until(lambda: len(one.ownership.lanes) == 2)
        rebalances = one.observed.rebalances
        keys = await publish(settings, range(300))
        await until_taken(store, keys)

        two.kill()
        start_process(named, store, "again", processes)
        keys += await publish(settings, range(300, 600))
        await until_taken(store, keys)

        assert one.observed.rebalances == rebalances
