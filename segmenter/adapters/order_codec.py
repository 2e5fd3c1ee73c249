"""Orders as bytes: 22 for one of which nothing is known but when it was placed and what it is worth."""

from decimal import Decimal
from struct import Struct

from segmenter.adapters.profile_parts import NONE, Cursor, pack_amount, pack_text
from segmenter.domain.instants import Instant
from segmenter.domain.ledger import Amended, Details, Line, Order

_PAID = 1 << 0
_DELIVERED = 1 << 1
_CANCELLED = 1 << 2
_WAITING = 1 << 3
_QUOTED = 1 << 4
_AMOUNT = 1 << 5
_CURRENCY = 1 << 6
_REFUNDS = 1 << 7
_PLACE = 1 << 8
_WIDE = 1 << 9
_TIMED = 1 << 10
_DETAILS = 1 << 11

# What is said beyond the worth: bits 0 to 6 are texts and amounts, then these.
_LINES = 1 << 7
_LINES_BY = 1 << 8
_DISCOUNT_BY = 1 << 9

# What a line says beyond its item.
_CATEGORY = 1 << 0
_QUANTITY = 1 << 1
_LINE_AMOUNT = 1 << 2

# flags, hash of the id, placed_at, gross
_ORDER = Struct("<HQqI")
_INSTANT = Struct("<q")
_REFUND = Struct("<QI")
_TIMED_REFUND = Struct("<QIq")
_KEY = Struct("<Q")
_COUNT = Struct("<H")

_UINT32 = range(2**32)


def take_order(cursor: Cursor) -> tuple[int, Order]:
    """Return the hash of an order's id, and the order."""
    flags, key, placed, gross = cursor.take(_ORDER)
    placed_at = None if placed == NONE else placed
    if not flags:
        return key, Order(placed_at=placed_at, gross=gross)
    # The arguments are read from left to right, as `pack_order` put them.
    return key, Order(
        placed_at=placed_at,
        gross=cursor.take_amount() if flags & _WIDE else gross,
        paid_at=cursor.take_instant() if flags & _PAID else None,
        delivered_at=cursor.take_instant() if flags & _DELIVERED else None,
        cancelled_at=cursor.take_instant() if flags & _CANCELLED else None,
        waiting_since=cursor.take_instant() if flags & _WAITING else None,
        quoted=cursor.take_text() if flags & _QUOTED else "",
        amount=_take_amended(cursor) if flags & _AMOUNT else None,
        currency=_take_amended(cursor) if flags & _CURRENCY else None,
        refunds=_take_refunds(cursor, flags, placed_at or 0) if flags & _REFUNDS else (),
        place=cursor.take_text() if flags & _PLACE else "",
        details=_take_details(cursor) if flags & _DETAILS else None,
    )


def _take_amended(cursor: Cursor) -> Amended:
    return Amended(cursor.take_instant(), cursor.take_text(), cursor.take_text())


def _take_refunds(cursor: Cursor, flags: int, placed_at: Instant) -> tuple[tuple[int, int, Instant], ...]:
    count = cursor.take_count()
    if not flags & _TIMED:
        # Form 1 did not keep when a refund came: it takes the time of its order.
        untimed = [
            (cursor.take(_KEY)[0], cursor.take_amount()) if flags & _WIDE else cursor.take(_REFUND)
            for _ in range(count)
        ]
        return tuple((key, amount, placed_at) for key, amount in untimed)
    if flags & _WIDE:
        return tuple((cursor.take(_KEY)[0], cursor.take_amount(), cursor.take_instant()) for _ in range(count))
    return tuple(_TIMED_REFUND.iter_unpack(cursor.take_bytes(count * _TIMED_REFUND.size)))


def _take_details(cursor: Cursor) -> Details:
    said: int = cursor.take(_COUNT)[0]
    texts = [cursor.take_text() if said & 1 << place else None for place in range(3)]
    amounts = [Decimal(cursor.take_text()) if said & 1 << place else None for place in range(3, 7)]
    lines = tuple(_take_line(cursor) for _ in range(cursor.take_count())) if said & _LINES else ()
    return Details(
        channel=texts[0],
        campaign=texts[1],
        coupon=texts[2],
        discount=amounts[0],
        tax=amounts[1],
        shipping=amounts[2],
        cost=amounts[3],
        lines=lines,
        lines_by=_take_by(cursor) if said & _LINES_BY else None,
        discount_by=_take_by(cursor) if said & _DISCOUNT_BY else None,
    )


