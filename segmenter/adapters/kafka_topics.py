"""Creating the topics, and finding what is wrong with them before a worker relies on them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from segmenter.adapters.kafka_reach import answering
from segmenter.adapters.kafka_wire import Vendor
from segmenter.errors import ConfigurationError, TransientError

_DAY_MS = 24 * 3600 * 1000
_LARGE_RECORDS = str(2 * 1024 * 1024)

CHANGES_CONFIG = MappingProxyType({"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)})
MEMBERSHIPS_CONFIG = MappingProxyType({"cleanup.policy": "compact"})
RULEBOOK_CONFIG = MappingProxyType({"cleanup.policy": "compact"})
REJECTED_CONFIG = MappingProxyType({"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)})
# A record of 1 MiB must still fit when it carries the headers of its origin.
REKEYED_CONFIG = MappingProxyType(
    {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY_MS), "max.message.bytes": _LARGE_RECORDS}
)

# A fence holds while the broker remembers it: a holder renews every 6 h, and must not depend on doing it in time.
_REMEMBERED = ("producer.id.expiration.ms", "transactional.id.expiration.ms")
_REMEMBERED_MS = _DAY_MS
_AT_LEAST = ("retention.ms", "max.message.bytes")
_FOR_EVER = "-1"
_READY_TIMEOUT_S = 30.0
_REQUEST_TIMEOUT_MS = 10_000
_MOST_REPLICAS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPlan:
    """How a topic must be. Of retention and record size there may be more; everything else must be equal."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    any_count: bool = False
    """Any partition count serves; `partitions` is only what it is created with."""


@dataclass(frozen=True, slots=True)
class TopicResult:
    """A topic that was created, or that exists, with what is wrong with it."""

    name: str
    is_new: bool
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A topic as it is. No partitions: it does not exist."""

    partitions: int = 0
    has_leaders: bool = False
    config: Mapping[str, str] = field(default_factory=dict)


async def create(bootstrap: str, plans: Sequence[TopicPlan]) -> list[TopicResult]:
    """Create what is missing, with up to three replicas, and return when it can be used; leave the rest as it is.

    Raises ConfigurationError for topics that the cluster refuses, TransientError when it does not answer.
    """
    async with _admin(bootstrap) as admin:
        before = await _found(admin, plans)
        missing = [plan for plan in plans if not before[plan.name].partitions]
        if missing:
            await _create(admin, missing)
            await _wait(admin, missing)
        return [
            TopicResult(plan.name, is_new=True)
            if plan in missing
            else TopicResult(plan.name, is_new=False, faults=tuple(_faults(plan, before[plan.name])))
            for plan in plans
        ]


async def check(bootstrap: str, plans: Sequence[TopicPlan]) -> list[str]:
    """Return what is wrong with topics and brokers, a sentence each with found and expected; empty when all is well.

    Settings that the cluster does not let us see are not judged. Raises TransientError when it does not answer.
    """
    async with _admin(bootstrap) as admin:
        found = await _found(admin, plans)
        faults = [fault for plan in plans for fault in _faults(plan, found[plan.name])]
        return faults + await _broker_faults(admin)


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[Vendor]:
    async with answering(bootstrap):
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()


async def _found(admin: Vendor, plans: Sequence[TopicPlan]) -> dict[str, _Found]:
    """Return the topics of the plans as they are."""
    names = [plan.name for plan in plans]
    described = {topic["topic"]: topic for topic in await admin.describe_topics(names)}
    existing = [name for name in names if described[name]["error_code"] == NoError.errno]
    for name in names:
        error = for_code(described[name]["error_code"])
        if error not in (NoError, UnknownTopicOrPartitionError):
            raise TransientError(f"topic {name} cannot be seen: {error.__name__}")
    config = await _config(admin, ConfigResourceType.TOPIC, existing)
    leaders = {name: [p["leader"] for p in described[name]["partitions"]] for name in existing}
    found = {name: _Found(len(of), min(of, default=-1) >= 0, config.get(name, {})) for name, of in leaders.items()}
    return {name: found.get(name, _Found()) for name in names}


async def _config(admin: Vendor, kind: Vendor, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the settings of topics or brokers, of those that may be seen."""
    if not names:
        return {}
    answers = await admin.describe_configs([ConfigResource(kind, name) for name in names])
    resources = [resource for answer in answers for resource in answer.resources]
    return {
        name: {setting: value for setting, value, *_ in entries}
        for code, _, _, name, entries in resources
        if code == NoError.errno
    }


