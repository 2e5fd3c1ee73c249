"""Every setting of the product: name, type, default, unit and what it is for.

`settings_reader.read_settings` reads them once, at start: environment over a TOML file over these defaults.
More than 300 lines, as this is the one list of all settings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ByteSize, ConfigDict, Field, SecretStr

from segmenter.domain.instants import MICROSECOND
from segmenter.settings_types import (
    Address,
    Addresses,
    DurationText,
    Expected,
    Flag,
    GroupName,
    MaxSilence,
    Moment,
    Name,
    Namespace,
    RedisUrl,
    TopicName,
    WholeNumber,
    split_address,
    without_credentials,
    written_duration,
)

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


class Keyed(StrEnum):
    """By what the records of an input topic are keyed."""

    CUSTOMER = "customer"
    OTHER = "other"


class LogLevel(StrEnum):
    """From which weight on lines are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines look: `auto` is text on a terminal and JSON elsewhere."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class InputTopic(_Section):
    """A topic that shops write to."""

    name: TopicName = Field(description="Name of the topic.")
    keyed: Keyed = Field(
        default=Keyed.OTHER,
        description="`customer` where the key is the customer id, the partitioner is the Java default and there are "
        "as many partitions as `partitions` says; `other` for anything else, read through the repartition stage.",
    )
    customer_from_key: Flag = Field(
        default=False, description="Take the customer id from the record's key where the payload names none."
    )
    allowed_lateness: DurationText | None = Field(
        default=None,
        ge=timedelta(0),
        le=_DAY,
        description="This topic's own `allowed_lateness`; none: the common one.",
    )
    max_silence: MaxSilence = Field(
        default="learned",
        description="When this topic is silent for longer, nothing more is concluded from silence until it speaks "
        "again; `learned`: four times its longest silence of the last four weeks, at least 6h; `off`: never.",
    )


class OutputTopic(_Section):
    """A topic that the workers write to."""

    name: TopicName = Field(description="Name of the topic.")


class Topics(_Section):
    """All topics, by what they carry."""

    orders: InputTopic = InputTopic(name="orders")
    clicks: InputTopic = InputTopic(name="clicks")
    support: InputTopic = InputTopic(name="support")
    customers: InputTopic = InputTopic(name="customers")
    rekeyed: OutputTopic = OutputTopic(name="segmenter.rekeyed")
    changes: OutputTopic = OutputTopic(name="segmenter.changes")
    memberships: OutputTopic = OutputTopic(name="segmenter.memberships")
    rejected: OutputTopic = OutputTopic(name="segmenter.rejected")
    rulebook: OutputTopic = OutputTopic(name="segmenter.rulebook")

    @property
    def inputs(self) -> tuple[InputTopic, ...]:
        """The topics that shops write to."""
        return self.orders, self.clicks, self.support, self.customers

    @property
    def outputs(self) -> tuple[OutputTopic, ...]:
        """The topics that the workers write to."""
        return self.rekeyed, self.changes, self.memberships, self.rejected


