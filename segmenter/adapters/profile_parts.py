"""The small parts of a packed profile: texts, amounts of any size, orders and attributes."""

from struct import Struct
from typing import Any

from segmenter.domain.events import AttributeValue
from segmenter.domain.instants import Instant
from segmenter.domain.ledger import Amended, Order
from segmenter.domain.profile import Attribute, Standing
from segmenter.errors import InvariantError

NONE: Instant = -(2**63)
"""Stands for an instant that is not known."""

# Names that most profiles hold take one byte. The place in this list is part of the stored form: only add.
_WORDS = (
    *("lifecycle", "value", "rfm", "engagement", "interest", "care"),
    *("prospect", "new", "repeat", "inactive", "A", "B", "C"),
    *("in", "out", "none", "cold", "warm", "hot", "open_issue", "unhappy", "others"),
)
_CODES = {word: code for code, word in enumerate(_WORDS, start=1)}
_NO_WORD = 255

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

# dimension, segment, since
_STANDING = Struct("<BBq")
# flags, hash of the id, placed_at, gross
_ORDER = Struct("<HQqI")
_INSTANT = Struct("<q")
_REFUND = Struct("<QI")
_KEY = Struct("<Q")
_FLOAT = Struct("<d")
_COUNT = Struct("<H")
_LONG_COUNT = Struct("<I")

_UINT32 = range(2**32)


class Cursor:
    """Reads a packed profile from left to right."""

    __slots__ = ("at", "packed")

    def __init__(self, packed: bytes, at: int) -> None:
        self.packed = packed
        self.at = at

    def take(self, form: Struct) -> tuple[Any, ...]:
        """Return the next values, by their form."""
        at = self.at
        self.at = at + form.size
        return form.unpack_from(self.packed, at)

    def take_byte(self) -> int:
        """Return the next byte."""
        self.at += 1
        return self.packed[self.at - 1]

    def take_count(self) -> int:
        """Return a number of things below 65,536."""
        at = self.at
        self.at = at + 2
        return self.packed[at] | self.packed[at + 1] << 8

    def take_long_count(self) -> int:
        """Return a number of things."""
        count: int = self.take(_LONG_COUNT)[0]
        return count

    def take_bytes(self, size: int) -> bytes:
        """Return the next bytes."""
        at = self.at
        self.at = at + size
        return self.packed[at : at + size]

    def take_standings(self) -> dict[str, Standing]:
        """Return where somebody stands, by dimension."""
        standings = {}
        for _ in range(self.take_count()):
            at = self.at
            dimension_code, segment_code, since = _STANDING.unpack_from(self.packed, at)
            self.at = at + _STANDING.size
            dimension = _WORDS[dimension_code - 1] if dimension_code else self.take_text()
            standings[dimension] = Standing(_WORDS[segment_code - 1] if segment_code else self.take_text(), since)
        return standings

    def take_sized(self) -> bytes:
        """Return bytes that follow their number."""
        size = self.take_byte()
        return self.take_bytes(self.take_long_count() if size == 255 else size)

    def take_text(self) -> str:
        """Return a text."""
        return self.take_sized().decode("utf-8", "surrogatepass")

    def take_word(self, code: int) -> str:
        """Return the word of a code, or the text that follows code 0."""
        return _WORDS[code - 1] if code else self.take_text()

    def take_optional_word(self) -> str | None:
        """Return a word, or None where none was."""
        code = self.take_byte()
        return None if code == _NO_WORD else self.take_word(code)

    def take_amount(self) -> int:
        """Return a number of any size."""
        return int.from_bytes(self.take_sized(), "little", signed=True)

    def take_instant(self) -> Instant:
        """Return an instant that is known."""
        at: Instant = self.take(_INSTANT)[0]
        return at

    def take_amended(self) -> Amended:
        """Return an amendment."""
        return Amended(self.take_instant(), self.take_text(), self.take_text())

    def take_order(self) -> tuple[int, Order]:
        """Return the hash of an order's id, and the order."""
        at = self.at
        flags, key, placed, gross = _ORDER.unpack_from(self.packed, at)
        self.at = at + _ORDER.size
        placed_at = None if placed == NONE else placed
        if not flags:
            return key, Order(placed_at=placed_at, gross=gross)
        # The arguments are read from left to right, as `pack_order` put them.
        return key, Order(
            placed_at=placed_at,
            gross=self.take_amount() if flags & _WIDE else gross,
            paid_at=self.take_instant() if flags & _PAID else None,
            delivered_at=self.take_instant() if flags & _DELIVERED else None,
            cancelled_at=self.take_instant() if flags & _CANCELLED else None,
            waiting_since=self.take_instant() if flags & _WAITING else None,
            quoted=self.take_text() if flags & _QUOTED else "",
            amount=self.take_amended() if flags & _AMOUNT else None,
            currency=self.take_amended() if flags & _CURRENCY else None,
            refunds=self._take_refunds(flags & _WIDE != 0) if flags & _REFUNDS else (),
            place=self.take_text() if flags & _PLACE else "",
        )

    def _take_refunds(self, is_wide: bool) -> tuple[tuple[int, int], ...]:
        count = self.take_count()
        if is_wide:
            return tuple((self.take(_KEY)[0], self.take_amount()) for _ in range(count))
        refunds = self.take_bytes(count * _REFUND.size)
        return tuple(_REFUND.iter_unpack(refunds))

    def take_attribute(self) -> tuple[str, Attribute]:
        """Return an attribute's name and its newest value."""
        name, at, by = self.take_text(), self.take_instant(), self.take_text()
        return name, Attribute(at, by, self._take_value())

    def _take_value(self) -> AttributeValue:
        match chr(self.take_byte()):
            case "n":
                return None
            case "t":
                return True
            case "f":
                return False
            case "i":
                return self.take_amount()
            case "d":
                number: float = self.take(_FLOAT)[0]
                return number
            case "s":
                return self.take_text()
            case kind:
                raise InvariantError(f"attribute of kind {kind!r} in a packed profile; expected one of n t f i d s")


