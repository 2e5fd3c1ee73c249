"""Histories of one customer of whom everything is told: orders with lines, clicks, messages, tickets, attributes.

Six days at a clock change, in steps of half an hour at the finest.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import strategies as st

from segmenter.domain.events import (
    AttributeValue,
    Click,
    Contact,
    CustomerPut,
    CustomerUpdated,
    Event,
    Item,
    OrderCancelled,
    OrderDelivered,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
    SupportClosed,
    SupportOpened,
    SupportRated,
)
from tests.properties.histories import Arrangement

SPRING = datetime(2026, 3, 27, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 23, tzinfo=UTC)
_HOURS = 144

ATTRIBUTES: dict[str, tuple[AttributeValue, ...]] = {
    "town": ("Ulm", "Bonn", None),
    "size": (3, 2.5, 3.0, "3", None),
    "is_member": (True, False, "true"),
    "born": ("1990-03-29", "2000-02-29", "2026-03-28", "2026-03-27T22:30:00Z", "soon"),
}

amounts = [Decimal(text) for text in ("0", "9.99", "10", "10", "20", "33.335")]
currencies = ["EUR", "EUR", "EUR", "USD"]
channels = [None, "web", "app"]
categories = [None, "shoes", "hats"]
campaigns = [None, "spring"]
order_ids = ["o0", "o1", "o2", "o3"]
ticket_ids = ["t0", "t1", "t2"]
discounts = [None, Decimal(0), Decimal(1), Decimal("2.50")]
# Drawing an event field by field takes longer than all that is tested with it: each comes from a pool, made once.
_POOL = 900


def _items(random: Random) -> tuple[Item, ...]:
    return tuple(
        Item(
            item=random.choice(["boot", "cap"]),
            category=random.choice(categories),
            quantity=random.randint(0, 3),
            amount=random.choice([None, *amounts]),
        )
        for _ in range(random.randint(0, 3))
    )


def _order(random: Random) -> Event:
    return OrderPlaced(
        occurred_at=SPRING,
        order_id=random.choice(order_ids),
        amount=random.choice(amounts),
        currency=random.choice(currencies),
        items=_items(random),
        discount=random.choice(discounts),
        coupon=random.choice([None, "TEN"]),
        channel=random.choice(channels),
        campaign=random.choice(campaigns),
    )


def _click(random: Random) -> Event:
    return Click(
        occurred_at=SPRING,
        kind=random.choice(["view", "basket"]),
        item=random.choice([None, "boot", "cap"]),
        category=random.choice(categories),
        channel=random.choice(channels),
        campaign=random.choice(campaigns),
    )


def _contact(random: Random) -> Event:
    return Contact(
        occurred_at=SPRING,
        kind=random.choice(["sent", "sent", "opened", "clicked"]),  # type: ignore[arg-type]
        channel=random.choice(["web", "app"]),
        campaign=random.choice(campaigns),
    )


def _ticket(random: Random) -> Event:
    ticket_id = random.choice(ticket_ids)
    if random.randint(0, 1):
        return SupportClosed(occurred_at=SPRING, ticket_id=ticket_id)
    return SupportOpened(
        occurred_at=SPRING,
        ticket_id=ticket_id,
        priority=random.choice([None, "high", "low"]),
        channel=random.choice(channels),
        category=random.choice(categories),
    )


def _rating(random: Random) -> Event:
    if random.randint(0, 1):
        return SupportRated(occurred_at=SPRING, scale="csat", score=random.randint(1, 5))
    return SupportRated(occurred_at=SPRING, scale="nps", score=random.randint(0, 10))


def _refund(random: Random) -> Event:
    return OrderRefunded(
        occurred_at=SPRING,
        refund_id="",
        order_id=random.choice([None, *order_ids]),
        amount=random.choice(amounts),
        currency=random.choice(currencies),
    )


def _order_fact(random: Random) -> Event:
    order_id = random.choice(order_ids)
    match random.randint(0, 4):
        case 0:
            return OrderPaid(occurred_at=SPRING, order_id=order_id)
        case 1:
            return OrderCancelled(occurred_at=SPRING, order_id=order_id)
        case 2:
            return OrderUpdated(
                occurred_at=SPRING,
                order_id=order_id,
                amount=random.choice([None, *amounts]),
                currency=random.choice([None, *currencies]),
                items=random.choice([None, _items(random)]),
                discount=random.choice(discounts),
            )
        case _:
            return OrderDelivered(occurred_at=SPRING, order_id=order_id)


def _update(random: Random) -> Event:
    """Tell something of a customer; now and then that he is staff, or known for longer."""
    name = random.choice(list(ATTRIBUTES))
    told: dict[str, AttributeValue] = {name: random.choice(ATTRIBUTES[name])}
    if not random.randint(0, 7):
        told["exclude"] = random.choice([True, False])
    since = random.choice([None, None, None, SPRING - timedelta(days=2), SPRING + timedelta(days=1)])
    consent = random.choice([{}, {}, {"mail": True}, {"mail": False}])
    return CustomerUpdated(occurred_at=SPRING, attributes=told, consent=consent, known_since=since)


def _put(random: Random) -> Event:
    """Put him in or out of a segment by hand for so many half hours, or leave him to the rules again."""
    to = random.choice(["in", "in", "out", "auto"])
    until = SPRING + timedelta(minutes=30 * random.choice([1, 6, 12, 48, 96, 200]))
    return CustomerPut(
        occurred_at=SPRING,
        segment=random.choice(["s0", "s0", "s1", "s2"]),
        to=to,  # type: ignore[arg-type]
        until=None if to == "auto" else until,
        because="asked for",
    )


def _pool() -> list[Event]:
    random = Random(5)
    makers = (_order, _order, _click, _click, _click, _contact, _ticket, _rating, _refund, _order_fact, _update, _put)
    return [makers[number % len(makers)](random) for number in range(_POOL)]


half_hours = st.one_of(
    st.integers(0, _HOURS).map(lambda hour: 2 * hour),
    st.integers(0, 12).map(lambda half_day: 24 * half_day),
    st.integers(0, 2 * _HOURS),
)
drawn_events = st.tuples(st.sampled_from(_pool()), half_hours)


@st.composite
def lives(draw: st.DrawFn, least: int = 5, most: int = 40) -> list[Event]:
    """Draw what happens to one customer, by time; facts that the shop could not tell twice are told once."""
    drawn = [draw(drawn_events) for _ in range(draw(st.integers(least, most)))]
    start = draw(st.sampled_from([SPRING, AUTUMN]))
    named = [
        _named(event, f"e{number:02d}", start + timedelta(minutes=30 * half_hour))
        for number, (event, half_hour) in enumerate(drawn)
    ]
    told = {_fact(event): event for event in named}
    return sorted(told.values(), key=lambda event: (event.occurred_at, event.event_id or ""))


def _named(event: Event, event_id: str, at: datetime) -> Event:
    own = replace(event, customer_id="c1", event_id=event_id, occurred_at=at)
    if isinstance(own, CustomerPut) and own.until is not None:
        return replace(own, until=at + (own.until - SPRING))
    return replace(own, refund_id=f"r-{event_id}") if isinstance(own, OrderRefunded) else own


def _fact(event: Event) -> object:
    if isinstance(event, OrderPlaced | OrderPaid | OrderDelivered | OrderCancelled):
        return event.type, event.order_id
    if isinstance(event, SupportOpened | SupportClosed):
        return event.type, event.ticket_id
    return event.event_id


@st.composite
def arrivals(draw: st.DrawFn, most: int = 40) -> Arrangement:
    """Draw a history mostly in order, with late events, repeats that follow soon, and ticks between."""
    arrangement: list[Event | datetime] = []
    for event in draw(lives(most=most)):
        arrangement.append(event)
        kind, number = draw(_DISTURBANCES)
        if kind == "repeat":
            arrangement.append(arrangement[-1 - number % min(6, len(arrangement))])
        elif kind == "tick":
            arrangement.append(event.occurred_at + timedelta(minutes=30 * number))
        elif kind == "late":
            # Not so far that what comes again is no longer among the ids that are remembered.
            place = len(arrangement) - 1 - number % min(8, len(arrangement))
            arrangement[place], arrangement[-1] = arrangement[-1], arrangement[place]
    return arrangement


_DISTURBANCES = st.sampled_from(
    [
        (kind, number)
        for kind in ("none",) * 7 + ("repeat", "tick", "late")
        for number in (0, 1, 2, 3, 5, 7, 24, 48, 60)
    ]
)

ticks = st.lists(st.integers(0, 40), max_size=8)
