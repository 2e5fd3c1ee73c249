"""What an order says beyond its worth: lines, discount, coupon, where it came from."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from segmenter.domain.events import Item, OrderPlaced, OrderUpdated
from segmenter.domain.instants import Instant
from segmenter.domain.ledger import NO_DETAILS, Details, Line, Order
from segmenter.domain.money import converted
from segmenter.domain.rulebook import Rulebook

# A line takes some 30 bytes; an order with more of them is a stock transfer, of which the first tell enough.
LINES_KEPT = 500


def details_of(event: OrderPlaced, before: Details | None = None) -> Details | None:
    """Return what a placed order says, amended by updates that came `before` it; None where it says nothing."""
    if before is None and not _says_more(event):
        return None
    amended = before or NO_DETAILS
    return Details(
        channel=event.channel,
        campaign=event.campaign,
        coupon=event.coupon,
        discount=event.discount if amended.discount_by is None else amended.discount,
        tax=event.tax,
        shipping=event.shipping,
        cost=event.cost,
        lines=_lines(event.items) if amended.lines_by is None else amended.lines,
        lines_by=amended.lines_by,
        discount_by=amended.discount_by,
    )


def _says_more(event: OrderPlaced) -> bool:
    """Tell whether an order says anything but its worth."""
    return bool(
        event.items
        or event.channel is not None
        or event.discount is not None
        or event.coupon is not None
        or event.campaign is not None
        or event.tax is not None
        or event.shipping is not None
        or event.cost is not None
    )


def amended_details(before: Details | None, event: OrderUpdated, by: tuple[Instant, str]) -> Details | None:
    """Return the details with what a newer update says of lines and discount."""
    after = before or NO_DETAILS
    if event.items is not None and (after.lines_by is None or by > after.lines_by):
        after = replace(after, lines=_lines(event.items), lines_by=by)
    if event.discount is not None and (after.discount_by is None or by > after.discount_by):
        after = replace(after, discount=event.discount, discount_by=by)
    return before if after is NO_DETAILS or after == before else after


def worth(order: Order, amount: Decimal | None, rulebook: Rulebook) -> int:
    """Return an amount in the currency of its order in minor units of the rulebook's; 0 for none and no rate."""
    if amount is None:
        return 0
    minor = converted(amount, currency_of(order, rulebook.currency), rulebook.currency, rulebook.rates)
    return 0 if minor is None else minor.units


def currency_of(order: Order, own: str) -> str:
    """Return the currency of all amounts of an order."""
    if order.currency is not None:
        return order.currency.to
    return order.quoted.partition(" ")[2] or own


def pieces_of(order: Order) -> int:
    """Return how many pieces were ordered, all lines together."""
    return 0 if order.details is None else sum(line.quantity for line in order.details.lines)


def _lines(items: Iterable[Item]) -> tuple[Line, ...]:
    lines = [Line(item.item, item.category, item.quantity, item.amount) for item in items]
    return tuple(lines[:LINES_KEPT])
