"""A shop with a bit of all that an audit must bear: repeats, late facts, staff, strangers, branches, rubbish."""

import json
import random
from collections.abc import Iterator

from segmenter.domain.instants import MILLISECOND, SECOND, Instant, rfc3339
from tests.integration.fast_shop import JAVAS, LIBRDKAFKAS, FastShop
from tests.integration.workload import Site, at_of
from tests.oracle.jsonl import JsonEvent

OTHERS = {"support": "other", "customers": "other"}
COUNTS = {"support": 5, "customers": 3}
SPAN_S = 3_600


def mixed_events(customers: int, until: Instant, seed: int = 3) -> Iterator[tuple[str, JsonEvent]]:
    """Give role and event, by time: everything of about the last hour."""
    rng = random.Random(seed)
    found = [one for number in range(customers) for one in _of_customer(f"c-{number}", until, rng)]
    yield from sorted(found, key=lambda one: (one[1]["occurred_at"], one[1]["event_id"]))


def send_mixed(site: Site, events: Iterator[tuple[str, JsonEvent]]) -> int:
    """Send the events as shops do; return how many. Some come twice, and now and then a record is no event."""
    rng, sent = random.Random(5), 0
    with FastShop(site.bootstrap, JAVAS) as at_home, FastShop(site.bootstrap, LIBRDKAFKAS) as branch:
        for role, event in events:
            shop = branch if role in OTHERS else at_home
            key = event.get("customer_id") or event["anonymous_id"]
            for _ in range(2 if rng.random() < 0.02 else 1):
                value = json.dumps(event).encode()
                shop.send(site.topic(role), key.encode(), value, at_of(event))
                sent += 1
            if rng.random() < 0.001:
                shop.send(site.topic(role), key.encode(), b"{no event", at_of(event))
    return sent


def _of_customer(customer: str, until: Instant, rng: random.Random) -> Iterator[tuple[str, JsonEvent]]:
    at = rng.uniform(0, SPAN_S - 60)
    role = rng.choice(["orders", "orders", "support"])
    shop = {"shop": "north"} if rng.random() < 0.05 else {}
    if rng.random() < 0.1:
        yield "clicks", _event("click", until, at, anonymous_id=f"x-{customer}", kind="view")
    if rng.random() < 0.5:
        yield "clicks", _event("click", until, at, customer_id=customer, kind="view", **shop)
    if rng.random() < 0.3:
        attributes = {"city": rng.choice(["Ulm", "Zürich"]), **({"exclude": True} if rng.random() < 0.03 else {})}
        yield "customers", _event("customer.updated", until, at, customer_id=customer, attributes=attributes, **shop)
    for number in range(rng.choice([0, 0, 1, 1, 2, 5])):
        order = f"{customer}-o{number}"
        yield from ((role, event) for event in _order(customer, order, until, at, rng, shop))
        at += rng.uniform(1, 300)


def _order(
    customer: str, order: str, until: Instant, at: float, rng: random.Random, shop: dict[str, str]
) -> Iterator[JsonEvent]:
    own = {"customer_id": customer, "order_id": order, **shop}
    amount = f"{rng.randint(100, 90_000) / 100:.2f}"
    yield _event("order.placed", until, at, amount=amount, currency="EUR", **own)
    # Some facts are written before the order they are about, some orders never come.
    later = at + rng.uniform(-20, 60)
    chance = rng.random()
    if chance < 0.08:
        yield _event("order.cancelled", until, later, **own)
    elif chance < 0.2:
        back = {"refund_id": f"{order}-r", "amount": "1.50", "currency": "EUR"}
        yield _event("order.refunded", until, later, **own, **back)
    elif chance < 0.25:
        yield _event("order.updated", until, later, amount="12.00", **own)
    elif chance < 0.27:
        loose = {"refund_id": f"{order}-l", "amount": "0.50", "currency": "EUR", "customer_id": customer, **shop}
        yield _event("order.refunded", until, later, **loose)
    elif chance < 0.29:
        yield _event("order.paid", until, later, customer_id=customer, order_id=f"{order}-never", **shop)


def _event(kind: str, until: Instant, at: float, /, **own: object) -> JsonEvent:
    occurred = until - SPAN_S * SECOND + int(max(0.0, min(at, SPAN_S)) * 1_000) * MILLISECOND
    name = own.get("order_id") or own.get("customer_id") or own.get("anonymous_id")
    return {"type": kind, "event_id": f"{kind}-{name}-{occurred}", "occurred_at": rfc3339(occurred), **own}  # type: ignore[dict-item]