def _take_line(cursor: Cursor) -> Line:
    said, item = cursor.take_byte(), cursor.take_text()
    category = cursor.take_text() if said & _CATEGORY else None
    quantity = cursor.take_amount() if said & _QUANTITY else 1
    return Line(item, category, quantity, Decimal(cursor.take_text()) if said & _LINE_AMOUNT else None)


def _take_by(cursor: Cursor) -> tuple[Instant, str]:
    return cursor.take_instant(), cursor.take_text()


def pack_order(parts: list[bytes], key: int, order: Order) -> None:
    """Pack an order behind the hash of its id."""
    if _is_plain(order) and 0 <= order.gross < _UINT32.stop:
        parts.append(_ORDER.pack(0, key, NONE if order.placed_at is None else order.placed_at, order.gross))
    else:
        _pack_more(parts, key, order)


def _is_plain(order: Order) -> bool:
    """Tell whether nothing is known of an order but when it was placed and what it is worth."""
    return (
        order.paid_at is None
        and order.delivered_at is None
        and order.cancelled_at is None
        and order.waiting_since is None
        and order.amount is None
        and order.currency is None
        and order.details is None
        and not (order.refunds or order.quoted or order.place)
    )


def _pack_more(parts: list[bytes], key: int, order: Order) -> None:
    """Pack an order of which more is known."""
    is_wide = order.gross not in _UINT32 or any(amount not in _UINT32 for _, amount, _ in order.refunds)
    flags = _WIDE if is_wide else 0
    extras = [pack_amount(order.gross)] if is_wide else []
    moments = (order.paid_at, order.delivered_at, order.cancelled_at, order.waiting_since)
    for bit, at in zip((_PAID, _DELIVERED, _CANCELLED, _WAITING), moments, strict=True):
        if at is not None:
            flags |= bit
            extras.append(_INSTANT.pack(at))
    if order.quoted:
        flags |= _QUOTED
        extras.append(pack_text(order.quoted))
    for bit, amended in ((_AMOUNT, order.amount), (_CURRENCY, order.currency)):
        if amended is not None:
            flags |= bit
            extras += (_INSTANT.pack(amended.at), pack_text(amended.by), pack_text(amended.to))
    if order.refunds:
        flags |= _REFUNDS | _TIMED
        extras.append(_COUNT.pack(len(order.refunds)))
        extras += (_pack_refund(is_wide, *refund) for refund in order.refunds)
    if order.place:
        flags |= _PLACE
        extras.append(pack_text(order.place))
    if order.details is not None:
        flags |= _DETAILS
        _pack_details(extras, order.details)
    placed_at = NONE if order.placed_at is None else order.placed_at
    parts.append(_ORDER.pack(flags, key, placed_at, 0 if is_wide else order.gross))
    parts += extras


def _pack_refund(is_wide: bool, key: int, amount: int, at: Instant) -> bytes:
    if is_wide:
        return _KEY.pack(key) + pack_amount(amount) + _INSTANT.pack(at)
    return _TIMED_REFUND.pack(key, amount, at)


def _pack_details(parts: list[bytes], details: Details) -> None:
    """Pack what is said, behind a bit for each thing that is."""
    head, said = len(parts), 0
    parts.append(b"")
    texts = (details.channel, details.campaign, details.coupon)
    amounts = (details.discount, details.tax, details.shipping, details.cost)
    for place, told in enumerate((*texts, *amounts)):
        if told is not None:
            said |= 1 << place
            parts.append(pack_text(str(told)))
    if details.lines:
        said |= _LINES
        parts.append(_COUNT.pack(len(details.lines)))
        for line in details.lines:
            _pack_line(parts, line)
    for flag, by in ((_LINES_BY, details.lines_by), (_DISCOUNT_BY, details.discount_by)):
        if by is not None:
            said |= flag
            parts += (_INSTANT.pack(by[0]), pack_text(by[1]))
    parts[head] = _COUNT.pack(said)


def _pack_line(parts: list[bytes], line: Line) -> None:
    category, amount = line.category, line.amount
    said = (category is not None) * _CATEGORY | (line.quantity != 1) * _QUANTITY | (amount is not None) * _LINE_AMOUNT
    parts += (bytes((said,)), pack_text(line.item))
    if category is not None:
        parts.append(pack_text(category))
    if line.quantity != 1:
        parts.append(pack_amount(line.quantity))
    if amount is not None:
        parts.append(pack_text(str(amount)))
