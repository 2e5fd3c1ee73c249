"""Ledgers as bytes: a part of a packed profile, which names by flags what it holds.

A ledger begins with the time of its oldest entry and the number of its orders. A plain one ends with its orders, so
that new ones are written behind them without looking at those that are there.
"""

from functools import cache
from struct import Struct

from segmenter.adapters.order_codec import pack_order, take_order
from segmenter.adapters.profile_parts import Cursor, instant, pack_amount, pack_instant
from segmenter.domain.ledger import Folded, Ledger, LooseRefund
from segmenter.domain.sealed import SealedLedger

# Bits of the profile's flags.
ORDERS = 1 << 6
LOOSE = 1 << 7
FOLDED = 1 << 8
FOLDED_MORE = 1 << 10
"""What is folded is told with all its totals; form 1 had the first five."""
LEDGER_FLAGS = ORDERS | LOOSE | FOLDED | FOLDED_MORE

NO_LEDGER = Ledger()
"""Stands for every ledger that holds nothing."""

# oldest_at, orders
_HEAD = Struct("<qI")
_LOOSE_HEAD = Struct("<Qq")
_NOT_FOLDED = Folded()


def sealed(ledger: Ledger) -> Ledger | SealedLedger:
    """Return the ledger packed; NO_LEDGER for one that holds nothing."""
    flags, parts = 0, [b""]
    for key, order in ledger.orders.items():
        pack_order(parts, key, order)
    if ledger.orders:
        flags |= ORDERS
    if ledger.loose_refunds:
        flags |= LOOSE
        parts.append(len(ledger.loose_refunds).to_bytes(4, "little"))
        for key, refund in ledger.loose_refunds.items():
            parts += (_LOOSE_HEAD.pack(key, refund.at), pack_amount(refund.amount))
    if ledger.folded is not _NOT_FOLDED and ledger.folded != _NOT_FOLDED:
        flags |= FOLDED | FOLDED_MORE
        _put_folded(parts, ledger.folded)
    if not flags:
        return NO_LEDGER
    parts[0] = _HEAD.pack(ledger.oldest_at, len(ledger.orders))
    return sealed_as(b"".join(parts), flags)


def sealed_as(packed: bytes, flags: int) -> SealedLedger:
    """Return the ledger that these bytes hold."""
    oldest_at, _ = _HEAD.unpack_from(packed)
    return SealedLedger(packed, flags, oldest_at, _take_ledger, is_plain=flags == ORDERS)


def bytes_of(ledger: SealedLedger) -> bytes:
    """Return the ledger as bytes, with what was added: this stands at the end of a plain one."""
    if ledger.added:
        _, count = _HEAD.unpack_from(ledger.packed)
        parts = [_HEAD.pack(ledger.oldest_at, count + len(ledger.added)), ledger.packed[_HEAD.size :]]
        for key, order in ledger.added:
            pack_order(parts, key, order)
        ledger.repack(b"".join(parts))
    return ledger.packed


@cache
def ids_form(count: int) -> Struct:
    """Return the form of so many ids of 32 bits behind their number."""
    return Struct(f"<H{count}I")


def _take_ledger(packed: bytes, flags: int) -> Ledger:
    cursor = Cursor(packed, 0)
    _, count = cursor.take(_HEAD)
    orders = dict(take_order(cursor) for _ in range(count))
    loose = dict(_take_loose(cursor) for _ in range(cursor.take_long_count())) if flags & LOOSE else {}
    folded = _take_folded(cursor, flags) if flags & FOLDED else _NOT_FOLDED
    return Ledger(orders=orders, loose_refunds=loose, folded=folded)


def _take_loose(cursor: Cursor) -> tuple[int, LooseRefund]:
    key, at = cursor.take(_LOOSE_HEAD)
    return key, LooseRefund(at, cursor.take_amount())


def _put_folded(parts: list[bytes], folded: Folded) -> None:
    first, last = pack_instant(folded.first_at), pack_instant(folded.last_at)
    parts.extend(map(pack_amount, (folded.orders, folded.net, first, last, folded.over_refund)))
    more = (folded.gross, folded.sold, folded.refunds, folded.refunded)
    parts.extend(map(pack_amount, (*more, folded.items, folded.discount, folded.discounted, folded.deliveries)))
    parts.append(ids_form(len(folded.ids)).pack(len(folded.ids), *folded.ids))


def _take_folded(cursor: Cursor, flags: int) -> Folded:
    orders, net, first, last, over_refund = (cursor.take_amount() for _ in range(5))
    more = [cursor.take_amount() for _ in range(8)] if flags & FOLDED_MORE else [0] * 8
    gross, sold, refunds, refunded, items, discount, discounted, deliveries = more
    form = ids_form(cursor.packed[cursor.at] | cursor.packed[cursor.at + 1] << 8)
    return Folded(
        orders=orders,
        net=net,
        first_at=instant(first),
        last_at=instant(last),
        over_refund=over_refund,
        gross=gross,
        sold=sold,
        refunds=refunds,
        refunded=refunded,
        items=items,
        discount=discount,
        discounted=discounted,
        deliveries=deliveries,
        ids=cursor.take(form)[1:],
    )
