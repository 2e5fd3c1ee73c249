"""One valid example of every record, for the schemas and the documents."""

from collections.abc import Mapping
from typing import TypeAlias

from segmenter.adapters.records_forms import ChangeValue, MembershipValue, RejectedHeaders, TraitsForm
from segmenter.domain.causes import RejectReason
from segmenter.domain.changes import CauseKind

Json: TypeAlias = str | int | bool | Mapping[str, "Json"] | list["Json"] | None

_ORDER = {"customer_id": "c-42", "occurred_at": "2026-11-01T10:00:00.123Z"}

EVENT_EXAMPLES: Mapping[str, Mapping[str, Json]] = {
    "order.placed": {
        "event_id": "e-981",
        "type": "order.placed",
        **_ORDER,
        "order_id": "o-981",
        "amount": "129.90",
        "currency": "EUR",
        "items": [
            {"item": "boot-41", "category": "shoes", "quantity": 1, "amount": "119.00"},
            {"item": "wax", "category": "care", "quantity": 2, "amount": "10.90"},
        ],
        "discount": "10.00",
        "coupon": "AUTUMN",
        "channel": "web",
    },
    "order.paid": {"event_id": "e-982", "type": "order.paid", **_ORDER, "order_id": "o-981"},
    "order.delivered": {"event_id": "e-983", "type": "order.delivered", **_ORDER, "order_id": "o-981"},
    "order.cancelled": {"event_id": "e-984", "type": "order.cancelled", **_ORDER, "order_id": "o-981"},
    "order.updated": {
        "event_id": "e-985",
        "type": "order.updated",
        **_ORDER,
        "order_id": "o-981",
        "amount": "119.00",
        "currency": "EUR",
    },
    "order.refunded": {
        "event_id": "e-986",
        "type": "order.refunded",
        **_ORDER,
        "refund_id": "r-17",
        "order_id": "o-981",
        "amount": "10.90",
        "currency": "EUR",
    },
    "click": {
        "event_id": "e-987",
        "type": "click",
        "anonymous_id": "cookie-7f3a",
        "occurred_at": "2026-11-01T11:00:00+01:00",
        "kind": "view",
        "item": "boot-41",
        "category": "shoes",
        "channel": "web",
    },
    "support.opened": {
        "event_id": "e-988",
        "type": "support.opened",
        **_ORDER,
        "ticket_id": "t-5",
        "priority": "high",
        "channel": "mail",
        "category": "return",
    },
    "support.closed": {"event_id": "e-989", "type": "support.closed", **_ORDER, "ticket_id": "t-5"},
    "support.rated": {
        "event_id": "e-990",
        "type": "support.rated",
        **_ORDER,
        "score": 9,
        "scale": "nps",
        "ticket_id": "t-5",
    },
    "contact": {
        "event_id": "e-991",
        "type": "contact",
        **_ORDER,
        "kind": "opened",
        "channel": "mail",
        "campaign": "autumn",
    },
    "customer.updated": {
        "event_id": "e-992",
        "type": "customer.updated",
        **_ORDER,
        "attributes": {"country": "DE", "newsletter": True, "birthday": None},
        "consent": {"mail": True, "post": False},
        "known_since": "2019-04-01T00:00:00Z",
    },
    "customer.put": {
        "event_id": "e-993",
        "type": "customer.put",
        **_ORDER,
        "segment": "vip",
        "to": "in",
        "until": "2026-12-01T00:00:00Z",
        "because": "promised by the key account manager",
        "by": "mara",
    },
}

_TRAITS: TraitsForm = {
    "orders": 4,
    "net_revenue": "861.00",
    "value_revenue": "861.00",
    "currency": "EUR",
    "first_order_at": "2025-02-03T08:15:00.000Z",
    "last_order_at": "2026-11-01T10:00:00.123Z",
}

CHANGE_EXAMPLE: ChangeValue = {
    "change_id": "80fb59d4-eb09-5c7f-8605-c28a042140d5",
    "customer_id": "c-42",
    "life": 1,
    "sequence": 17,
    "changes": [{"dimension": "value", "before": "B", "after": "A"}],
    "cause": {"kind": CauseKind.EVENT, "type": "order.placed", "event_ids": ["e-981"]},
    "effective_at": "2026-11-01T10:00:00.123Z",
    "recorded_at": "2026-11-01T10:00:00.131Z",
    "reasons": [
        {
            "dimension": "value",
            "condition": "cumulative_share",
            "actual": "0.793",
            "threshold": "0.80",
            "boundary": "812.40",
        }
    ],
    "traits": _TRAITS,
    "next_change_at": "2027-04-30T10:00:00.123Z",
    "backfill": False,
    "rulebook_revision": 3,
}

MEMBERSHIP_EXAMPLE: MembershipValue = {
    "customer_id": "c-42",
    "as_of": "2026-11-01T10:00:00.123Z",
    "life": 1,
    "sequence": 17,
    "segments": {"lifecycle": "repeat", "value": "A"},
    "since": {"lifecycle": "2025-03-11T17:40:00.000Z", "value": "2026-11-01T10:00:00.123Z"},
    "traits": _TRAITS,
    "next_change_at": "2027-04-30T10:00:00.123Z",
}

REJECTED_EXAMPLE: RejectedHeaders = {
    "reason": RejectReason.NEGATIVE_AMOUNT,
    "detail": 'amount is "-5.00", expected an amount of 0 or more',
    "topic": "orders",
    "partition": "3",
    "offset": "12044",
    "timestamp": "1793527200123",
    "rejected_at": "2026-11-01T10:00:00.131Z",
}
