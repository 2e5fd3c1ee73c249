"""The events a benchmark feeds in, with what they must come to: 80 % clicks, 15 % orders, 5 % support.

Customers follow a shifted Zipf law: the liveliest of 50,000 orders about once a week, half of all only a few
times a year. Times rise evenly over the span; one event in 200 comes twice, as a producer's retry would send it.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from segmenter.domain.instants import Instant, rfc3339

ORDERS, CLICKS, SUPPORT = "orders", "clicks", "support"
_SHIFT = 300
_REPEATED = 0.005


class Sent(NamedTuple):
    """One record to publish."""

    topic: str
    customer: str
    value: bytes
    at: Instant
    is_repeat: bool = False


@dataclass(slots=True)
class Purse:
    """What a customer's orders must come to: minor units left of each, 0 once cancelled."""

    left: list[int] = field(default_factory=list)

    @property
    def orders(self) -> int:
        """Orders that count: something is left of them."""
        return sum(1 for net in self.left if net > 0)

    @property
    def net(self) -> int:
        """What is left of all orders together."""
        return sum(self.left)


def customer_id(number: int) -> str:
    """Return an id of 12 bytes."""
    return f"c{number:011d}"


class Shop:
    """Makes events and keeps the books: `purses` has everybody who ever did anything."""

    def __init__(self, customers: int, seed: int = 20_261_001) -> None:
        self._random = random.Random(seed)
        self._ids = [customer_id(number) for number in self._random.sample(range(10**9), customers)]
        self._weights = list(accumulate(1 / (rank + _SHIFT) for rank in range(1, customers + 1)))
        self._number = 0
        self.purses: dict[str, Purse] = {}
        self.unique = 0
        self.repeated = 0

    def history(self, count: int, first: Instant, last: Instant) -> Iterator[Sent]:
        """Yield this many events that rise from `first` to `last`, and some of them twice."""
        for number, customer in enumerate(self._random.choices(self._ids, cum_weights=self._weights, k=count)):
            sent = self.event(customer, first + (last - first) * number // count)
            yield sent
            self.unique += 1
            if self._random.random() < _REPEATED:
                yield sent._replace(is_repeat=True)
                self.repeated += 1

    def event(self, customer: str, at: Instant) -> Sent:
        """Return some event of this customer."""
        purse = self.purses.setdefault(customer, Purse())
        chance = self._random.random()
        if chance < 0.80:
            return self.click(customer, at)
        if chance < 0.95:
            return self._order_fact(customer, purse, at)
        return self._ticket(customer, at)

    def click(self, customer: str, at: Instant) -> Sent:
        """Return a click."""
        item = self._random.randrange(5_000)
        own = {"kind": "view", "item": f"i-{item}", "category": f"k-{item % 40}", "channel": "web"}
        return self._sent(CLICKS, "click", customer, at, own)

    def order(self, customer: str, at: Instant) -> Sent:
        """Return an order."""
        purse = self.purses.setdefault(customer, Purse())
        cents = int(self._random.lognormvariate(8.3, 0.8)) + 100
        purse.left.append(cents)
        own = {
            "order_id": f"{customer}-{len(purse.left)}",
            "amount": f"{cents // 100}.{cents % 100:02d}",
            "currency": "EUR",
            "channel": "web",
        }
        return self._sent(ORDERS, "order.placed", customer, at, own)

    def _order_fact(self, customer: str, purse: Purse, at: Instant) -> Sent:
        """Return an order, or now and then a refund or the end of the last one."""
        chance = self._random.random()
        if chance > 0.15 or not purse.left or purse.left[-1] <= 0:
            return self.order(customer, at)
        order_id, left = f"{customer}-{len(purse.left)}", purse.left[-1]
        if chance < 0.04:
            purse.left[-1] = 0
            return self._sent(ORDERS, "order.cancelled", customer, at, {"order_id": order_id})
        cents = self._random.randint(1, left)
        purse.left[-1] -= cents
        own = {
            "refund_id": f"r-{self._number}",
            "order_id": order_id,
            "amount": f"{cents // 100}.{cents % 100:02d}",
            "currency": "EUR",
        }
        return self._sent(ORDERS, "order.refunded", customer, at, own)

    def _ticket(self, customer: str, at: Instant) -> Sent:
        own = {"ticket_id": f"t-{self._number}", "channel": "mail"}
        return self._sent(SUPPORT, "support.opened", customer, at, own)

    def _sent(self, topic: str, kind: str, customer: str, at: Instant, own: dict[str, str]) -> Sent:
        self._number += 1
        value = {
            "event_id": f"e{self._number:011d}",
            "type": kind,
            "customer_id": customer,
            "occurred_at": rfc3339(at),
            **own,
        }
        return Sent(topic, customer, json.dumps(value, separators=(",", ":")).encode(), at)
