"""Each kind of bad input has its reason, and stops nothing behind it."""

import json
from typing import Any

import pytest

from segmenter.adapters.codec import JsonDecoder
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.instants import DAY, MINUTE, SECOND, rfc3339
from segmenter.ports import Decoded
from tests.contract.codec_records import CLICK, NOW, ORDER, REFUND, UPDATE, Given, raw, written

LONE = "\ud800"
R = RejectReason


def bad(reason: RejectReason, value: bytes | None, name: str, **record: Any) -> Any:
    return pytest.param(reason, Given(value, **record), id=f"{reason}-{name}")


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


FORM = [
    bad(R.UNPARSEABLE, None, "tombstone"),
    bad(R.UNPARSEABLE, b"", "nothing"),
    bad(R.UNPARSEABLE, b"\x00\x01\xfe", "bytes"),
    bad(R.UNPARSEABLE, b'{"type": "click"', "cut"),
    bad(R.UNPARSEABLE, written(CLICK) + b"x", "trailing"),
    bad(R.UNPARSEABLE, b"[]", "list"),
    bad(R.UNPARSEABLE, b'"click"', "text"),
    bad(R.UNPARSEABLE, b"null", "null"),
    bad(R.UNPARSEABLE, b"17", "number"),
    bad(R.UNPARSEABLE, json.dumps(dict(CLICK)).encode("utf-16"), "utf16"),
    bad(R.UNPARSEABLE, written(CLICK, kind="\xff").replace(b"\\u00ff", b"\xff"), "latin1"),
    bad(R.RECORD_TOO_LARGE, written(CLICK, campaign="x" * (1 << 20)), "over-1-MiB"),
    bad(R.TOO_DEEP, raw(CLICK, extra=deep(32)), "33"),
    bad(R.TOO_DEEP, raw(CLICK, extra=deep(500)), "500"),
    bad(R.TOO_DEEP, raw(CLICK, extra=deep(100_000)), "100000"),
    bad(R.TOO_DEEP, b"[" * 100_000, "open"),
    bad(R.TOO_DEEP, raw(UPDATE, attributes='{"a":' + deep(40) + "}"), "attribute"),
    bad(R.MISSING_FIELD, written(CLICK, type=...), "type"),
    bad(R.MISSING_FIELD, written(CLICK, type=None), "type-null"),
    bad(R.INVALID_FIELD, written(CLICK, type=["click"]), "type-list"),
    bad(R.UNKNOWN_TYPE, written(CLICK, type="order.teleported"), "unknown"),
    bad(R.UNKNOWN_TYPE, written(CLICK, type=""), "empty"),
    bad(R.INVALID_FIELD, written(CLICK, type=LONE), "type-surrogate"),
    bad(R.NOT_SUPPORTED_YET, written(CLICK, type="customer.identified"), "identified"),
    bad(R.NOT_SUPPORTED_YET, written(CLICK, type="customer.merged", into="c-1"), "merged"),
    bad(R.NOT_SUPPORTED_YET, written(CLICK, type="customer.erased"), "erased"),
    bad(R.NOT_SUPPORTED_YET, written(UPDATE, prior_orders=3), "prior_orders"),
    bad(R.NOT_SUPPORTED_YET, written(UPDATE, prior_revenue="3.00"), "prior_revenue"),
]

