"""The measures: a number of a customer's at an instant, held against a bound.

A fact counts while now is before its exit from the window; facts after now count as present. Source of the meanings:
the rulebook's documentation, which names for each measure what is counted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain

from segmenter.domain.behaviour import Ticket
from segmenter.domain.conditions import (
    EVERYTHING,
    TALLIED,
    TICKET_MEASURES,
    Bound,
    Field,
    Filter,
    Measure,
    Measured,
)
from segmenter.domain.details import worth
from segmenter.domain.finding import Finding, falling_until
from segmenter.domain.instants import DAY, Instant
from segmenter.domain.ledger import Folded, Order
from segmenter.domain.sight import Sight
from segmenter.domain.windows import NEVER, Window

Part = tuple[Instant, int]
"""When a fact happened, and what it adds."""

_NOTHING_FOLDED = Folded()


def measured(leaf: Measured, sight: Sight) -> Finding:
    """Return what a measure comes to at the moment of the sight, and whether it is on the right side."""
    if leaf.measure in TALLIED:
        return _tallied(leaf, sight)
    if leaf.measure in TICKET_MEASURES:
        return _of_tickets(leaf, sight)
    if leaf.measure in _SUMS:
        parts, folded = _SUMS[leaf.measure](leaf, sight)
        return _summed(leaf, sight.now, parts, folded)
    number, first_exit_at = _RATIOS[leaf.measure](leaf, sight)
    holds = number is not None and leaf.bound.holds(number)
    return Finding(holds, first_exit_at, actual=number)


def _summed(leaf: Measured, now: Instant, parts: Iterable[Part], folded: int) -> Finding:
    """Return a sum of parts that leave one by one, and when it next crosses the bound."""
    window = leaf.window
    inside = sorted((exit_at, part) for at, part in parts if (exit_at := window.exit_at(at)) > now)
    total = sum(part for _, part in inside) + (folded if window.span is None else 0)
    leaving = [one for one in inside if one[0] < NEVER]
    return Finding(leaf.bound.holds(total), falling_until(leaf.bound, total, leaving), actual=total)


def _tallied(leaf: Measured, sight: Sight) -> Finding:
    window = leaf.window
    buckets = sight.behaviour.tallies.get(sight.rulebook.plan.key_by_leaf[id(leaf)], ())
    if not buckets:
        return Finding(leaf.bound.holds(0), actual=0)
    inside = [(exit_at, count) for bucket, count in buckets if (exit_at := window.bucket_exit_at(bucket)) > sight.now]
    total = sum(count for _, count in inside)
    leaving = [one for one in inside if one[0] < NEVER]
    until = falling_until(leaf.bound, total, leaving)
    return Finding(leaf.bound.holds(total), until, total)


def _of_tickets(leaf: Measured, sight: Sight) -> Finding:
    tickets = [ticket for ticket in sight.behaviour.tickets.values() if _admits_ticket(leaf.where, ticket)]
    if leaf.measure is Measure.TICKETS:
        return _summed(leaf, sight.now, [(t.opened_at, 1) for t in tickets if t.opened_at is not None], 0)
    still_open = [t.opened_at for t in tickets if t.opened_at is not None and t.closed_at is None]
    if leaf.measure is Measure.OPEN_TICKETS:
        return _summed(leaf, sight.now, [(at, 1) for at in still_open], 0)
    inside = [at for at in still_open if leaf.window.exit_at(at) > sight.now]
    if not inside:
        return Finding(False)
    since = min(inside)
    until = min(leaf.window.exit_at(since), _span_until(leaf.bound, since, sight.now))
    # One that was opened after now counts as opened just now.
    open_for = max(0, sight.now - since)
    return Finding(leaf.bound.holds(open_for), until, actual=open_for)


def _span_until(bound: Bound, since: Instant, now: Instant) -> Instant:
    """Return when a growing span first crosses a bound."""
    edges = [since + int(edge) + extra for edge in (bound.least, bound.most) if edge is not None for extra in (0, 1)]
    holds = bound.holds(max(0, now - since))
    return min((at for at in edges if at > now and bound.holds(max(0, at - since)) != holds), default=NEVER)


def _admits_ticket(where: Filter, ticket: Ticket) -> bool:
    return where is EVERYTHING or (
        where.admits(Field.PRIORITY, ticket.priority)
        and where.admits(Field.CHANNEL, ticket.channel)
        and where.admits(Field.CATEGORY, ticket.category)
    )


def admits_order(where: Filter, order: Order) -> bool:
    """Tell whether an order is among those meant: by itself, or because one of its lines is."""
    if not where.values:
        return True
    details = order.details
    if details is None:
        return False
    heads = ((Field.CHANNEL, details.channel), (Field.CAMPAIGN, details.campaign), (Field.COUPON, details.coupon))
    if not all(where.admits(field, value) for field, value in heads):
        return False
    return not _names_lines(where) or any(True for _ in _matching(where, order))


def _names_lines(where: Filter) -> bool:
    return not where.fields.isdisjoint((Field.ITEM, Field.CATEGORY))


def _matching(where: Filter, order: Order) -> Iterable[int]:
    """Yield the places of the lines that are meant."""
    for place, line in enumerate(order.details.lines if order.details is not None else ()):
        if where.admits(Field.ITEM, line.item) and where.admits(Field.CATEGORY, line.category):
            yield place


def _lines_worth(where: Filter, order: Order, sight: Sight) -> int:
    lines = order.details.lines if order.details is not None else ()
    return sum(worth(order, lines[place].amount, sight.rulebook) for place in _matching(where, order))


def _net(where: Filter, order: Order, sight: Sight) -> int:
    """Return what is left of an order, or of its lines that are meant: never more than is left of the order."""
    return min(order.net, _lines_worth(where, order, sight)) if _names_lines(where) else order.net


def _gross(where: Filter, order: Order, sight: Sight) -> int:
    return _lines_worth(where, order, sight) if _names_lines(where) else order.gross


def _pieces(where: Filter, order: Order) -> int:
    lines = order.details.lines if order.details is not None else ()
    return sum(lines[place].quantity for place in _matching(where, order))


def _discount(order: Order, sight: Sight) -> int:
    return 0 if order.details is None else worth(order, order.details.discount, sight.rulebook)


def _counting(leaf: Measured, sight: Sight) -> list[tuple[Instant, Order]]:
    """Return the orders that count and are meant, with their times."""
    return [(at, order) for at, order in sight.orders if admits_order(leaf.where, order)]


def _order_parts(
    add: Callable[[Filter, Order, Sight], int], of_folded: Callable[[Folded], int]
) -> Callable[[Measured, Sight], tuple[list[Part], int]]:
    def parts(leaf: Measured, sight: Sight) -> tuple[list[Part], int]:
        counted = [(at, add(leaf.where, order, sight)) for at, order in _counting(leaf, sight)]
        return counted, of_folded(sight.folded if not leaf.where.values else _NOTHING_FOLDED)

    return parts


def _net_parts(leaf: Measured, sight: Sight) -> tuple[list[Part], int]:
    parts = [(at, _net(leaf.where, order, sight)) for at, order in _counting(leaf, sight)]
    if leaf.where.values:
        return parts, 0
    return parts + [(refund.at, -refund.amount) for refund in sight.ledger.loose_refunds.values()], sight.folded.net


def _refunds(sight: Sight) -> Iterable[Part]:
    by_order = ((at, amount) for order in sight.ledger.orders.values() for _, amount, at in order.refunds)
    return chain(by_order, ((refund.at, refund.amount) for refund in sight.ledger.loose_refunds.values()))


def _delivery_parts(leaf: Measured, sight: Sight) -> tuple[list[Part], int]:
    orders = (order for order in sight.ledger.orders.values() if admits_order(leaf.where, order))
    delivered = [(order.delivered_at, 1) for order in orders if order.delivered_at is not None]
    return delivered, 0 if leaf.where.values else sight.folded.deliveries


_SUMS: Mapping[Measure, Callable[[Measured, Sight], tuple[Sequence[Part], int]]] = {
    Measure.ORDERS: _order_parts(lambda where, order, sight: 1, lambda folded: folded.orders),
    Measure.NET_REVENUE: _net_parts,
    Measure.GROSS_REVENUE: _order_parts(_gross, lambda folded: folded.gross),
    Measure.ITEMS: _order_parts(lambda where, order, sight: _pieces(where, order), lambda folded: folded.items),
    Measure.DISCOUNTED_ORDERS: _order_parts(
        lambda where, order, sight: int(_discount(order, sight) > 0), lambda folded: folded.discounted
    ),
    Measure.REFUNDS: lambda leaf, sight: ([(at, 1) for at, _ in _refunds(sight)], sight.folded.refunds),
    Measure.REFUNDED: lambda leaf, sight: (list(_refunds(sight)), sight.folded.refunded),
    Measure.DELIVERIES: _delivery_parts,
}

Ratio = tuple[Decimal | None, Instant]


def _inside(window: Window, now: Instant, facts: Iterable[Part]) -> tuple[int, int, Instant]:
    """Return number and sum of what lies in the window, and when the first of it leaves."""
    exits = [(exit_at, part) for at, part in facts if (exit_at := window.exit_at(at)) > now]
    return len(exits), sum(part for _, part in exits), min((exit_at for exit_at, _ in exits), default=NEVER)


def _average_order(leaf: Measured, sight: Sight) -> Ratio:
    """Net revenue by the number of orders."""
    parts, folded_net = _net_parts(leaf, sight)
    _, net, until = _inside(leaf.window, sight.now, parts)
    orders, _, _ = _inside(leaf.window, sight.now, [(at, 1) for at, _ in _counting(leaf, sight)])
    if leaf.window.span is None and not leaf.where.values:
        orders, net = orders + sight.folded.orders, net + folded_net
    return (Decimal(net) / orders if orders else None), until


def _days_between(leaf: Measured, sight: Sight) -> Ratio:
    times = [at for at, _ in _counting(leaf, sight) if leaf.window.exit_at(at) > sight.now]
    orders, folded = len(times), sight.folded
    if leaf.window.span is None and not leaf.where.values and folded.first_at is not None:
        orders += folded.orders
        times += [folded.first_at, folded.last_at or folded.first_at]
    until = leaf.window.exit_at(min(times)) if times else NEVER
    return (Decimal(max(times) - min(times)) / DAY / (orders - 1) if orders > 1 else None), until


def _refund_rate(leaf: Measured, sight: Sight) -> Ratio:
    """One less what is left of what was sold: of orders not cancelled, less refunds without an order."""
    sold = [(at, order.gross, order.net) for at, order in sight.sold]
    _, gross, until = _inside(leaf.window, sight.now, [(at, gross) for at, gross, _ in sold])
    loose = [(refund.at, -refund.amount) for refund in sight.ledger.loose_refunds.values()]
    _, net, loose_until = _inside(leaf.window, sight.now, [*((at, net) for at, _, net in sold), *loose])
    if leaf.window.span is None:
        gross, net = gross + sight.folded.sold, net + sight.folded.net
    return (1 - Decimal(net) / gross if gross else None), min(until, loose_until)


def _discount_share(leaf: Measured, sight: Sight) -> Ratio:
    """Discounts by what the orders would have come to without them."""
    counted = _counting(leaf, sight)
    _, discount, until = _inside(leaf.window, sight.now, [(at, _discount(order, sight)) for at, order in counted])
    _, gross, _ = _inside(leaf.window, sight.now, [(at, order.gross) for at, order in counted])
    if leaf.window.span is None and not leaf.where.values:
        discount, gross = discount + sight.folded.discount, gross + sight.folded.gross
    whole = discount + gross
    return (Decimal(discount) / whole if whole else None), until


def _answers(leaf: Measured, sight: Sight) -> Ratio:
    """The mean of the answers on the scale of the measure."""
    given = [(rating.at, rating.score) for rating in sight.behaviour.ratings if rating.scale == leaf.measure.value]
    number, total, until = _inside(leaf.window, sight.now, given)
    return (Decimal(total) / number if number else None), until


_RATIOS: Mapping[Measure, Callable[[Measured, Sight], Ratio]] = {
    Measure.AVERAGE_ORDER: _average_order,
    Measure.DAYS_BETWEEN_ORDERS: _days_between,
    Measure.REFUND_RATE: _refund_rate,
    Measure.DISCOUNT_SHARE: _discount_share,
    Measure.CSAT: _answers,
    Measure.NPS: _answers,
}
