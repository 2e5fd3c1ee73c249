import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import takewhile
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2
from aiokafka.structs import ConsumerRecord

from segmenter.domain.instants import MILLISECOND, SECOND, Instant
from segmenter.embedded import kafka
from segmenter.embedded.kafka import EmbeddedKafka, library_path
from segmenter.embedded.publisher import ShopPublisher
from segmenter.embedded.shop import history, open_shop
from segmenter.embedded.shop_live import live
from segmenter.embedded.shop_records import TOPICS
from segmenter.errors import ConfigurationError, SegmenterError

PARTITIONS = 8


class SystemClock:
    def now(self) -> Instant:
        return time.time_ns() // 1_000


@pytest.fixture
def broker() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as opened:
        for topic in TOPICS:
            opened.create_topic(topic, PARTITIONS)
        yield opened


async def test_a_shop_s_past_comes_back_whole_at_home_and_in_order(broker: EmbeddedKafka) -> None:
    clock = SystemClock()
    began_ms = clock.now() // MILLISECOND
    past = list(history(open_shop(7, clock.now(), customers=200)))

    async with ShopPublisher(broker.bootstrap, PARTITIONS, clock) as publisher:
        await publisher.load(past)

    assert publisher.manifest.records == len(past)
    read = await everything(broker)
    assert len(read) == len(past)
    assert all(record.partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS for record in read)
    assert all(began_ms <= record.timestamp <= clock.now() // MILLISECOND for record in read)
    assert by_place((r.topic, r.key, r.value) for r in read) == by_place((r.topic, r.key, r.value) for r in past)


async def test_a_year_of_the_default_shop_fits_into_the_broker(broker: EmbeddedKafka) -> None:
    clock = SystemClock()
    async with ShopPublisher(broker.bootstrap, PARTITIONS, clock) as publisher:
        await publisher.load(history(open_shop(7, clock.now())))

    async with reader(broker) as consumer:
        starts = await consumer.beginning_offsets(consumer.assignment())
        ends = await consumer.end_offsets(consumer.assignment())

    assert set(starts.values()) == {0}
    assert sum(ends.values()) == publisher.manifest.records > 100_000


async def test_live_records_go_out_when_they_are_due_and_stop_when_cancelled(broker: EmbeddedKafka) -> None:
    clock = SystemClock()
    shop = open_shop(7, clock.now(), customers=50)
    begins_at = clock.now()
    async with ShopPublisher(broker.bootstrap, PARTITIONS, clock) as publisher:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(publisher.stream(live(shop, begins_at, rate=200)), timeout=2)

    due = list(takewhile(lambda entry: entry[0] < begins_at + 2 * SECOND, live(shop, begins_at, rate=200)))
    read = await everything(broker)
    assert len(read) == publisher.manifest.records
    assert 0.8 * len(due) <= len(read) <= len(due) + 1
    # A duplicate has the same bytes as the record before it.
    first_due_ms = {record.value: at // MILLISECOND for at, record in reversed(due)}
    waited_ms = sorted(record.timestamp - first_due_ms.get(record.value, record.timestamp) for record in read)
    assert waited_ms[0] >= -1
    assert waited_ms[len(read) // 2] < 100


async def test_overdue_records_are_sent_at_once(broker: EmbeddedKafka) -> None:
    clock = SystemClock()
    shop = open_shop(7, clock.now(), customers=50)
    hour_ago = clock.now() - 3_600 * SECOND
    overdue = takewhile(lambda entry: entry[0] < hour_ago + 20 * SECOND, live(shop, hour_ago, rate=100))

    async with ShopPublisher(broker.bootstrap, PARTITIONS, clock) as publisher:
        await asyncio.wait_for(publisher.stream(overdue), timeout=10)

    assert len(await everything(broker)) == publisher.manifest.records > 1_000


async def test_a_lone_group_member_starts_without_the_usual_three_seconds(broker: EmbeddedKafka) -> None:
    consumer = AIOKafkaConsumer("orders", bootstrap_servers=broker.bootstrap, group_id="g")
    began = time.monotonic()

    await consumer.start()
    try:
        assert len(consumer.assignment()) == PARTITIONS
        assert time.monotonic() - began < 2
    finally:
        await consumer.stop()


async def test_more_than_five_mebibytes_lose_their_oldest_batches_silently(broker: EmbeddedKafka) -> None:
    # The limit that the class docstring states; a broker that keeps more would let us say less.
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, max_request_size=2_000_000) as producer:
        for _ in range(12):
            await producer.send_and_wait("orders", bytes(512 * 1024), partition=0)

    async with reader(broker) as consumer:
        place = TopicPartition("orders", 0)
        start = (await consumer.beginning_offsets([place]))[place]

    assert (12 - start) * 512 * 1024 <= kafka.KEPT_BYTES_PER_PARTITION + 512 * 1024
    assert start > 0


def test_a_topic_is_created_once() -> None:
    with EmbeddedKafka() as broker:
        broker.create_topic("orders", 1)
        with pytest.raises(SegmenterError, match="'orders' with 1 partitions was refused"):
            broker.create_topic("orders", 1)


def test_a_closed_broker_creates_no_topic() -> None:
    with EmbeddedKafka() as broker:
        pass
    with pytest.raises(SegmenterError, match="not open"):
        broker.create_topic("orders", 1)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ConfigurationError, match="needs the package confluent-kafka"):
        library_path(None)


@pytest.mark.parametrize(
    "place", ["confluent_kafka.libs/librdkafka-1.so.1", "confluent_kafka/.dylibs/librdkafka.1.dylib"]
)
def test_the_library_is_found_in_the_wheels_of_linux_and_macos(tmp_path: Path, place: str) -> None:
    library = tmp_path / place
    library.parent.mkdir(parents=True)
    library.touch()
    (library.parent / library.name.replace("librdkafka", "librdkafka++")).touch()

    assert library_path(str(tmp_path / "confluent_kafka" / "__init__.py")) == str(library)


def by_place(records: Iterator[tuple[str, bytes, bytes]]) -> dict[tuple[str, bytes], list[bytes]]:
    """Each customer's values of each topic, in order."""
    values = defaultdict(list)
    for topic, key, value in records:
        values[topic, key].append(value)
    return values


@asynccontextmanager
async def reader(broker: EmbeddedKafka) -> AsyncIterator[AIOKafkaConsumer]:
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, fetch_max_wait_ms=50) as consumer:
        consumer.assign([TopicPartition(topic, number) for topic in TOPICS for number in range(PARTITIONS)])
        yield consumer


async def everything(broker: EmbeddedKafka) -> list[ConsumerRecord]:
    """Read all that is there: as many polls as it takes, a fetch gives one batch of a partition."""
    read: list[ConsumerRecord] = []
    async with reader(broker) as consumer:
        await consumer.seek_to_beginning()
        there = sum((await consumer.end_offsets(consumer.assignment())).values())
        while len(read) < there:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                read += records
    return read
