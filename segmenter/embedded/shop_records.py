"""The records a simulated shop hands out, and the scribe that writes them as canonical JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

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
    """What is out of the ordinary with a record; all but the first two are refused by a reader."""

    LATE = "late"
    DUPLICATE = "duplicate"
    UNPARSEABLE = "unparseable"
    UNKNOWN_TYPE = "unknown_type"
    NO_CUSTOMER = "no_customer"
    BAD_AMOUNT = "bad_amount"
    FUTURE = "future"
    UNKNOWN_CURRENCY = "unknown_currency"

    @property
    def is_refused(self) -> bool:
        """Whether a reader has to put the record aside."""
        return self not in {Oddity.LATE, Oddity.DUPLICATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopRecord:
    """One Kafka record: key and value as they are sent, and what a test wants to know of them."""

    topic: str
    key: bytes
    value: bytes
    occurred_at: Instant
    type: str
    oddity: Oddity | None = None  # None: a plain good event


@dataclass(slots=True)
class Manifest:
    """What was handed out so far, counted."""

    records: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    by_oddity: Counter[Oddity] = field(default_factory=Counter)

    def add(self, record: ShopRecord) -> None:
        """Count one record: by its type (refused ones too, under the type they claim) and its oddity."""
        self.records += 1
        self.by_type[record.type] += 1
        if record.oddity is not None:
            self.by_oddity[record.oddity] += 1

    @property
    def refused(self) -> int:
        """How many of the records a reader has to put aside."""
        return sum(count for oddity, count in self.by_oddity.items() if oddity.is_refused)


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
