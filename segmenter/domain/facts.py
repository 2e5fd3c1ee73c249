"""Recording an order fact in the ledger: any order of arrival, any repetition ends in the same entry."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias, assert_never

from segmenter.domain.causes import Arrived, Rejection, RejectReason
from segmenter.domain.details import amended_details, details_of
from segmenter.domain.events import (
    OrderCancelled,
    OrderDelivered,
    OrderFact,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
)
from segmenter.domain.instants import Instant, rfc3339, span_text
from segmenter.domain.ledger import (
    REFUNDS_PER_ORDER,
    WAITING_KEPT,
    Amended,
    Ledger,
    LooseRefund,
    Order,
    id_hash,
    refund_mark,
)
from segmenter.domain.money import converted, exponent_of
from segmenter.domain.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class Recorded:
    """The fact is in the ledger; `rounded` amounts had more decimals than their currency."""

    ledger: Ledger
    rounded: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """The ledger held this fact already."""


Outcome: TypeAlias = Recorded | Known | Rejection


def recorded(ledger: Ledger, fact: OrderFact, cause: Arrived, rulebook: Rulebook) -> Outcome:
    """Return the ledger with this fact in it, or why it changes nothing."""
    too_old = _too_old(ledger, fact, cause, rulebook)
    if too_old is not None:
        return too_old
    if isinstance(fact, OrderRefunded) and fact.order_id is None:
        return _loose_refund(ledger, fact, cause.at, rulebook)
    key = id_hash(_order_id(fact))
    before = ledger.orders.get(key, _UNKNOWN)
    after = _amended(before, fact, cause, rulebook)
    if not isinstance(after, _Entry):
        return after
    if after.order == before:
        # An amendment that a newer one has overtaken, or of nothing we keep, is news of the customer all the same.
        return Recorded(ledger) if isinstance(fact, OrderUpdated) else Known()
    order = after.order
    if order.placed_at is None:
        if before is _UNKNOWN and sum(1 for _ in ledger.waiting()) >= WAITING_KEPT:
            return Rejection(
                RejectReason.TOO_MANY_FACTS, f"{WAITING_KEPT} facts of this customer wait for their orders already"
            )
        since = max(cause.at, before.waiting_since or cause.at)
        order = replace(order, waiting_since=since, place=cause.place if since == cause.at else before.place)
    return Recorded(ledger.with_order(key, order), after.rounded)


_UNKNOWN = Order()


@dataclass(frozen=True, slots=True)
class _Entry:
    order: Order
    rounded: int = 0


def _order_id(fact: OrderFact) -> str:
    assert fact.order_id is not None  # noqa: S101 - refunds without an order went another way
    return fact.order_id


def _too_old(ledger: Ledger, fact: OrderFact, cause: Arrived, rulebook: Rulebook) -> Rejection | None:
    if rulebook.dedupe_horizon is None:
        return None
    horizon_at = cause.watermark - rulebook.dedupe_horizon
    is_folded = bool(ledger.folded.ids) and ledger.folded.knows(_mark_of(fact))
    if cause.at >= horizon_at and not is_folded:
        return None
    kept = span_text(rulebook.dedupe_horizon)
    found = "an order that is already folded" if is_folded else f"a fact of {rfc3339(cause.at)}"
    return Rejection(
        RejectReason.ORDER_TOO_OLD,
        f"{fact.type} is about {found}; orders are kept for {kept}, back to {rfc3339(max(0, horizon_at))}",
    )


def _mark_of(fact: OrderFact) -> int:
    if isinstance(fact, OrderRefunded) and fact.order_id is None:
        return refund_mark(id_hash(fact.refund_id))
    return id_hash(_order_id(fact))


def _loose_refund(ledger: Ledger, fact: OrderRefunded, at: Instant, rulebook: Rulebook) -> Outcome:
    key = id_hash(fact.refund_id)
    if key in ledger.loose_refunds:
        return Known()
    minor = converted(fact.amount, fact.currency, rulebook.currency, rulebook.rates)
    if minor is None:
        return no_rate(fact.currency, rulebook)
    return Recorded(ledger.with_loose_refund(key, LooseRefund(at, minor.units)), int(minor.rounded))


def _amended(before: Order, fact: OrderFact, cause: Arrived, rulebook: Rulebook) -> _Entry | Rejection | Known:
    match fact:
        case OrderPlaced():
            return _placed(before, fact, cause.at, rulebook)
        case OrderPaid():
            return _Entry(replace(before, paid_at=_earliest(before.paid_at, cause.at)))
        case OrderDelivered():
            return _Entry(replace(before, delivered_at=_earliest(before.delivered_at, cause.at)))
        case OrderCancelled():
            return _Entry(replace(before, cancelled_at=_earliest(before.cancelled_at, cause.at)))
        case OrderUpdated():
            return _updated(before, fact, cause, rulebook)
        case OrderRefunded():
            return _refunded(before, fact, cause.at, rulebook)
        case _:
            assert_never(fact)


def _earliest(known: Instant | None, at: Instant) -> Instant:
    return at if known is None else min(known, at)


def _placed(before: Order, fact: OrderPlaced, at: Instant, rulebook: Rulebook) -> _Entry | Rejection | Known:
    if before.placed_at is not None:
        return Known()
    minor = converted(fact.amount, fact.currency, rulebook.currency, rulebook.rates)
    if minor is None:
        return no_rate(fact.currency, rulebook)
    is_own = fact.currency == rulebook.currency and not minor.rounded
    is_plain = is_own and before.amount is None and before.currency is None
    if is_plain and before is _UNKNOWN:
        return _Entry(Order(placed_at=at, gross=minor.units, details=details_of(fact)))
    placed = replace(
        before,
        placed_at=at,
        gross=minor.units,
        quoted="" if is_plain else _quoted(fact.amount, fact.currency),
        waiting_since=None,
        place="",
        details=details_of(fact, before.details),
    )
    return _Entry(placed if is_plain else _revalued(placed, rulebook), int(minor.rounded))


def _updated(before: Order, fact: OrderUpdated, cause: Arrived, rulebook: Rulebook) -> _Entry | Rejection:
    if fact.currency is not None and not _has_rate(fact.currency, rulebook):
        return no_rate(fact.currency, rulebook)
    after = before
    if fact.amount is not None and _is_newer(cause, before.amount):
        after = replace(after, amount=Amended(cause.at, cause.event_id, str(fact.amount)))
    if fact.currency is not None and _is_newer(cause, before.currency):
        after = replace(after, currency=Amended(cause.at, cause.event_id, fact.currency))
    details = amended_details(before.details, fact, (cause.at, cause.event_id))
    if details is not before.details:
        after = replace(after, details=details)
    is_worth_the_same = after.amount is before.amount and after.currency is before.currency
    if is_worth_the_same or after.placed_at is None:
        return _Entry(after)
    if not after.quoted:
        amount = Decimal(before.gross).scaleb(-exponent_of(rulebook.currency))
        after = replace(after, quoted=_quoted(amount, rulebook.currency))
    return _Entry(_revalued(after, rulebook))


def _quoted(amount: Decimal, currency: str) -> str:
    """Return an amount as text, the same for 10, 10.0 and 1E+1."""
    return f"{amount.normalize():f} {currency}"


def _is_newer(cause: Arrived, known: Amended | None) -> bool:
    return known is None or (cause.at, cause.event_id) > (known.at, known.by)


def _revalued(order: Order, rulebook: Rulebook) -> Order:
    """Return the order worth what its newest amount is in its newest currency."""
    quoted_amount, _, quoted_currency = order.quoted.partition(" ")
    amount = Decimal(quoted_amount if order.amount is None else order.amount.to)
    currency = quoted_currency if order.currency is None else order.currency.to
    minor = converted(amount, currency, rulebook.currency, rulebook.rates)
    return order if minor is None else replace(order, gross=minor.units)


def _refunded(before: Order, fact: OrderRefunded, at: Instant, rulebook: Rulebook) -> _Entry | Rejection | Known:
    key = id_hash(fact.refund_id)
    if any(known == key for known, _, _ in before.refunds):
        return Known()
    if len(before.refunds) >= REFUNDS_PER_ORDER:
        return Rejection(RejectReason.TOO_MANY_FACTS, f"this order has {REFUNDS_PER_ORDER} refunds already")
    minor = converted(fact.amount, fact.currency, rulebook.currency, rulebook.rates)
    if minor is None:
        return no_rate(fact.currency, rulebook)
    refunds = tuple(sorted((*before.refunds, (key, minor.units, at))))
    return _Entry(replace(before, refunds=refunds), int(minor.rounded))


def _has_rate(currency: str, rulebook: Rulebook) -> bool:
    return currency == rulebook.currency or currency in rulebook.rates


def no_rate(currency: str, rulebook: Rulebook) -> Rejection:
    """Return the rejection of an amount whose currency has no rate."""
    known = ", ".join([rulebook.currency, *sorted(rulebook.rates)])
    return Rejection(RejectReason.NO_RATE, f"currency {currency} has no rate; the rulebook knows {known}")
