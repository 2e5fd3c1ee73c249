"""Histories of a few customers, in worlds so small that ties, equal revenues and collisions are the rule.

Times are multiples of twelve hours, as are all spans of the rules, so that events fall on deadlines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from hypothesis import strategies as st

from segmenter.domain.events import (
    Click,
    CustomerUpdated,
    Event,
    OrderCancelled,
    OrderDelivered,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
    SupportOpened,
    SupportRated,
)
from segmenter.domain.instants import MICROSECOND
from segmenter.domain.rulebook import CountsFrom, LifecycleRule, Rulebook, ValueRule
from segmenter.domain.value import Boundary, Marks
from tests.oracle.model import ORDER_EVENTS, Terms

START = datetime(2026, 3, 1, tzinfo=UTC)
HALF_DAY = timedelta(hours=12)
LAST_STEP = 40
CLOSE = START + LAST_STEP * HALF_DAY
"""No event and no tick comes later."""

CUSTOMERS = ("c1", "c2", "c3")
RATES = {"USD": Decimal("0.92"), "JPY": Decimal("0.0061")}

Arrangement = list[Event | datetime]
"""Events as they arrive, with ticks (bare instants) between them."""
E = TypeVar("E", bound=Event)

moments = st.integers(0, LAST_STEP).map(lambda step: START + step * HALF_DAY)
closing_times = st.integers(0, 20).map(lambda step: CLOSE + step * HALF_DAY)
off_grid_moments = st.integers(0, 3 * LAST_STEP).map(lambda step: START + step * timedelta(hours=4))
amounts = st.sampled_from([Decimal(text) for text in ("0", "0.01", "10", "10.005", "12.34", "20", "20", "33.335")])
currencies = st.sampled_from(["EUR", "EUR", "EUR", "USD", "JPY"])


@dataclass(frozen=True, slots=True)
class Rules:
    """One set of rules, as the product and as the model have it."""

    rulebook: Rulebook
    terms: Terms


@st.composite
def rules(draw: st.DrawFn, *, is_plain: bool = True) -> Rules:
    """Draw rules with short spans; `is_plain` has neither band nor dwell."""
    inactive_after = draw(st.sampled_from([2, 5, 9])) * HALF_DAY
    window = draw(st.sampled_from([None, 3 * HALF_DAY, 9 * HALF_DAY]))
    counts_from = draw(st.sampled_from(list(CountsFrom)))
    rulebook = Rulebook(
        rates=RATES,
        lifecycle=LifecycleRule(inactive_after=inactive_after // MICROSECOND, counts_from=counts_from),
        value=ValueRule(
            window=None if window is None else window // MICROSECOND,
            band=Decimal(0) if is_plain else draw(st.sampled_from([Decimal("0.02"), Decimal("0.2")])),
            dwell=0 if is_plain else draw(st.sampled_from([1, 4])) * HALF_DAY // MICROSECOND,
            min_ranked=1,
        ),
        dedupe_horizon=None,
    )
    terms = Terms(rates=RATES, inactive_after=inactive_after, counts_from=str(counts_from), window=window)
    return Rules(rulebook, terms)


@st.composite
def boundaries(draw: st.DrawFn) -> Boundary:
    """Draw a boundary among the revenues that occur."""
    b_stay, b, a_stay, a = sorted(draw(st.lists(st.integers(1, 6_000), min_size=4, max_size=4)))
    marks = Marks(a=a, a_stay=a_stay, b=b, b_stay=b_stay)
    return Boundary(number=1, marks=marks, ranked=3, total=10_000, is_announced=draw(st.booleans()))


@st.composite
def histories(draw: st.DrawFn, customers: Sequence[str] = CUSTOMERS, *, orders_only: bool = False) -> list[Event]:
    """Draw all that happens to these customers, by time and then event id."""
    events = [event for customer in customers for event in draw(_lives(customer, orders_only))]
    return sorted(events, key=by_time)


def by_time(event: Event) -> tuple[datetime, str]:
    """Order events as they happened; equal times go by event id."""
    return event.occurred_at, event.event_id or ""


@st.composite
def _lives(draw: st.DrawFn, customer: str, orders_only: bool) -> list[Event]:
    events: list[Event] = []
    for number in range(draw(st.integers(0, 4))):
        events += draw(_orders(f"o{number}"))
    events += draw(st.lists(_loose_refunds(), max_size=1))
    if not orders_only:
        events += draw(st.lists(_others(), max_size=3))
    ids = draw(st.permutations(range(len(events))))
    named = [
        replace(event, customer_id=customer, event_id=f"{customer}-{number:02d}")
        for event, number in zip(events, ids, strict=True)
    ]
    return [_with_own_ids(event) for event in named]


def _with_own_ids(event: Event) -> Event:
    """Return the event with ids that no other has: a shop never uses one twice for different things."""
    if isinstance(event, OrderRefunded):
        return replace(event, refund_id=f"r-{event.event_id}")
    if isinstance(event, SupportOpened):
        return replace(event, ticket_id=f"t-{event.event_id}")
    return event


@st.composite
def _orders(draw: st.DrawFn, order_id: str) -> list[Event]:
    """Draw the facts of one order; the order itself may never come."""
    events: list[Event] = []
    if draw(st.integers(0, 7)):
        placed = OrderPlaced(
            order_id=order_id, occurred_at=draw(moments), amount=draw(amounts), currency=draw(currencies)
        )
        events.append(placed)
    if draw(st.booleans()):
        events.append(OrderPaid(order_id=order_id, occurred_at=draw(moments)))
    if draw(st.booleans()):
        events.append(OrderDelivered(order_id=order_id, occurred_at=draw(moments)))
    if not draw(st.integers(0, 5)):
        events.append(OrderCancelled(order_id=order_id, occurred_at=draw(moments)))
    events += draw(st.lists(_updates(order_id), max_size=2))
    events += draw(st.lists(_refunds(order_id), max_size=2))
    return events


def _updates(order_id: str) -> st.SearchStrategy[Event]:
    return st.builds(
        OrderUpdated,
        order_id=st.just(order_id),
        occurred_at=moments,
        amount=st.none() | amounts,
        currency=st.none() | currencies,
    )


def _refunds(order_id: str | None) -> st.SearchStrategy[Event]:
    return st.builds(
        OrderRefunded,
        refund_id=st.just(""),
        order_id=st.just(order_id),
        occurred_at=moments,
        amount=amounts,
        currency=currencies,
    )


def _loose_refunds() -> st.SearchStrategy[Event]:
    return _refunds(None)


def _others() -> st.SearchStrategy[Event]:
    return st.one_of(
        st.builds(Click, kind=st.just("view"), occurred_at=moments),
        st.builds(SupportOpened, ticket_id=st.just(""), occurred_at=moments),
        st.builds(SupportRated, score=st.just(3), scale=st.just("csat"), occurred_at=moments),
        st.builds(
            CustomerUpdated,
            occurred_at=moments,
            attributes=st.sampled_from([{"town": "Ulm"}, {"town": "Bonn"}, {"exclude": True}, {"exclude": False}]),
        ),
    )


@st.composite
def arrivals(draw: st.DrawFn, history: Sequence[Event]) -> Arrangement:
    """Draw the history in any order, with repeats, some under another event id, and ticks at any time."""
    repeats = draw(st.lists(st.sampled_from(history), max_size=5)) if history else []
    again = [_renamed(event) if draw(st.booleans()) else event for event in repeats]
    ticks = draw(st.lists(off_grid_moments, max_size=5))
    return draw(st.permutations([*history, *again, *ticks]))


def _renamed(event: E) -> E:
    """Return the fact under another event id, where another id leaves it the same fact."""
    is_by_order = isinstance(event, ORDER_EVENTS) and not isinstance(event, OrderUpdated)
    return replace(event, event_id=f"{event.event_id}-again") if is_by_order else event


@st.composite
def timely(draw: st.DrawFn, history: Sequence[Event]) -> Arrangement:
    """Draw the history in order of time, with ticks between that never run ahead of the next event."""
    keyed: list[tuple[datetime, int, str, Event | datetime]] = [
        (event.occurred_at, 0, event.event_id or "", event) for event in history
    ]
    # An event and a tick of one instant may come either way round.
    keyed += [
        (at, draw(st.sampled_from([-1, 1])), "", at)
        for at in draw(st.lists(off_grid_moments, max_size=8, unique=True))
    ]
    return [cause for *_, cause in sorted(keyed, key=lambda entry: entry[:3])]
