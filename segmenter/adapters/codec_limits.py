"""The limits of the contract that a schema cannot hold: times, ids in bytes, exact numbers, currencies, maps."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields

from pydantic_core import PydanticCustomError

from segmenter.adapters.codec_currencies import CURRENCIES
from segmenter.adapters.codec_faults import is_too_deep, shown, too_deep
from segmenter.adapters.codec_types import ID_BYTES, ID_FIELDS, NUMBER_DIGITS, amount_of
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.events import (
    ANONYMOUS_PREFIX,
    CustomerPut,
    CustomerUpdated,
    Event,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
    SupportRated,
)
from segmenter.domain.instants import MILLISECOND, MINUTE, Instant, Span, instant_of, rfc3339, span_text

FUTURE_TOLERANCE = 5 * MINUTE
# The last instant that is believed is the end of the year 2200.
END_OF_TIME: Instant = 7_289_654_400 * 1_000_000
MOST_ATTRIBUTES = 64
MOST_CONSENTS = 32
NAME_BYTES = 128
TEXT_BYTES = 1_024

_AMOUNT_FIELDS = frozenset(["amount", "discount", "tax", "shipping", "cost"])
# A bare number of JSON that a double may not have kept: 16 digits or more, or an exponent. In a text this may
# match too, which only costs the exact look.
_SUSPICIOUS_NUMBER = re.compile(rb"[\s:,\[]-?(?:[0-9.]{16}|[0-9.]+[eE])")
# As nearly all write it: where it stands and there is no other amount, no number can have lost anything.
_AMOUNT_AS_TEXT = b'"amount":"'
_SEGMENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INTEGER_BITS = 63


def fault_of_time(at: Instant, timestamp: int, tolerance: Span) -> Rejection | None:
    """Return what is wrong with an event's time, given its record's Kafka timestamp in ms (-1: it has none)."""
    if not 0 <= at < END_OF_TIME:
        detail = "occurred_at is before 1970 or after 2200, expected the time at which it happened"
        return Rejection(RejectReason.ABSURD_TIME, detail)
    if timestamp >= 0 and at > timestamp * MILLISECOND + tolerance:
        written = rfc3339(timestamp * MILLISECOND) if timestamp * MILLISECOND < END_OF_TIME else str(timestamp)
        detail = (
            f"occurred_at is {rfc3339(at)}, expected at most {span_text(tolerance)} after the record's own {written}"
        )
        return Rejection(RejectReason.FUTURE_TIME, detail)
    return None


def fault_of_customer(event: Event) -> Rejection | None:
    """Return what is wrong with whose event it is."""
    for name in ("customer_id", "anonymous_id", "shop"):
        found = getattr(event, name)
        if found is not None and found.startswith(ANONYMOUS_PREFIX):
            detail = f"{name} is {shown(found)}, expected one that does not begin with {ANONYMOUS_PREFIX}"
            return Rejection(RejectReason.RESERVED_ID, detail)
    owner = event.anonymous_id if event.customer_id is None else event.customer_id
    if owner is None or not owner.strip():
        detail = f"{event.type} names no customer, expected a customer_id or an anonymous_id that is not empty"
        return Rejection(RejectReason.NO_CUSTOMER, detail)
    if event.shop is not None and "/" in event.shop:
        detail = f"shop is {shown(event.shop)}, expected one without a slash"
        return Rejection(RejectReason.INVALID_FIELD, detail)
    return None


def fault_of_ids(event: Event) -> Rejection | None:
    """Return what is wrong with the ids of a record that is not plain ASCII without escapes."""
    for field in fields(event):
        found = getattr(event, field.name) if field.name in ID_FIELDS else None
        if found is None:
            continue
        if len(found.encode()) > ID_BYTES:
            detail = f"{field.name} is {shown(found)} and longer than {ID_BYTES} bytes in UTF-8"
            return Rejection(RejectReason.ID_TOO_LONG, detail)
        if _CONTROL.search(found):
            detail = f"{field.name} is {shown(found)}, expected no control characters"
            return Rejection(RejectReason.INVALID_FIELD, detail)
    return None


def _fault_of_money(event: Event, value: bytes) -> Rejection | None:
    currency = getattr(event, "currency", None)
    if currency is not None and currency not in CURRENCIES:
        detail = f"currency is {shown(currency)}, expected three capital letters of ISO 4217"
        return Rejection(RejectReason.UNKNOWN_CURRENCY, detail)
    if _is_plain_amount(value) and not _has_more_amounts(event):
        return None
    return _fault_of_numbers(value) if _SUSPICIOUS_NUMBER.search(value) else None


def _is_plain_amount(value: bytes) -> bool:
    """Tell whether there is one amount, as text, with no object beside it and no name written with escapes."""
    is_flat = value.count(b"{") == 1 and b"\\" not in value
    return is_flat and _AMOUNT_AS_TEXT in value and value.count(b'"amount"') == 1


def _has_more_amounts(event: Event) -> bool:
    """Tell whether anything but its `amount` could be written as a number."""
    if isinstance(event, OrderRefunded):
        return False
    if isinstance(event, OrderPlaced):
        return bool(event.items) or not event.discount is event.tax is event.shipping is event.cost is None
    return True


def _fault_of_numbers(value: bytes) -> Rejection | None:
    """Look at the amounts as they were written, which floats do not tell."""
    parsed = json.loads(value, parse_int=_Number, parse_float=_Number)
    amounts = [(name, parsed.get(name)) for name in _AMOUNT_FIELDS]
    items = parsed.get("items")
    # Where the event's type knows no items, a field of that name may hold anything.
    for place, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            amounts.append((f"items.{place}.amount", item.get("amount")))
    for path, found in amounts:
        if isinstance(found, _Number):
            try:
                amount_of(found, NUMBER_DIGITS)
            except PydanticCustomError as error:
                detail = f"{path} is {shown(found)}, expected {error.message()}"
                return Rejection(RejectReason(error.type), detail)
    return None


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _fault_of_rating(event: Event, _: bytes) -> Rejection | None:
    if isinstance(event, SupportRated) and event.scale == "csat" and not 1 <= event.score <= 5:
        return Rejection(RejectReason.INVALID_FIELD, f"score is {event.score}, expected 1 to 5 on the scale csat")
    return None


def _fault_of_customer_facts(event: Event, _: bytes) -> Rejection | None:
    if not isinstance(event, CustomerUpdated):
        return None
    if event.known_since is not None and not 0 <= instant_of(event.known_since) < END_OF_TIME:
        detail = f"known_since is {event.known_since.isoformat()}, expected a time from 1970 to 2200"
        return Rejection(RejectReason.ABSURD_TIME, detail)
    for name, found, most in (
        ("attributes", event.attributes, MOST_ATTRIBUTES),
        ("consent", event.consent, MOST_CONSENTS),
    ):
        if len(found) > most:
            return Rejection(RejectReason.INVALID_FIELD, f"{name} has {len(found)} entries, expected at most {most}")
        if (fault := _fault_of_map(name, found)) is not None:
            return fault
    return None


def _fault_of_map(path: str, found: Mapping[str, object]) -> Rejection | None:
    for name, value in found.items():
        expected = _expected_of(path, value)
        if not 1 <= len(name.encode()) <= NAME_BYTES:
            detail = f"the name {shown(name)} in {path} is expected to have 1 to {NAME_BYTES} bytes"
            return Rejection(RejectReason.INVALID_FIELD, detail)
        # An entry lies within the map, and that within the event.
        if isinstance(value, dict | list) and is_too_deep([[value]]):
            return too_deep()
        if expected is not None:
            is_infinite = isinstance(value, float) and not math.isfinite(value)
            reason = RejectReason.NOT_A_NUMBER if is_infinite else RejectReason.INVALID_FIELD
            return Rejection(reason, f"{shown(name)} in {path} is {shown(value)}, expected {expected}")
    return None


def _expected_of(path: str, value: object) -> str | None:
    """Return what an entry of a map should have been; None: it is that."""
    if path == "consent":
        return None if isinstance(value, bool) else "true or false"
    match value:
        case str():
            return None if len(value.encode()) <= TEXT_BYTES else f"at most {TEXT_BYTES} bytes"
        case float():
            return None if math.isfinite(value) else "a finite number"
        case int():
            return None if value.bit_length() <= _INTEGER_BITS else "a number that fits 64 bits"
        case None:
            return None
        case _:
            return "a text, a number, true, false or null"


def _fault_of_put(event: Event, _: bytes) -> Rejection | None:
    if not isinstance(event, CustomerPut):
        return None
    if event.customer_id is None:
        detail = "customer.put names no customer_id, expected one: nobody is in a segment who is not identified"
        return Rejection(RejectReason.NO_CUSTOMER, detail)
    fault = _words_on_put(event)
    return None if fault is None else Rejection(RejectReason.INVALID_FIELD, fault)


def _words_on_put(event: CustomerPut) -> str | None:
    """Return what is wrong with a put, in words; None where it can be done."""
    if _SEGMENT.fullmatch(event.segment) is None:
        return f"segment is {shown(event.segment)}, expected the name of a declared segment, such as vip"
    if event.to != "auto" and event.until is None:
        return f"until is missing, expected when {event.to} ends by itself"
    if event.to != "auto" and not (event.because or "").strip():
        return f"because is missing, expected why the customer is put {event.to}"
    if event.until is not None and not event.occurred_at < event.until:
        return f"until is {event.until.isoformat()}, expected a time after occurred_at"
    if event.until is not None and instant_of(event.until) >= END_OF_TIME:
        return f"until is {event.until.isoformat()}, expected a time up to 2200"
    texts = (("because", event.because, TEXT_BYTES), ("by", event.by, ID_BYTES))
    too_long = (f"{name} is longer than {most} bytes in UTF-8" for name, text, most in texts if _bytes(text) > most)
    return next(too_long, None)


def _bytes(text: str | None) -> int:
    return len((text or "").encode())


# What is looked at for some types only; the bytes are the JSON that the event was read from.
OWN_CHECKS: Mapping[type[Event], Callable[[Event, bytes], Rejection | None]] = {
    OrderPlaced: _fault_of_money,
    OrderUpdated: _fault_of_money,
    OrderRefunded: _fault_of_money,
    SupportRated: _fault_of_rating,
    CustomerUpdated: _fault_of_customer_facts,
    CustomerPut: _fault_of_put,
}
