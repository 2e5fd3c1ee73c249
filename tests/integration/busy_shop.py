"""A shop whose customers order, pause, cancel and get money back within seconds.

Half of them buy in a branch that keys and partitions its records by something of its own: `BRANCH` declares it.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

from segmenter.domain.instants import MILLISECOND, Instant, rfc3339
from tests.integration.workload import Shop
from tests.oracle.jsonl import JsonEvent

_ROLE, _PARTITIONS = "support", 5
BRANCH: Mapping[str, Any] = {"keyed": {_ROLE: "other"}, "counts": {_ROLE: _PARTITIONS}}


async def sell(shop: Shop, events: Sequence[JsonEvent], now: Callable[[], Instant]) -> None:
    """Send events when their time has come; all of one customer keep their order."""
    at_home = [event for event in events if not _is_of_branch(event)]
    of_branch = [event for event in events if _is_of_branch(event)]
    await asyncio.gather(
        shop.send_live(at_home, now),
        shop.send_live(of_branch, now, role=_ROLE, partition=lambda event: _hashed(event) // 2 % _PARTITIONS),
    )


def _is_of_branch(event: JsonEvent) -> bool:
    return _hashed(event) % 2 == 1


def _hashed(event: JsonEvent) -> int:
    return crc32(event["customer_id"].encode())


def busy_shop(customers: int, start: Instant, seconds: float, seed: int = 7) -> list[JsonEvent]:
    """Return the events of customers who order, pause, cancel and get money back, by time.

    Gaps between orders are some seconds, so with an `inactive_after` of some seconds all kinds of change occur.
    """
    rng = random.Random(seed)
    events: list[JsonEvent] = []
    for number in range(customers):
        events += _shopper(f"c-{seed}-{number}", start, seconds, rng)
    return sorted(events, key=lambda event: (event["occurred_at"], event["event_id"]))


def _shopper(customer: str, start: Instant, seconds: float, rng: random.Random) -> Iterator[JsonEvent]:
    """Give one customer's events; no two of them have the same time, or come too close to a deadline to tell."""
    at, orders = rng.uniform(0, seconds), 0
    while at < seconds - 3:
        orders += 1
        order, amount = f"{customer}-o{orders}", f"{rng.randint(100, 90_000) / 100:.2f}"
        yield _event("order.placed", customer, order, start, at, order_id=order, amount=amount, currency="EUR")
        match rng.random():
            case chance if chance < 0.1:
                at += rng.uniform(0.2, 1.5)
                yield _event("order.cancelled", customer, f"{order}-x", start, at, order_id=order)
            case chance if chance < 0.25:
                at += rng.uniform(0.2, 1.5)
                paid = {"order_id": order, "refund_id": f"{order}-r", "amount": amount, "currency": "EUR"}
                yield _event("order.refunded", customer, f"{order}-r", start, at, **paid)
            case _:
                pass
        at += 0.2 + rng.expovariate(1 / 4)


def _event(kind: str, customer: str, event_id: str, start: Instant, at: float, **own: str) -> JsonEvent:
    occurred_at = rfc3339(start - start % MILLISECOND + int(at * 1_000) * MILLISECOND)
    return {"type": kind, "event_id": event_id, "customer_id": customer, "occurred_at": occurred_at, **own}
