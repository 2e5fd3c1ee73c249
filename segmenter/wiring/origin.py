"""State that is not of this Kafka, this application or this partition count is refused, with the way out."""

from segmenter.adapters.redis_client import Client
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_origin import RedisOrigin, StateOrigin
from segmenter.errors import ConfigurationError
from segmenter.settings import Settings
from segmenter.stream.source_log import KafkaSourceLog


async def refuse_foreign_state(client: Client, settings: Settings) -> None:
    """Raise ConfigurationError for stored lanes that are not ours; the first worker's are."""
    faults = await partition_faults(client, settings)
    if not faults:
        ours = await origin_of(settings)
        faults = origin_faults(await RedisOrigin(client, settings.namespace).claim(ours), ours, settings)
    if faults:
        raise ConfigurationError(faults)


async def origin_of(settings: Settings) -> StateOrigin:
    """Return what the positions of these settings would be of."""
    return StateOrigin(await KafkaSourceLog(settings.kafka_bootstrap).cluster_id(), settings.app_id)


async def partition_faults(client: Client, settings: Settings) -> list[str]:
    """Return what is wrong with the number of lanes."""
    _, first = await RedisLaneStore(client, settings.namespace).state(0)
    if first.partitions in (0, settings.partitions):
        return []
    return [
        f"SEGMENTER_PARTITIONS: found {settings.partitions}, but the lanes in namespace {settings.namespace} are "
        f"stored as {first.partitions}, and every customer's home follows from it; write "
        f"SEGMENTER_PARTITIONS={first.partitions}, or begin anew under another SEGMENTER_NAMESPACE"
    ]


def origin_faults(stored: StateOrigin, ours: StateOrigin, settings: Settings) -> list[str]:
    """Return in what the stored positions are not ours."""
    faults = []
    if stored.cluster != ours.cluster:
        faults.append(
            f"the positions in namespace {settings.namespace} are of Kafka cluster {stored.cluster}, but "
            f"{settings.kafka_bootstrap} is cluster {ours.cluster}, where they mean nothing; name the other cluster "
            "with SEGMENTER_KAFKA_BOOTSTRAP, or begin anew under another SEGMENTER_NAMESPACE. Where the topics "
            "were carried over: segmenter positions adopt, and then segmenter positions show"
        )
    if stored.app_id != ours.app_id:
        faults.append(
            f"the lanes in namespace {settings.namespace} belong to the application {stored.app_id}, but "
            f"SEGMENTER_APP_ID is {ours.app_id}, whose workers could not keep the others from writing; write "
            f"SEGMENTER_APP_ID={stored.app_id}, or stop all workers of the other name and then: "
            "segmenter positions adopt"
        )
    return faults