IDS = [
    bad(R.NO_CUSTOMER, written(CLICK, customer_id=...), "missing"),
    bad(R.NO_CUSTOMER, written(CLICK, customer_id=None), "null"),
    bad(R.NO_CUSTOMER, written(CLICK, customer_id=""), "empty"),
    bad(R.NO_CUSTOMER, written(CLICK, customer_id=" \t"), "blank"),
    bad(R.NO_CUSTOMER, written(CLICK, customer_id=..., anonymous_id=""), "anonymous-empty"),
    bad(R.NO_CUSTOMER, written(REFUND, customer_id=...), "refund-of-an-order"),
    bad(R.NO_CUSTOMER, written(CLICK, customer_id=...), "key-not-declared", key=b"c-42"),
    bad(R.INVALID_FIELD, written(CLICK, customer_id=1001), "customer-number"),
    bad(R.INVALID_FIELD, written(CLICK, customer_id=LONE), "customer-surrogate"),
    bad(R.INVALID_FIELD, written(CLICK, customer_id="c\x00"), "customer-nul"),
    bad(R.INVALID_FIELD, written(CLICK, customer_id="c\x1f1"), "customer-control"),
    bad(R.INVALID_FIELD, written(ORDER, order_id="o\x00"), "order-nul"),
    bad(R.INVALID_FIELD, written(ORDER, event_id="e\x00"), "event-nul"),
    bad(R.INVALID_FIELD, written(ORDER, items=[{"item": LONE}]), "item-surrogate"),
    bad(R.INVALID_FIELD, written(CLICK, **{LONE: 1}), "name-surrogate"),
    bad(R.INVALID_FIELD, written(CLICK, shop="a/b"), "shop-slash"),
    bad(R.INVALID_FIELD, written(CLICK, shop=""), "shop-empty"),
    bad(R.RESERVED_ID, written(CLICK, customer_id="anon:1"), "customer"),
    bad(R.RESERVED_ID, written(CLICK, shop="anon:1"), "shop"),
    bad(R.RESERVED_ID, written(CLICK, customer_id=..., anonymous_id="anon:1"), "anonymous"),
    bad(R.RESERVED_ID, written(CLICK, customer_id="\u0061non:1"), "escaped"),
    bad(R.ID_TOO_LONG, written(CLICK, customer_id="c" * 257), "customer"),
    bad(R.ID_TOO_LONG, written(CLICK, customer_id="\u00e4" * 129), "customer-bytes"),
    bad(R.ID_TOO_LONG, raw(CLICK, customer_id=json.dumps("ä" * 129, ensure_ascii=False)), "customer-utf8"),
    bad(R.ID_TOO_LONG, written(CLICK, event_id="e" * 257), "event"),
    bad(R.ID_TOO_LONG, written(CLICK, shop="\u20ac" * 86), "shop-bytes"),
    bad(R.ID_TOO_LONG, written(ORDER, order_id="o" * 257), "order"),
    bad(R.ID_TOO_LONG, written(REFUND, refund_id="\u20ac" * 86), "refund-bytes"),
    bad(R.MISSING_FIELD, written(ORDER, order_id=...), "order"),
    bad(R.MISSING_FIELD, written(REFUND, refund_id=...), "refund"),
    bad(R.MISSING_FIELD, written(ORDER, items=[{"quantity": 1}]), "item"),
    bad(R.INVALID_FIELD, written(ORDER, order_id=""), "order-empty"),
    bad(R.INVALID_FIELD, written(ORDER, order_id=None), "order-null"),
    bad(R.INVALID_FIELD, written(REFUND, order_id=""), "refunded-order-empty"),
]

TIMES = [
    bad(R.MISSING_FIELD, written(CLICK, occurred_at=...), "time"),
    bad(R.NAIVE_TIME, written(CLICK, occurred_at="2026-11-01T10:00:00"), "naive"),
    bad(R.NAIVE_TIME, written(CLICK, occurred_at="2026-11-01 10:00:00.123"), "naive-space"),
    bad(R.NAIVE_TIME, written(CLICK, occurred_at="2026-11-01"), "date"),
    bad(R.NAIVE_TIME, written(UPDATE, known_since="2019-04-01T00:00:00"), "known_since"),
    bad(R.ABSURD_TIME, written(CLICK, occurred_at="1969-12-31T23:59:59.999999Z"), "before-1970"),
    bad(R.ABSURD_TIME, written(CLICK, occurred_at="2201-01-01T00:00:00Z"), "after-2200"),
    bad(R.ABSURD_TIME, written(CLICK, occurred_at="0000-01-01T00:00:00Z"), "year-0"),
    bad(R.ABSURD_TIME, written(CLICK, occurred_at="0001-01-01T00:00:00+23:59"), "year-1"),
    bad(R.ABSURD_TIME, written(CLICK, occurred_at="9999-12-31T23:59:59-23:59"), "year-9999"),
    bad(R.ABSURD_TIME, written(CLICK, occurred_at="12026-11-01T10:00:00Z"), "year-12026"),
    bad(R.ABSURD_TIME, written(UPDATE, known_since="1901-04-01T00:00:00Z"), "known_since"),
    bad(R.FUTURE_TIME, written(CLICK, occurred_at=rfc3339(NOW + 5 * MINUTE + 1_000)), "5-min-1-ms"),
    bad(R.FUTURE_TIME, written(CLICK, occurred_at=rfc3339(NOW + 365 * DAY)), "a-year"),
    bad(R.FUTURE_TIME, written(CLICK, occurred_at="1970-01-01T00:05:01Z"), "record-of-1970", timestamp=0),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at=1_793_527_200), "epoch"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at=1_793_527_200.5), "epoch-float"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at="1793527200"), "epoch-text"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at="12345"), "number-text"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at="20261101T100000Z"), "basic-form"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at="2026-11-01T10:00:00+0100"), "zone-without-colon"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at="2026-11-01T10:00:00+24:00"), "zone-of-a-day"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at="2026-13-01T10:00:00Z"), "month-13"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at="2026-11-01T10:00:60Z"), "leap-second"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at="\u0662026-11-01T10:00:00Z"), "arabic-digit"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at=""), "empty"),
    bad(R.INVALID_FIELD, written(CLICK, occurred_at=None), "null"),
]

