"""Bad input as shops really send it: one record of each kind in turn, each for a reason of its own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from segmenter.domain.causes import RejectReason
from segmenter.domain.instants import DAY, Instant, rfc3339
from segmenter.embedded.shop_records import CURRENCY, Json, Scribe, ShopRecord, encoded

FUTURE_BY = 2 * DAY


class FaultyPen:
    """Writes bad records, one kind after the other."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._written = 0

    def write(self, customer_id: str, at: Instant) -> ShopRecord:
        """Return the next bad record: an order that would be good but for one thing."""
        reason = _REASONS[self._written % len(_REASONS)]
        self._written += 1
        good = self._scribe.write(
            "order.placed", customer_id, at, order_id=f"x-{self._written}", amount="49.90", currency=CURRENCY
        )
        return replace(good, value=_SPOIL[reason](good), oddity=reason)


def _with(good: ShopRecord, **changed: Json) -> bytes:
    event: Mapping[str, Json] = json.loads(good.value)
    return encoded({**event, **changed})


def _without_customer(good: ShopRecord) -> bytes:
    event: Mapping[str, Json] = json.loads(good.value)
    return encoded({name: value for name, value in event.items() if name != "customer_id"})


_SPOIL: Mapping[RejectReason, Callable[[ShopRecord], bytes]] = {
    RejectReason.UNPARSEABLE: lambda good: good.value[:-20],
    RejectReason.UNKNOWN_TYPE: lambda good: _with(good, type="order.teleported"),
    RejectReason.NO_CUSTOMER: _without_customer,
    RejectReason.NOT_A_NUMBER: lambda good: _with(good, amount="NaN"),
    RejectReason.NEGATIVE_AMOUNT: lambda good: _with(good, amount="-49.90"),
    RejectReason.FUTURE_TIME: lambda good: _with(good, occurred_at=rfc3339(good.occurred_at + FUTURE_BY)),
    RejectReason.NAIVE_TIME: lambda good: _with(good, occurred_at=rfc3339(good.occurred_at).rstrip("Z")),
    RejectReason.UNKNOWN_CURRENCY: lambda good: _with(good, currency="EURO"),
    RejectReason.NO_RATE: lambda good: _with(good, currency="DKK"),
}
_REASONS = tuple(_SPOIL)
