"""Records for the tests of the codec."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segmenter.domain.instants import DAY, MILLISECOND, Instant, rfc3339

NOW: Instant = 1_793_527_200_123_000
CLICK: Mapping[str, Any] = {
    "event_id": "e-1",
    "type": "click",
    "customer_id": "c-42",
    "occurred_at": rfc3339(NOW),
    "kind": "view",
}
ORDER: Mapping[str, Any] = {
    "event_id": "e-2",
    "type": "order.placed",
    "customer_id": "c-42",
    "occurred_at": rfc3339(NOW),
    "order_id": "o-1",
    "amount": "12.50",
    "currency": "EUR",
}
REFUND: Mapping[str, Any] = {
    "event_id": "e-3",
    "type": "order.refunded",
    "customer_id": "c-42",
    "occurred_at": rfc3339(NOW),
    "refund_id": "r-1",
    "order_id": "o-1",
    "amount": "2.50",
    "currency": "EUR",
}
UPDATE: Mapping[str, Any] = {
    "event_id": "e-4",
    "type": "customer.updated",
    "customer_id": "c-42",
    "occurred_at": rfc3339(NOW),
}


PUT: Mapping[str, Any] = {
    "event_id": "e-5",
    "type": "customer.put",
    "customer_id": "c-42",
    "occurred_at": rfc3339(NOW),
    "segment": "vip",
    "to": "in",
    "until": rfc3339(NOW + DAY),
    "because": "promised",
}


@dataclass(frozen=True)
class Given:
    """A record as it was read."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None
    topic: str = "orders"
    partition: int = 3
    offset: int = 17
    timestamp: int = NOW // MILLISECOND


def written(event: Mapping[str, Any], **changed: Any) -> bytes:
    """Return an event as JSON with some fields changed; those set to `...` are left out."""
    return json.dumps({name: found for name, found in {**event, **changed}.items() if found is not ...}).encode()


def raw(event: Mapping[str, Any], **texts: str) -> bytes:
    """Return an event as JSON with some fields set to a piece of JSON text."""
    fields = {name: json.dumps(found) for name, found in event.items()} | texts
    return ("{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in fields.items()) + "}").encode()