AMOUNTS = [
    bad(R.MISSING_FIELD, written(ORDER, amount=...), "amount"),
    bad(R.NOT_A_NUMBER, raw(ORDER, amount="NaN"), "nan"),
    bad(R.NOT_A_NUMBER, raw(ORDER, amount="Infinity"), "infinity"),
    bad(R.NOT_A_NUMBER, raw(ORDER, amount="-Infinity"), "minus-infinity"),
    bad(R.NOT_A_NUMBER, raw(ORDER, amount="1e400"), "1e400"),
    bad(R.NOT_A_NUMBER, raw(REFUND, amount="1e400"), "refund-1e400"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount="NaN"), "nan-text"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount="-inf"), "inf-text"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount="sNaN"), "snan-text"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount=""), "empty"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount="12,50"), "comma"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount="1_000"), "underscore"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount=" 12.50"), "space"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount="12.50\n"), "newline"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount="\uff11\uff12"), "full-width"),
    bad(R.NOT_A_NUMBER, written(ORDER, amount="12.50 EUR"), "unit"),
    bad(R.NOT_A_NUMBER, raw(UPDATE, attributes='{"a": NaN}'), "attribute"),
    bad(R.NOT_A_NUMBER, raw(UPDATE, attributes='{"a": -1e999}'), "attribute-inf"),
    bad(R.NEGATIVE_AMOUNT, written(ORDER, amount="-0.01"), "text"),
    bad(R.NEGATIVE_AMOUNT, written(ORDER, amount=-5), "integer"),
    bad(R.NEGATIVE_AMOUNT, written(ORDER, amount=-0.5), "float"),
    bad(R.NEGATIVE_AMOUNT, written(REFUND, amount="-2.50"), "refund"),
    bad(R.NEGATIVE_AMOUNT, written(ORDER, discount="-1"), "discount"),
    bad(R.NEGATIVE_AMOUNT, written(ORDER, items=[{"item": "a", "amount": "-1"}]), "item"),
    bad(R.AMOUNT_PRECISION, written(ORDER, amount="1234567890123456.789"), "19-digits"),
    bad(R.AMOUNT_PRECISION, written(ORDER, amount="0." + "0" * 18 + "1"), "19-places"),
    bad(R.AMOUNT_PRECISION, written(ORDER, amount="1e18"), "19-places-before"),
    bad(R.AMOUNT_PRECISION, written(ORDER, amount="1e19"), "exponent"),
    bad(R.AMOUNT_PRECISION, written(ORDER, amount="1e-19"), "exponent-below"),
    bad(R.AMOUNT_PRECISION, written(ORDER, amount="1e400"), "text-1e400"),
    bad(R.AMOUNT_PRECISION, written(ORDER, amount="0e99999999999999999999"), "vast-exponent"),
    bad(R.AMOUNT_PRECISION, written(ORDER, amount="9" * 100_000), "vast-text"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, amount="1234567890123456"), "integer-16"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, amount="12345678.12345678"), "float-16"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, amount="0.1000000000000000055511"), "float-short-repr"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, amount="12.5000000000000000"), "float-zeros"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, amount="1e300"), "float-exponent"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, amount="1e-400"), "float-underflow"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, amount="0e25"), "float-zero-exponent"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, amount="9" * 400), "integer-400"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, amount="9" * 5_000), "integer-5000"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, items='[{"item":"a","amount": 1.00000000000000001}]'), "item"),
    bad(R.AMOUNT_PRECISION, raw(ORDER, discount=" 12345678.12345678"), "discount"),
    bad(R.INVALID_FIELD, raw(ORDER, amount="true"), "amount-true"),
    bad(R.INVALID_FIELD, raw(ORDER, amount="null"), "amount-null"),
    bad(R.INVALID_FIELD, raw(ORDER, amount="[1]"), "amount-list"),
    bad(R.MISSING_FIELD, written(ORDER, currency=...), "currency"),
    bad(R.UNKNOWN_CURRENCY, written(ORDER, currency="ZZZ"), "ZZZ"),
    bad(R.UNKNOWN_CURRENCY, written(ORDER, currency="XXX"), "XXX"),
    bad(R.UNKNOWN_CURRENCY, written(ORDER, currency="eur"), "lower"),
    bad(R.UNKNOWN_CURRENCY, written(ORDER, currency="EURO"), "EURO"),
    bad(R.UNKNOWN_CURRENCY, written(ORDER, currency=""), "empty"),
    bad(R.UNKNOWN_CURRENCY, written(REFUND, currency="\u20ac"), "sign"),
]

