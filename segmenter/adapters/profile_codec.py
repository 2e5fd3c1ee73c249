"""Profiles as bytes: compact, exact, versioned, and quick for customers of whom little is known.

A value begins with one byte, the version of the form, and 16 flags that name the parts that follow the fixed
head; all numbers are little-endian. A click-only customer takes 43 bytes of head, 10 a dimension and 4 a
recent id; an order takes 22. Amounts are 32 bits in the narrow form of a part and any length in its wide
form, so that no amount is too large to come back exactly. The customer's id is the key, not in the value.

Most events are no facts about orders: a ledger that ends the value stays packed until somebody looks into it.
"""

from collections.abc import Mapping
from functools import cache
from itertools import chain
from struct import Struct

from segmenter.adapters.profile_parts import (
    NONE,
    Cursor,
    instant,
    pack_amount,
    pack_attribute,
    pack_instant,
    pack_order,
    pack_standing,
    pack_word,
)
from segmenter.domain.ledger import Folded, Ledger, LooseRefund, Totals
from segmenter.domain.profile import Attribute, Profile, Standing
from segmenter.errors import InvariantError

VERSION = 1

_HELD = 1 << 0
_PRESENT = 1 << 1
_UNANNOUNCED = 1 << 2
_RECENT = 1 << 3
_TOTALS = 1 << 4
_TOTALS_WIDE = 1 << 5
_ORDERS = 1 << 6
_LOOSE = 1 << 7
_FOLDED = 1 << 8
_ATTRIBUTES = 1 << 9

# version, flags, life, sequence, settled_at, first_seen_at, last_seen_at, wake_at
_HEAD = Struct("<BHIIqqqq")
# orders, first_order_at, last_order_at, leaves_at
_TOTALS_HEAD = Struct("<Iqqq")
_TOTALS_AMOUNTS = Struct("<qq")
_LOOSE_HEAD = Struct("<Qq")

_NO_TOTALS = Totals()
_NO_LEDGER = Ledger()
_NOT_FOLDED = Folded()
_INT64 = range(-(2**63), 2**63)


def encode(profile: Profile) -> bytes:
    """Return the profile as bytes, without its customer's id."""
    parts = [b""]
    flags = _HELD if profile.is_held else 0
    if profile.present:
        flags |= _PRESENT
        _put_present(parts, profile.present)
    if profile.recent_ids:
        flags |= _RECENT
        ids = profile.recent_ids
        parts.append(_ids(len(ids)).pack(len(ids), *ids))
    if profile.totals is not _NO_TOTALS and profile.totals != _NO_TOTALS:
        flags |= _TOTALS | _put_totals(parts, profile.totals)
    ledger = profile.ledger
    if type(ledger) is _PackedLedger:
        flags |= ledger.flags
        parts.append(ledger.packed)
    elif ledger is not _NO_LEDGER:
        flags |= _put_ledger(parts, ledger)
    if profile.unannounced:
        flags |= _UNANNOUNCED
        _put_unannounced(parts, profile.unannounced)
    if profile.attributes:
        flags |= _ATTRIBUTES
        _put_attributes(parts, profile.attributes)
    first, last, wake = profile.first_seen_at, profile.last_seen_at, profile.wake_at
    parts[0] = _HEAD.pack(
        VERSION,
        flags,
        profile.life,
        profile.sequence,
        profile.settled_at,
        NONE if first is None else first,
        NONE if last is None else last,
        NONE if wake is None else wake,
    )
    return b"".join(parts)


def decode(customer: str, packed: bytes) -> Profile:
    """Return the profile that `encode` packed. Raises InvariantError for a version this release cannot read."""
    if packed[0] != VERSION:
        raise InvariantError(f"profile is packed in form {packed[0]}; this release reads form {VERSION}")
    _, flags, life, sequence, settled_at, first, last, wake = _HEAD.unpack_from(packed)
    cursor = Cursor(packed, _HEAD.size)
    return Profile(
        customer=customer,
        life=life,
        sequence=sequence,
        settled_at=settled_at,
        first_seen_at=None if first == NONE else first,
        last_seen_at=None if last == NONE else last,
        wake_at=None if wake == NONE else wake,
        is_held=flags & _HELD != 0,
        # From here on the parts are read from left to right, as they were put.
        present=cursor.take_standings() if flags & _PRESENT else {},
        recent_ids=_take_ids(cursor) if flags & _RECENT else (),
        totals=_take_totals(cursor, flags) if flags & _TOTALS else _NO_TOTALS,
        ledger=_ledger_at(cursor, flags),
        unannounced=_take_unannounced(cursor) if flags & _UNANNOUNCED else {},
        attributes=_take_attributes(cursor) if flags & _ATTRIBUTES else {},
    )


@cache
def _ids(count: int) -> Struct:
    return Struct(f"<H{count}I")


def _put_present(parts: list[bytes], present: Mapping[str, Standing]) -> None:
    parts.append(len(present).to_bytes(2, "little"))
    for dimension, standing in present.items():
        pack_standing(parts, dimension, standing)


def _take_ids(cursor: Cursor) -> tuple[int, ...]:
    at, packed = cursor.at, cursor.packed
    form = _ids(packed[at] | packed[at + 1] << 8)
    cursor.at = at + form.size
    return form.unpack_from(packed, at)[1:]


