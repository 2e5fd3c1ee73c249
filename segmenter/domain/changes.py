"""What the product says: a change-set when a customer moved, a membership for where he is now."""

import uuid
from dataclasses import dataclass
from enum import StrEnum

from segmenter.domain.instants import Instant

# The name space of change ids: any repeat of a change carries the same id.
_CHANGE_IDS = uuid.UUID("8f1f2a52-6c5c-5d0e-9a0e-5d3d2b6b7c11")


class CauseKind(StrEnum):
    """Why a customer moved."""

    EVENT = "event"
    TIME = "time"
    PEERS = "peers"
    REFUND = "refund"
    LATE_EVENT = "late_event"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One dimension's move; `None` is a customer who had, or has, no segment there."""

    dimension: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseNote:
    """The cause as it is told: its kind, and the event behind it where there is one."""

    kind: CauseKind
    type: str | None = None
    event_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One condition that decided: what it found, what it was held against, and the boundary in money if any."""

    dimension: str
    condition: str
    actual: str
    threshold: str
    boundary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Numbers of a customer as of a change; money as decimal strings in `currency`.

    `net_revenue` covers all history, `value_revenue` the trailing window by which he is ranked.
    """

    orders: int
    net_revenue: str
    value_revenue: str
    currency: str
    first_order_at: Instant | None
    last_order_at: Instant | None
    over_refund: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """All moves of one customer by one cause."""

    customer: str
    life: int
    sequence: int
    changes: tuple[Change, ...]
    cause: CauseNote
    effective_at: Instant
    reasons: tuple[Reason, ...]
    traits: Traits
    next_change_at: Instant | None
    history: bool = False
    """The first announced boundary's sweep: told as backfill whatever its time."""

    @property
    def change_id(self) -> str:
        """The same for every repeat of this change."""
        return str(uuid.uuid5(_CHANGE_IDS, f"{self.customer}\x1f{self.life}\x1f{self.sequence}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Where a customer is now: one segment a dimension, and since when."""

    customer: str
    as_of: Instant
    life: int
    sequence: int
    segments: tuple[tuple[str, str], ...]
    since: tuple[tuple[str, Instant], ...]
    traits: Traits
    next_change_at: Instant | None
