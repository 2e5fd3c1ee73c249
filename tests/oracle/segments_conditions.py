"""Conditions answered naively: one look at all facts of a customer at one instant, with no memory and no expiry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from segmenter.domain.conditions import (
    Absent,
    Activity,
    Age,
    All,
    Anniversary,
    AnyOf,
    Bound,
    Comparison,
    Condition,
    DateIn,
    Exists,
    Field,
    Filter,
    Follow,
    HasAttribute,
    InDimension,
    InSegment,
    Measure,
    Measured,
    Not,
    Number,
    OneOf,
    Scored,
    Sequence,
)
from segmenter.domain.events import Event, OrderPlaced
from segmenter.domain.rulebook import EngagementRule, RhythmRule, Rulebook
from segmenter.domain.windows import Window
from tests.oracle.segments_facts import Facts, OrderFacts, at_of, micros

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIDTHS = (DAY, 6 * HOUR, HOUR, 900 * SECOND, 300 * SECOND, 60 * SECOND, 10 * SECOND, SECOND)
_LONG_NAMES = {"order": "order.placed", "delivery": "order.delivered"}


@dataclass(slots=True, kw_only=True)
class Look:
    """A customer at an instant. `segments` are those answered before, by dimension; `scores` those of RFM."""

    now: int
    facts: Facts
    rulebook: Rulebook
    segments: dict[str, str]
    scores: Mapping[str, int]


def holds(condition: Condition, look: Look) -> bool:  # noqa: PLR0911 - one line a kind
    """Answer a condition."""
    match condition:
        case All(conditions):
            return all(holds(part, look) for part in conditions)
        case AnyOf(conditions):
            return any(holds(part, look) for part in conditions)
        case Not(inner):
            return not holds(inner, look)
        case Measured():
            number = number_of(condition, look)
            return number is not None and within_bound(condition.bound, number)
        case InDimension(dimension, segments):
            return look.segments.get(dimension) in segments
        case InSegment(name):
            return look.segments.get(f"custom.{name}") == "in"
        case Scored(score, bound):
            return score.value in look.scores and within_bound(bound, look.scores[score.value])
        case Absent():
            return _is_absent(condition, look)
        case Sequence():
            return _has_sequence(condition, look)
        case HasAttribute(name, test):
            return _passes(look.facts.attributes.get(name), test, look.now)


def within_bound(bound: Bound, number: Decimal | int) -> bool:
    """Hold a number against a bound."""
    least = bound.least
    return {
        Comparison.AT_LEAST: number >= least,
        Comparison.MORE_THAN: number > least,
        Comparison.AT_MOST: number <= least,
        Comparison.LESS_THAN: number < least,
        Comparison.EQUALS: number == least,
        Comparison.BETWEEN: least <= number <= (bound.most if bound.most is not None else number),
    }[bound.comparison]


# Windows.


def counts(at: int, window: Window, now: int) -> bool:
    """Tell whether a fact of this time is in the window; what lies ahead of now is."""
    if window.span is None:
        return True
    if window.zone is None:
        return now < at + window.span
    # Of the last n local days, today included.
    return local_date(at, window.zone) > local_date(now, window.zone) - timedelta(microseconds=window.span)


def bucket_end(at: int, window: Window) -> int:
    """Return the end of the bucket of an event that is counted with others."""
    assert window.span is not None
    width = next((width for width in _WIDTHS if 60 * width <= window.span), SECOND)
    return at if at % width == 0 else (at // width + 1) * width


def _is_counted(at: int, window: Window, now: int) -> bool:
    is_whole = window.span is None or window.zone is not None
    return counts(at if is_whole else bucket_end(at, window), window, now)


def moment(at: int) -> datetime:
    """Return an instant as a datetime."""
    return _EPOCH + timedelta(microseconds=at)


def local_date(at: int, zone: str) -> date:
    """Return the day on the calendar of a zone."""
    return moment(at).astimezone(ZoneInfo(zone)).date()


# Measures.


def number_of(leaf: Measured, look: Look) -> Decimal | int | None:  # noqa: PLR0911, PLR0912 - one line a kind
    """Return what is measured; None where there is nothing to measure."""
    orders, now, window = _orders(leaf, look), look.now, leaf.window
    match leaf.measure:
        case Measure.ORDERS:
            return len(orders)
        case Measure.NET_REVENUE:
            return _net_revenue(leaf, look)
        case Measure.GROSS_REVENUE:
            return sum(_gross(leaf.where, order) for order in orders)
        case Measure.AVERAGE_ORDER:
            return Decimal(_net_revenue(leaf, look)) / len(orders) if orders else None
        case Measure.DAYS_BETWEEN_ORDERS:
            times = sorted(order.counts_at for order in orders if order.counts_at is not None)
            return Decimal(times[-1] - times[0]) / DAY / (len(times) - 1) if len(times) > 1 else None
        case Measure.ITEMS:
            return sum(line.quantity for order in orders for line, _ in _lines(leaf.where, order))
        case Measure.DISCOUNTED_ORDERS:
            return sum(order.discount > 0 for order in orders)
        case Measure.DISCOUNT_SHARE:
            discount, gross = sum(o.discount for o in orders), sum(o.gross for o in orders)
            return Decimal(discount) / (discount + gross) if discount + gross else None
        case Measure.DELIVERIES:
            delivered = [o.delivered_at for o in look.facts.orders if is_meant(leaf.where, o)]
            return sum(at is not None and counts(at, window, now) for at in delivered)
        case Measure.REFUNDS:
            return sum(counts(at, window, now) for at, _ in look.facts.refunds)
        case Measure.REFUNDED:
            return sum(amount for at, amount in look.facts.refunds if counts(at, window, now))
        case Measure.REFUND_RATE:
            return _refund_rate(leaf, look)
        case Measure.CLICKS:
            clicks = [at for at, click in look.facts.clicks if matches(leaf.where, click)]
            return sum(_is_counted(at, window, now) for at in clicks)
        case Measure.CONTACTS | Measure.OPENS:
            return sum(_is_counted(at, window, now) for at in _contacts(leaf, look.facts))
        case Measure.TICKETS:
            return len(_tickets(leaf, look, only_open=False))
        case Measure.OPEN_TICKETS:
            return len(_tickets(leaf, look, only_open=True))
        case Measure.TICKET_OPEN_FOR:
            return max((max(0, now - at) for at in _tickets(leaf, look, only_open=True)), default=None)
        case Measure.CSAT | Measure.NPS:
            ratings = [(at, rated) for at, _, rated in look.facts.ratings if rated.scale == leaf.measure.value]
            scores = [rated.score for at, rated in ratings if counts(at, window, now)]
            return Decimal(sum(scores)) / len(scores) if scores else None


def _orders(leaf: Measured, look: Look) -> list[OrderFacts]:
    return [
        order for at, order in look.facts.counted if is_meant(leaf.where, order) and counts(at, leaf.window, look.now)
    ]


def is_meant(where: Filter, order: OrderFacts) -> bool:
    """Tell whether an order is among those asked for: by itself, and by one of its lines."""
    if not where.values:
        return True
    placed = order.placed
    if placed is None:
        return False
    heads = {Field.CHANNEL: placed.channel, Field.CAMPAIGN: placed.campaign, Field.COUPON: placed.coupon}
    if any(field in heads and heads[field] not in values for field, values in where.values):
        return False
    return not _asks_for_lines(where) or bool(_lines(where, order))


def _asks_for_lines(where: Filter) -> bool:
    return any(field in (Field.ITEM, Field.CATEGORY) for field, _ in where.values)


def _lines(where: Filter, order: OrderFacts):  # type: ignore[no-untyped-def]
    asked = dict(where.values)
    return [
        (line, worth)
        for line, worth in order.lines
        if (Field.ITEM not in asked or line.item in asked[Field.ITEM])
        and (Field.CATEGORY not in asked or line.category in asked[Field.CATEGORY])
    ]


def _gross(where: Filter, order: OrderFacts) -> int:
    return sum(worth for _, worth in _lines(where, order)) if _asks_for_lines(where) else order.gross


def _net(where: Filter, order: OrderFacts) -> int:
    return min(order.net, _gross(where, order)) if _asks_for_lines(where) else order.net


def _net_revenue(leaf: Measured, look: Look) -> int:
    """A refund that names no order lowers what is asked of all orders, at its own time."""
    net = sum(_net(leaf.where, order) for order in _orders(leaf, look))
    if leaf.where.values:
        return net
    return net - sum(amount for at, amount in look.facts.loose_refunds if counts(at, leaf.window, look.now))


def _refund_rate(leaf: Measured, look: Look) -> Decimal | None:
    sold = [
        order
        for order in look.facts.orders
        if order.is_sold and order.counts_at is not None and counts(order.counts_at, leaf.window, look.now)
        if is_meant(leaf.where, order)
    ]
    gross, net = sum(_gross(leaf.where, o) for o in sold), sum(_net(leaf.where, o) for o in sold)
    if not leaf.where.values:
        net -= sum(amount for at, amount in look.facts.loose_refunds if counts(at, leaf.window, look.now))
    return 1 - Decimal(net) / gross if gross else None


def _contacts(leaf: Measured, facts: Facts) -> list[int]:
    """Messages are those sent, unless another kind is named."""
    names_kind = any(field is Field.KIND for field, _ in leaf.where.values)
    meant = "opened" if leaf.measure is Measure.OPENS else None if names_kind else "sent"
    return [at for at, contact in facts.contacts if meant in (None, contact.kind) and matches(leaf.where, contact)]


def _tickets(leaf: Measured, look: Look, *, only_open: bool) -> list[int]:
    """Return when the tickets asked for were opened."""
    return [
        at_of(ticket.opened)
        for ticket in look.facts.tickets
        if ticket.opened is not None and not (only_open and ticket.is_closed)
        if matches(leaf.where, ticket.opened) and counts(at_of(ticket.opened), leaf.window, look.now)
    ]


def matches(where: Filter, event: Event) -> bool:
    """Tell whether a single event is among those asked for; an order by one of its lines."""
    if isinstance(event, OrderPlaced) and _asks_for_lines(where):
        heads = tuple((field, v) for field, v in where.values if field not in (Field.ITEM, Field.CATEGORY))
        asked = dict(where.values)
        return matches(Filter(heads), event) and any(
            (Field.ITEM not in asked or line.item in asked[Field.ITEM])
            and (Field.CATEGORY not in asked or line.category in asked[Field.CATEGORY])
            for line in event.items
        )
    return all(getattr(event, field.value, None) in values for field, values in where.values)


# Absence.


def _is_absent(leaf: Absent, look: Look) -> bool:
    times = _times(leaf.activity, look.facts)
    if not times and leaf.include_never:
        return True
    return not counts(max(times, default=look.facts.first_seen_at), leaf.window, look.now)


def _times(activity: Activity, facts: Facts) -> list[int]:
    match activity:
        case Activity.ORDER:
            return [at for at, _ in facts.counted]
        case Activity.CLICK:
            return [at for at, _ in facts.clicks]
        case Activity.DELIVERY:
            return [order.delivered_at for order in facts.orders if order.delivered_at is not None]
        case Activity.CONTACT:
            return [at for at, contact in facts.contacts if contact.kind == "sent"]
        case Activity.ANY:
            return [facts.last_seen_at]


# Warmth and rhythm.


def warmth_at(rule: EngagementRule, facts: Facts, now: int) -> float:
    """Return what is left of the weights of all clicks: now, or at the newest of them where that lies ahead."""
    now = max([now, *(at for at, _ in facts.clicks)])
    weights = {kind: float(weight) for kind, weight in rule.weights}
    return sum(weights.get(click.kind, 1.0) * 2.0 ** ((at - now) / rule.half_life) for at, click in facts.clicks)


def silence_of(rule: RhythmRule, times: list[int]) -> int:
    """Return how long one with orders at these times may be silent; of two middle gaps the shorter counts."""
    if len(times) < max(2, rule.orders):
        return rule.fallback
    gaps = sorted(later - earlier for earlier, later in pairwise(sorted(times)))
    return max(DAY, int(Decimal(gaps[(len(gaps) - 1) // 2]) * rule.factor))


# Sequences: every choice of events is tried.


def _has_sequence(leaf: Sequence, look: Look) -> bool:
    wanted = [place for place, step in enumerate(leaf.steps) if not step.is_missing]
    return any(
        _is_whole(leaf, chosen, look)
        for chosen in _choices([leaf.steps[place] for place in wanted], look.facts.timeline, leaf.within)
        if not _is_broken(leaf, wanted, chosen, look)
    )


def _choices(
    steps: list[Follow], timeline: list[tuple[int, Event]], within: int, before: tuple[tuple[int, Event], ...] = ()
) -> Iterable[tuple[int, ...]]:
    """Yield the times of every choice of different events, one a step, none earlier than the one before it."""
    if not steps:
        yield tuple(at for at, _ in before)
        return
    for at, event in timeline:
        if before and (at < before[-1][0] or at - before[0][0] > within):
            continue
        if not is_step(steps[0], event) or any(event is used for _, used in before):
            continue
        yield from _choices(steps[1:], timeline, within, (*before, (at, event)))


def is_step(step: Follow, event: Event) -> bool:
    """Tell whether an event is what a step asks for."""
    return event.type == _LONG_NAMES.get(step.type, step.type) and matches(step.where, event)


def _is_broken(leaf: Sequence, wanted: list[int], chosen: tuple[int, ...], look: Look) -> bool:
    """Tell whether something came between two neighbours that must not."""
    for number in range(len(wanted) - 1):
        between = leaf.steps[wanted[number] + 1 : wanted[number + 1]]
        first, last = chosen[number], chosen[number + 1]
        if any(first < at < last and is_step(step, event) for step in between for at, event in look.facts.timeline):
            return True
    return False


def _is_whole(leaf: Sequence, chosen: tuple[int, ...], look: Look) -> bool:
    """Where the last step is missing, its time must be over and it must not have come."""
    wanted = [place for place, step in enumerate(leaf.steps) if not step.is_missing]
    after = leaf.steps[wanted[-1] + 1 :]
    if not after:
        return True
    came = any(at > chosen[-1] and is_step(step, event) for step in after for at, event in look.facts.timeline)
    return not came and look.now >= chosen[0] + leaf.within


# Attributes.


def _passes(value: object, test: object, now: int) -> bool:
    match test:
        case Exists(is_there):
            return (value is not None) == is_there
        case OneOf(values):
            return any(_is_same(value, other) for other in values)
        case Number(bound):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number and within_bound(bound, Decimal(str(value)))
        case Age(bound):
            at = instant_in(value, "UTC")
            return at is not None and within_bound(bound, now - at)
        case Anniversary(within, zone):
            return _is_near(value, within, zone, now)
        case DateIn(first, end, zone):
            at = instant_in(value, zone)
            return at is not None and first <= at < end
    raise AssertionError(test)


def _is_same(value: object, other: object) -> bool:
    kinds = [str if isinstance(v, str) else bool if isinstance(v, bool) else float for v in (value, other)]
    return value is not None and kinds[0] is kinds[1] and value == other


def instant_in(value: object, zone: str) -> int | None:
    """Return the instant that a text names; a date begins at its midnight."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    if len(value) == len("2026-01-01"):
        return micros(read.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))
    return micros(read if read.tzinfo is not None else read.replace(tzinfo=UTC))


def _is_near(value: object, within: int, zone: str, now: int) -> bool:
    """Look at today and at every day ahead in turn."""
    at = instant_in(value, zone)
    if at is None:
        return False
    born, today = local_date(at, zone), local_date(now, zone)
    days = [today + timedelta(days=ahead) for ahead in range(within // DAY + 1)]
    return any((day.month, day.day) == _kept_on(born, day.year) for day in days)


def _kept_on(born: date, year: int) -> tuple[int, int]:
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (2, 28) if (born.month, born.day) == (2, 29) and not is_leap else (born.month, born.day)
