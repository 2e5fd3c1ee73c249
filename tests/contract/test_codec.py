"""Good records become events: all fields exact, ids and customers resolved, oddities counted."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from segmenter.adapters.codec import CodecSettings, JsonDecoder, TopicForm
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.events import Click, CustomerUpdated, Item, OrderPlaced, OrderRefunded
from segmenter.ports import Decoded, Decoder
from tests.contract.codec_records import CLICK, NOW, ORDER, REFUND, UPDATE, Given, raw, written

PLAIN = CodecSettings()
KEYED = CodecSettings({"orders": TopicForm(customer_from_key=True)})


def decoded(record: Given, settings: CodecSettings = PLAIN) -> Decoded:
    decoder: Decoder = JsonDecoder(settings)
    found = decoder.decode(record)
    assert isinstance(found, Decoded), found
    return found


def test_an_event_is_read_whole() -> None:
    items = [{"item": "boot", "category": "shoes", "quantity": 2, "amount": "10.00"}, {"item": "wax"}]

    found = decoded(Given(written(ORDER, items=items, discount=1.5, shop=None, channel="web")))

    assert found == Decoded(
        event=OrderPlaced(
            occurred_at=datetime(2026, 11, 1, 10, 0, 0, 123_000, tzinfo=UTC),
            event_id="e-2",
            customer_id="c-42",
            order_id="o-1",
            amount=Decimal("12.50"),
            currency="EUR",
            items=(Item(item="boot", category="shoes", quantity=2, amount=Decimal(10)), Item(item="wax")),
            discount=Decimal("1.5"),
            channel="web",
        ),
        customer="c-42",
        home_id="c-42",
        at=NOW,
        event_id="e-2",
    )


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ('"12.50"', "12.50"),
        ("12.50", "12.5"),
        ("12", "12"),
        ("0.1", "0.1"),
        ("1e2", "100"),
        ("123456789012.345", "123456789012.345"),
        ('"123456789012345678"', "123456789012345678"),
        ('"0.10000000000000001"', "0.10000000000000001"),
        ("-0", "0"),
        ('"-0.00"', "0"),
    ],
)
def test_an_amount_is_exactly_what_was_written(text: str, amount: str) -> None:
    event = decoded(Given(raw(ORDER, amount=text))).event

    assert isinstance(event, OrderPlaced)
    assert event.amount == Decimal(amount)
    assert not event.amount.is_signed()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-01T10:00:00.123Z", NOW),
        ("2026-11-01T12:00:00.123+02:00", NOW),
        ("2026-11-01T09:30:00.123-00:30", NOW),
        ("2026-11-01t10:00:00.123z", NOW),
        ("2026-11-01 10:00:00.123456Z", NOW + 456),
        ("2026-11-01T10:00:00.123456999Z", NOW + 456),
        ("2026-11-01T10:00:00Z", NOW - 123_000),
    ],
)
def test_a_time_is_an_instant_whatever_its_zone(text: str, at: int) -> None:
    assert decoded(Given(written(CLICK, occurred_at=text))).at == at


def test_an_event_without_id_is_named_by_its_place() -> None:
    nameless = [written(CLICK, event_id=missing) for missing in (..., None, "")]

    found = [decoded(Given(value)) for value in nameless]

    assert [(each.event_id, each.had_no_id) for each in found] == [("orders/3/17", True)] * 3


def test_a_shop_names_the_customer_and_not_his_home() -> None:
    found = decoded(Given(written(CLICK, shop="north")))

    assert (found.customer, found.home_id) == ("north/c-42", "c-42")


def test_an_unknown_visitor_lives_apart() -> None:
    found = decoded(Given(written(CLICK, customer_id=..., anonymous_id="cookie-7", shop="north")))

    assert (found.customer, found.home_id) == ("anon:north/cookie-7", "cookie-7")


def test_the_record_key_is_the_customer_only_where_the_topic_says_so() -> None:
    record = Given(written(REFUND, customer_id=...), key=b"c-\xc3\xa4")

    found, refused = decoded(record, KEYED), JsonDecoder().decode(record)

    assert (found.customer, found.event.customer_id) == ("c-ä", "c-ä")
    assert isinstance(found.event, OrderRefunded)
    assert isinstance(refused, Rejection)
    assert refused.reason is RejectReason.NO_CUSTOMER


@pytest.mark.parametrize("value", [written(CLICK), written(CLICK, customer_id=..., anonymous_id="a-1")])
def test_whoever_the_payload_names_comes_before_the_key(value: bytes) -> None:
    assert decoded(Given(value, key=b"c-1"), KEYED).customer in ("c-42", "anon:a-1")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, RejectReason.NO_CUSTOMER),
        (b"", RejectReason.NO_CUSTOMER),
        (b"  ", RejectReason.NO_CUSTOMER),
        (b"\xff", RejectReason.NO_CUSTOMER),
        (b"anon:1", RejectReason.RESERVED_ID),
        (b"c" * 257, RejectReason.ID_TOO_LONG),
        (b"c\x00", RejectReason.INVALID_FIELD),
    ],
)
def test_a_key_is_held_to_what_a_customer_id_is_held_to(key: bytes | None, reason: RejectReason) -> None:
    refused = JsonDecoder(KEYED).decode(Given(written(CLICK, customer_id=...), key=key))

    assert isinstance(refused, Rejection)
    assert refused.reason is reason


def test_unknown_fields_are_counted_and_passed_over_also_in_items() -> None:
    items = [{"item": "boot", "colour": "red"}, {"item": "wax", "size": {"ml": 50}}]

    found = decoded(Given(written(ORDER, items=items, currency_rate=1.1, invoice={"no": 3})))

    assert found.unknown_fields == 4
    assert isinstance(found.event, OrderPlaced)
    assert found.event.items == (Item(item="boot"), Item(item="wax"))


def test_a_decoder_reads_alike_whether_the_records_before_had_unknown_fields_or_not() -> None:
    decoder = JsonDecoder()
    plain, odd = Given(written(CLICK)), Given(written(CLICK, extra=1))

    found = [decoder.decode(record) for record in (plain, odd, plain, plain, odd, odd, plain)]

    assert [each.unknown_fields for each in found if isinstance(each, Decoded)] == [0, 1, 0, 0, 1, 1, 0]
    assert len({repr(each.event) for each in found if isinstance(each, Decoded)}) == 1


def test_of_two_equal_names_the_last_one_counts() -> None:
    value = written(CLICK, kind="view")[:-1] + b', "kind": "search"}'

    event = decoded(Given(value)).event

    assert isinstance(event, Click)
    assert event.kind == "search"


def test_what_a_shop_knows_of_a_customer_keeps_its_types() -> None:
    attributes = {"a": "1", "b": 1, "c": 1.0, "d": True, "e": None}

    event = decoded(Given(written(UPDATE, attributes=attributes, consent={"mail": False}))).event

    assert isinstance(event, CustomerUpdated)
    assert {name: (type(found), found) for name, found in event.attributes.items()} == {
        name: (type(found), found) for name, found in attributes.items()
    }
    assert event.consent == {"mail": False}


def test_headers_that_are_none_of_cloudevents_change_nothing() -> None:
    headers = (("traceparent", b"00-1-2-01"), ("content-type", b"application/json"))

    assert decoded(Given(written(CLICK), headers=headers)) == decoded(Given(written(CLICK)))
