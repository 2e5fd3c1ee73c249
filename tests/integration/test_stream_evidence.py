"""What we reach into aiokafka for, on a real broker: seeks, pauses, and the time at which an end was seen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from segmenter.domain.instants import Instant
from segmenter.engine.intake import Place
from segmenter.stream.source_reader import Gathered, SourceReader
from tests.bench.kafka import KafkaCluster
from tests.conftest import TopicMaker

NOON: Instant = 1_800_000_000_000_000


class HeldClock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.instant = NOON

    def now(self) -> Instant:
        return self.instant


@pytest.fixture
async def topic(make_topics: TopicMaker, unique: Callable[[str], str]) -> str:
    name = unique("evidence")
    await make_topics({name: 2})
    return name


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@asynccontextmanager
async def reading(
    kafka: KafkaCluster, topic: str, clock: HeldClock, *, max_records: int = 1_000, fetch_max_wait_ms: int = 50
) -> AsyncIterator[SourceReader]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        group_id=topic,
        auto_offset_reset="none",
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=fetch_max_wait_ms,
    )
    await consumer.start()
    try:
        consumer.subscribe([topic])
        reader = SourceReader(consumer, clock, max_records)
        while not consumer.assignment():  # noqa: ASYNC110  # the group tells no event
            await asyncio.sleep(0.02)
        yield reader
    finally:
        await consumer.stop()


@asynccontextmanager
async def producing(kafka: KafkaCluster, transactional_id: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=transactional_id)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def write(kafka: KafkaCluster, topic: str, count: int) -> None:
    async with producing(kafka) as producer:
        await asyncio.gather(
            *[await producer.send(topic, f"{number}".encode(), partition=0) for number in range(count)]
        )


async def read_until(
    reader: SourceReader, expected: Mapping[Place, int], is_enough: Callable[[Gathered], bool]
) -> list[Gathered]:
    """Poll on as an engine would, moving the expected offsets along, until a poll is enough."""
    now, polls = dict(expected), list[Gathered]()
    async with asyncio.timeout(20):
        while not polls or not is_enough(polls[-1]):
            polls.append(await reader.poll(now, 0.5))
            now |= {place: evidence.position for place, evidence in polls[-1].evidence.items()}
    return polls


def values(polls: list[Gathered], place: Place) -> list[str]:
    return [(record.value or b"").decode() for poll in polls for record in poll.records.get(place, ())]


def seen_at_end(place: Place) -> Callable[[Gathered], bool]:
    return lambda poll: place in poll.evidence and poll.evidence[place].asked_at is not None


async def test_an_empty_partition_is_at_its_end(kafka: KafkaCluster, topic: str, clock: HeldClock) -> None:
    async with reading(kafka, topic, clock) as reader:
        last = (await read_until(reader, {(topic, 1): 0}, seen_at_end((topic, 1))))[-1]

        evidence = last.evidence[topic, 1]
        assert (evidence.position, evidence.end, evidence.asked_at) == (0, 0, NOON)


async def test_records_are_read_from_the_offset_that_is_asked_for(
    kafka: KafkaCluster, topic: str, clock: HeldClock
) -> None:
    await write(kafka, topic, 10)

    async with reading(kafka, topic, clock) as reader:
        polls = await read_until(reader, {(topic, 0): 4}, seen_at_end((topic, 0)))

        assert values(polls, (topic, 0)) == ["4", "5", "6", "7", "8", "9"]
        assert not [reseek for poll in polls for reseek in poll.reseeks]


async def test_a_partition_that_is_not_read_to_its_end_has_no_time(
    kafka: KafkaCluster, topic: str, clock: HeldClock
) -> None:
    await write(kafka, topic, 10)

    async with reading(kafka, topic, clock, max_records=4) as reader:
        polls = await read_until(reader, {(topic, 0): 0}, seen_at_end((topic, 0)))

        with_records = [poll.evidence[topic, 0] for poll in polls if poll.records]
        told = [(e.position, e.end, e.asked_at) for e in with_records]
        assert told == [(4, 10, None), (8, 10, None), (10, 10, NOON)]


async def test_the_time_is_that_of_the_request_however_late_the_answer_is_read(
    kafka: KafkaCluster, topic: str, clock: HeldClock
) -> None:
    async with reading(kafka, topic, clock, fetch_max_wait_ms=1_000) as reader:
        await reader.poll({(topic, 0): 0}, 0.3)
        clock.instant = NOON + 500_000  # the first request is at the broker, which answers when its second is over

        first = (await read_until(reader, {(topic, 0): 0}, seen_at_end((topic, 0))))[-1]
        second = await reader.poll({(topic, 0): 0}, 1.5)

        assert first.evidence[topic, 0].asked_at == NOON
        assert second.evidence[topic, 0].asked_at == NOON + 500_000


async def test_the_position_passes_the_markers_of_a_transaction(
    kafka: KafkaCluster, topic: str, clock: HeldClock
) -> None:
    async with producing(kafka, f"{topic}-writer") as producer, producer.transaction():
        await producer.send_and_wait(topic, b"told", partition=0)

    async with reading(kafka, topic, clock) as reader:
        polls = await read_until(reader, {(topic, 0): 0}, seen_at_end((topic, 0)))

        assert values(polls, (topic, 0)) == ["told"]
        assert (polls[-1].evidence[topic, 0].position, polls[-1].evidence[topic, 0].end) == (2, 2)


async def test_aborted_records_are_passed_over(kafka: KafkaCluster, topic: str, clock: HeldClock) -> None:
    async with producing(kafka, f"{topic}-writer") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"taken back", partition=0)
        await producer.abort_transaction()

    async with reading(kafka, topic, clock) as reader:
        polls = await read_until(reader, {(topic, 0): 0}, seen_at_end((topic, 0)))

        assert values(polls, (topic, 0)) == []
        assert (polls[-1].evidence[topic, 0].position, polls[-1].evidence[topic, 0].end) == (2, 2)


async def test_an_open_transaction_hides_what_follows_and_so_proves_no_silence(
    kafka: KafkaCluster, topic: str, clock: HeldClock
) -> None:
    async with producing(kafka, f"{topic}-writer") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"open", partition=0)
        await write(kafka, topic, 1)

        async with reading(kafka, topic, clock) as reader:
            hidden = await read_until(reader, {(topic, 0): 0}, lambda poll: poll.evidence[topic, 0].end is not None)
            await producer.commit_transaction()
            shown = await read_until(reader, {(topic, 0): 0}, seen_at_end((topic, 0)))

    assert (hidden[-1].evidence[topic, 0].end, hidden[-1].evidence[topic, 0].asked_at) == (0, None)
    assert values(shown, (topic, 0)) == ["open", "0"]


async def test_a_position_that_ran_ahead_is_put_back_and_told(
    kafka: KafkaCluster, topic: str, clock: HeldClock
) -> None:
    await write(kafka, topic, 6)

    async with reading(kafka, topic, clock) as reader:
        await read_until(reader, {(topic, 0): 0}, seen_at_end((topic, 0)))
        again = await read_until(reader, {(topic, 0): 2}, seen_at_end((topic, 0)))

        assert again[0].reseeks == [((topic, 0), 6, 2)]
        assert values(again, (topic, 0)) == ["2", "3", "4", "5"]


async def test_a_partition_that_is_not_asked_for_waits_where_it_is(
    kafka: KafkaCluster, topic: str, clock: HeldClock
) -> None:
    await write(kafka, topic, 3)

    async with reading(kafka, topic, clock) as reader:
        without = await reader.poll({}, 0.4)
        await asyncio.sleep(0.2)
        other = await read_until(reader, {(topic, 1): 0}, seen_at_end((topic, 1)))
        both = await read_until(reader, {(topic, 0): 0, (topic, 1): 0}, seen_at_end((topic, 0)))

    assert without.anchor is not None
    assert not without.evidence
    assert values(other, (topic, 0)) == []
    assert values(both, (topic, 0)) == ["0", "1", "2"]
    assert not [reseek for poll in both for reseek in poll.reseeks]


async def test_an_idle_partition_gives_new_evidence_with_each_answer(
    kafka: KafkaCluster, topic: str, clock: HeldClock
) -> None:
    async with reading(kafka, topic, clock, fetch_max_wait_ms=100) as reader:
        await read_until(reader, {(topic, 0): 0}, seen_at_end((topic, 0)))
        started_at = asyncio.get_running_loop().time()

        asked_at = []
        for _ in range(5):
            clock.instant += 1_000_000
            asked_at.append((await reader.poll({(topic, 0): 0}, 5)).evidence[topic, 0].asked_at)

        assert asked_at == sorted(asked_at, key=lambda instant: instant or 0)
        assert len(set(asked_at)) >= 4
        assert asyncio.get_running_loop().time() - started_at < 2
