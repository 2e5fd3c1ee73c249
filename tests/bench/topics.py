"""Topics for tests: created in one call, and ready for the first record when the call returns."""

import asyncio
from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

_READY_TIMEOUT_S = 15


async def create_topics(
    bootstrap: str, partitions_by_name: Mapping[str, int], configs: Mapping[str, str] | None = None
) -> None:
    """Create topics, by default without retention, and return when every partition has a leader.

    Without, because Kafka deletes by the record's timestamp and tests write old ones. Raises
    RuntimeError when a topic exists or is refused.
    """
    settings = {"retention.ms": "-1", **(configs or {})}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        replicas = min(3, len((await admin.describe_cluster())["brokers"]))
        topics = [
            NewTopic(name, partitions, replicas, topic_configs=settings)
            for name, partitions in partitions_by_name.items()
        ]
        _refuse_errors(await admin.create_topics(topics))
        async with asyncio.timeout(_READY_TIMEOUT_S):
            while not await _all_have_leaders(admin, partitions_by_name):  # noqa: ASYNC110  # a server tells no event
                await asyncio.sleep(0.02)
    finally:
        await admin.close()


def _refuse_errors(response: object) -> None:
    refused = [error for error in getattr(response, "topic_errors", []) if error[1] != 0]
    if refused:
        raise RuntimeError(f"topics were not created: {refused}")


async def _all_have_leaders(admin: AIOKafkaAdminClient, partitions_by_name: Mapping[str, int]) -> bool:
    for topic in await admin.describe_topics(list(partitions_by_name)):
        leaders = [partition["leader"] for partition in topic["partitions"] if partition["leader"] >= 0]
        if len(leaders) != partitions_by_name[topic["topic"]]:
            return False
    return True
