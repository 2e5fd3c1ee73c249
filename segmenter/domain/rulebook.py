"""All rules in force: how long silence is inactivity, what counts as an order, how revenue is classed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from segmenter.domain.instants import DAY, Span


class CountsFrom(StrEnum):
    """The fact from which an order counts."""

    PLACED = "placed"
    PAID = "paid"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleRule:
    """When a customer counts as inactive, and which fact makes an order count."""

    inactive_after: Span = 180 * DAY
    counts_from: CountsFrom = CountsFrom.PLACED


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRule:
    """How revenue is classed: cumulative shares `a` and `b` of a trailing window.

    `window` None means all history. `band` widens the run inside which a class is kept, `dwell` is how long a
    class is kept at least, `min_ranked` how many ranked customers there must be before classes are announced.
    """

    window: Span | None = 365 * DAY
    a: Decimal = Decimal("0.80")
    b: Decimal = Decimal("0.95")
    band: Decimal = Decimal("0.02")
    dwell: Span = 7 * DAY
    min_ranked: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """The rules of one revision. `dedupe_horizon` None means that nothing is ever folded (`simulate`)."""

    currency: str = "EUR"
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    lifecycle: LifecycleRule = LifecycleRule()
    value: ValueRule = ValueRule()
    revision: int = 1
    dedupe_horizon: Span | None = 400 * DAY
    anonymous_expiry: Span = 30 * DAY
