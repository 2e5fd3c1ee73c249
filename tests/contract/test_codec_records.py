"""What we publish: valid by its schema, read by others as CloudEvents, read back by ourselves."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from segmenter.adapters.records import JsonEncoder
from segmenter.adapters.schemas import documents
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.changes import CauseKind, CauseNote, Change, ChangeSet, Membership, Reason, Traits
from segmenter.errors import InvariantError
from segmenter.ports import Body, Encoder, Headers, LoggedChange
from tests.contract.codec_records import NOW, Given

ENCODER: Encoder = JsonEncoder()
UPTO = {"orders/3": 12_045, "segmenter.rekeyed/3": 7}
SCHEMAS = documents()

names = st.text(min_size=1, max_size=12)
instants = st.integers(0, 7_289_654_399_999_999)
money = st.decimals(-(10**15), 10**15, places=2).map(str)
traits = st.builds(
    Traits,
    orders=st.integers(0, 10**6),
    net_revenue=money,
    value_revenue=money,
    currency=st.just("EUR"),
    first_order_at=st.none() | instants,
    last_order_at=st.none() | instants,
    over_refund=st.none() | money,
)
change_sets = st.builds(
    ChangeSet,
    customer=names,
    life=st.integers(1, 9),
    sequence=st.integers(1, 10**6),
    changes=st.lists(
        st.builds(Change, dimension=names, before=st.none() | names, after=st.none() | names), min_size=1, max_size=3
    ).map(tuple),
    cause=st.builds(
        CauseNote,
        kind=st.sampled_from(CauseKind),
        type=st.none() | st.just("order.placed"),
        event_ids=st.lists(names, max_size=2).map(tuple),
    ),
    effective_at=instants,
    reasons=st.lists(
        st.builds(
            Reason, dimension=names, condition=names, actual=names, threshold=names, boundary=st.none() | names
        ),
        max_size=2,
    ).map(tuple),
    traits=traits,
    next_change_at=st.none() | instants,
)
memberships = st.builds(
    Membership,
    customer=names,
    as_of=instants,
    life=st.integers(1, 9),
    sequence=st.integers(0, 10**6),
    segments=st.lists(st.tuples(names, names), max_size=3).map(tuple),
    since=st.lists(st.tuples(names, instants), max_size=3).map(tuple),
    traits=traits,
    next_change_at=st.none() | instants,
)


def validated(schema: str, found: Any) -> None:
    Draft202012Validator(SCHEMAS[schema], format_checker=Draft202012Validator.FORMAT_CHECKER).validate(found)


def as_cloudevent(body: Body) -> Any:
    assert body.value is not None
    return kafka.from_kafka_event(kafka.KafkaMessage(dict(body.headers), body.key, body.value))


def change_body(said: ChangeSet) -> Body:
    return ENCODER.change_record(said, recorded_at=NOW, revision=3, backfill=False, upto=UPTO)


def header_texts(headers: Headers) -> Mapping[str, str]:
    return {name: found.decode() for name, found in headers}


@settings(deadline=None)
@given(change_sets)
def test_a_change_is_valid_by_its_schema_and_read_back_as_it_was_said(said: ChangeSet) -> None:
    body = change_body(said)

    assert body.value is not None
    validated("change.json", json.loads(body.value))
    assert ENCODER.read_change(body.value, body.headers) == LoggedChange(
        customer=said.customer,
        life=said.life,
        sequence=said.sequence,
        before={change.dimension: change.before for change in said.changes},
        after={change.dimension: change.after for change in said.changes},
        upto=UPTO,
    )


@settings(deadline=None)
@given(change_sets)
def test_a_change_is_a_cloudevent_to_others(said: ChangeSet) -> None:
    body = change_body(said)

    event = as_cloudevent(body)

    assert event.get_type() == "io.segmenter.changed.v1"
    assert event.get_id() == said.change_id
    assert event.get_source() == "/segmenter"
    assert event.get_extension("partitionkey") == said.customer
    assert event.get_data() == json.loads(body.value or b"")


@settings(deadline=None)
@given(memberships)
def test_a_membership_is_valid_by_its_schema_and_a_cloudevent_to_others(said: Membership) -> None:
    body = ENCODER.membership_record(said)

    event = as_cloudevent(body)

    validated("membership.json", json.loads(body.value or b""))
    assert event.get_type() == "io.segmenter.membership.v1"
    assert event.get_data() == json.loads(body.value or b"")
    assert body.key == said.customer.encode()
    assert ENCODER.membership_record(said) == body


def test_a_change_has_the_form_that_others_rely_on() -> None:
    said = ChangeSet(
        customer="c-42",
        life=1,
        sequence=17,
        changes=(
            Change(dimension="lifecycle", before=None, after="new"),
            Change(dimension="value", before="B", after="A"),
        ),
        cause=CauseNote(kind=CauseKind.EVENT, type="order.placed", event_ids=("o-981",)),
        effective_at=NOW,
        reasons=(
            Reason(dimension="value", condition="share", actual="0.793", threshold="0.80", boundary="812.40"),
            Reason(dimension="lifecycle", condition="orders", actual="1", threshold="1"),
        ),
        traits=Traits(
            orders=1,
            net_revenue="861.00",
            value_revenue="861.00",
            currency="EUR",
            first_order_at=NOW,
            last_order_at=NOW,
        ),
        next_change_at=None,
    )

    body = ENCODER.change_record(said, recorded_at=NOW + 8_001, revision=3, backfill=True, upto=UPTO)

    at = "2026-11-01T10:00:00.123Z"
    assert json.loads(body.value or b"") == {
        "change_id": said.change_id,
        "customer_id": "c-42",
        "life": 1,
        "sequence": 17,
        "changes": [
            {"dimension": "lifecycle", "before": None, "after": "new"},
            {"dimension": "value", "before": "B", "after": "A"},
        ],
        "cause": {"kind": "event", "type": "order.placed", "event_ids": ["o-981"]},
        "effective_at": at,
        "recorded_at": "2026-11-01T10:00:00.131001Z",
        "reasons": [
            {
                "dimension": "value",
                "condition": "share",
                "actual": "0.793",
                "threshold": "0.80",
                "boundary": "812.40",
            },
            {"dimension": "lifecycle", "condition": "orders", "actual": "1", "threshold": "1"},
        ],
        "traits": {
            "orders": 1,
            "net_revenue": "861.00",
            "value_revenue": "861.00",
            "currency": "EUR",
            "first_order_at": at,
            "last_order_at": at,
        },
        "next_change_at": None,
        "backfill": True,
        "rulebook_revision": 3,
    }
    assert header_texts(body.headers) == {
        "ce_specversion": "1.0",
        "ce_id": said.change_id,
        "ce_source": "/segmenter",
        "ce_type": "io.segmenter.changed.v1",
        "ce_time": at,
        "ce_partitionkey": "c-42",
        "content-type": "application/json",
        "upto": '{"orders/3":12045,"segmenter.rekeyed/3":7}',
    }


def test_a_stub_in_the_log_says_nothing() -> None:
    assert ENCODER.read_change(b'{"stub": "MessageSizeTooLarge"}', (("stub", b"MessageSizeTooLarge"),)) is None


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'"x"', b'{"customer_id": "c"}', b"\xff"])
def test_what_we_cannot_have_written_is_a_broken_invariant(value: bytes) -> None:
    with pytest.raises(InvariantError, match="no change-set"):
        ENCODER.read_change(value, ())


REJECTION = Rejection(RejectReason.NEGATIVE_AMOUNT, 'amount is "-5", expected an amount of 0 or more')


def rejected(record: Given) -> Body:
    return ENCODER.rejected_record(record, REJECTION, NOW)


def test_a_rejected_record_keeps_its_bytes_its_place_and_its_headers() -> None:
    body = rejected(Given(b"\xff\x00", (("a", b"\xfe"), ("a", b"2")), key=b"\xfd"))

    assert (body.key, body.value) == (b"\xfd", b"\xff\x00")
    assert body.headers == (
        ("reason", b"negative_amount"),
        ("detail", b'amount is "-5", expected an amount of 0 or more'),
        ("topic", b"orders"),
        ("partition", b"3"),
        ("offset", b"17"),
        ("timestamp", b"1793527200123"),
        ("rejected_at", b"2026-11-01T10:00:00.123Z"),
        ("original.a", b"\xfe"),
        ("original.a", b"2"),
    )
    validated("rejected.json", header_texts(body.headers[:7]))


def test_a_tombstone_is_kept_as_one() -> None:
    body = rejected(Given(None, key=None))

    assert (body.key, body.value) == (None, None)


def test_a_large_value_is_kept_as_its_beginning_its_length_and_its_sum() -> None:
    whole = bytes(range(256)) * 1_024

    kept, cut = rejected(Given(whole)), rejected(Given(whole + b"x"))

    assert (kept.value, len(kept.headers)) == (whole, 7)
    assert cut.value == whole
    assert header_texts(cut.headers)["length"] == "262145"
    assert header_texts(cut.headers)["sha256"] == hashlib.sha256(whole + b"x").hexdigest()
    validated("rejected.json", header_texts(cut.headers))


def test_a_rejected_record_stays_below_what_a_broker_takes() -> None:
    headers = tuple((f"h{n}", b"x" * 10_000) for n in range(50))

    body = rejected(Given(b"x" * (1 << 20), headers, key=b"k" * (1 << 19)))

    told = header_texts(body.headers)
    size = len(body.key or b"") + len(body.value or b"") + sum(len(n) + len(v) for n, v in body.headers)
    assert size < 500_000
    assert (told["key_length"], told["headers_left_out"]) == ("524288", "44")
    validated("rejected.json", told)
