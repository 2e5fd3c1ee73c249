"""A naive model of the rules: everything is computed again from the whole list of events, each time it is asked.

Nothing here remembers, folds, dedupes in passing or waits for a timer, so there is little that can be wrong.
It knows the event types of the product and nothing else of it; time is `datetime`, money is `Decimal` until
the last line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from segmenter.domain.events import (
    CustomerUpdated,
    Event,
    OrderCancelled,
    OrderDelivered,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
)

_DECIMALS = {"JPY": 0, "KWD": 3}
ORDER_EVENTS = (OrderPlaced, OrderPaid, OrderDelivered, OrderCancelled, OrderUpdated, OrderRefunded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The rules the model knows; `counts_from` is placed, paid or delivered, `window` None all history."""

    currency: str = "EUR"
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    inactive_after: timedelta = timedelta(days=180)
    counts_from: str = "placed"
    window: timedelta | None = timedelta(days=365)
    a: Decimal = Decimal("0.80")
    b: Decimal = Decimal("0.95")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a customer comes to at an instant; money in minor units."""

    orders: int
    first_order_at: datetime | None
    last_order_at: datetime | None
    net: int
    window_net: int
    over_refund: int
    lifecycle: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    net: int
    over_refund: int
    counts_at: datetime | None


def figures_at(events: Sequence[Event], now: datetime, terms: Terms) -> Figures:
    """Return what all events of one customer come to at `now`; later ones are known and count as present."""
    orders = [_order(facts, terms) for facts in _facts_by_order(events).values()]
    counting = [(order.counts_at, order.net) for order in orders if order.counts_at is not None]
    loose = [(at, -amount) for at, amount in _loose_refunds(events, terms)]
    times = sorted(at for at, _ in counting)
    return Figures(
        orders=len(counting),
        first_order_at=times[0] if times else None,
        last_order_at=times[-1] if times else None,
        net=sum(amount for _, amount in counting + loose),
        window_net=sum(amount for at, amount in counting + loose if terms.window is None or now < at + terms.window),
        over_refund=sum(order.over_refund for order in orders),
        lifecycle=_lifecycle(events, times, now, terms),
    )


def classes_at(
    events_by_customer: Mapping[str, Sequence[Event]], now: datetime, terms: Terms
) -> dict[str, str | None]:
    """Return everybody's class at `now` by a full sort; None for who has no order that counts, or is kept out."""
    figures = {customer: figures_at(events, now, terms) for customer, events in events_by_customer.items()}
    buyers = {c: f.window_net for c, f in figures.items() if f.orders and f.lifecycle is not None}
    total = sum(revenue for revenue in buyers.values() if revenue > 0)
    return {customer: _class(buyers, buyers.get(customer), total, terms) for customer in figures}


def is_excluded(events: Iterable[Event]) -> bool:
    """Tell whether the newest word on it is that this customer is staff."""
    said = [
        (event.occurred_at, event.event_id or "", event.attributes["exclude"])
        for event in events
        if isinstance(event, CustomerUpdated) and "exclude" in event.attributes
    ]
    return bool(said) and max(said, key=lambda word: word[:2])[2] is True


def minor_units(amount: Decimal, currency: str, terms: Terms) -> int:
    """Return money in minor units of the terms' currency, rounded half away from zero at the end."""
    rate = Decimal(1) if currency == terms.currency else terms.rates[currency]
    shift = Decimal(10) ** _DECIMALS.get(terms.currency, 2)
    return int((amount * rate * shift).quantize(Decimal(1), ROUND_HALF_UP))


def _facts_by_order(events: Iterable[Event]) -> dict[str, list[Event]]:
    facts: dict[str, list[Event]] = {}
    for event in events:
        if isinstance(event, ORDER_EVENTS) and event.order_id is not None:
            facts.setdefault(event.order_id, []).append(event)
    return facts


def _order(facts: Sequence[Event], terms: Terms) -> _Order:
    placed = next((fact for fact in facts if isinstance(fact, OrderPlaced)), None)
    if placed is None or any(isinstance(fact, OrderCancelled) for fact in facts):
        return _Order(net=0, over_refund=0, counts_at=None)
    updates = sorted(
        (fact for fact in facts if isinstance(fact, OrderUpdated)), key=lambda u: (u.occurred_at, u.event_id or "")
    )
    amount, currency = placed.amount, placed.currency
    for update in updates:
        amount = amount if update.amount is None else update.amount
        currency = currency if update.currency is None else update.currency
    gross = minor_units(amount, currency, terms)
    refunds = {fact.refund_id: fact for fact in facts if isinstance(fact, OrderRefunded)}
    refunded = sum(minor_units(refund.amount, refund.currency, terms) for refund in refunds.values())
    net = max(0, gross - refunded)
    return _Order(
        net=net, over_refund=max(0, refunded - gross), counts_at=_counts_at(placed, facts, terms) if net > 0 else None
    )


def _counts_at(placed: OrderPlaced, facts: Sequence[Event], terms: Terms) -> datetime | None:
    kinds: dict[str, type[OrderPaid] | type[OrderDelivered]] = {"paid": OrderPaid, "delivered": OrderDelivered}
    if terms.counts_from == "placed":
        return placed.occurred_at
    return min((f.occurred_at for f in facts if isinstance(f, kinds[terms.counts_from])), default=None)


def _loose_refunds(events: Iterable[Event], terms: Terms) -> list[tuple[datetime, int]]:
    refunds = {e.refund_id: e for e in events if isinstance(e, OrderRefunded) and e.order_id is None}
    return [(refund.occurred_at, minor_units(refund.amount, refund.currency, terms)) for refund in refunds.values()]


def _lifecycle(events: Sequence[Event], times: Sequence[datetime], now: datetime, terms: Terms) -> str | None:
    """Return None for who is unknown, known only by an anonymous id, or staff."""
    if all(event.customer_id is None for event in events) or is_excluded(events):
        return None
    if not times:
        return "prospect"
    if now >= times[-1] + terms.inactive_after:
        return "inactive"
    return "new" if len(times) == 1 else "repeat"


def _class(revenue_by_buyer: Mapping[str, int], revenue: int | None, total: int, terms: Terms) -> str | None:
    if revenue is None:
        return None
    if revenue <= 0:
        return "C"
    # Whoever is needed to reach the share is in: those above him do not reach it without him.
    above = Fraction(sum(other for other in revenue_by_buyer.values() if other > revenue), total)
    if above < Fraction(terms.a):
        return "A"
    return "B" if above < Fraction(terms.b) else "C"
