"""The records we publish, as JSON: what `records` writes is typed by them, and the schemas are made from them."""

from typing import Annotated, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from segmenter.domain.causes import RejectReason
from segmenter.domain.changes import CauseKind

Moment: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Money: TypeAlias = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Ordinal: TypeAlias = Annotated[int, Field(ge=1)]
Score: TypeAlias = Annotated[int, Field(ge=1, le=5)]
Digits: TypeAlias = Annotated[str, Field(pattern=r"^-?[0-9]+$")]


class ChangeForm(TypedDict):
    """One dimension's move."""

    dimension: str
    """`lifecycle`, `value`, or `custom.` and the name of a segment."""
    before: str | None
    """The segment he was in; null: in none so far."""
    after: str | None
    """The segment he is in now; null: in none any more."""


class CauseForm(TypedDict):
    """Why he moved."""

    kind: CauseKind
    """What kind of cause it was."""
    type: NotRequired[str]
    """The type of the event behind it, where there is one."""
    event_ids: list[str]
    """The ids of the events behind it."""


class ReasonForm(TypedDict):
    """One condition that decided."""

    dimension: str
    """The dimension it decided in."""
    condition: str
    """The name of the condition."""
    actual: str
    """What was found."""
    threshold: str
    """What it was held against."""
    boundary: NotRequired[str]
    """The boundary of the condition, where it has one: money in the currency of the traits, or a time."""


class TraitsForm(TypedDict):
    """Numbers of the customer as of then. Money is a decimal string in `currency`."""

    orders: Count
    """How many orders count."""
    net_revenue: Money
    """What his orders came to over all history, less refunds and cancellations."""
    value_revenue: Money
    """The same within the trailing window by which he is ranked."""
    currency: str
    """The currency of the rulebook, ISO 4217."""
    first_order_at: Moment | None
    """When the first order that counts was made; null: there is none."""
    last_order_at: Moment | None
    """When the last order that counts was made; null: there is none."""
    over_refund: NotRequired[Money]
    """What was refunded beyond the worth of the orders, where anything was."""
    r: NotRequired[Score]
    """How recent the last order is, 1 to 5, where RFM is declared and there is an order."""
    f: NotRequired[Score]
    """How frequent the orders are, 1 to 5."""
    m: NotRequired[Score]
    """How much they brought, 1 to 5."""
    first_channel: NotRequired[str]
    """Where he was met first, where interest is declared."""


class ChangeValue(TypedDict):
    """All moves of one customer by one cause: the value of a record on the change topic."""

    change_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    """The same for every repeat of this change."""
    customer_id: str
    """The customer, as `shop/customer_id` where the events name a shop."""
    life: Ordinal
    """Tells one who came back after erasure or expiry from the one before."""
    sequence: Ordinal
    """Counts the change-sets of this life without gaps."""
    changes: Annotated[list[ChangeForm], Field(min_length=1)]
    """The moves, one a dimension."""
    cause: CauseForm
    """Why he moved."""
    effective_at: Moment
    """When it came true: the event's own time, or the moment at which time alone brought it."""
    recorded_at: Moment
    """When we recorded it."""
    reasons: list[ReasonForm]
    """The conditions that decided, with what they found."""
    traits: TraitsForm
    """Numbers of the customer as of then."""
    next_change_at: Moment | None
    """When time alone can next move him; null: never."""
    backfill: bool
    """True for history that is told late: triggers should leave it out."""
    rulebook_revision: Count
    """The revision of the rules that applied."""


class MembershipValue(TypedDict):
    """Where a customer is now: the value of a record on the compacted membership topic."""

    customer_id: str
    """The customer, as `shop/customer_id` where the events name a shop."""
    as_of: Moment
    """The time for which this holds."""
    life: Ordinal
    """Tells one who came back after erasure or expiry from the one before."""
    sequence: Count
    """The sequence of the last change-set of this life; silent moves keep it."""
    segments: dict[str, str]
    """The segment he is in, by dimension."""
    since: dict[str, Moment]
    """Since when he is in it, by dimension."""
    traits: TraitsForm
    """Numbers of the customer as of then."""
    next_change_at: Moment | None
    """When time alone can next move him; null: never."""


class RejectedHeaders(TypedDict):
    """The headers of a record that was put aside; key and value are its own bytes, its own headers follow as
    `original.` and their name.
    """

    reason: RejectReason
    """Why it was put aside."""
    detail: str
    """A sentence with the thing, the found and the expected."""
    topic: str
    """The topic it was read from."""
    partition: Digits
    """The partition it was read from."""
    offset: Digits
    """Its offset there."""
    timestamp: Digits
    """Its Kafka timestamp in milliseconds since 1970; -1: it had none."""
    rejected_at: Moment
    """When it was put aside."""
    length: NotRequired[Digits]
    """Where the value was cut: its length before, in bytes."""
    sha256: NotRequired[str]
    """Where the value was cut: the SHA-256 of all of it, in hexadecimal."""
    key_length: NotRequired[Digits]
    """Where the key was cut: its length before, in bytes."""
    headers_left_out: NotRequired[Digits]
    """How many of its own headers were left out, because they were too large together."""
