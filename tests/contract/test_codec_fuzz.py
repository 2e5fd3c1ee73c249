"""Whatever the bytes, the decoder answers: it never raises, and it never reads what it should refuse."""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from segmenter.adapters.codec import CodecSettings, JsonDecoder, TopicForm
from segmenter.adapters.codec_types import EVENT_TYPES
from segmenter.adapters.schemas_examples import EVENT_EXAMPLES
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.instants import instant_of
from segmenter.domain.money import minor_units
from segmenter.ports import Decoded
from tests.contract.codec_records import NOW, ORDER, Given, raw, written

DECODER = JsonDecoder(CodecSettings({"orders": TopicForm(customer_from_key=True)}))

texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["", "anon:1", "a/b", "\x00", "1e400"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | texts
    | st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
    | st.decimals(allow_nan=True, allow_infinity=True).map(str)
)
values = st.recursive(
    scalars, lambda part: st.lists(part, max_size=4) | st.dictionaries(texts, part, max_size=4), max_leaves=12
)
names = st.sampled_from(sorted({name for one in EVENT_EXAMPLES.values() for name in one} | {"anonymous_id", "shop"}))
headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_specversion", "ce_id", "ce_type", "ce_time", "CE_ID", "content-type", "x"]) | st.text(),
        st.sampled_from([b"1.0", b"click", b"application/cloudevents+json", b"x.order.placed"]) | st.binary(),
    ),
    max_size=4,
).map(tuple)


def checked(record: Given) -> Decoded | Rejection:
    """Decode, and hold the answer to what every answer promises."""
    found = DECODER.decode(record)
    if isinstance(found, Rejection):
        assert found.detail.isascii(), found
        assert found.detail.isprintable(), found
        return found
    assert isinstance(found.event, tuple(EVENT_TYPES.values()))
    assert found.customer
    assert found.event_id
    assert 0 <= found.at == instant_of(found.event.occurred_at)
    for identifier in (found.customer, found.home_id, found.event_id):
        assert len(identifier.encode()) <= 2 * 256 + 6
        assert "\x00" not in identifier
    return found


@settings(deadline=None)
@given(st.binary(max_size=200), headers, st.none() | st.binary(max_size=20))
def test_any_bytes_get_an_answer(value: bytes, headers: Any, key: bytes | None) -> None:
    checked(Given(value, headers, key))


@settings(deadline=None)
@given(values, headers)
def test_any_json_gets_an_answer(value: Any, headers: Any) -> None:
    checked(Given(json.dumps(value).encode(), headers))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(EVENT_EXAMPLES)), st.dictionaries(names | texts, values, max_size=3), headers)
def test_a_valid_event_with_any_fields_changed_gets_an_answer(
    kind: str, changed: Mapping[str, Any], headers: Any
) -> None:
    checked(Given(json.dumps({**EVENT_EXAMPLES[kind], **changed}).encode(), headers, b"k"))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(EVENT_EXAMPLES)), st.data())
def test_a_valid_event_with_any_bytes_changed_gets_an_answer(kind: str, data: st.DataObject) -> None:
    value = json.dumps(EVENT_EXAMPLES[kind]).encode()
    at = data.draw(st.integers(0, len(value)))
    length = data.draw(st.integers(0, 8))
    put = data.draw(
        st.binary(max_size=6) | st.sampled_from([b'"', b"{", b"}", b"e9", b"\\ud800", b"\\u0000", b"9" * 20])
    )

    checked(Given(value[:at] + put + value[at + length :]))


@settings(deadline=None)
@given(st.sampled_from(sorted(EVENT_EXAMPLES)), st.dictionaries(texts, values, max_size=3), st.booleans())
def test_any_envelope_gets_an_answer(kind: str, attributes: Mapping[str, Any], is_declared: bool) -> None:
    envelope = {"specversion": "1.0", "id": "1", "source": "/", "data": EVENT_EXAMPLES[kind], **attributes}
    declared = (("content-type", b"application/cloudevents+json"),) if is_declared else ()

    checked(Given(json.dumps(envelope).encode(), declared))


@settings(max_examples=300, deadline=None)
@given(st.decimals(0, 10**18, allow_nan=False), st.integers(0, 25), st.booleans())
@example(Decimal("999999999999999.9"), 1, True)
def test_an_amount_that_is_read_is_exact(amount: Decimal, places: int, is_number: bool) -> None:
    text = f"{amount:.{places}f}"

    found = checked(Given(raw(ORDER, amount=text if is_number else f'"{text}"')))

    digits = len(text.replace(".", "").lstrip("0"))
    if isinstance(found, Decoded):
        assert digits <= (15 if is_number else 18)
        assert found.event.amount == Decimal(text)  # type: ignore[union-attr]
        assert minor_units(Decimal(text), "EUR").units >= 0
    else:
        assert found.reason is RejectReason.AMOUNT_PRECISION
        assert digits > (15 if is_number else 18) or places > 18


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0) | st.integers(0, 10**30))
def test_a_number_as_json_writes_it_is_exact_or_refused(number: float) -> None:
    found = checked(Given(written(ORDER, amount=number)))

    if isinstance(found, Decoded):
        assert found.event.amount == Decimal(repr(number))  # type: ignore[union-attr]
        assert math.isclose(float(found.event.amount), number)  # type: ignore[union-attr]
    else:
        assert found.reason is RejectReason.AMOUNT_PRECISION


@settings(deadline=None)
@given(st.integers(-(10**19), 10**19))
def test_a_record_may_have_any_timestamp(timestamp: int) -> None:
    value = written(ORDER)

    found = checked(Given(value, timestamp=timestamp))

    is_early = 0 <= timestamp * 1_000 < NOW - 300_000_000
    assert isinstance(found, Rejection) == is_early
