"""What commands need of any Kafka: sentences where it does not answer, and how many partitions a topic has."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from segmenter.errors import ConfigurationError, TransientError


@asynccontextmanager
async def answering(bootstrap: str) -> AsyncIterator[None]:
    """Raise TransientError with address, setting and cause where Kafka fails inside the context."""
    try:
        yield
    except (KafkaError, TransientError, TimeoutError) as error:
        cause = "" if isinstance(error, KafkaConnectionError) else f" ({str(error) or type(error).__name__})"
        fix = "start it, or name another with SEGMENTER_KAFKA_BOOTSTRAP"
        raise TransientError(f"Kafka at {bootstrap} does not answer{cause}; {fix}") from error


async def partition_counts(bootstrap: str, topics: Collection[str]) -> Mapping[str, int]:
    """Return how many partitions each topic has. Raises ConfigurationError for all that are not there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        described = await admin.describe_topics(sorted(topics))
    finally:
        await admin.close()
    count_by_topic = {topic["topic"]: len(topic["partitions"]) for topic in described}
    missing = [topic for topic in sorted(topics) if not count_by_topic.get(topic)]
    if missing:
        fix = "create it; `segmenter topics create` makes all that the settings name"
        raise ConfigurationError([f"topic {topic} is not on {bootstrap}; {fix}" for topic in missing])
    return count_by_topic