OWN = [
    bad(R.MISSING_FIELD, written(CLICK, kind=...), "kind"),
    bad(R.INVALID_FIELD, written(CLICK, test="yes"), "test-text"),
    bad(R.INVALID_FIELD, written(CLICK, test=1), "test-number"),
    bad(R.INVALID_FIELD, written(ORDER, items={}), "items-object"),
    bad(R.INVALID_FIELD, written(ORDER, items=[{"item": "a", "quantity": -1}]), "quantity-negative"),
    bad(R.INVALID_FIELD, written(ORDER, items=[{"item": "a", "quantity": 1.5}]), "quantity-half"),
    bad(R.INVALID_FIELD, written(CLICK, type="support.rated", score=0, scale="csat"), "csat-0"),
    bad(R.INVALID_FIELD, written(CLICK, type="support.rated", score=6, scale="csat"), "csat-6"),
    bad(R.INVALID_FIELD, written(CLICK, type="support.rated", score=11, scale="nps"), "nps-11"),
    bad(R.INVALID_FIELD, written(CLICK, type="support.rated", score=3, scale="stars"), "scale"),
    bad(R.INVALID_FIELD, written(CLICK, type="contact", channel="mail", kind="seen"), "contact-kind"),
    bad(R.INVALID_FIELD, written(UPDATE, attributes={f"a{n}": n for n in range(65)}), "65-attributes"),
    bad(R.INVALID_FIELD, written(UPDATE, attributes={"n" * 129: 1}), "attribute-name"),
    bad(R.INVALID_FIELD, written(UPDATE, attributes={"": 1}), "attribute-nameless"),
    bad(R.INVALID_FIELD, written(UPDATE, attributes={"a": "x" * 1_025}), "attribute-text"),
    bad(R.INVALID_FIELD, written(UPDATE, attributes={"a": [1]}), "attribute-list"),
    bad(R.INVALID_FIELD, written(UPDATE, attributes={"a": 2**64}), "attribute-number"),
    bad(R.INVALID_FIELD, written(UPDATE, consent={f"c{n}": True for n in range(33)}), "33-consents"),
    bad(R.INVALID_FIELD, written(UPDATE, consent={"mail": "yes"}), "consent-text"),
]


@pytest.mark.parametrize(("reason", "record"), [*FORM, *IDS, *TIMES, *AMOUNTS, *OWN])
def test_bad_input_gets_its_reason_and_the_valid_event_behind_it_is_read(reason: RejectReason, record: Given) -> None:
    decoder = JsonDecoder()

    rejection, behind = decoder.decode(record), decoder.decode(Given(written(CLICK)))

    assert isinstance(rejection, Rejection), rejection
    assert rejection.reason is reason, rejection.detail
    assert isinstance(behind, Decoded)


@pytest.mark.parametrize(("reason", "record"), [*FORM, *IDS, *TIMES, *AMOUNTS, *OWN])
def test_a_detail_is_one_short_printable_line(reason: RejectReason, record: Given) -> None:
    rejection = JsonDecoder().decode(record)

    assert isinstance(rejection, Rejection)
    assert rejection.detail.isascii()
    assert rejection.detail.isprintable()
    assert 10 < len(rejection.detail) < 330


