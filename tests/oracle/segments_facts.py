"""What a list of events says of one customer, read again from the first to the last each time it is asked.

Written apart from the product: of it this knows the types of events and of rules, and nothing else. Instants are
microseconds since 1970, as in the rules.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

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
from segmenter.domain.rulebook import CountsFrom, Rulebook

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DECIMALS = {"JPY": 0, "KWD": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """One order as all facts about it have it; `counts_at` None: it has not come as far as it must."""

    placed: OrderPlaced | None
    counts_at: int | None
    delivered_at: int | None
    is_cancelled: bool
    gross: int
    net: int
    discount: int
    lines: tuple[tuple[Item, int], ...]
    """Each line and what it is worth."""

    @property
    def is_sold(self) -> bool:
        """Tell whether it came as far as it must, and was not cancelled."""
        return self.placed is not None and not self.is_cancelled and self.counts_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFacts:
    """One ticket: its first opening and whether it was closed."""

    opened: SupportOpened | None
    is_closed: bool


@dataclass(slots=True, kw_only=True)
class Facts:
    """All there is to know of a customer."""

    orders: list[OrderFacts] = field(default_factory=list)
    counted: list[tuple[int, OrderFacts]] = field(default_factory=list)
    """Those that count, with the time from which they do."""
    refunds: list[tuple[int, int]] = field(default_factory=list)
    """Time and amount of every refund."""
    loose_refunds: list[tuple[int, int]] = field(default_factory=list)
    """Those that name no order."""
    clicks: list[tuple[int, Click]] = field(default_factory=list)
    contacts: list[tuple[int, Contact]] = field(default_factory=list)
    tickets: list[TicketFacts] = field(default_factory=list)
    ratings: list[tuple[int, str, SupportRated]] = field(default_factory=list)
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    puts: dict[str, CustomerPut] = field(default_factory=dict)
    """The newest word by hand, by segment."""
    timeline: list[tuple[int, Event]] = field(default_factory=list)
    """Every event, in the order of time."""
    first_seen_at: int = 0
    last_seen_at: int = 0


def _counting(orders: Iterable[OrderFacts]) -> list[tuple[int, OrderFacts]]:
    return [(o.counts_at, o) for o in orders if o.is_sold and o.net > 0 and o.counts_at is not None]


def at_of(event: Event) -> int:
    """Return when an event happened."""
    return micros(event.occurred_at)


def micros(moment: datetime) -> int:
    """Return an instant in microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def sameness(event: Event) -> object:
    """Return what two reports of one fact have in common."""
    match event:
        case OrderPlaced() | OrderPaid() | OrderDelivered() | OrderCancelled():
            return event.type, event.order_id
        case OrderRefunded():
            return event.type, event.refund_id, event.order_id
        case SupportOpened() | SupportClosed():
            return event.type, event.ticket_id
        case _:
            return event.event_id


def facts_of(events: Sequence[Event], rulebook: Rulebook) -> Facts:
    """Return what these events say, none of which reports a fact again."""
    found = Facts()
    found.orders = [_order(order_id, events, rulebook) for order_id in _order_ids(events)]
    found.counted = _counting(found.orders)
    for event in sorted(events, key=lambda event: (at_of(event), event.event_id or "")):
        at = at_of(event)
        found.timeline.append((at, event))
        match event:
            case OrderRefunded():
                amount = _minor(event.amount, event.currency, rulebook)
                found.refunds.append((at, amount))
                if event.order_id is None:
                    found.loose_refunds.append((at, amount))
            case Click():
                found.clicks.append((at, event))
            case Contact():
                found.contacts.append((at, event))
            case SupportRated():
                found.ratings.append((at, event.event_id or "", event))
            case CustomerUpdated():
                # In the order of time, so that the newest word stands.
                found.attributes |= event.attributes
                found.attributes |= {f"consent.{channel}": given for channel, given in event.consent.items()}
            case CustomerPut():
                found.puts[event.segment] = event
            case _:
                pass
    found.tickets = [_ticket(ticket_id, events) for ticket_id in _ticket_ids(events)]
    found.first_seen_at = min(_sights(events))
    found.last_seen_at = max(at_of(event) for event in events)
    return found


