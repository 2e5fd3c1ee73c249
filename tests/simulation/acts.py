"""What can happen in a world, and a world's plan: each act at its second.

A plan is a list that can be thinned out: what is left happens at the same moments. So a failing world is shrunk by
leaving things out for as long as it still fails.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from segmenter.engine.intake import Place
from tests.simulation.network import Request
from tests.simulation.rules import Rules
from tests.simulation.shop import Written

REDIS, KAFKA = "redis", "kafka"
READS = (1, 3, 10, 500, 500, 500)


class Theme(StrEnum):
    """What a world is made to bring about; `themes` says how."""

    ANYTHING = "anything"
    BACKLOG = "backlog"
    POSTCARD = "postcard"
    TIGHT = "tight"
    DEATH = "death"
    OVERTAKEN = "overtaken"
    DEPOSED = "deposed"
    REWOUND = "rewound"
    FORWARD = "forward"
    SHUFFLED = "shuffled"
    CALM = "calm"
    SILENT = "silent"
    STORM = "storm"


@dataclass(frozen=True, slots=True)
class Write:
    """The shop writes a record."""

    record: Written


@dataclass(frozen=True, slots=True)
class Kill:
    """A worker dies at once, and comes back after a while."""

    slot: int
    back_after_s: float


@dataclass(frozen=True, slots=True)
class StrikeAt:
    """Something befalls a worker at one of its next calls whose name begins with `call`, counted from 1.

    What becomes of the request is one thing (never sent, executed, or adrift until others have been executed at its
    server), what becomes of the worker another: dead, or frozen for `frozen_s`.
    """

    slot: int
    call: str
    count: int
    request: Request
    frozen_s: float | None


@dataclass(frozen=True, slots=True)
class Stop:
    """A worker is asked to end, as by SIGTERM, and comes back after a while."""

    slot: int
    back_after_s: float


@dataclass(frozen=True, slots=True)
class Freeze:
    """A worker stands still, and goes on as if nothing had happened."""

    slot: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A worker cannot reach a server."""

    slot: int
    server: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Away:
    """A server does not answer anybody."""

    server: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Shuffle:
    """The group rebalances for no reason of ours."""


@dataclass(frozen=True, slots=True)
class Keep:
    """The store's present state is what it will be put back to."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """The store fails over or is restored: away for a while, then as it was when last kept."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Night:
    """All workers are killed; time passes until they come back."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Absence:
    """All workers are killed; the shop goes on writing until they come back."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Mute:
    """The leader of a source partition is away: nothing is heard of it, what is written to it is kept."""

    place: Place
    seconds: float


@dataclass(frozen=True, slots=True)
class FallSilent:
    """What feeds a topic is dead: it writes later, with the times at which it should have."""

    topic: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Depose:
    """For a worker the output partitions have a leader that leads no more: it reads what was there at this moment."""

    slot: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RefuseOutput:
    """The broker refuses whatever is produced to the lanes' output and on the way home: nobody may write there."""

    seconds: float


@dataclass(frozen=True, slots=True)
class FillStore:
    """The store has no room: it refuses every commit."""

    seconds: float


Fault: TypeAlias = (
    Kill
    | StrikeAt
    | Stop
    | Freeze
    | Cut
    | Away
    | Shuffle
    | Keep
    | PutBack
    | Night
    | Absence
    | Mute
    | FallSilent
    | Depose
    | RefuseOutput
    | FillStore
)
Act: TypeAlias = Write | Fault


@dataclass(frozen=True, slots=True)
class Planned:
    """An act, at a second of the story in which nights take no time."""

    at_s: float
    act: Act


@dataclass(frozen=True, slots=True)
class Plan:
    """A world before it begins."""

    seed: int
    rules: Rules
    workers: int
    rate: float
    acts: tuple[Planned, ...]
    theme: Theme = Theme.ANYTHING
    reads: tuple[int, ...] = READS
    """How many records of a partition a poll brings at most: one of these, drawn anew for each."""
