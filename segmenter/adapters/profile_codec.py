"""Profiles as bytes: compact, exact, versioned, and quick for customers of whom little is known.

A value begins with one byte, the version of the form, and 16 flags that name the parts that follow the fixed
head; all numbers are little-endian. A click-only customer takes 43 bytes of head, 4 a recent id and 10 a dimension;
an order takes 22. Amounts are 32 bits in the narrow form of a part and any length in its wide
form, so that no amount is too large to come back exactly. The customer's id is the key, not in the value.

Behind head and recent ids come the dossier and the behaviour, each with its length, and the ledger. Most events touch
none of them, so all stay packed until somebody looks into them, and go back as they came when nobody changed them.
"""

from collections.abc import Mapping
from itertools import chain
from struct import Struct

from segmenter.adapters.behaviour_codec import sealed_behaviour, take_behaviour
from segmenter.adapters.ledger_codec import LEDGER_FLAGS, NO_LEDGER, bytes_of, ids_form, sealed, sealed_as
from segmenter.adapters.profile_parts import (
    NONE,
    Cursor,
    instant,
    pack_amount,
    pack_attribute,
    pack_instant,
    pack_put,
    pack_standing,
    pack_word,
)
from segmenter.domain.behaviour import NO_BEHAVIOUR, Behaviour
from segmenter.domain.ledger import Totals
from segmenter.domain.profile import Attribute, Dossier, Profile, Standing
from segmenter.domain.puts import Put
from segmenter.domain.sealed import Sealed, SealedLedger
from segmenter.errors import InvariantError

VERSION = 2
# A release that knows neither puts nor places in rankings would lose them: it is to refuse such a profile.
VERSION_WITH_MORE = 3
_READ_VERSIONS = (1, 2, 3)

_HELD = 1 << 0
_PRESENT = 1 << 1
_UNANNOUNCED = 1 << 2
_RECENT = 1 << 3
_TOTALS = 1 << 4
_TOTALS_WIDE = 1 << 5
# Bits 6 to 8 and 10 are those of the ledger.
_ATTRIBUTES = 1 << 9
_BEHAVIOUR = 1 << 11
_PUTS = 1 << 12
_PLACES = 1 << 13
_DOSSIER = _PRESENT | _UNANNOUNCED | _TOTALS | _TOTALS_WIDE | _ATTRIBUTES | _PUTS | _PLACES

# version, flags, life, sequence, settled_at, first_seen_at, last_seen_at, wake_at
_HEAD = Struct("<BHIIqqqq")
_SIZE = Struct("<I")
# orders, first_order_at, last_order_at, leaves_at
_TOTALS_HEAD = Struct("<Iqqq")
_TOTALS_AMOUNTS = Struct("<qq")
# ranking, place in it
_PLACE = Struct("<Bq")

_NO_TOTALS = Totals()
_NO_DOSSIER = Dossier()
_INT64 = range(-(2**63), 2**63)


def encode(profile: Profile) -> bytes:
    """Return the profile as bytes, without its customer's id.

    What was packed here stays packed in the profile, which means the same: it need not be packed again.
    """
    dossier_flags, dossier = _dossier_of(profile)
    ledger_flags, ledger = _ledger_of(profile)
    behaviour = _behaviour_of(profile)
    flags = dossier_flags | ledger_flags
    if behaviour:
        flags |= _BEHAVIOUR
    if profile.is_held:
        flags |= _HELD
    ids = profile.recent_ids
    recent = b""
    if ids:
        flags |= _RECENT
        recent = ids_form(len(ids)).pack(len(ids), *ids)
    first, last, wake = profile.first_seen_at, profile.last_seen_at, profile.wake_at
    head = _HEAD.pack(
        VERSION_WITH_MORE if flags & (_PUTS | _PLACES) else VERSION,
        flags,
        profile.life,
        profile.sequence,
        profile.settled_at,
        NONE if first is None else first,
        NONE if last is None else last,
        NONE if wake is None else wake,
    )
    if behaviour:
        behaviour = _SIZE.pack(len(behaviour)) + behaviour
    if dossier_flags:
        return b"".join((head, recent, _SIZE.pack(len(dossier)), dossier, behaviour, ledger))
    return head + recent + behaviour + ledger


