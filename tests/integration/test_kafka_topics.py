"""Creating and checking topics on a real broker."""

from collections.abc import Callable

import pytest

from segmenter.adapters import kafka_topics
from segmenter.adapters.kafka_topics import CHANGES_CONFIG, MEMBERSHIPS_CONFIG, REKEYED_CONFIG, TopicPlan, TopicResult
from segmenter.errors import ConfigurationError, TransientError
from tests.bench.kafka import KafkaCluster


@pytest.fixture
def plans(unique: Callable[[str], str]) -> list[TopicPlan]:
    return [
        TopicPlan(name=unique("changes"), partitions=4, config=CHANGES_CONFIG),
        TopicPlan(name=unique("memberships"), partitions=4, config=MEMBERSHIPS_CONFIG),
        TopicPlan(name=unique("rekeyed"), partitions=4, config=REKEYED_CONFIG),
    ]


async def test_what_was_created_is_found_without_fault(kafka: KafkaCluster, plans: list[TopicPlan]) -> None:
    missing = await kafka_topics.check(kafka.bootstrap, plans)

    created = await kafka_topics.create(kafka.bootstrap, plans)

    assert len(missing) == 3
    assert "does not exist" in missing[0]
    assert created == [TopicResult(plan.name, is_new=True) for plan in plans]
    assert await kafka_topics.check(kafka.bootstrap, plans) == []


async def test_what_exists_is_left_as_it_is_and_its_faults_are_named(
    kafka: KafkaCluster, plans: list[TopicPlan]
) -> None:
    await kafka_topics.create(kafka.bootstrap, plans)
    changed = TopicPlan(name=plans[0].name, partitions=8, config={"cleanup.policy": "compact", "retention.ms": "-1"})

    [result] = await kafka_topics.create(kafka.bootstrap, [changed])

    assert not result.is_new
    assert result.faults == (
        f"topic {changed.name} has 4 partitions, expected 8; make it anew, or correct SEGMENTER_PARTITIONS",
        f"topic {changed.name} has cleanup.policy=delete, expected compact",
        f"topic {changed.name} has retention.ms=2592000000, expected for ever (-1)",
    )


async def test_more_retention_and_any_count_are_well_where_allowed(
    kafka: KafkaCluster, unique: Callable[[str], str]
) -> None:
    name = unique("orders")
    await kafka_topics.create(kafka.bootstrap, [TopicPlan(name=name, partitions=3, config={"retention.ms": "-1"})])

    plan = TopicPlan(name=name, partitions=4, any_count=True, config={"retention.ms": "1000"})

    assert await kafka_topics.check(kafka.bootstrap, [plan]) == []


async def test_what_the_cluster_refuses_is_told(kafka: KafkaCluster, unique: Callable[[str], str]) -> None:
    plan = TopicPlan(name=unique("odd"), partitions=1, config={"cleanup.policy": "burn"})

    with pytest.raises(ConfigurationError, match="was not created"):
        await kafka_topics.create(kafka.bootstrap, [plan])


async def test_a_broker_that_forgets_fences_too_soon_is_refused(unique: Callable[[str], str]) -> None:
    with KafkaCluster(settings={"producer.id.expiration.ms": "3600000"}) as cluster:
        faults = await kafka_topics.check(cluster.bootstrap, [])

    assert len(faults) == 1
    assert "producer.id.expiration.ms=3600000, expected at least 86400000" in faults[0]


async def test_a_cluster_that_is_away_is_transient() -> None:
    with pytest.raises(TransientError, match="does not answer"):
        await kafka_topics.check("127.0.0.1:1", [])
