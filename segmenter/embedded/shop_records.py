"""The records a simulated shop hands out, and the scribe that writes them as canonical JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, assert_never

from segmenter.domain.causes import RejectReason
from segmenter.domain.instants import MILLISECOND, Instant, rfc3339

Json: TypeAlias = str | int | bool | Mapping[str, "Json"] | Sequence["Json"]

ORDERS, CLICKS, SUPPORT, CUSTOMERS = TOPICS = ("orders", "clicks", "support", "customers")
TOPIC_BY_TYPE = {
    "order.placed": ORDERS,
    "order.paid": ORDERS,
    "order.delivered": ORDERS,
    "order.cancelled": ORDERS,
    "order.refunded": ORDERS,
    "click": CLICKS,
    "support.opened": SUPPORT,
    "support.closed": SUPPORT,
    "support.rated": SUPPORT,
    "contact": CUSTOMERS,
    "customer.updated": CUSTOMERS,
}
CURRENCY = "EUR"
# json.dumps would make one anew for each event, which takes as long as the encoding.
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class Oddity(StrEnum):
    """What is out of the ordinary with a record that is good nevertheless."""

    LATE = "late"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopRecord:
    """One Kafka record: key and value as they are sent, and what a test wants to know of them."""

    topic: str
    key: bytes
    value: bytes
    occurred_at: Instant
    type: str
    oddity: Oddity | RejectReason | None = None  # a reason: to be refused for it; None: a plain good event


@dataclass(slots=True)
class Manifest:
    """What was handed out so far, counted; bad records also count under the type they spoil."""

    records: int = 0
    late: int = 0
    duplicates: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    refused: Counter[RejectReason] = field(default_factory=Counter)

    def add(self, record: ShopRecord) -> None:
        """Count one record."""
        self.records += 1
        self.by_type[record.type] += 1
        match record.oddity:
            case Oddity.LATE:
                self.late += 1
            case Oddity.DUPLICATE:
                self.duplicates += 1
            case RejectReason() as reason:
                self.refused[reason] += 1
            case None:
                pass
            case _:
                assert_never(record.oddity)


class Scribe:
    """Writes the events of one source, each with an id of its own: the prefix and a running number."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._written = 0

    def write(self, kind: str, customer_id: str, at: Instant, /, **own: Json) -> ShopRecord:
        """Return the event as a record; the instant is cut to whole milliseconds."""
        occurred_at = at - at % MILLISECOND
        event = {
            "event_id": self.next_id(),
            "type": kind,
            "customer_id": customer_id,
            "occurred_at": rfc3339(occurred_at),
            **own,
        }
        return ShopRecord(
            topic=TOPIC_BY_TYPE[kind],
            key=customer_id.encode(),
            value=encoded(event),
            occurred_at=occurred_at,
            type=kind,
        )

    def next_id(self) -> str:
        """Return an event id that this scribe has not used."""
        self._written += 1
        return f"{self._prefix}-{self._written}"


def encoded(event: Mapping[str, Json]) -> bytes:
    """Return the event as compact JSON in UTF-8."""
    return _ENCODER.encode(event).encode()


def money(cents: int) -> str:
    """Return a non-negative amount as the decimal string that events carry."""
    return f"{cents // 100}.{cents % 100:02d}"