def pack_instant(at: Instant | None) -> Instant:
    """Return the number that stands for an instant, also for one that is not known."""
    return NONE if at is None else at


def instant(packed: Instant) -> Instant | None:
    """Return the instant a number stands for."""
    return None if packed == NONE else packed


def pack_word(word: str | None) -> bytes:
    """Pack a word or its absence."""
    if word is None:
        return b"\xff"
    code = _CODES.get(word, 0)
    return bytes((code,)) if code else b"\0" + pack_text(word)


def pack_sized(content: bytes) -> bytes:
    """Pack bytes behind their number."""
    size = len(content)
    return bytes((size,)) + content if size < 255 else b"\xff" + _LONG_COUNT.pack(size) + content


def pack_text(text: str) -> bytes:
    """Pack a text; lone surrogates, which JSON can hold, come back too."""
    return pack_sized(text.encode("utf-8", "surrogatepass"))


def pack_amount(amount: int) -> bytes:
    """Pack a number of any size in as few bytes as hold it and its sign."""
    return pack_sized(amount.to_bytes((amount.bit_length() >> 3) + 1, "little", signed=True))


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
        and not (order.refunds or order.quoted or order.place)
    )


def _pack_more(parts: list[bytes], key: int, order: Order) -> None:
    """Pack an order of which more is known."""
    is_wide = order.gross not in _UINT32 or any(amount not in _UINT32 for _, amount in order.refunds)
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
        flags |= _REFUNDS
        extras.append(_COUNT.pack(len(order.refunds)))
        extras += (
            _KEY.pack(refund) + pack_amount(amount) if is_wide else _REFUND.pack(refund, amount)
            for refund, amount in order.refunds
        )
    if order.place:
        flags |= _PLACE
        extras.append(pack_text(order.place))
    placed_at = NONE if order.placed_at is None else order.placed_at
    parts.append(_ORDER.pack(flags, key, placed_at, 0 if is_wide else order.gross))
    parts += extras


def pack_standing(parts: list[bytes], dimension: str, standing: Standing) -> None:
    """Pack where somebody stands in a dimension."""
    dimension_code, segment_code = _CODES.get(dimension, 0), _CODES.get(standing.segment, 0)
    parts.append(_STANDING.pack(dimension_code, segment_code, standing.since))
    if not dimension_code:
        parts.append(pack_text(dimension))
    if not segment_code:
        parts.append(pack_text(standing.segment))


def pack_attribute(parts: list[bytes], name: str, attribute: Attribute) -> None:
    """Pack an attribute's name and its newest value."""
    parts += (pack_text(name), _INSTANT.pack(attribute.at), pack_text(attribute.by), _pack_value(attribute.value))


def _pack_value(value: AttributeValue) -> bytes:
    match value:
        case None:
            return b"n"
        case bool():
            return b"t" if value else b"f"
        case int():
            return b"i" + pack_amount(value)
        case float():
            return b"d" + _FLOAT.pack(value)
        case str():
            return b"s" + pack_text(value)
