"""What can move a customer, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from segmenter.domain.changes import ChangeSet, Membership
from segmenter.domain.events import Event
from segmenter.domain.instants import BEGINNING, Instant
from segmenter.domain.profile import Profile


class RejectReason(StrEnum):
    """Why a record was put aside. The set is closed: it is a metric label."""

    UNPARSEABLE = "unparseable"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_FIELD = "invalid_field"
    MISSING_FIELD = "missing_field"
    NO_CUSTOMER = "no_customer"
    ID_TOO_LONG = "id_too_long"
    RESERVED_ID = "reserved_id"
    NAIVE_TIME = "naive_time"
    ABSURD_TIME = "absurd_time"
    FUTURE_TIME = "future_time"
    NOT_A_NUMBER = "not_a_number"
    NEGATIVE_AMOUNT = "negative_amount"
    AMOUNT_PRECISION = "amount_precision"
    UNKNOWN_CURRENCY = "unknown_currency"
    NO_RATE = "no_rate"
    RECORD_TOO_LARGE = "record_too_large"
    TOO_DEEP = "too_deep"
    NOT_SUPPORTED_YET = "not_supported_yet"
    NOT_AT_HOME = "not_at_home"
    ORDER_TOO_OLD = "order_too_old"
    ORDER_UNKNOWN = "order_unknown"
    TOO_MANY_FACTS = "too_many_facts"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Bad input, as a value: the reason, and a sentence with the thing, the found and the expected."""

    reason: RejectReason
    detail: str


@dataclass(slots=True)
class Arrived:
    """Cause: an event, at its own time. Not frozen, as one is made per event on the hot path.

    `settle_to` is how far the lane lets the profile settle before the event is recorded: its own time in a
    live lane, at most the watermark in one that is behind. `watermark` decides what is behind the horizon.
    `place` is where the event came from, `topic/partition/offset`.
    """

    event: Event
    at: Instant
    event_id: str
    settle_to: Instant
    watermark: Instant = BEGINNING
    place: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Cause: time came to `at`; every deadline up to it is played."""

    at: Instant


@dataclass(frozen=True, slots=True)
class PeersMoved:
    """Cause: a boundary was adopted when the lane's watermark was `at`; `is_first`: nobody was classed before."""

    at: Instant
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    """Cause: the lane has passed all that the log knew before a rewind; what differs is told at `at`."""

    at: Instant


@dataclass(frozen=True, slots=True)
class Redefined:
    """Cause: another revision of the rulebook holds since the lane's watermark was `at`.

    Moves are silent, or told as backfill. `is_named_anew`: a membership is written whether he moves or not.
    """

    at: Instant
    is_announced: bool = False
    is_named_anew: bool = False


@dataclass(frozen=True, slots=True)
class Unheld:
    """Cause: an operator let go at `at` of moves that were held; those in `dropped` dimensions are not told any more.

    All others that are not held are told.
    """

    at: Instant
    dropped: frozenset[str] = frozenset()


Cause: TypeAlias = Arrived | Tick | PeersMoved | Released | Redefined | Unheld


class Verdict(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    LATE = "late"
    EXCLUDED = "excluded"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Expired:
    """A fact whose order never came: where it was read, and when it happened."""

    place: str
    at: Instant


@dataclass(slots=True)
class Transition:
    """What a step gives: the next profile (None: forget this customer), and what is to be said.

    `said` is in order: a change-set is followed by the membership it led to; a membership without one before
    it is a silent move.
    """

    profile: Profile | None
    said: tuple[ChangeSet | Membership, ...] = ()
    verdict: Verdict = Verdict.ACCEPTED
    rejection: Rejection | None = None
    expired: tuple[Expired, ...] = ()
    rounded: int = 0
    over_refunded: int = 0
    flaps: tuple[str, ...] = ()
    """Dimensions in which a stay or a cooldown held back a move that was then taken back."""