@pytest.mark.parametrize(
    ("record", "detail"),
    [
        (Given(written(ORDER, amount="-5.00")), 'amount is "-5.00", expected an amount of 0 or more'),
        (
            Given(written(CLICK, customer_id="anon:\u00fc\n" + "x" * 200)),
            'customer_id is "anon:\\u00fc\\n' + "x" * 63 + "..., expected one that does not begin with anon:",
        ),
        (
            Given(written(CLICK, occurred_at="2026-11-01T10:00:00")),
            'occurred_at is "2026-11-01T10:00:00", expected a time with zone as in RFC 3339, such as '
            "2026-11-01T10:00:00Z",
        ),
        (
            Given(written(CLICK, occurred_at=rfc3339(NOW + 6 * MINUTE))),
            "occurred_at is 2026-11-01T10:06:00.123Z, expected at most 5m after the record's own "
            "2026-11-01T10:00:00.123Z",
        ),
        (
            Given(written(ORDER, items=[{"item": "a"}, {"item": "b", "amount": {"EUR": 1}}])),
            "items.1.amount is an object, expected a decimal number as text or number",
        ),
        (Given(written(UPDATE, attributes={"a\nb": [1]})), '"a\\nb" in attributes is a list, expected a text'),
        (Given(b'{"a": 1,}'), "value is not JSON: Expecting property name enclosed in double quotes"),
    ],
)
def test_a_detail_names_the_thing_the_found_and_the_expected(record: Given, detail: str) -> None:
    rejection = JsonDecoder().decode(record)

    assert isinstance(rejection, Rejection)
    assert rejection.detail.startswith(detail)


@pytest.mark.parametrize(
    "record",
    [
        Given(written(CLICK, occurred_at=rfc3339(NOW + 5 * MINUTE))),
        Given(written(CLICK, occurred_at="2200-12-31T23:59:59Z"), timestamp=-1),
        Given(written(CLICK, occurred_at="1970-01-01T00:00:00Z")),
        Given(written(CLICK, occurred_at="2026-11-01t10:00:00z")),
        Given(written(CLICK, occurred_at="2026-11-01 12:00:00.1234567891+02:00")),
        Given(raw(CLICK, extra=deep(31))),
        Given(raw(CLICK, extra="NaN")),
        Given(written(CLICK, customer_id="c" * 256)),
        Given(written(CLICK, customer_id="\u00e4" * 128)),
        Given(written(CLICK, customer_id="\U0001f600" * 64)),
        Given(written(CLICK, campaign="x" * ((1 << 20) - 200))),
        Given(written(ORDER, amount="123456789012345.678")),
        Given(written(ORDER, amount="1e17")),
        Given(written(ORDER, amount="0." + "0" * 17 + "1")),
        Given(raw(ORDER, amount="123456789012345")),
        Given(raw(ORDER, amount="1234567.12345678")),
        Given(raw(ORDER, amount="1.5E+2")),
        Given(raw(ORDER, amount="-0.0")),
        Given(written(ORDER, amount="0")),
        Given(written(ORDER, event_id="a3e12-9e44", order_id="x, 12e99 1234567890123456789")),
        Given(written(ORDER, currency="JPY")),
        Given(written(UPDATE, prior_orders=None)),
        Given(written(UPDATE, attributes={f"a{n}": "x" * 1_024 for n in range(64)})),
        Given(b'{"type": "click", ' + written(CLICK, type="order.paid", order_id="o-1")[1:]),
    ],
)
def test_what_is_just_within_the_limits_is_read(record: Given) -> None:
    decoded = JsonDecoder().decode(record)

    assert isinstance(decoded, Decoded), decoded


@pytest.mark.parametrize("items", ["17", '"text"', "true", "[1, null]", '[[{"amount": 1}]]', '{"amount": 1}'])
def test_a_field_named_items_holds_anything_where_the_type_knows_none(items: str) -> None:
    found = JsonDecoder().decode(Given(raw(REFUND, amount="1.25e1", items=items)))

    assert isinstance(found, Decoded)
    assert found.unknown_fields == 1


def test_a_second_of_clock_skew_is_no_reason_to_refuse() -> None:
    decoded = JsonDecoder().decode(Given(written(CLICK, occurred_at=rfc3339(NOW + SECOND))))

    assert isinstance(decoded, Decoded)
    assert decoded.at == NOW + SECOND


@pytest.mark.parametrize(
    "money",
    [
        b'"amount":1e-400,"meta":{"amount":"1"}',
        b'"amount":"1","amount":1e-400',
        b'"amount":"1","discount":1e-400',
        b'"amount":"1","\\u0061mount":1e-400',
    ],
)
def test_an_amount_as_text_hides_no_number_that_is_too_fine(money: bytes) -> None:
    told = f'"customer_id":"c","order_id":"o","currency":"EUR","occurred_at":"{rfc3339(NOW)}",'
    value = b'{"type":"order.placed","event_id":"e",' + told.encode() + money + b"}"

    found = JsonDecoder().decode(Given(value))

    assert isinstance(found, Rejection)
    assert found.reason is RejectReason.AMOUNT_PRECISION
