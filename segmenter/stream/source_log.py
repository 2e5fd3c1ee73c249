"""Asks Kafka about the topics we read: how many partitions they have and where their logs begin."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from segmenter.errors import TransientError

_TIMEOUT_S = 15


class KafkaSourceLog:
    """The port SourceLog. Opens a connection for each question: they are asked at start and at a lane's first use."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def beginnings(self, sources: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Return the first offset that is still in the log of each (topic, partition). Raises TransientError."""
        if not sources:
            return {}
        places = [TopicPartition(*source) for source in sources]
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        async with self._answering(), _closing(consumer.stop):
            await consumer.start()
            starts = await consumer.beginning_offsets(places)
        return {(place.topic, place.partition): int(starts[place]) for place in places}

    async def bounds(self, sources: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], tuple[int, int]]:
        """Return the first offset and the end of each log that there is. Raises TransientError."""
        counts = await self.partition_counts({topic for topic, _ in sources})
        places = [TopicPartition(topic, number) for topic, number in sources if number < counts[topic]]
        if not places:
            return {}
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        async with self._answering(), _closing(consumer.stop):
            await consumer.start()
            starts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        return {(place.topic, place.partition): (int(starts[place]), int(ends[place])) for place in places}

    async def cluster_id(self) -> str:
        """Return the id that this Kafka was formatted with. Raises TransientError."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        async with self._answering(), _closing(admin.close):
            await admin.start()
            return str((await admin.describe_cluster())["cluster_id"])

    async def partitions(self, topic: str) -> int:
        """Return the topic's partition count, 0 where it does not exist. Raises TransientError."""
        return (await self.partition_counts([topic]))[topic]

    async def partition_counts(self, topics: Collection[str]) -> Mapping[str, int]:
        """Return the partition counts of several topics, 0 for those that do not exist. Raises TransientError."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        async with self._answering(), _closing(admin.close):
            await admin.start()
            # All topics: asked about one by name, a broker may create it.
            descriptions = await admin.describe_topics()
        found = {description["topic"]: len(description["partitions"]) for description in descriptions}
        return {topic: found.get(topic, 0) for topic in topics}

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                yield
        except (KafkaError, TimeoutError) as error:
            cause = str(error) or type(error).__name__
            fix = "start it, or name another with SEGMENTER_KAFKA_BOOTSTRAP"
            raise TransientError(f"Kafka at {self._bootstrap} does not answer; {fix} ({cause})") from error


@asynccontextmanager
async def _closing(close: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await close()