def _sights(events: Iterable[Event]) -> list[int]:
    told = [event.known_since for event in events if isinstance(event, CustomerUpdated)]
    return [at_of(event) for event in events] + [micros(since) for since in told if since is not None]


def _order_ids(events: Iterable[Event]) -> list[str]:
    facts = (OrderPlaced, OrderPaid, OrderDelivered, OrderCancelled, OrderUpdated, OrderRefunded)
    return list(dict.fromkeys(e.order_id for e in events if isinstance(e, facts) and e.order_id is not None))


def _ticket_ids(events: Iterable[Event]) -> list[str]:
    return list(dict.fromkeys(e.ticket_id for e in events if isinstance(e, SupportOpened | SupportClosed)))


def _ticket(ticket_id: str, events: Iterable[Event]) -> TicketFacts:
    mine = [e for e in events if isinstance(e, SupportOpened | SupportClosed) and e.ticket_id == ticket_id]
    return TicketFacts(
        opened=next((e for e in mine if isinstance(e, SupportOpened)), None),
        is_closed=any(isinstance(e, SupportClosed) for e in mine),
    )


def _order(order_id: str, events: Iterable[Event], rulebook: Rulebook) -> OrderFacts:
    mine = [e for e in events if getattr(e, "order_id", None) == order_id]
    placed = next((e for e in mine if isinstance(e, OrderPlaced)), None)
    updates = sorted((e for e in mine if isinstance(e, OrderUpdated)), key=lambda e: (at_of(e), e.event_id or ""))
    said = {name: _newest(name, placed, updates) for name in ("amount", "currency", "items", "discount")}
    currency = said["currency"] or rulebook.currency
    gross = 0 if said["amount"] is None else _minor(said["amount"], currency, rulebook)
    refunded = sum(_minor(e.amount, e.currency, rulebook) for e in mine if isinstance(e, OrderRefunded))
    is_cancelled = any(isinstance(e, OrderCancelled) for e in mine)
    paid = [at_of(e) for e in mine if isinstance(e, OrderPaid)]
    delivered = [at_of(e) for e in mine if isinstance(e, OrderDelivered)]
    counts_at = {
        CountsFrom.PLACED: None if placed is None else at_of(placed),
        CountsFrom.PAID: min(paid, default=None),
        CountsFrom.DELIVERED: min(delivered, default=None),
    }[rulebook.lifecycle.counts_from]
    return OrderFacts(
        placed=placed,
        counts_at=counts_at,
        delivered_at=min(delivered, default=None),
        is_cancelled=is_cancelled,
        gross=gross,
        net=0 if placed is None or is_cancelled else max(0, gross - refunded),
        discount=0 if said["discount"] is None else _minor(said["discount"], currency, rulebook),
        lines=tuple(
            (line, 0 if line.amount is None else _minor(line.amount, currency, rulebook))
            for line in said["items"] or ()
        ),
    )


def _newest(name: str, placed: OrderPlaced | None, updates: Iterable[OrderUpdated]):  # type: ignore[no-untyped-def]
    """Return the newest word on a field of an order."""
    words = [getattr(event, name) for event in (placed, *updates) if event is not None]
    return next((word for word in reversed(words) if word is not None), None)


def _minor(amount: Decimal, currency: str, rulebook: Rulebook) -> int:
    """Return money in minor units of the rulebook's currency, rounded half away from zero at the end."""
    rate = Decimal(1) if currency == rulebook.currency else rulebook.rates[currency]
    shift = Decimal(10) ** _DECIMALS.get(rulebook.currency, 2)
    return int((amount * rate * shift).quantize(Decimal(1), ROUND_HALF_UP))
