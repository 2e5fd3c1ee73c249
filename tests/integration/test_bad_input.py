"""Bad input on a real Kafka: put aside with its reason, counted, and nothing behind it waits.

One worker reads all cases once, from a topic read directly and from one that goes through the repartition stage.
"""

import asyncio
import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count, product
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from segmenter.adapters.home import home_of
from segmenter.domain.causes import RejectReason
from segmenter.domain.instants import MILLISECOND, MINUTE, Instant, rfc3339
from segmenter.observability import Metrics
from tests.bench.kafka import KafkaCluster
from tests.bench.redis import RedisServer
from tests.bench.topics import create_topics
from tests.integration.checker import Heard, Told, check, hear
from tests.integration.fast_shop import JAVAS, FastShop, order_of
from tests.integration.worker_here import count_of, worker_here
from tests.integration.workload import INPUTS, OUTPUTS, Site

R = RejectReason
LANES = 4
ROLES = {"direct": "orders", "repartitioned": "support"}
PARTITIONS = {"direct": LANES, "repartitioned": 3}
CUSTOMER = "c-bad"
KEY = b"key-\x00\xff"
HEADERS = [("trace", b"7"), ("segmenter-origin", b"x"), ("segmenter-marker", b"orders/0=1"), ("trace", b"\xff")]
KEPT = 256 * 1024


def fields(now: Instant, **changed: Any) -> dict[str, Any]:
    """Return the fields of an order, with some of them changed, those set to `...` left out."""
    order = {
        "event_id": "e-1",
        "type": "order.placed",
        "customer_id": CUSTOMER,
        "occurred_at": rfc3339(now),
        "order_id": "o-1",
        "amount": "12.50",
        "currency": "EUR",
    }
    return {name: found for name, found in {**order, **changed}.items() if found is not ...}


def order(**changed: Any) -> Callable[[Instant], bytes]:
    return lambda now: json.dumps(fields(now, **changed)).encode()


def raw(**texts: str) -> Callable[[Instant], bytes]:
    """Write pieces of JSON that Python would not write."""

    def write(now: Instant) -> bytes:
        found = {name: json.dumps(value) for name, value in fields(now).items()} | texts
        return ("{" + ",".join(f'"{name}":{text}' for name, text in found.items()) + "}").encode()

    return write


def bytes_(value: bytes | None) -> Callable[[Instant], bytes | None]:
    return lambda _: value


CASES: Mapping[str, tuple[RejectReason, Callable[[Instant], bytes | None]]] = {
    "unparseable": (R.UNPARSEABLE, bytes_(b"\x00\x01\xfe not JSON")),
    "empty": (R.UNPARSEABLE, bytes_(b"")),
    "tombstone": (R.UNPARSEABLE, bytes_(None)),
    "no-object": (R.UNPARSEABLE, bytes_(b"[1, 2]")),
    "unknown-type": (R.UNKNOWN_TYPE, order(type="order.teleported")),
    "missing-type": (R.MISSING_FIELD, order(type=...)),
    "missing-customer": (R.NO_CUSTOMER, order(customer_id=...)),
    "empty-customer": (R.NO_CUSTOMER, order(customer_id="")),
    "missing-order": (R.MISSING_FIELD, order(order_id=...)),
    "empty-order": (R.INVALID_FIELD, order(order_id="")),
    "naive-time": (R.NAIVE_TIME, order(occurred_at="2026-11-01T10:00:00")),
    "time-before-1970": (R.ABSURD_TIME, order(occurred_at="1969-12-31T23:59:59Z")),
    "time-after-2200": (R.ABSURD_TIME, order(occurred_at="2201-01-01T00:00:00Z")),
    "future": (R.FUTURE_TIME, lambda now: order(occurred_at=rfc3339(now + 5 * MINUTE + MILLISECOND))(now)),
    "nan": (R.NOT_A_NUMBER, raw(amount="NaN")),
    "1e400": (R.NOT_A_NUMBER, raw(amount="1e400")),
    "negative": (R.NEGATIVE_AMOUNT, order(amount="-0.01")),
    "too-many-digits": (R.AMOUNT_PRECISION, raw(amount="1234567890.1234567")),
    "too-many-digits-as-text": (R.AMOUNT_PRECISION, order(amount="1234567890123456.789")),
    "unknown-currency": (R.UNKNOWN_CURRENCY, order(currency="ZZZ")),
    "currency-without-rate": (R.NO_RATE, order(currency="USD")),
    "long-customer": (R.ID_TOO_LONG, order(customer_id="ä" * 129)),
    "long-order": (R.ID_TOO_LONG, order(order_id="o" * 257)),
    "deep": (R.TOO_DEEP, raw(extra="[" * 40 + "]" * 40)),
    "very-deep": (R.TOO_DEEP, bytes_(b"[" * 100_000)),
    "over-1-MiB": (R.RECORD_TOO_LARGE, order(extra="x" * (1 << 20))),
    "over-3-MiB": (R.RECORD_TOO_LARGE, order(extra="x" * (3 << 20))),
    "not-supported-yet": (R.NOT_SUPPORTED_YET, order(type="customer.merged", into="c-1")),
}


