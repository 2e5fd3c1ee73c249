"""CloudEvents in and out, with the library of the specification's authors as referee."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.schemas_examples import EVENT_EXAMPLES
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.instants import instant_of
from segmenter.ports import Decoded
from tests.contract.codec_records import CLICK, NOW, ORDER, Given, raw, written

R = RejectReason
AT = datetime(2026, 11, 1, 10, 0, 0, 123_000, tzinfo=UTC)
Binding = Callable[[CloudEvent], kafka.KafkaMessage]
BINARY: tuple[tuple[str, bytes], ...] = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"ce-9"),
    ("ce_source", b"/shop"),
    ("ce_type", b"com.example.shop.click"),
    ("ce_time", b"2026-11-01T10:00:00.123Z"),
    ("content-type", b"application/json"),
)
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
ENVELOPE: Mapping[str, Any] = {
    "specversion": "1.0",
    "id": "ce-9",
    "source": "/shop",
    "type": "com.example.shop.click",
    "time": "2026-11-01T10:00:00.123Z",
    "data": {"customer_id": "c-42", "kind": "view"},
}
BARE = {"event_id": ..., "type": ..., "occurred_at": ...}


def sent(binding: Binding, data: Mapping[str, Any], **attributes: Any) -> Given:
    event = CloudEvent({"source": "/shop", "specversion": "1.0", **attributes}, dict(data))
    message = binding(event)
    return Given(message.value, tuple(message.headers.items()))


def decoded(record: Given) -> Decoded:
    found = JsonDecoder().decode(record)
    assert isinstance(found, Decoded), found
    return found


@pytest.mark.parametrize("binding", [kafka.to_binary_event, kafka.to_structured_event])
@pytest.mark.parametrize("kind", sorted(EVENT_EXAMPLES))
@pytest.mark.parametrize("prefix", ["", "com.example.shop."])
def test_an_event_is_the_same_in_every_mode(binding: Binding, kind: str, prefix: str) -> None:
    example = EVENT_EXAMPLES[kind]
    own = {name: found for name, found in example.items() if name not in BARE}
    at = datetime.fromisoformat(str(example["occurred_at"]))

    framed = decoded(sent(binding, own, id=str(example["event_id"]), type=prefix + kind, time=at))

    assert framed == decoded(Given(json.dumps(example).encode()))


@pytest.mark.parametrize("binding", [kafka.to_binary_event, kafka.to_structured_event])
def test_attributes_stand_in_only_for_what_the_payload_leaves_out(binding: Binding) -> None:
    attributes = {"id": "ce-9", "type": "order.paid", "time": AT - timedelta(days=1)}

    found = decoded(sent(binding, CLICK, **attributes))

    assert found == decoded(Given(written(CLICK)))


@pytest.mark.parametrize("binding", [kafka.to_binary_event, kafka.to_structured_event])
def test_null_is_left_out(binding: Binding) -> None:
    data = {**CLICK, "event_id": None, "type": None, "occurred_at": None}

    found = decoded(sent(binding, data, id="ce-9", type="click", time=AT))

    assert (found.event_id, found.event.type, found.at, found.had_no_id) == ("ce-9", "click", NOW, False)


@pytest.mark.parametrize("headers", [(), STRUCTURED])
def test_an_envelope_is_known_by_its_attributes_or_its_header(headers: tuple[tuple[str, bytes], ...]) -> None:
    found = decoded(Given(json.dumps(ENVELOPE).encode(), headers))

    assert (found.event_id, found.event.type, found.at) == ("ce-9", "click", instant_of(AT))


def test_an_envelope_may_carry_its_event_in_base64() -> None:
    data = base64.b64encode(json.dumps(ENVELOPE["data"]).encode()).decode()
    envelope = {**{name: found for name, found in ENVELOPE.items() if name != "data"}, "data_base64": data}

    assert decoded(Given(json.dumps(envelope).encode())) == decoded(Given(json.dumps(ENVELOPE).encode()))


def test_unknown_fields_of_the_payload_are_counted_and_attributes_are_none() -> None:
    envelope = {**ENVELOPE, "extension": "x", "data": {**ENVELOPE["data"], "colour": "red"}}
    binary = Given(written(CLICK, **BARE, colour="red"), (*BINARY, ("ce_extension", b"x")))

    assert decoded(Given(json.dumps(envelope).encode())).unknown_fields == 1
    assert decoded(binary).unknown_fields == 1


def test_an_empty_payload_is_completed_too() -> None:
    refused = JsonDecoder().decode(Given(b" { } ", BINARY))

    assert isinstance(refused, Rejection)
    assert refused.detail == "kind is missing, expected in every click"


def test_other_headers_may_be_null() -> None:
    headers: Any = (*BINARY, ("ce_subject", None), ("content-type", None), ("x", None))

    assert decoded(Given(written(CLICK, **BARE), headers)).event_id == "ce-9"


def amount_in_envelope(text: str) -> bytes:
    data = raw(ORDER, amount=text).decode()
    return json.dumps({**ENVELOPE, "data": "?"}).replace('"?"', " " + data + "\n").encode()


@pytest.mark.parametrize(
    ("reason", "record"),
    [
        (R.INVALID_FIELD, Given(written(CLICK), (("ce_specversion", b"0.3"), ("ce_id", b"1")))),
        (R.MISSING_FIELD, Given(written(CLICK), (("ce_id", b"1"),))),
        (R.INVALID_FIELD, Given(written(CLICK), (("ce_specversion", b"1.0"), ("ce_id", b"\xff")))),
        (R.UNKNOWN_TYPE, Given(written(CLICK, **BARE), (*BINARY, ("ce_type", b"com.example.shop.visit")))),
        (R.NAIVE_TIME, Given(written(CLICK, **BARE), (*BINARY, ("ce_time", b"2026-11-01T10:00:00")))),
        (R.ID_TOO_LONG, Given(written(CLICK, **BARE), (*BINARY, ("ce_id", b"e" * 257)))),
        (R.UNPARSEABLE, Given(b"[1]", BINARY)),
        (R.UNPARSEABLE, Given(b"{", BINARY)),
        (R.UNPARSEABLE, Given(None, BINARY)),
        (R.MISSING_FIELD, Given(json.dumps({**ENVELOPE, "data": None}).encode())),
        (R.INVALID_FIELD, Given(json.dumps({**ENVELOPE, "data": "{}"}).encode())),
        (R.INVALID_FIELD, Given(json.dumps({**ENVELOPE, "data_base64": "%%"}).encode())),
        (R.UNPARSEABLE, Given(json.dumps({**ENVELOPE, "data_base64": "AAAA"}).encode())),
        (R.INVALID_FIELD, Given(json.dumps({**ENVELOPE, "specversion": "0.3"}).encode())),
        (R.MISSING_FIELD, Given(written(CLICK), STRUCTURED)),
        (R.UNPARSEABLE, Given(b"[]", STRUCTURED)),
        (R.NO_CUSTOMER, Given(json.dumps({**ENVELOPE, "data": {"kind": "view"}}).encode())),
        (R.AMOUNT_PRECISION, Given(amount_in_envelope("12345678.12345678"))),
        (R.AMOUNT_PRECISION, Given(amount_in_envelope("0.1000000000000000055511"))),
        (R.NOT_A_NUMBER, Given(amount_in_envelope("1e400"))),
    ],
)
def test_a_bad_cloudevent_gets_its_reason(reason: RejectReason, record: Given) -> None:
    refused = JsonDecoder().decode(record)

    assert isinstance(refused, Rejection), refused
    assert refused.reason is reason, refused.detail
