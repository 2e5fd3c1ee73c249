"""Purchases of 23,570 customers of CDNOW, 1997-01-01 to 1998-06-30, as canonical events.

They come with the package `lifetimes`: days only, no order ids, 255 exact repeats that are purchases of their
own, 80 purchases over 0.00, sorted by customer.
"""

from importlib.util import find_spec
from pathlib import Path

from tests.oracle.jsonl import JsonEvent

CURRENCY = "USD"


def cdnow_path() -> Path:
    """Return where the raw file lies. The package is only found, not imported: it would bring pandas along."""
    package = find_spec("lifetimes")
    if package is None or package.origin is None:
        raise FileNotFoundError("CDNOW_master.txt comes with the package lifetimes==0.11.3, which is not installed")
    return Path(package.origin).parent / "datasets" / "CDNOW_master.txt"


def cdnow_events(*, by_time: bool = True) -> list[JsonEvent]:
    """Return an order a row, by time, or by customer as the file has them.

    The order id is the row's number: nothing else tells two equal rows apart.
    """
    rows = cdnow_path().read_text().splitlines()[1:]
    events = [_event(number, *row.split()) for number, row in enumerate(rows, start=1)]
    return sorted(events, key=lambda event: event["occurred_at"]) if by_time else events


def _event(number: int, customer: str, day: str, _quantity: str, amount: str) -> JsonEvent:
    return {
        "type": "order.placed",
        "event_id": f"cdnow-{number:05d}",
        "customer_id": customer,
        "occurred_at": f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00Z",
        "order_id": f"{number:05d}",
        "amount": amount,
        "currency": CURRENCY,
    }