@dataclass(frozen=True)
class Sent:
    """A bad record as it was sent, and the customer of the valid order behind it."""

    topic: str
    partition: int
    offset: int
    at: Instant
    value: bytes | None
    behind: str


@dataclass(kw_only=True)
class Story:
    """What was sent, and what came of it."""

    sent: dict[tuple[str, str], Sent] = field(default_factory=dict)
    heard: Heard
    metrics: Metrics

    def rejected(self, sent: Sent) -> list[ConsumerRecord]:
        """Return what was told of a bad record."""
        place = (sent.topic, str(sent.partition), str(sent.offset))
        return [record for record in self.heard.rejected if _place(record) == place]


def _place(record: ConsumerRecord) -> tuple[str, str, str]:
    told = dict(record.headers)
    return told["topic"].decode(), told["partition"].decode(), told["offset"].decode()


@pytest.fixture(scope="module")
def story(kafka: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Send every case both ways, each with a valid order behind it, and let a worker read it all."""
    suffix = uuid.uuid4().hex[:8]
    with RedisServer() as redis:
        site = Site(
            bootstrap=kafka.bootstrap,
            redis_url=redis.url,
            unique=lambda name: f"{name}-{suffix}",
            directory=tmp_path_factory.mktemp("bad-input"),
            rules="value: {min_ranked: 1000000}\n",
            partitions=LANES,
            keyed={ROLES["repartitioned"]: "other"},
        )
        return asyncio.run(_live(site))


async def _live(site: Site) -> Story:
    counts = dict.fromkeys([*INPUTS, *OUTPUTS], LANES) | {ROLES[way]: PARTITIONS[way] for way in ROLES}
    large = {"max.message.bytes": "8000000"}
    sizes = {ROLES["direct"]: large, ROLES["repartitioned"]: large, "rekeyed": {"max.message.bytes": "2097152"}}
    for role, partitions in counts.items():
        await create_topics(site.bootstrap, {site.topic(role): partitions}, sizes.get(role))
    with FastShop(site.bootstrap, JAVAS) as shop:
        sent = _send(site, shop)
        _send_odd(site, shop)
    async with worker_here(site) as metrics, site.lanes() as lanes:
        await lanes.until_settled(site.clock.now(), 90)
        heard = await hear(site.bootstrap, site.outputs())
    return Story(sent=sent, heard=heard, metrics=metrics)


def _send(site: Site, shop: FastShop) -> dict[tuple[str, str], Sent]:
    now = site.clock.now() // MILLISECOND * MILLISECOND
    ends: Counter[tuple[str, int]] = Counter()
    found: dict[tuple[str, str], Sent] = {}
    for number, (way, name) in enumerate(product(ROLES, CASES)):
        behind, topic = _neighbour(f"behind-{way}-{name}"), site.topic(ROLES[way])
        partition = home_of(CUSTOMER, LANES) if way == "direct" else number % PARTITIONS[way]
        value = CASES[name][1](now)
        found[way, name] = Sent(topic, partition, ends[topic, partition], now, value, behind)
        shop.send(topic, KEY, value, now, partition=partition, headers=HEADERS)
        shop.send(topic, None, order_of(behind, f"o-{behind}", now), now, partition=partition, headers=HEADERS)
        ends[topic, partition] += 2
    return found


def _neighbour(prefix: str) -> str:
    """Return a customer who is at home where the one of the bad records is."""
    names = (f"{prefix}-{number}" for number in count())
    return next(name for name in names if home_of(name, LANES) == home_of(CUSTOMER, LANES))


def _send_odd(site: Site, shop: FastShop) -> None:
    """Send what is odd and yet accepted: a refund that is too large, and an order without an id."""
    now = site.clock.now() // MILLISECOND * MILLISECOND
    for way, role in ROLES.items():
        topic = site.topic(role)
        for customer in (f"greedy-{way}", f"nameless-{way}"):
            partition = home_of(customer, LANES) if way == "direct" else 1
            event_id = None if customer.startswith("nameless") else f"e-{customer}"
            placed = order_of(customer, f"o-{customer}", now, event_id=event_id)
            shop.send(topic, None, placed, now, partition=partition)
        refund = {"type": "order.refunded", "refund_id": f"r-{way}", "amount": "25.00", "event_id": f"r-{way}"}
        greedy = f"greedy-{way}"
        partition = home_of(greedy, LANES) if way == "direct" else 1
        shop.send(topic, None, order_of(greedy, f"o-{greedy}", now + MILLISECOND, **refund), now, partition=partition)


@pytest.mark.parametrize("way", ROLES)
@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_put_aside_whole_with_its_reason_and_place(story: Story, way: str, name: str) -> None:
    sent, (reason, _) = story.sent[way, name], CASES[name]

    (record,) = story.rejected(sent)

    told = dict(record.headers)
    assert told["reason"].decode() == reason, told["detail"]
    assert int(told["timestamp"]) == sent.at // MILLISECOND
    assert record.key == KEY
    originals = [(header.removeprefix("original."), text) for header, text in record.headers if "original." in header]
    assert originals == HEADERS
    assert record.value == (None if sent.value is None else sent.value[:KEPT])
    if sent.value is not None and len(sent.value) > KEPT:
        told_of_whole = b" ".join([told.get("length", b""), told.get("sha256", b""), told["detail"]]).decode()
        assert str(len(sent.value)) in told_of_whole
        assert hashlib.sha256(sent.value).hexdigest() in told_of_whole


@pytest.mark.parametrize("way", ROLES)
@pytest.mark.parametrize("name", CASES)
def test_a_valid_event_behind_it_is_processed(story: Story, way: str, name: str) -> None:
    sent = story.sent[way, name]

    assert story.heard.memberships[sent.behind]["segments"]["lifecycle"] == "new"


def test_it_is_counted_by_reason(story: Story) -> None:
    expected = Counter(reason for reason, _ in CASES.values())

    found = {reason: count_of(story.metrics, "segmenter_rejected_total", reason=reason) for reason in R}

    assert found == {reason: 2 * expected[reason] for reason in R}
    assert len(story.heard.rejected) == 2 * len(CASES)


def test_the_log_is_whole(story: Story) -> None:
    check(story.heard)


def changes_of(story: Story, customer: str) -> list[Told]:
    return [change for change in story.heard.changes if change["customer_id"] == customer]


@pytest.mark.parametrize("way", ROLES)
def test_a_refund_above_what_is_left_of_its_order_is_clamped_counted_and_shown(story: Story, way: str) -> None:
    *_, last = changes_of(story, f"greedy-{way}")

    assert last["cause"]["kind"] == "refund"
    assert (last["traits"]["net_revenue"], last["traits"]["over_refund"]) == ("0.00", "15.00")
    assert count_of(story.metrics, "segmenter_over_refunds_total") == 2


@pytest.mark.parametrize("way", ROLES)
def test_an_event_without_an_id_is_named_after_its_place_and_counted(story: Story, way: str) -> None:
    (change,) = changes_of(story, f"nameless-{way}")

    topic = story.sent[way, "empty"].topic
    (event_id,) = change["cause"]["event_ids"]
    assert event_id.startswith(f"{topic}/")
    assert count_of(story.metrics, "segmenter_missing_event_ids_total") == 2
