"""All rules in force: how long silence is inactivity, what counts as an order, how revenue is classed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from segmenter.domain.conditions import Condition, Definition, Score
from segmenter.domain.holding import StormRule
from segmenter.domain.instants import DAY, Span
from segmenter.domain.plan import Plan, plan_of
from segmenter.domain.windows import ALL_HISTORY, Window


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


class RankedBy(StrEnum):
    """What of an order counts for its customer's class: all of it, without its tax, or without tax and cost."""

    NET_REVENUE = "net_revenue"
    NET_OF_TAX = "net_of_tax"
    MARGIN = "margin"


MOST_POPULATIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The attribute whose values part customers into populations, each ranked apart; at most eight, sorted."""

    attribute: str
    values: tuple[str, ...]


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
    measure: RankedBy = RankedBy.NET_REVENUE
    population: Population | None = None
    """None: all customers are ranked together."""


class Quintiles(StrEnum):
    """Bounds that cut all who are ranked into five equal parts, instead of fixed ones."""

    QUINTILES = "quintiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class RfmRule:
    """How recency, frequency and monetary value are scored from 1 to 5, and which scores make which group.

    Recency counts from the last order of all, the other two cover the window. Four bounds each, rising: the first
    scores 5 for recency and 1 for the others, what is above the last 1 and 5. `monetary` is in minor units, rounded
    down: at most 250.106 is at most 25010 cents. Groups are tried in order; who is in none is in `others`.
    """

    window: Window = ALL_HISTORY
    recency: tuple[Span, ...] | Quintiles
    frequency: tuple[int, ...] | Quintiles
    monetary: tuple[int, ...] | Quintiles
    groups: tuple[tuple[str, Condition], ...] = ()

    @property
    def cut_scores(self) -> tuple[Score, ...]:
        """Return the scores that are cut by quintiles."""
        rules = {Score.RECENCY: self.recency, Score.FREQUENCY: self.frequency, Score.MONETARY: self.monetary}
        return tuple(score for score, rule in rules.items() if isinstance(rule, Quintiles))


@dataclass(frozen=True, slots=True, kw_only=True)
class EngagementRule:
    """Clicks warm a customer up, and half of that is gone after each `half_life`.

    Hot is at least `hot`, warm at least `warm`, else cold. A click adds the weight of its kind, 1 by default.
    """

    half_life: Span = 7 * DAY
    hot: Decimal = Decimal(5)
    warm: Decimal = Decimal("0.5")
    weights: tuple[tuple[str, Decimal], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestRule:
    """The leading category of clicks, and the leading channel of clicks and orders, both fading by `half_life`.

    Another one leads when it weighs more than `margin` times the present leader.
    """

    half_life: Span = 30 * DAY
    margin: Decimal = Decimal("1.2")


@dataclass(frozen=True, slots=True, kw_only=True)
class CareRule:
    """Unhappy is who answered so badly last, within `unhappy_for`, or sent back so often within `returns_within`.

    Each refund is one return; at least 1. Who is not unhappy but has an open ticket has an open issue.
    """

    unhappy_for: Span = 30 * DAY
    csat_at_most: int = 2
    nps_at_most: int = 6
    returns: int = 3
    returns_within: Span = 90 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class RhythmRule:
    """At risk is who is silent for `factor` times his own median gap, or for `fallback` with fewer than `orders`.

    Of two middle gaps the shorter one counts; nobody with a gap of his own is at risk in less than a day.
    """

    factor: Decimal = Decimal(2)
    orders: int = 3
    fallback: Span = 90 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """The rules of one revision. `dedupe_horizon` None means that nothing is ever folded (`simulate`)."""

    currency: str = "EUR"
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    lifecycle: LifecycleRule = LifecycleRule()
    value: ValueRule = ValueRule()
    rfm: RfmRule | None = None
    engagement: EngagementRule | None = None
    interest: InterestRule | None = None
    care: CareRule | None = None
    rhythm: RhythmRule | None = None
    storm: StormRule = StormRule()
    """Of every declared segment that has no such rule of its own."""
    segments: tuple[Definition, ...] = ()
    """Each after those it names."""
    revision: int = 1
    dedupe_horizon: Span | None = 400 * DAY
    anonymous_expiry: Span = 30 * DAY
    plan: Plan = field(init=False, compare=False, repr=False)
    """What has to be kept of a customer for these rules, and which events can touch which of them."""

    def __post_init__(self) -> None:
        """Work out the plan once."""
        further = (self.rfm, self.engagement, self.interest, self.care, self.rhythm, self.value.population)
        has_dimensions = any(further)
        has_clicks = self.engagement is not None or self.interest is not None
        plan = plan_of(self.segments, has_dimensions=has_dimensions, has_clicks=has_clicks)
        object.__setattr__(self, "plan", plan)

    @property
    def cut_scores(self) -> tuple[Score, ...]:
        """Return the scores of RFM that are cut by quintiles, for which the leader has to rank."""
        return () if self.rfm is None else self.rfm.cut_scores

    @property
    def ranks_further(self) -> bool:
        """Tell whether customers are ranked otherwise than by value among all."""
        return bool(self.cut_scores) or self.value.population is not None

    def storm_of(self, dimension: str) -> StormRule:
        """Return when too many leave a declared segment."""
        definition = self.plan.definition_by_dimension.get(dimension)
        return self.storm if definition is None or definition.storm is None else definition.storm
