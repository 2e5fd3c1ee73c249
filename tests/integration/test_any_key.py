"""Topics of any key, partitioner and partition count give what the direct path gives; a false declaration is told."""

import json
import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from segmenter.adapters.home import home_of
from segmenter.domain.instants import DAY, MILLISECOND, MINUTE, Instant, rfc3339
from tests.bench.kafka import KafkaCluster
from tests.bench.redis import RedisServer
from tests.integration.checker import Heard, by_sequence, check, differences, expected_changes, hear
from tests.integration.fast_shop import JAVAS, LIBRDKAFKAS, FastShop, order_of
from tests.integration.worker_here import count_of, worker_here
from tests.integration.workload import Lanes, Site, at_of, until_ready

CUSTOMERS = [f"c-{number}" for number in range(150)]
DAYS = 6
# Between two days' events: who orders on one and not on the next two falls silent in the night.
RULES = "lifecycle: {inactive_after: 36h}\nvalue: {window: all, dwell: 1d, min_ranked: 1000000}\n"
SETTINGS = {"announce_from": "2020-01-01T00:00:00Z", "allowed_lateness": "200ms"}
Event = dict[str, Any]


def days_of_trade(start: Instant, seed: int = 11) -> Iterator[list[Event]]:
    """Give each day's events: at most one of a customer, so that their order is clear in any topic."""
    rng = random.Random(seed)
    orders_by_customer: dict[str, list[str]] = {name: [] for name in CUSTOMERS}
    for number in range(DAYS):
        opening = start + number * DAY + MINUTE
        shoppers = rng.sample(CUSTOMERS, len(CUSTOMERS) * 2 // 3)
        yield [
            _event(name, orders_by_customer[name], opening + place * MILLISECOND, rng)
            for place, name in enumerate(shoppers)
        ]


def _event(customer: str, orders: list[str], at: Instant, rng: random.Random) -> Event:
    event = {"customer_id": customer, "occurred_at": rfc3339(at), "event_id": f"{customer}-{at}"}
    chance = rng.random()
    if orders and chance < 0.15:
        return {**event, "type": "order.cancelled", "order_id": orders.pop()}
    if orders and chance < 0.35:
        refund = {"refund_id": f"r-{at}", "amount": "3.50", "currency": "EUR"}
        return {**event, "type": "order.refunded", "order_id": rng.choice(orders), **refund}
    if chance < 0.5:
        return {**event, "type": "click", "kind": "view"}
    orders.append(f"o-{customer}-{at}")
    amount = f"{rng.randint(500, 50_000) / 100:.2f}"
    return {**event, "type": "order.placed", "order_id": orders[-1], "amount": amount, "currency": "EUR"}


def role_of(event: Event) -> str:
    return "clicks" if event["type"] == "click" else "orders"


def by_customer(event: Event) -> str:
    return str(event["customer_id"])


def by_order(event: Event) -> str:
    return str(event.get("refund_id") or event.get("order_id") or event["event_id"])


def send(site: Site, shop: FastShop, events: Sequence[Event], key_of: Callable[[Event], str]) -> None:
    for event in events:
        topic, at = site.topic(role_of(event)), at_of(event)
        shop.send(topic, key_of(event).encode(), json.dumps(event).encode(), at)
    shop.flush()


@pytest.fixture
def sites(
    kafka: KafkaCluster, redis_url: str, unique: Callable[[str], str], tmp_path: Path
) -> Iterator[Mapping[str, Site]]:
    """Two installations of the same shop: what is keyed by customer in one has any key in the other."""
    with RedisServer() as other_redis:
        common: dict[str, Any] = {"bootstrap": kafka.bootstrap, "rules": RULES, "settings": SETTINGS}
        for name in ("direct", "other"):
            (tmp_path / name).mkdir()
        made = {
            "direct": Site(**common, redis_url=redis_url, unique=unique, directory=tmp_path / "direct"),
            "other": Site(
                **common,
                redis_url=other_redis.url,
                unique=lambda name: unique(f"other-{name}"),
                directory=tmp_path / "other",
                keyed={"orders": "other", "clicks": "other"},
                counts={"orders": 5, "clicks": 3},
            ),
        }
        yield made
        for site in made.values():
            site.stop_workers()


async def test_any_key_partitioner_and_partition_count_give_what_the_direct_path_gives(
    sites: Mapping[str, Site], tmp_path: Path
) -> None:
    # In the past: brokers refuse records from more than an hour ahead of their own clock.
    start = sites["direct"].clock.now() // DAY * DAY - (DAYS + 1) * DAY
    for site in sites.values():
        await site.make_topics()
        site.clock.show(start)
    until_ready([site.start_worker() for site in sites.values()], 60)
    async with sites["direct"].lanes() as direct, sites["other"].lanes() as other:
        events = await _trade(sites, {"direct": direct, "other": other}, start)
        end = start + DAYS * DAY

    heard = {name: await hear(site.bootstrap, site.outputs()) for name, site in sites.items()}
    expected = await expected_changes(events, sites["direct"].rulebook, end, tmp_path)
    kinds = Counter(move["after"] for change in expected.values() for move in change["changes"])
    assert min(kinds[segment] for segment in ("prospect", "new", "repeat", "inactive")) > 10
    for name in sites:
        check(heard[name])
        assert differences(expected, by_sequence(heard[name].changes)) == [], name
    assert _standing(heard["other"]) == _standing(heard["direct"])


async def _trade(sites: Mapping[str, Site], lanes: Mapping[str, Lanes], start: Instant) -> list[Event]:
    """Trade day by day in both shops; a day begins when all of the one before has been worked off."""
    events: list[Event] = []
    for number, today in enumerate(days_of_trade(start)):
        await _come_to(sites, lanes, start + number * DAY)
        with FastShop(sites["direct"].bootstrap, JAVAS) as keyed:
            send(sites["direct"], keyed, today, by_customer)
        with FastShop(sites["other"].bootstrap, LIBRDKAFKAS) as unkeyed:
            send(sites["other"], unkeyed, today, by_order)
        events += today
        # By less than lets a lane fall behind: what it reads meanwhile, it reads live.
        await _come_to(sites, lanes, start + number * DAY + 3 * MINUTE)
    await _come_to(sites, lanes, start + DAYS * DAY)
    for name in sites:
        await lanes[name].until_at_rest(start + DAYS * DAY, 60)
    return events


async def _come_to(sites: Mapping[str, Site], lanes: Mapping[str, Lanes], at: Instant) -> None:
    for site in sites.values():
        site.clock.show(at)
    for name in sites:
        await lanes[name].until_settled(at, 60)


def _standing(heard: Heard) -> dict[str, object]:
    """Return where everybody stands, and by which numbers."""
    return {name: (m["segments"], m["traits"], m["sequence"]) for name, m in heard.memberships.items()}


async def test_strays_of_a_topic_that_is_not_keyed_as_declared_are_put_aside_and_counted(
    kafka: KafkaCluster, redis_url: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    site = Site(bootstrap=kafka.bootstrap, redis_url=redis_url, unique=unique, directory=tmp_path, rules=RULES)
    await site.make_topics()
    now = site.clock.now()
    with FastShop(site.bootstrap, LIBRDKAFKAS) as shop:
        for name in CUSTOMERS:
            shop.send(site.topic("orders"), name.encode(), order_of(name, f"o-{name}", now), now)
    strays = {n for n in CUSTOMERS if zlib.crc32(n.encode()) % site.partitions != home_of(n, site.partitions)}

    async with worker_here(site) as metrics, site.lanes() as lanes:
        await lanes.until_settled(site.clock.now(), 60)
        heard = await hear(site.bootstrap, site.outputs())

    assert 0 < len(strays) < len(CUSTOMERS)
    assert {record.key.decode() for record in heard.rejected} == strays
    assert {dict(record.headers)["reason"] for record in heard.rejected} == {b"not_at_home"}
    for record in heard.rejected:
        told = dict(record.headers)
        home = home_of(record.key.decode(), site.partitions)
        assert told["topic"].decode() == site.topic("orders")
        assert f"home is partition {home}, found on {told['partition'].decode()}" in told["detail"].decode()
    assert heard.memberships.keys() == set(CUSTOMERS) - strays
    assert count_of(metrics, "segmenter_rejected_total", reason="not_at_home") == len(strays)