def decode(customer: str, packed: bytes) -> Profile:
    """Return the profile that `encode` packed. Raises InvariantError for a version this release cannot read."""
    if packed[0] not in _READ_VERSIONS:
        raise InvariantError(
            f"profile is packed in form {packed[0]}; this release reads forms 1 to {_READ_VERSIONS[-1]}"
        )
    _, flags, life, sequence, settled_at, first, last, wake = _HEAD.unpack_from(packed)
    at = _HEAD.size
    ids: tuple[int, ...] = ()
    if flags & _RECENT:
        form = ids_form(packed[at] | packed[at + 1] << 8)
        ids = form.unpack_from(packed, at)[1:]
        at += form.size
    dossier: Dossier | Sealed[Dossier] = _NO_DOSSIER
    if flags & _DOSSIER:
        size: int = _SIZE.unpack_from(packed, at)[0]
        at += _SIZE.size + size
        dossier = Sealed(packed[at - size : at], flags & _DOSSIER, _take_dossier)
    behaviour: Behaviour | Sealed[Behaviour] = NO_BEHAVIOUR
    if flags & _BEHAVIOUR:
        size = _SIZE.unpack_from(packed, at)[0]
        at += _SIZE.size + size
        behaviour = Sealed(packed[at - size : at], 0, take_behaviour)
    return Profile(
        customer,
        life,
        sequence,
        settled_at,
        None if first == NONE else first,
        None if last == NONE else last,
        None if wake == NONE else wake,
        flags & _HELD != 0,
        ids,
        sealed_as(packed[at:], flags & LEDGER_FLAGS) if flags & LEDGER_FLAGS else NO_LEDGER,
        dossier,
        flags & _ATTRIBUTES != 0,
        behaviour,
    )


def _dossier_of(profile: Profile) -> tuple[int, bytes]:
    part = profile.dossier_part
    if not isinstance(part, Sealed) and part is not _NO_DOSSIER:
        part = profile.dossier_part = _sealed_dossier(part)
    return (part.flags, part.packed) if isinstance(part, Sealed) else (0, b"")


def _behaviour_of(profile: Profile) -> bytes:
    part = profile.behaviour_part
    if not isinstance(part, Sealed) and part is not NO_BEHAVIOUR:
        part = profile.behaviour_part = sealed_behaviour(part)
    return part.packed if isinstance(part, Sealed) else b""


def _ledger_of(profile: Profile) -> tuple[int, bytes]:
    part = profile.ledger_part
    if not isinstance(part, SealedLedger) and part is not NO_LEDGER:
        part = profile.ledger_part = sealed(part)
    return (part.flags, bytes_of(part)) if isinstance(part, SealedLedger) else (0, b"")


def _sealed_dossier(part: Dossier) -> Dossier | Sealed[Dossier]:
    """Return the dossier packed, and open still; the empty one for one that holds nothing."""
    parts: list[bytes] = []
    flags = 0
    if part.present:
        flags |= _PRESENT
        _put_present(parts, part.present)
    if part.totals is not _NO_TOTALS and part.totals != _NO_TOTALS:
        flags |= _TOTALS | _put_totals(parts, part.totals)
    if part.unannounced:
        flags |= _UNANNOUNCED
        _put_unannounced(parts, part.unannounced)
    if part.attributes:
        flags |= _ATTRIBUTES
        _put_attributes(parts, part.attributes)
    if part.puts:
        flags |= _PUTS
        _put_puts(parts, part.puts)
    if part.places:
        flags |= _PLACES
        parts.append(bytes((len(part.places),)))
        parts.extend(_PLACE.pack(ranking, place) for ranking, place in part.places.items())
    return Sealed(b"".join(parts), flags, _take_dossier, part) if flags else _NO_DOSSIER


def _take_dossier(packed: bytes, flags: int) -> Dossier:
    cursor = Cursor(packed, 0)
    # The parts are read from left to right, as they were put.
    return Dossier(
        present=cursor.take_standings() if flags & _PRESENT else {},
        totals=_take_totals(cursor, flags) if flags & _TOTALS else _NO_TOTALS,
        unannounced=_take_unannounced(cursor) if flags & _UNANNOUNCED else {},
        attributes=_take_attributes(cursor) if flags & _ATTRIBUTES else {},
        puts=dict(cursor.take_put() for _ in range(cursor.take_count())) if flags & _PUTS else {},
        places=dict(cursor.take(_PLACE) for _ in range(cursor.take_byte())) if flags & _PLACES else {},
    )


def _put_present(parts: list[bytes], present: Mapping[str, Standing]) -> None:
    parts.append(len(present).to_bytes(2, "little"))
    for dimension, standing in present.items():
        pack_standing(parts, dimension, standing)


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


def _put_unannounced(parts: list[bytes], unannounced: Mapping[str, str | None]) -> None:
    parts.append(len(unannounced).to_bytes(2, "little"))
    parts.extend(map(pack_word, chain.from_iterable(unannounced.items())))


def _take_unannounced(cursor: Cursor) -> dict[str, str | None]:
    return {cursor.take_word(cursor.take_byte()): cursor.take_optional_word() for _ in range(cursor.take_count())}


def _put_attributes(parts: list[bytes], attributes: Mapping[str, Attribute]) -> None:
    parts.append(len(attributes).to_bytes(2, "little"))
    for name, attribute in attributes.items():
        pack_attribute(parts, name, attribute)


def _put_puts(parts: list[bytes], puts: Mapping[str, Put]) -> None:
    parts.append(len(puts).to_bytes(2, "little"))
    for name, put in puts.items():
        pack_put(parts, name, put)


def _take_attributes(cursor: Cursor) -> dict[str, Attribute]:
    return dict(cursor.take_attribute() for _ in range(cursor.take_count()))
