"""Bad input as shops really send it: one record of each kind in turn, each for a reason of its own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from segmenter.domain.instants import DAY, Instant, rfc3339
from segmenter.embedded.shop_records import CURRENCY, Json, Oddity, Scribe, ShopRecord, encoded

FUTURE_BY = 2 * DAY


class FaultyPen:
    """Writes bad records, every kind of `Oddity` that is refused, one after the other."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._written = 0

    def write(self, customer_id: str, at: Instant) -> ShopRecord:
        """Return the next bad record: an order that would be good but for one thing."""
        oddity = _KINDS[self._written % len(_KINDS)]
        self._written += 1
        good = self._scribe.write(
            "order.placed", customer_id, at, order_id=f"x-{self._written}", amount="49.90", currency=CURRENCY
        )
        return replace(good, value=_SPOIL[oddity](good), oddity=oddity)


def _with(good: ShopRecord, **changed: Json) -> bytes:
    event: Mapping[str, Json] = json.loads(good.value)
    return encoded({**event, **changed})


def _without_customer(good: ShopRecord) -> bytes:
    event: Mapping[str, Json] = json.loads(good.value)
    return encoded({name: value for name, value in event.items() if name != "customer_id"})


_SPOIL: Mapping[Oddity, Callable[[ShopRecord], bytes]] = {
    Oddity.UNPARSEABLE: lambda good: good.value[:-20],
    Oddity.UNKNOWN_TYPE: lambda good: _with(good, type="order.teleported"),
    Oddity.NO_CUSTOMER: _without_customer,
    Oddity.BAD_AMOUNT: lambda good: _with(good, amount="NaN"),
    Oddity.FUTURE: lambda good: _with(good, occurred_at=rfc3339(good.occurred_at + FUTURE_BY)),
    Oddity.UNKNOWN_CURRENCY: lambda good: _with(good, currency="DKK"),
}
_KINDS = tuple(_SPOIL)
