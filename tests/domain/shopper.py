"""One customer and his days: shortest forms of events, and profiles after them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from segmenter.domain.causes import Arrived, Cause, Transition
from segmenter.domain.changes import ChangeSet
from segmenter.domain.events import (
    Event,
    OrderCancelled,
    OrderDelivered,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
)
from segmenter.domain.instants import DAY, Instant, instant_of
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import step
from segmenter.domain.value import Boundary, Marks

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
RULES = Rulebook(rates={"USD": Decimal("0.92"), "JPY": Decimal("0.0061")})
MARKS = Marks(a=10_000, a_stay=8_000, b=5_000, b_stay=4_000)
BOUNDARY = Boundary(number=1, marks=MARKS, ranked=100, total=1_000_000)


def on(day: float) -> datetime:
    """Return the moment so many days after the Monday."""
    return MONDAY + timedelta(days=day)


def at(day: float) -> Instant:
    """Return the instant so many days after the Monday."""
    return instant_of(on(day))


def placed(order: str = "o1", amount: str = "50.00", day: float = 0, currency: str = "EUR") -> OrderPlaced:
    return OrderPlaced(
        customer_id="c1", occurred_at=on(day), order_id=order, amount=Decimal(amount), currency=currency
    )


def updated(
    order: str = "o1", amount: str | None = None, day: float = 0, currency: str | None = None
) -> OrderUpdated:
    return OrderUpdated(
        customer_id="c1",
        occurred_at=on(day),
        order_id=order,
        amount=None if amount is None else Decimal(amount),
        currency=currency,
    )


def paid(order: str = "o1", day: float = 0) -> OrderPaid:
    return OrderPaid(customer_id="c1", occurred_at=on(day), order_id=order)


def delivered(order: str = "o1", day: float = 0) -> OrderDelivered:
    return OrderDelivered(customer_id="c1", occurred_at=on(day), order_id=order)


def cancelled(order: str = "o1", day: float = 0) -> OrderCancelled:
    return OrderCancelled(customer_id="c1", occurred_at=on(day), order_id=order)


def refunded(
    refund: str = "r1", amount: str = "10.00", order: str | None = "o1", day: float = 0, currency: str = "EUR"
) -> OrderRefunded:
    return OrderRefunded(
        customer_id="c1",
        occurred_at=on(day),
        refund_id=refund,
        order_id=order,
        amount=Decimal(amount),
        currency=currency,
    )


def record(
    profile: Profile, event: Event, *, rules: Rulebook = RULES, boundary: Boundary | None = None, event_id: str = ""
) -> Transition:
    """Record an event in a live lane whose watermark is the event's own time, or where the profile is settled."""
    happened_at = instant_of(event.occurred_at)
    cause = Arrived(
        event=event,
        at=happened_at,
        event_id=event_id or f"{event.type}@{happened_at}",
        settle_to=happened_at,
        watermark=max(happened_at, profile.settled_at),
    )
    return step(profile, cause, rules, boundary)


def after(*events: Event, rules: Rulebook = RULES, boundary: Boundary | None = None) -> Profile:
    """Return a customer to whom these happened, in this order of arrival."""
    profile = Profile(customer="c1")
    for event in events:
        profile = kept(record(profile, event, rules=rules, boundary=boundary))
    return profile


def later(profile: Profile, cause: Cause, *, rules: Rulebook = RULES, boundary: Boundary | None = None) -> Profile:
    """Return the customer after any cause."""
    return kept(step(profile, cause, rules, boundary))


def kept(transition: Transition) -> Profile:
    """Return the profile of a transition that forgets nobody."""
    assert transition.profile is not None
    return transition.profile


def told(transition: Transition) -> list[tuple[str, str | None, str | None]]:
    """Return the changes of a transition as (dimension, before, after)."""
    sets = [said for said in transition.said if isinstance(said, ChangeSet)]
    return [(change.dimension, change.before, change.after) for said in sets for change in said.changes]


def days(count: float) -> int:
    """Return a span of so many days."""
    return round(count * DAY)
