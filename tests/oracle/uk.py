"""Invoices of a UK gift shop, 2010-12-01 to 2011-12-09, as canonical events.

An invoice that cancels does not say which one: it is a refund without an order. Invoices without a customer,
bad debts and stock write-offs are nobody's purchase and are left out.
"""

import csv
import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from tests.oracle.jsonl import JsonEvent

RAW = Path(__file__).parents[1] / "data" / "ukretail_2010_11_orders.csv.gz"
CURRENCY = "GBP"


def uk_events(*, with_refunds: bool = True, with_free: bool = False) -> list[JsonEvent]:
    """Return the events by time, then id: orders, and the refunds if asked.

    `with_free` also brings the four invoices of known customers over 0.00: contacts, not orders.
    """
    events = [event for row in _rows() if (event := _event(row, with_refunds, with_free)) is not None]
    return sorted(events, key=lambda event: (event["occurred_at"], event["event_id"]))


def _rows() -> Iterator[dict[str, str]]:
    with gzip.open(RAW, "rt", newline="") as lines:
        yield from csv.DictReader(lines)


def _event(row: dict[str, str], with_refunds: bool, with_free: bool) -> JsonEvent | None:
    if not row["customer_id"]:
        return None
    shared = {
        "event_id": f"uk-{row['order_id']}",
        "customer_id": row["customer_id"],
        "occurred_at": row["occurred_at"],
        "currency": row["currency"],
    }
    amount = Decimal(row["amount"])
    if row["kind"] == "placed" and (amount > 0 or with_free):
        return {"type": "order.placed", **shared, "order_id": row["order_id"], "amount": row["amount"]}
    if row["kind"] == "cancelled" and with_refunds:
        return {"type": "order.refunded", **shared, "refund_id": row["order_id"], "amount": str(-amount)}
    return None
