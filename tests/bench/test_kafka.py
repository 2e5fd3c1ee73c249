from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.bench.kafka import KafkaCluster
from tests.bench.topics import create_topics
from tests.conftest import TopicMaker


async def test_what_was_produced_is_consumed(
    kafka: KafkaCluster, make_topics: TopicMaker, unique: Callable[[str], str]
) -> None:
    topic = unique("orders")
    await make_topics({topic: 2})

    await _produce(kafka, topic, [b"one", b"two"])

    assert await _read(kafka, topic, 2) == [b"one", b"two"]


async def test_a_topic_that_exists_is_refused(make_topics: TopicMaker, unique: Callable[[str], str]) -> None:
    topic = unique("orders")
    await make_topics({topic: 1})

    with pytest.raises(RuntimeError, match=topic):
        await make_topics({topic: 1})


async def test_records_with_old_timestamps_stay(
    kafka: KafkaCluster, make_topics: TopicMaker, unique: Callable[[str], str]
) -> None:
    topic = unique("history")
    await make_topics({topic: 1}, {"segment.ms": "100"})

    await _produce(kafka, topic, [b"of 2001"], timestamp_ms=1_000_000_000_000)

    assert await _read(kafka, topic, 1) == [b"of 2001"]


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_killed_broker_comes_back_with_its_data() -> None:
    with KafkaCluster(heap="256m") as cluster:
        await create_topics(cluster.bootstrap, {"orders": 1})
        await _produce(cluster, "orders", [b"kept"])

        cluster.kill()
        cluster.restart()

        assert await _read(cluster, "orders", 1) == [b"kept"]


@pytest.mark.kafka
@pytest.mark.slow
async def test_three_brokers_go_on_when_one_is_killed() -> None:
    with KafkaCluster(brokers=3, heap="256m") as cluster:
        await create_topics(cluster.bootstrap, {"orders": 3})
        await _produce(cluster, "orders", [b"before"])

        cluster.kill(2)
        await _produce(cluster, "orders", [b"after"])

        assert await _read(cluster, "orders", 2) == [b"before", b"after"]


async def _produce(cluster: KafkaCluster, topic: str, values: list[bytes], timestamp_ms: int | None = None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0, timestamp_ms=timestamp_ms)


async def _read(cluster: KafkaCluster, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=cluster.bootstrap, auto_offset_reset="earliest")
    async with consumer:
        return [(await consumer.getone()).value for _ in range(count)]
