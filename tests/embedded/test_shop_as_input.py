"""What the shop says of its records is what the decoder finds in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import pytest

from segmenter.adapters.codec import JsonDecoder
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.instants import MILLISECOND, MINUTE, SECOND, Instant
from segmenter.embedded.shop import history, open_shop
from segmenter.embedded.shop_live import live
from segmenter.embedded.shop_records import ShopRecord

ENDS_AT: Instant = 1_795_000_000 * SECOND
DECODER = JsonDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    topic: str
    timestamp: int
    key: bytes | None
    value: bytes | None
    partition: int = 0
    offset: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


def found_in(record: ShopRecord, at: Instant) -> RejectReason | None:
    sent = Sent(topic=record.topic, timestamp=at // MILLISECOND, key=record.key, value=record.value)
    decoded = DECODER.decode(sent)
    return decoded.reason if isinstance(decoded, Rejection) else None


def test_history_is_accepted_whole() -> None:
    assert {found_in(record, ENDS_AT) for record in history(open_shop(7, ENDS_AT, customers=50))} == {None}


@pytest.mark.parametrize("seed", [1, 2])
def test_live_records_are_refused_for_the_reason_they_were_written_for(seed: int) -> None:
    shop = open_shop(seed, ENDS_AT, customers=50)
    minutes = takewhile(lambda due: due[0] < ENDS_AT + 3 * MINUTE, live(shop, ENDS_AT, rate=40))

    for at, record in minutes:
        expected = record.oddity if isinstance(record.oddity, RejectReason) else None
        # Whether a currency has a rate is known to the rulebook only, not to the decoder.
        assert found_in(record, at) == (None if expected is RejectReason.NO_RATE else expected), record.value
