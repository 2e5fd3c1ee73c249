"""What the product says: a change-set when a customer moved, a membership for where he is now."""

import hashlib
import uuid
from dataclasses import dataclass
from enum import StrEnum

from segmenter.domain.instants import Instant

# The name space of change ids: any repeat of a change carries the same id.
_CHANGE_IDS = uuid.UUID("8f1f2a52-6c5c-5d0e-9a0e-5d3d2b6b7c11").bytes


class CauseKind(StrEnum):
    """Why a customer moved."""

    EVENT = "event"
    TIME = "time"
    PEERS = "peers"
    REFUND = "refund"
    LATE_EVENT = "late_event"
    RECOVERY = "recovery"
    DEFINITION = "definition"
    BACKFILL = "backfill"
    MANUAL = "manual"


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
    scores: tuple[int, int, int] | None = None
    """Recency, frequency and monetary value, 1 to 5, where RFM is declared and there is an order."""
    first_channel: str | None = None


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
        return _uuid5(_CHANGE_IDS, f"{self.customer}\x1f{self.life}\x1f{self.sequence}")


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


def _uuid5(name_space: bytes, name: str) -> str:
    """Return what `uuid.uuid5` gives, as text, in a third of its time. Source: RFC 9562, section 5.5."""
    digest = hashlib.sha1(name_space + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
