"""What is said by hand, as it is read, and the exact sentence for what cannot be."""

from datetime import UTC, datetime

import pytest

from segmenter.adapters.codec import JsonDecoder
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.events import CustomerPut
from segmenter.domain.instants import DAY, instant_of, rfc3339
from segmenter.ports import Decoded
from tests.contract.codec_records import NOW, PUT, Given, written

FAULTS = [
    ({"segment": "custom.vip"}, 'segment is "custom.vip", expected the name of a declared segment, such as vip'),
    ({"segment": ""}, 'segment is "", expected the name of a declared segment, such as vip'),
    ({"until": ...}, "until is missing, expected when in ends by itself"),
    ({"to": "out", "until": None}, "until is missing, expected when out ends by itself"),
    ({"because": ...}, "because is missing, expected why the customer is put in"),
    ({"because": "  "}, "because is missing, expected why the customer is put in"),
    ({"because": "\u00e4" * 513}, "because is longer than 1024 bytes in UTF-8"),
    ({"by": "b" * 257}, "by is longer than 256 bytes in UTF-8"),
    ({"until": "2201-01-01T00:00:00Z"}, "until is 2201-01-01T00:00:00+00:00, expected a time up to 2200"),
]


def test_a_put_is_read_with_all_that_it_says() -> None:
    read = JsonDecoder().decode(Given(written(PUT, by="mara")))

    assert isinstance(read, Decoded)
    assert isinstance(read.event, CustomerPut)
    assert (read.event.segment, read.event.to, read.event.because, read.event.by) == ("vip", "in", "promised", "mara")
    assert read.event.until is not None
    assert instant_of(read.event.until) == NOW + DAY


def test_auto_needs_neither_an_end_nor_a_reason() -> None:
    read = JsonDecoder().decode(Given(written(PUT, to="auto", until=..., because=...)))

    assert isinstance(read, Decoded)


@pytest.mark.parametrize(("changed", "sentence"), FAULTS)
def test_what_cannot_be_is_told_exactly(changed: dict[str, object], sentence: str) -> None:
    assert JsonDecoder().decode(Given(written(PUT, **changed))) == Rejection(RejectReason.INVALID_FIELD, sentence)


def test_an_end_before_its_beginning_is_refused() -> None:
    read = JsonDecoder().decode(Given(written(PUT, until=rfc3339(NOW))))

    ends = datetime.fromtimestamp(NOW // 1_000_000, UTC).replace(microsecond=NOW % 1_000_000).isoformat()
    assert read == Rejection(RejectReason.INVALID_FIELD, f"until is {ends}, expected a time after occurred_at")


def test_a_word_that_is_none_of_the_three_is_refused_with_them() -> None:
    read = JsonDecoder().decode(Given(written(PUT, to="maybe")))

    assert isinstance(read, Rejection)
    assert read.reason is RejectReason.INVALID_FIELD
    assert all(word in read.detail for word in ("'in'", "'out'", "'auto'"))


def test_who_is_not_identified_is_in_no_segment() -> None:
    read = JsonDecoder().decode(Given(written(PUT, customer_id=..., anonymous_id="x-1")))

    sentence = "customer.put names no customer_id, expected one: nobody is in a segment who is not identified"
    assert read == Rejection(RejectReason.NO_CUSTOMER, sentence)
