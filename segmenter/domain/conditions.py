"""Conditions as values: what a rulebook may ask of a customer, and the definitions that are made of them.

`evaluation` answers them. A condition never asks the time or another vendor: what it
holds is all there is to it, so that the same one serves live traffic, backfill, preview and explanation.

More than 300 lines, as it is the whole language in one place.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from segmenter.domain.instants import Instant, Span
from segmenter.domain.windows import ALL_HISTORY, Window


class Measure(StrEnum):
    """What can be counted or added up of a customer."""

    ORDERS = "orders"
    NET_REVENUE = "net_revenue"
    GROSS_REVENUE = "gross_revenue"
    REFUNDS = "refunds"
    REFUNDED = "refunded"
    REFUND_RATE = "refund_rate"
    AVERAGE_ORDER = "average_order"
    DAYS_BETWEEN_ORDERS = "days_between_orders"
    ITEMS = "items"
    DISCOUNT_SHARE = "discount_share"
    DISCOUNTED_ORDERS = "discounted_orders"
    DELIVERIES = "deliveries"
    CLICKS = "clicks"
    CONTACTS = "contacts"
    OPENS = "opens"
    TICKETS = "tickets"
    OPEN_TICKETS = "open_tickets"
    TICKET_OPEN_FOR = "ticket_open_for"
    CSAT = "csat"
    NPS = "nps"


class Unit(StrEnum):
    """In what a measure is told, and its thresholds are written."""

    COUNT = "count"
    MONEY = "money"
    SHARE = "share"
    DAYS = "days"
    SPAN = "span"
    SCORE = "score"


UNIT_OF: dict[Measure, Unit] = {
    Measure.NET_REVENUE: Unit.MONEY,
    Measure.GROSS_REVENUE: Unit.MONEY,
    Measure.REFUNDED: Unit.MONEY,
    Measure.AVERAGE_ORDER: Unit.MONEY,
    Measure.REFUND_RATE: Unit.SHARE,
    Measure.DISCOUNT_SHARE: Unit.SHARE,
    Measure.DAYS_BETWEEN_ORDERS: Unit.DAYS,
    Measure.TICKET_OPEN_FOR: Unit.SPAN,
    Measure.CSAT: Unit.SCORE,
    Measure.NPS: Unit.SCORE,
}
"""All others are counts."""

ORDER_MEASURES = frozenset(
    [
        Measure.ORDERS,
        Measure.NET_REVENUE,
        Measure.GROSS_REVENUE,
        Measure.AVERAGE_ORDER,
        Measure.DAYS_BETWEEN_ORDERS,
        Measure.ITEMS,
        Measure.DISCOUNT_SHARE,
        Measure.DISCOUNTED_ORDERS,
        Measure.DELIVERIES,
        Measure.REFUND_RATE,
    ]
)
TALLIED = frozenset([Measure.CLICKS, Measure.CONTACTS, Measure.OPENS])
"""Measures of events that are too many to be kept one by one: they are counted in buckets of time."""

TICKET_MEASURES = frozenset([Measure.TICKETS, Measure.OPEN_TICKETS, Measure.TICKET_OPEN_FOR])


class Comparison(StrEnum):
    """How a measure is held against its threshold."""

    AT_LEAST = "at_least"
    MORE_THAN = "more_than"
    AT_MOST = "at_most"
    LESS_THAN = "less_than"
    EQUALS = "equals"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True)
class Bound:
    """A threshold: `between` has both ends, which belong to it; the others only `least`.

    Money is in minor units of the rulebook's currency, which need not be whole; a span is in microseconds.
    """

    comparison: Comparison
    least: Decimal
    most: Decimal | None = None

    def holds(self, actual: Decimal | int) -> bool:
        """Tell whether a number is on the right side."""
        match self.comparison:
            case Comparison.AT_LEAST:
                return actual >= self.least
            case Comparison.MORE_THAN:
                return actual > self.least
            case Comparison.AT_MOST:
                return actual <= self.least
            case Comparison.LESS_THAN:
                return actual < self.least
            case Comparison.EQUALS:
                return actual == self.least
            case Comparison.BETWEEN:
                return self.least <= actual and (self.most is None or actual <= self.most)


class Field(StrEnum):
    """By what events can be told apart."""

    CHANNEL = "channel"
    CATEGORY = "category"
    CAMPAIGN = "campaign"
    COUPON = "coupon"
    KIND = "kind"
    ITEM = "item"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events of a kind are meant: every field named must have one of its values. Fields are in order."""

    values: tuple[tuple[Field, tuple[str, ...]], ...] = ()

    def admits(self, field: Field, value: str | None) -> bool:
        """Tell whether this value of a field is among those asked for, if the field is named at all."""
        return all(value in admitted for named, admitted in self.values if named is field)

    @property
    def fields(self) -> frozenset[Field]:
        """Which fields are named."""
        return frozenset(field for field, _ in self.values)


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Measured:
    """A number of the customer's, held against a bound."""

    measure: Measure
    bound: Bound
    window: Window = ALL_HISTORY
    where: Filter = EVERYTHING


@dataclass(frozen=True, slots=True)
class InDimension:
    """The customer stands in one of these segments of a dimension."""

    dimension: str
    segments: tuple[str, ...]


