"""What a ledger comes to at an instant: the numbers by which customers are told apart and ranked."""

from segmenter.domain.details import worth
from segmenter.domain.instants import Instant, Span
from segmenter.domain.ledger import Ledger, Order, Totals, counting
from segmenter.domain.rulebook import RankedBy, Rulebook


def totals_of(ledger: Ledger, now: Instant, rulebook: Rulebook) -> Totals:
    """Return the totals at `now`: an order is in the window while now < its time + window (None: for ever)."""
    folded, orders, window = ledger.folded, ledger.orders.values(), rulebook.value.window
    counts_from = rulebook.lifecycle.counts_from
    counted = counting(orders, counts_from)
    loose = [(refund.at, -refund.amount) for refund in ledger.loose_refunds.values()]
    amounts = [*counted, *loose]
    times = [at for at, _ in counted]
    ranked = amounts if rulebook.value.measure is RankedBy.NET_REVENUE else [*_valued(ledger, rulebook), *loose]
    window_net, leaves_at = _in_window(ranked, now, window)
    waiting = [order.waiting_since for order in orders if order.placed_at is None]
    return Totals(
        orders=folded.orders + len(counted),
        first_order_at=min(_known(folded.first_at, times), default=None),
        last_order_at=max(_known(folded.last_at, times), default=None),
        net=folded.net + sum([net for _, net in amounts]),
        window_net=window_net + (folded.net if window is None else 0),
        leaves_at=leaves_at,
        over_refund=folded.over_refund + sum([order.over_refund for order in orders if order.refunds]),
        waiting_since=min([since for since in waiting if since is not None], default=None),
    )


def _valued(ledger: Ledger, rulebook: Rulebook) -> list[tuple[Instant, int]]:
    """Return time and worth of every order that counts, by the measure that ranks."""
    counted = ((order.fact_at(rulebook.lifecycle.counts_from), order) for order in ledger.orders.values())
    return [(at, valued(order, rulebook)) for at, order in counted if at is not None and order.net > 0]


def valued(order: Order, rulebook: Rulebook) -> int:
    """Return what an order is worth for ranking; of one sent back in part, that part of tax and cost goes too.

    Without tax or cost in the event there is none; a margin may be below 0. Rounded half away from zero.
    """
    if rulebook.value.measure is RankedBy.NET_REVENUE or order.details is None:
        return order.net
    off = worth(order, order.details.tax, rulebook)
    if rulebook.value.measure is RankedBy.MARGIN:
        off += worth(order, order.details.cost, rulebook)
    kept = order.net * (order.gross - off)
    whole = (2 * abs(kept) + order.gross) // (2 * order.gross)
    return whole if kept >= 0 else -whole


def totals_with(totals: Totals, at: Instant, net: int, now: Instant, window: Span | None) -> Totals:
    """Return the totals at `now` with one order more that counts, given those without it, which must still hold."""
    window_net, leaves_at = totals.window_net, totals.leaves_at
    if window is None:
        window_net += net
    elif at > now - window:
        window_net += net
        leaves_at = at + window if leaves_at is None else min(leaves_at, at + window)
    first, last = totals.first_order_at, totals.last_order_at
    return Totals(
        orders=totals.orders + 1,
        first_order_at=at if first is None else min(first, at),
        last_order_at=at if last is None else max(last, at),
        net=totals.net + net,
        window_net=window_net,
        leaves_at=leaves_at,
        over_refund=totals.over_refund,
        waiting_since=totals.waiting_since,
    )


def _known(at: Instant | None, times: list[Instant]) -> list[Instant]:
    return times if at is None else [at, *times]


def _in_window(amounts: list[tuple[Instant, int]], now: Instant, window: Span | None) -> tuple[int, Instant | None]:
    """Return what lies in the window at `now`, and when the next amount leaves it."""
    if window is None:
        return sum([net for _, net in amounts]), None
    start = now - window
    inside = [amount for amount in amounts if amount[0] > start]
    return sum([net for _, net in inside]), min(inside)[0] + window if inside else None