def _put_totals(parts: list[bytes], totals: Totals) -> int:
    """Put the totals and return the flag of their form; only what refunds too much or waits needs the wide one."""
    parts.append(
        _TOTALS_HEAD.pack(
            totals.orders,
            pack_instant(totals.first_order_at),
            pack_instant(totals.last_order_at),
            pack_instant(totals.leaves_at),
        )
    )
    is_plain = totals.over_refund == 0 and totals.waiting_since is None
    if is_plain and totals.net in _INT64 and totals.window_net in _INT64:
        parts.append(_TOTALS_AMOUNTS.pack(totals.net, totals.window_net))
        return 0
    amounts = (totals.net, totals.window_net, totals.over_refund, pack_instant(totals.waiting_since))
    parts.extend(map(pack_amount, amounts))
    return _TOTALS_WIDE


def _take_totals(cursor: Cursor, flags: int) -> Totals:
    orders, first, last, leaves = cursor.take(_TOTALS_HEAD)
    if flags & _TOTALS_WIDE:
        net, window_net, over_refund, waiting = (cursor.take_amount() for _ in range(4))
    else:
        net, window_net = cursor.take(_TOTALS_AMOUNTS)
        over_refund, waiting = 0, NONE
    return Totals(
        orders=orders,
        first_order_at=instant(first),
        last_order_at=instant(last),
        net=net,
        window_net=window_net,
        leaves_at=instant(leaves),
        over_refund=over_refund,
        waiting_since=instant(waiting),
    )


def _put_ledger(parts: list[bytes], ledger: Ledger) -> int:
    """Put what the ledger holds and return the flags of its parts."""
    flags = 0
    if ledger.orders:
        flags |= _ORDERS
        parts.append(len(ledger.orders).to_bytes(4, "little"))
        for key, order in ledger.orders.items():
            pack_order(parts, key, order)
    if ledger.loose_refunds:
        flags |= _LOOSE
        parts.append(len(ledger.loose_refunds).to_bytes(4, "little"))
        for key, refund in ledger.loose_refunds.items():
            parts += (_LOOSE_HEAD.pack(key, refund.at), pack_amount(refund.amount))
    if ledger.folded is not _NOT_FOLDED and ledger.folded != _NOT_FOLDED:
        flags |= _FOLDED
        _put_folded(parts, ledger.folded)
    return flags


class _PackedLedger(Ledger):
    """A ledger that is read when somebody looks into it, and goes back as it came when nobody changes it."""

    __slots__ = ("flags", "packed")

    flags: int
    packed: bytes

    def __init__(self, packed: bytes, flags: int) -> None:
        object.__setattr__(self, "packed", packed)
        object.__setattr__(self, "flags", flags)

    def __getattr__(self, name: str) -> object:
        # Called for fields that were not set yet, and for names that are none.
        if name not in Ledger.__slots__:
            raise AttributeError(name)
        opened = _take_ledger(Cursor(self.packed, 0), self.flags)
        for field in Ledger.__slots__:
            object.__setattr__(self, field, getattr(opened, field))
        return getattr(opened, name)

    def __eq__(self, other: object) -> bool:
        return other == Ledger(orders=self.orders, loose_refunds=self.loose_refunds, folded=self.folded)

    __hash__ = None  # type: ignore[assignment]  # it holds dicts, as any ledger

    def __repr__(self) -> str:
        return repr(Ledger(orders=self.orders, loose_refunds=self.loose_refunds, folded=self.folded))


def _ledger_at(cursor: Cursor, flags: int) -> Ledger:
    """Return the ledger that begins here; packed, where nothing comes behind it."""
    own_flags = flags & (_ORDERS | _LOOSE | _FOLDED)
    if not own_flags:
        return _NO_LEDGER
    if flags & (_UNANNOUNCED | _ATTRIBUTES):
        return _take_ledger(cursor, flags)
    return _PackedLedger(cursor.packed[cursor.at :], own_flags)


def _take_ledger(cursor: Cursor, flags: int) -> Ledger:
    orders = dict(cursor.take_order() for _ in range(cursor.take_long_count())) if flags & _ORDERS else {}
    loose = dict(_take_loose(cursor) for _ in range(cursor.take_long_count())) if flags & _LOOSE else {}
    folded = _take_folded(cursor) if flags & _FOLDED else _NOT_FOLDED
    return Ledger(orders=orders, loose_refunds=loose, folded=folded)


def _take_loose(cursor: Cursor) -> tuple[int, LooseRefund]:
    key, at = cursor.take(_LOOSE_HEAD)
    return key, LooseRefund(at, cursor.take_amount())


def _put_folded(parts: list[bytes], folded: Folded) -> None:
    first, last = pack_instant(folded.first_at), pack_instant(folded.last_at)
    parts.extend(map(pack_amount, (folded.orders, folded.net, first, last, folded.over_refund)))
    parts.append(_ids(len(folded.ids)).pack(len(folded.ids), *folded.ids))


def _take_folded(cursor: Cursor) -> Folded:
    orders, net, first, last, over_refund = (cursor.take_amount() for _ in range(5))
    return Folded(
        orders=orders,
        net=net,
        first_at=instant(first),
        last_at=instant(last),
        over_refund=over_refund,
        ids=_take_ids(cursor),
    )


def _put_unannounced(parts: list[bytes], unannounced: Mapping[str, str | None]) -> None:
    parts.append(len(unannounced).to_bytes(2, "little"))
    parts.extend(map(pack_word, chain.from_iterable(unannounced.items())))


def _take_unannounced(cursor: Cursor) -> dict[str, str | None]:
    return {cursor.take_word(cursor.take_byte()): cursor.take_optional_word() for _ in range(cursor.take_count())}


def _put_attributes(parts: list[bytes], attributes: Mapping[str, Attribute]) -> None:
    parts.append(len(attributes).to_bytes(2, "little"))
    for name, attribute in attributes.items():
        pack_attribute(parts, name, attribute)


def _take_attributes(cursor: Cursor) -> dict[str, Attribute]:
    return dict(cursor.take_attribute() for _ in range(cursor.take_count()))