class Activity(StrEnum):
    """What can be missed of a customer."""

    ORDER = "order"
    CLICK = "click"
    DELIVERY = "delivery"
    CONTACT = "contact"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing of a kind for this long, counted from the first sight of one who never did it.

    Orders are those that count, messages those that were sent.

    `include_never`: who never did it counts as absent from the beginning.
    """

    activity: Activity
    window: Window
    include_never: bool = False


@dataclass(frozen=True, slots=True)
class Follow:
    """One step of a sequence: an event of this type, told apart by its filter.

    An order with a filter of both item and category has one line that is both. A contact is any message event,
    whatever its kind, unless the filter names one.
    """

    type: str
    """`order`, `click`, `delivery`, `contact`, or the type of an event such as `support.opened`."""
    where: Filter = EVERYTHING
    is_missing: bool = False
    """The event must not come: later than the step before and earlier than the one after; the first must come."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """Events in this order, the first and the last no further apart than `within`.

    Holds from the last of them on. Where the last step is missing, it holds once `within` has passed since the
    first without it, until it comes after all.
    """

    steps: tuple[Follow, ...]
    within: Span


@dataclass(frozen=True, slots=True)
class Exists:
    """The attribute has a value."""

    is_there: bool = True


@dataclass(frozen=True, slots=True)
class OneOf:
    """The attribute has one of these values."""

    values: tuple[str | int | float | bool, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """The attribute is a number on the right side of a bound."""

    bound: Bound


@dataclass(frozen=True, slots=True)
class Age:
    """The attribute is a date, and the time since is on the right side of a bound in microseconds.

    A date without a time begins at midnight UTC; the time since one that lies ahead is below 0.
    """

    bound: Bound


@dataclass(frozen=True, slots=True)
class Anniversary:
    """The attribute is a date whose next anniversary is today or at most so far ahead; days are those of `zone`."""

    within: Span
    zone: str


@dataclass(frozen=True, slots=True)
class DateIn:
    """The attribute is a date from `first` up to, but not including, `end`."""

    first: Instant
    end: Instant
    zone: str


AttributeTest: TypeAlias = Exists | OneOf | Number | Age | Anniversary | DateIn


@dataclass(frozen=True, slots=True)
class HasAttribute:
    """What the shop told of the customer passes a test."""

    name: str
    test: AttributeTest


class Score(StrEnum):
    """One of the three scores of RFM."""

    RECENCY = "r"
    FREQUENCY = "f"
    MONETARY = "m"


@dataclass(frozen=True, slots=True)
class Scored:
    """A score of RFM, 1 to 5, is on the right side of a bound; only within the groups of RFM."""

    score: Score
    bound: Bound


@dataclass(frozen=True, slots=True)
class InSegment:
    """The customer is in another declared segment that is live: nobody is in one that runs as a shadow."""

    name: str


@dataclass(frozen=True, slots=True)
class All:
    """Every one of these holds."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these holds."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    condition: "Condition"


Condition: TypeAlias = (
    Measured | InDimension | Absent | Sequence | HasAttribute | InSegment | Scored | All | AnyOf | Not
)


class State(StrEnum):
    """How far a definition is on its way."""

    DRAFT = "draft"
    SHADOW = "shadow"
    LIVE = "live"
    PAUSED = "paused"


class Announce(StrEnum):
    """Which moves of a segment are told: those between in and out, first sight outside as well, or none."""

    CHANGES = "changes"
    ALL = "all"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One declared segment.

    Who is out comes in when `when` holds and `leave_when` does not, and the cooldown is over; who is in goes out when
    `leave_when` holds (None: when `when` does not), but not before `stay_at_least` has passed.
    """

    name: str
    when: Condition
    leave_when: Condition | None = None
    title: str = ""
    state: State = State.LIVE
    stay_at_least: Span = 0
    cooldown: Span = 0
    announce: Announce = Announce.CHANGES

    @property
    def dimension(self) -> str:
        """The name under which moves are told; a shadow's are kept under one of their own and told to nobody."""
        return f"{SHADOW_PREFIX if self.state is State.SHADOW else CUSTOM_PREFIX}{self.name}"

    @property
    def is_evaluated(self) -> bool:
        """Tell whether customers move in it."""
        return self.state in (State.LIVE, State.SHADOW)


CUSTOM_PREFIX = "custom."
SHADOW_PREFIX = "shadow."
IN, OUT = "in", "out"


def is_declared(dimension: str) -> bool:
    """Tell whether this is a segment that somebody declared, or its shadow."""
    return dimension.startswith((CUSTOM_PREFIX, SHADOW_PREFIX))


def parts_of(condition: Condition) -> "tuple[Condition, ...]":
    """Return what a condition is made of: nothing for a leaf."""
    match condition:
        case All(conditions) | AnyOf(conditions):
            return conditions
        case Not(inner):
            return (inner,)
        case _:
            return ()


def leaves_of(condition: Condition) -> "list[Condition]":
    """Return every leaf of a condition, from left to right."""
    parts = parts_of(condition)
    return [leaf for part in parts for leaf in leaves_of(part)] if parts else [condition]
