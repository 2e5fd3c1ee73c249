"""The mirror of the rulebook's revisions on Kafka: a compacted topic, key = number, value = the revision as JSON.

What holds is in Redis; the mirror is for whoever reads changes and wants to know the rules that a revision means.
"""

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from segmenter.adapters.kafka_reach import answering, partition_counts
from segmenter.adapters.redis_rules import pack_revision
from segmenter.domain.revision import Revision
from segmenter.errors import TransientError


async def mirror(bootstrap: str, topic: str, revisions: Sequence[Revision]) -> None:
    """Write revisions; returns when the broker has them. Repeating it does no harm.

    Raises TransientError where Kafka does not answer, ConfigurationError where there is no such topic.
    """
    try:
        async with answering(bootstrap):
            await partition_counts(bootstrap, [topic])
            producer = AIOKafkaProducer(
                bootstrap_servers=bootstrap, client_id="segmenter-rulebook", enable_idempotence=True
            )
            try:
                await producer.start()
                for revision in revisions:
                    key = str(revision.number).encode()
                    await producer.send_and_wait(topic, pack_revision(revision), key=key, partition=0)
            finally:
                await producer.stop()
    except KafkaError as error:
        raise TransientError(f"revisions were not written to {topic}: {error!r}") from error
