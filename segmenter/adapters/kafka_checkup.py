"""What a check-up finds of Kafka: the brokers, the topics, and the consumer group of the workers."""

from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CoordinatorNotAvailableError,
    GroupCoordinatorNotAvailableError,
    IncompatibleBrokerVersion,
    KafkaError,
)

from segmenter.adapters.findings import Finding, fault, ok, warning
from segmenter.adapters.kafka_reach import answering
from segmenter.adapters.kafka_topics import TopicPlan, check
from segmenter.adapters.kafka_wire import Vendor
from segmenter.errors import TransientError

_REQUEST_TIMEOUT_MS = 10_000
_STABLE = "Stable"
_NOBODY = ("Empty", "Dead")
_START = "start one with `segmenter worker`"


async def check_kafka(bootstrap: str, group: str, plans: Sequence[TopicPlan]) -> list[Finding]:
    """Return what there is to say of brokers, topics and group. Raises TransientError when Kafka does not answer."""
    async with answering(bootstrap):
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
            state = await _group(admin, group)
        finally:
            await admin.close()
    reached = ok("kafka", f"answers at {bootstrap}, brokers: {len(cluster['brokers'])}")
    return [reached, *await _topics(bootstrap, plans), state]


async def _topics(bootstrap: str, plans: Sequence[TopicPlan]) -> list[Finding]:
    try:
        faults = await check(bootstrap, plans)
    except TransientError as error:
        if not isinstance(error.__cause__, IncompatibleBrokerVersion):
            raise
        found = "this broker cannot be asked for the settings of its topics"
        return [fault("topics", found, "use Apache Kafka, or a service that answers as it does")]
    if not faults:
        return [ok("topics", f"all {len(plans)} are as they must be, and no broker forgets a fence too soon")]
    return [fault("topics", *_parted(sentence)) for sentence in faults]


def _parted(sentence: str) -> tuple[str, str]:
    """Return what was found, and what to do about it: the last part of the sentence says it, where there is one."""
    found, _, fix = sentence.rpartition("; ")
    if found:
        return found, fix
    return sentence, "set it so with kafka-configs.sh, or ask who runs the cluster"


async def _group(admin: Vendor, group: str) -> Finding:
    subject = f"group {group}"
    try:
        [answer] = await admin.describe_consumer_groups([group])
        # error, name, state, kind of protocol, protocol, members, and what newer versions add
        _, _, state, _, _, members, *_ = answer.groups[0]
    except (CoordinatorNotAvailableError, GroupCoordinatorNotAvailableError):
        return warning(subject, "no worker has ever joined it", _START)
    except KafkaError as error:
        return warning(subject, f"cannot be seen: {type(error).__name__}", "allow us to describe the group")
    if state in _NOBODY:
        return warning(subject, "no worker is in it", _START)
    if state == _STABLE:
        return ok(subject, f"stable, workers: {len(members)}")
    fix = "look again in a minute; where it goes on, workers come and go: see their logs"
    return warning(subject, f"is being rebalanced ({state}), {len(members)} workers", fix)
