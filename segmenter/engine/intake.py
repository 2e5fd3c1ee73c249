"""What crosses from the stream to the engine and back: polls with their evidence of time, and the engine's state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from segmenter.domain.instants import Instant
from segmenter.ports import Record

Place: TypeAlias = tuple[str, int]
"""A source partition: topic and partition."""


@dataclass(slots=True)
class Evidence:
    """How far a source partition was read and where it ends, captured in one call after a poll.

    `position` is the next offset to read, past control markers. `end` is the last stable offset in the newest
    fetch response; None: there was none yet. `asked_at` is when the request of that response was sent, by our
    clock; None: the partition is not read to its end, or an open transaction hides what follows.
    """

    position: int
    end: int | None
    asked_at: Instant | None


@dataclass(slots=True)
class Poll:
    """What one look at all source partitions brought. A partition without new records has evidence only.

    `begun` are the offsets at which reading began: what the engine wants may have changed since.
    """

    generation: int
    records: Mapping[Place, Sequence[Record]]
    evidence: Mapping[Place, Evidence]
    begun: Mapping[Place, int]


class LaneCondition(StrEnum):
    """What a lane is doing, as the health page says it."""

    TAKEOVER = "takeover"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """The engine as its operator sees it. `reasons` says why lanes are paused or stopped.

    `generation` is None until the group has given this worker anything, `last_poll_at` until a poll was taken.
    `stopped_sources` are partitions that no task can forward, with the reason;
    `held_for` says why nothing is concluded from silence: a clock that is off, topics that are silent.
    """

    generation: int | None
    lanes: Mapping[int, LaneCondition]
    reasons: Mapping[int, str] = field(default_factory=dict)
    stopped_sources: Mapping[str, str] = field(default_factory=dict)
    held_for: Sequence[str] = ()
    rules_warning: str = ""
    """Why rules that an operator set do not hold; empty: they do."""
    is_store_reachable: bool
    last_poll_at: Instant | None