async def _create(admin: Vendor, plans: Sequence[TopicPlan]) -> None:
    replicas = min(_MOST_REPLICAS, len((await admin.describe_cluster())["brokers"]))
    topics = [NewTopic(plan.name, plan.partitions, replicas, topic_configs=dict(plan.config)) for plan in plans]
    answer = await admin.create_topics(topics)
    refused = [
        f"topic {name} was not created: {message or for_code(code).__name__}"
        for name, code, message in answer.topic_errors
        if for_code(code) not in (NoError, TopicAlreadyExistsError)
    ]
    if refused:
        raise ConfigurationError(refused)


async def _wait(admin: Vendor, plans: Sequence[TopicPlan]) -> None:
    """Return when every partition has a leader that serves it."""
    async with asyncio.timeout(_READY_TIMEOUT_S):
        while True:
            found = await _found(admin, plans)
            if all(found[plan.name].partitions and found[plan.name].has_leaders for plan in plans):
                return
            await asyncio.sleep(0.05)


def count_faults(plan: TopicPlan, partitions: int) -> list[str]:
    """Return what is wrong with how many partitions a topic has; 0: it does not exist."""
    if not partitions:
        return [f"topic {plan.name} does not exist; create it with `segmenter topics create`"]
    if plan.any_count or partitions == plan.partitions:
        return []
    fix = "make it anew, or correct SEGMENTER_PARTITIONS"
    return [f"topic {plan.name} has {partitions} partitions, expected {plan.partitions}; {fix}"]


def _faults(plan: TopicPlan, found: _Found) -> list[str]:
    """Return what is wrong with one topic."""
    if not found.partitions:
        return count_faults(plan, 0)
    faults = count_faults(plan, found.partitions)
    if not found.has_leaders:
        faults.append(f"topic {plan.name} has a partition without a leader")
    for setting, expected in plan.config.items():
        value = found.config.get(setting)
        if value is not None and not _is_enough(setting, value, expected):
            faults.append(f"topic {plan.name} has {setting}={value}, expected {_wanted(setting, expected)}")
    return faults


def _is_enough(setting: str, found: str, expected: str) -> bool:
    if setting == "retention.ms" and _FOR_EVER in (found, expected):
        return found == _FOR_EVER
    return int(found) >= int(expected) if setting in _AT_LEAST else found == expected


def _wanted(setting: str, expected: str) -> str:
    if setting == "retention.ms" and expected == _FOR_EVER:
        return "for ever (-1)"
    return f"at least {expected}" if setting in _AT_LEAST else expected


async def _broker_faults(admin: Vendor) -> list[str]:
    """Return which brokers would forget a fence too soon."""
    names = [str(broker["node_id"]) for broker in (await admin.describe_cluster())["brokers"]]
    try:
        settings_by_broker = await _config(admin, ConfigResourceType.BROKER, names)
    except KafkaError:
        return []  # managed services answer for topics only
    return [
        f"broker {broker} has {setting}={settings[setting]}, expected at least {_REMEMBERED_MS}: "
        f"a former owner of a lane could write again"
        for broker, settings in sorted(settings_by_broker.items())
        for setting in _REMEMBERED
        if setting in settings and int(settings[setting]) < _REMEMBERED_MS
    ]
