"""Reads records into events: straight from bytes where all is well, with a reason where it is not.

The fast path is one call of pydantic that refuses unknown fields, and a few comparisons. Whatever it does not
take goes the slow path: unwrap a CloudEvent, count unknown fields, or find out the exact reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic_core import ValidationError, from_json

from segmenter.adapters.cloudevents import (
    Payload,
    completed,
    declares_envelope,
    is_envelope,
    is_framed,
    payload_of_binary,
    payload_of_envelope,
)
from segmenter.adapters.codec_faults import fault_of_field, fault_of_object, unreadable
from segmenter.adapters.codec_limits import (
    END_OF_TIME,
    FUTURE_TOLERANCE,
    OWN_CHECKS,
    fault_of_customer,
    fault_of_ids,
    fault_of_time,
)
from segmenter.adapters.codec_types import FIELDS_BY_TYPE, ITEM_FIELDS, event_validator
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.events import ANONYMOUS_PREFIX, Event, home_id_of, identity_of
from segmenter.domain.instants import MILLISECOND, Span, instant_of
from segmenter.ports import Decoded, Record

MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicForm:
    """How the records of an input topic are to be read."""

    customer_from_key: bool = False
    """The record key is the customer id of events that name no customer themselves."""


@dataclass(frozen=True, slots=True)
class CodecSettings:
    """The declared input topics by name. A topic that is not declared is read in the default form."""

    topics: Mapping[str, TopicForm] = field(default_factory=dict)
    future_tolerance: Span = FUTURE_TOLERANCE
    """How far an event's time may lie after its record's."""


class JsonDecoder:
    """Reads plain JSON and CloudEvents 1.0, binary and structured. Never raises, whatever a record holds."""

    def __init__(self, settings: CodecSettings = CodecSettings()) -> None:
        self._future_tolerance = settings.future_tolerance
        self._from_key = frozenset(name for name, form in settings.topics.items() if form.customer_from_key)
        self._read_known = event_validator("forbid").validate_json
        self._read_any = event_validator("ignore").validate_json
        # Topics whose last record had unknown fields: trying without them first would cost 3 µs an event.
        self._loose: set[str] = set()

    def decode(self, record: Record) -> Decoded | Rejection:
        """Return the event of a record, or why it cannot be one.

        The record is given as it was read at its source: its place names an event without an id, and its
        timestamp says what is in the future.
        """
        value = record.value
        if value is None:
            return Rejection(RejectReason.UNPARSEABLE, "value is null, expected a JSON object")
        if len(value) > MOST_BYTES:
            detail = f"value has {len(value)} bytes, expected at most {MOST_BYTES}"
            return Rejection(RejectReason.RECORD_TOO_LARGE, detail)
        if record.topic in self._loose or (record.headers and is_framed(record.headers)):
            return self._read_slowly(record, value)
        try:
            event = self._read_known(value)
        except ValidationError:
            return self._read_slowly(record, value)
        return self._checked(record, event, value)

    def _read_slowly(self, record: Record, value: bytes) -> Decoded | Rejection:
        is_declared = declares_envelope(record.headers)
        if not is_declared and (payload := payload_of_binary(value, record.headers)) is not None:
            return self._read_payload(record, payload)
        parsed = _parsed(value)
        if isinstance(parsed, Rejection):
            return parsed
        if isinstance(parsed, dict) and (is_declared or is_envelope(parsed)):
            return self._read_payload(record, payload_of_envelope(value, parsed))
        return self._read_object(record, value, parsed)

    def _read_payload(self, record: Record, payload: Payload | Rejection) -> Decoded | Rejection:
        if isinstance(payload, Rejection):
            return payload
        parsed = _parsed(payload.value)
        if isinstance(parsed, Rejection):
            return parsed
        value = payload.value
        if isinstance(parsed, dict):
            value = completed(value, parsed, payload.stand_ins)
            parsed = {**payload.stand_ins, **{name: found for name, found in parsed.items() if found is not None}}
        return self._read_object(record, value, parsed)

    def _read_object(self, record: Record, value: bytes, parsed: object) -> Decoded | Rejection:
        """Read JSON of any form; `parsed` is what it holds."""
        fault = fault_of_object(parsed)
        if fault is not None:
            return fault
        try:
            event = self._read_any(value)
        except ValidationError as error:
            return fault_of_field(error)
        unknown_fields = _unknown_fields(parsed)
        if unknown_fields:
            self._loose.add(record.topic)
        else:
            self._loose.discard(record.topic)
        return self._checked(record, event, value, unknown_fields)

    def _checked(self, record: Record, event: Event, value: bytes, unknown_fields: int = 0) -> Decoded | Rejection:
        at = instant_of(event.occurred_at)
        owner = event.customer_id
        is_ordinary = owner and event.shop is None and not owner.isspace() and not owner.startswith(ANONYMOUS_PREFIX)
        if not owner or not is_ordinary:
            if self._takes_customer_from_key(record, event):
                return self._read_keyed(record, value, unknown_fields)
            if (whose := fault_of_customer(event)) is not None:
                return whose
        fault = None
        if not 0 <= at < END_OF_TIME or at > record.timestamp * MILLISECOND + self._future_tolerance:
            fault = fault_of_time(at, record.timestamp, self._future_tolerance)
        fault = fault or _fault_of(event, value)
        if fault is not None:
            return fault
        event_id = event.event_id
        if owner and is_ordinary and event_id:
            return Decoded(event, owner, owner, at, event_id, False, unknown_fields)
        return Decoded(
            event,
            identity_of(event),
            home_id_of(event),
            at,
            event_id or f"{record.topic}/{record.partition}/{record.offset}",
            not event_id,
            unknown_fields,
        )

    def _takes_customer_from_key(self, record: Record, event: Event) -> bool:
        return bool(
            record.topic in self._from_key and record.key and not event.customer_id and not event.anonymous_id
        )

    def _read_keyed(self, record: Record, value: bytes, unknown_fields: int) -> Decoded | Rejection:
        try:
            customer_id = (record.key or b"").decode()
        except UnicodeDecodeError:
            return Rejection(RejectReason.NO_CUSTOMER, "the record key is not UTF-8, expected a customer_id")
        keyed = completed(value, {"type": "known"}, {"customer_id": customer_id})
        try:
            event = self._read_any(keyed)
        except ValidationError as error:
            return fault_of_field(error)
        return self._checked(record, event, keyed, unknown_fields)


def _fault_of(event: Event, value: bytes) -> Rejection | None:
    """Return the first limit that an event breaks; each is looked at only where a glance does not settle it."""
    fault = None
    # Plain ASCII without escapes holds no id that is longer in bytes than in letters, and no control
    # character: JSON forbids bare ones.
    if not (value.isascii() and b"\\" not in value):
        fault = fault_of_ids(event)
    if fault is None and (check := OWN_CHECKS.get(type(event))) is not None:
        fault = check(event, value)
    return fault


def _parsed(value: bytes) -> object:
    """Return the JSON in these bytes, or a Rejection."""
    try:
        return from_json(value)
    except ValueError:
        return unreadable(value)


def _unknown_fields(parsed: object) -> int:
    """Return how many fields of an event, and of its items, are none that its type has."""
    if not isinstance(parsed, dict):
        return 0
    known = FIELDS_BY_TYPE[parsed["type"]]
    count = sum(1 for name in parsed if name not in known)
    if "items" in known and isinstance(items := parsed.get("items"), list):
        count += sum(1 for item in items for name in item if name not in ITEM_FIELDS)
    return count
