"""Folding: orders and refunds behind the dedupe horizon become totals, and short hashes of their ids."""

from segmenter.domain.details import pieces_of, worth
from segmenter.domain.instants import Instant
from segmenter.domain.ledger import FOLDED_IDS_KEPT, NEVER, Folded, Ledger, LooseRefund, Order, counting, refund_mark
from segmenter.domain.rulebook import Rulebook


def folded_before(ledger: Ledger, horizon_at: Instant, rulebook: Rulebook) -> Ledger:
    """Return the ledger with every order and loose refund older than `horizon_at` folded into the totals.

    The same totals come out whenever it is done. Facts that still wait for their order stay.
    """
    # No order is older than it was placed: most need no closer look.
    old_orders = {
        k: o
        for k, o in ledger.orders.items()
        if o.placed_at is not None and o.placed_at < horizon_at and _age_at(o) < horizon_at
    }
    old_refunds = {k: r for k, r in ledger.loose_refunds.items() if r.at < horizon_at}
    if not old_orders and not old_refunds:
        return ledger
    return Ledger(
        orders={k: o for k, o in ledger.orders.items() if k not in old_orders},
        loose_refunds={k: r for k, r in ledger.loose_refunds.items() if k not in old_refunds},
        folded=_folded(ledger.folded, old_orders, old_refunds, rulebook),
    )


def _age_at(order: Order) -> Instant:
    """Return the newest time that makes an order old: waiting facts are never folded."""
    if order.placed_at is None:
        return NEVER
    return max(order.placed_at, order.paid_at or 0, order.delivered_at or 0)


def _folded(before: Folded, orders: dict[int, Order], refunds: dict[int, LooseRefund], rulebook: Rulebook) -> Folded:
    counts_from = rulebook.lifecycle.counts_from
    counts = counting(orders.values(), counts_from)
    times = [at for at, _ in counts]
    counted = [o for o in orders.values() if o.net > 0 and o.fact_at(counts_from) is not None]
    sold = [o.gross for o in orders.values() if o.cancelled_at is None and o.fact_at(counts_from) is not None]
    sent_back = [amount for o in orders.values() for _, amount, _ in o.refunds] + [r.amount for r in refunds.values()]
    discounts = [worth(order, order.details.discount, rulebook) for order in counted if order.details is not None]
    oldest_first = sorted((_age_at(o), k) for k, o in orders.items())
    oldest_first += sorted((r.at, refund_mark(k)) for k, r in refunds.items())
    return Folded(
        orders=before.orders + len(counts),
        net=before.net + sum(net for _, net in counts) - sum(r.amount for r in refunds.values()),
        first_at=min((t for t in (before.first_at, *times) if t is not None), default=None),
        last_at=max((t for t in (before.last_at, *times) if t is not None), default=None),
        over_refund=before.over_refund + sum(order.over_refund for order in orders.values()),
        gross=before.gross + sum(order.gross for order in counted),
        sold=before.sold + sum(sold),
        refunds=before.refunds + len(sent_back),
        refunded=before.refunded + sum(sent_back),
        items=before.items + sum(pieces_of(order) for order in counted),
        discount=before.discount + sum(discounts),
        discounted=before.discounted + sum(1 for discount in discounts if discount > 0),
        deliveries=before.deliveries + sum(1 for order in orders.values() if order.delivered_at is not None),
        ids=(*before.ids, *(key >> 32 for _, key in oldest_first))[-FOLDED_IDS_KEPT:],
    )