class Settings(_Section):
    """The settings of one process."""

    kafka_bootstrap: Addresses = Field(
        default="127.0.0.1:9092", description="Addresses at which Kafka is found, separated by commas."
    )
    redis_url: RedisUrl = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Where Redis is, in one of the forms below; user and password in it are never shown.",
    )
    namespace: Namespace = Field(default="seg", description="Begins every key in Redis, as in `{seg:3}`.")
    app_id: GroupName = Field(
        default="segmenter",
        description="Name of the consumer group and beginning of the transactional ids; the same for all workers.",
    )
    partitions: WholeNumber = Field(
        default=8,
        ge=1,
        le=1024,
        description="Lanes, and partitions of every topic keyed by customer; 2 to 4 times the workers of the largest "
        "day. It cannot be changed once lanes are stored.",
    )
    rulebook: Annotated[Path, Expected("the path of a file", "rulebook.yaml")] | None = Field(
        default=None, description="File with the rules in force; none: the defaults in docs/rulebook.md."
    )
    topics: Topics = Field(default=Topics(), description="Names of the topics and how each input topic is read.")

    allowed_lateness: DurationText = Field(
        default=2 * _SECOND,
        ge=timedelta(0),
        le=_DAY,
        description="How much later than its time a live event may arrive before time moves on without it.",
    )
    future_tolerance: DurationText = Field(
        default=300 * _SECOND,
        ge=timedelta(0),
        le=_DAY,
        description="How far an event's time may lie after its record's Kafka timestamp before it is rejected.",
    )
    dedupe_horizon: DurationText = Field(
        default=400 * _DAY,
        ge=_DAY,
        le=36_500 * _DAY,
        description="How long orders are kept one by one; facts about older ones are rejected as `order_too_old`.",
    )
    live_within: DurationText = Field(
        default=60 * _SECOND,
        ge=_SECOND,
        le=_DAY,
        description="A lane counts as live again when its watermark is at most this far behind, beside the lateness.",
    )
    behind_after: DurationText = Field(
        default=300 * _SECOND,
        ge=_SECOND,
        le=7 * _DAY,
        description="A live lane counts as behind when its watermark is more than this far behind.",
    )
    announce_from: Moment | None = Field(
        default=None,
        description="Changes before this instant are marked as backfill; none: before the first start had caught up.",
    )
    announce_horizon: DurationText = Field(
        default=_DAY,
        ge=_SECOND,
        le=3_650 * _DAY,
        description="Changes that take effect this long before they are recorded are marked as backfill.",
    )

    batch_size: WholeNumber = Field(
        default=1_500, ge=1, le=8_000, description="Events of one lane that are stored with one write, at most."
    )
    outbox_bytes: Annotated[ByteSize, Expected("a size in bytes", "64MiB")] = Field(
        default=ByteSize(64 * 1024 * 1024),
        ge=1024 * 1024,
        le=1024 * 1024 * 1024,
        description="Unpublished bytes of a lane at which its intake pauses, until half of them are published.",
    )
    outbox_entries: WholeNumber = Field(
        default=200_000,
        ge=1_000,
        le=10_000_000,
        description="Unpublished records of a lane at which its intake pauses, until half of them are published.",
    )

    group_instance_id: GroupName | None = Field(
        default=None,
        description="Name of this process in the group for static membership, another one for each process; none: "
        "every restart moves lanes.",
    )
    heartbeat_interval: DurationText = Field(
        default=_SECOND,
        ge=_SECOND / 10,
        le=600 * _SECOND,
        description="How often the group hears of this process, and it of a rebalance.",
    )
    session_timeout: DurationText = Field(
        default=10 * _SECOND,
        ge=_SECOND,
        le=1800 * _SECOND,
        description="After this long without a heartbeat the group gives the lanes of this process to others.",
    )
    rebalance_timeout: DurationText = Field(
        default=30 * _SECOND,
        ge=_SECOND,
        le=3600 * _SECOND,
        description="How long the group waits for its members when lanes are dealt out anew.",
    )
    request_timeout: DurationText = Field(
        default=40 * _SECOND,
        ge=_SECOND,
        le=3600 * _SECOND,
        description="How long Kafka may take to answer; above `rebalance_timeout`, as joining a group waits for it.",
    )

    web_bind: Address = Field(
        default="127.0.0.1:8080",
        description="Where health and metrics are served, as host:port; port 0 takes a free one.",
    )
    log_level: LogLevel = Field(
        default=LogLevel.INFO, description="From which weight on lines are logged; `debug` shows tracebacks too."
    )
    log_format: LogFormat = Field(
        default=LogFormat.AUTO, description="Log lines as JSON or text; `auto` is text on a terminal, JSON elsewhere."
    )

    @property
    def redis_address(self) -> str:
        """Where Redis is, without credentials: for messages."""
        return without_credentials(self.redis_url.get_secret_value())

    @property
    def web_address(self) -> tuple[str, int]:
        """Host and port of `web_bind`."""
        return split_address(self.web_bind)


@dataclass(frozen=True, slots=True)
class Misfit:
    """Settings that are fine each but not together; the sentence names them as {0} and {1}."""

    names: tuple[Name, Name]
    template: str

    def sentence(self, place_of: Callable[[Name], str]) -> str:
        """Return the fault as one line, each setting called by the place where it was set."""
        return self.template.format(*(place_of(name) for name in self.names))


def misfits_of(settings: Settings) -> list[Misfit]:
    """Return what does not fit together, all of it."""
    return [*_misfits_of_time(settings), *_misfits_of_names(settings.topics)]


def _misfits_of_time(settings: Settings) -> list[Misfit]:
    in_order = (
        # A member that misses two heartbeats must not be thrown out for it.
        ("heartbeat_interval", settings.session_timeout / 3, "at most a third of", "session_timeout"),
        ("session_timeout", settings.rebalance_timeout - MICROSECOND, "less than", "rebalance_timeout"),
        # The broker answers a join only when the rebalance is over.
        ("rebalance_timeout", settings.request_timeout - MICROSECOND, "less than", "request_timeout"),
        ("live_within", settings.behind_after - MICROSECOND, "less than", "behind_after"),
    )
    misfits = []
    for lower, limit, relation, upper in in_order:
        found, other = getattr(settings, lower), getattr(settings, upper)
        if found > limit:
            expected = f"{relation} {{1}}, which is {written_duration(other)}"
            template = f"{{0}}: found {written_duration(found)}, expected {expected}; lower it or raise {{1}}"
            misfits.append(Misfit(((lower,), (upper,)), template))
    return misfits


def _misfits_of_names(topics: Topics) -> list[Misfit]:
    first_by_name: dict[str, Name] = {}
    misfits = []
    for role in Topics.model_fields:
        topic: InputTopic | OutputTopic = getattr(topics, role)
        setting = ("topics", role, "name")
        first = first_by_name.setdefault(topic.name, setting)
        if first != setting:
            template = (
                f"{{0}}: found {topic.name}, expected a name of its own; {{1}} has this one, rename one of the two"
            )
            misfits.append(Misfit((setting, first), template))
    return misfits
