"""A lane with a bit of everything, and dumps of lanes that do not depend on the server's version.

`python -m tests.contract.lane_sample URL FILE` writes the lane to an empty Redis and the dump to a file: done once
for each form of the state, and kept in `tests/data` for the releases that come after.
"""

import asyncio
import base64
import gzip
import json
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from segmenter.adapters.redis_client import call, connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.behaviour import Behaviour, Rating, Ticket, Trail, Warmth
from segmenter.domain.instants import DAY, HOUR
from segmenter.domain.ledger import Amended, Details, Folded, Ledger, Line, LooseRefund, Order, Totals
from segmenter.domain.profile import Attribute, Profile, Standing
from segmenter.domain.value import Boundary, Marks
from segmenter.ports import LaneNotes, OutboxEntry, OutboxPage, Output, Sweep
from tests.contract.stores import Owner
from tests.domain.profiles import profile_of

NAMESPACE = "seg"
NOON = 20_000 * DAY + 12 * HOUR
NOTES = LaneNotes(
    watermark=NOON,
    is_live=True,
    rank_version=7,
    boundary=Boundary(
        number=4,
        marks=Marks(a=90_000, a_stay=80_000, b=20_000, b_stay=15_000),
        ranked=60,
        total=5_000_000,
        seen=(7, 0, 3, 1),
        shares=((90_000, 0.79), (20_000, 0.951)),
    ),
    sweep=Sweep(ranges=((15_000, 20_000),), cursor=(17_000, "buyer-3")),
    announce_from=NOON - DAY,
    recover_upto={"orders/0": 44},
)
PAGES = tuple(
    OutboxPage(
        number,
        (
            OutboxEntry(
                output=Output.CHANGES,
                lane_seq=number + 1,
                key=b"buyer-1",
                value=b'{"sequence": 1}',
                headers=(("ce_type", b"io.segmenter.changed.v1"),),
                recorded_at=NOON,
            ),
            OutboxEntry(output=Output.MEMBERSHIPS, lane_seq=number + 1, key=b"buyer-2", value=None),
        ),
    )
    for number in range(2)
)


NEWEST_FORM = 2
"""The second came with what a customer did beyond ordering, and what an order says beyond its worth."""


def sample_profiles(form: int = NEWEST_FORM) -> list[Profile]:
    """Return prospects, buyers, and one customer of whom everything is known; in the second form a busy one too."""
    prospects = [
        profile_of(
            f"prospect-{n}",
            settled_at=NOON - n,
            first_seen_at=NOON - n * DAY,
            last_seen_at=NOON - n,
            present={"lifecycle": Standing("prospect", NOON - n * DAY)},
            recent_ids=tuple(range(n)),
        )
        for n in range(1, 12)
    ]
    busy = [_busy()] if form > 1 else []
    return [*prospects, *(_buyer(n) for n in range(1, 9)), _known_by_heart(), *busy]


def _busy() -> Profile:
    details = Details(
        channel="web",
        campaign="spring",
        coupon="TEN",
        discount=Decimal("2.50"),
        tax=Decimal("1.90"),
        shipping=Decimal(5),
        cost=Decimal("40.1"),
        lines=(Line("boot", "shoes", 2, Decimal("99.90")), Line("cap", None, 1, None)),
        lines_by=(NOON, "e-8"),
        discount_by=(NOON, "e-9"),
    )
    return profile_of(
        "busy",
        settled_at=NOON,
        first_seen_at=NOON - DAY,
        last_seen_at=NOON,
        ledger=Ledger(
            orders={3: Order(placed_at=NOON, gross=9_990, details=details)},
            folded=Folded(orders=2, net=50, gross=70, sold=70, refunds=1, refunded=20, items=3, deliveries=2),
        ),
        present={"lifecycle": Standing("prospect", NOON), "custom.vip": Standing("in", NOON)},
        behaviour=Behaviour(
            tallies={7: ((20_000, 3), (20_002, 2**32 - 1)), 8: ((0, 5),)},
            tickets={2**64 - 1: Ticket(NOON, None, "high", "mail", None), 1: Ticket(None, NOON)},
            ratings=(Rating(NOON - 1, "e-10", "csat", 1), Rating(NOON, "e-11", "nps", 10)),
            trails={9: Trail(((NOON - 1, 1), (NOON, 6)), True), 10: Trail()},
            clicked_at=NOON,
            contacted_at=NOON - HOUR,
            warmth=Warmth(NOON, 2.5),
            topics={"shoes": Warmth(NOON, 1.5)},
            channels={"web": Warmth(NOON, 0.1), "app": Warmth(NOON - 1, 3.0)},
            first_channel=(NOON - DAY, "app"),
            held=("custom.vip",),
        ),
        wake_at=NOON + 2 * DAY,
    )


def _buyer(n: int) -> Profile:
    placed_at, net = NOON - n * 9 * DAY, n * 10_000
    return profile_of(
        f"buyer-{n}",
        sequence=n,
        settled_at=NOON,
        first_seen_at=placed_at,
        last_seen_at=placed_at,
        ledger=Ledger(orders={n: Order(placed_at=placed_at, gross=net)}),
        totals=Totals(
            orders=1,
            first_order_at=placed_at,
            last_order_at=placed_at,
            net=net,
            window_net=net,
            leaves_at=placed_at + 365 * DAY,
        ),
        present={"lifecycle": Standing("new", placed_at), "value": Standing("B", NOON)},
        wake_at=placed_at + 180 * DAY,
    )


def _known_by_heart() -> Profile:
    order = Order(
        placed_at=NOON,
        paid_at=NOON + 1,
        delivered_at=NOON + 2,
        cancelled_at=NOON + 3,
        gross=10**20,
        quoted="100 USD",
        amount=Amended(NOON, "e-1", "120"),
        currency=Amended(NOON, "e-2", "USD"),
        refunds=((2**63, 500, NOON), (1, 10**19, NOON)),
        waiting_since=NOON + 4,
        place="orders/3/17",
    )
    return profile_of(
        "käufer",
        life=2,
        sequence=70_000,
        settled_at=NOON,
        first_seen_at=1,
        last_seen_at=NOON,
        ledger=Ledger(
            orders={2**64 - 1: order, 5: Order(waiting_since=NOON)},
            loose_refunds={9: LooseRefund(NOON, 250)},
            folded=Folded(orders=3, net=-4, first_at=5, last_at=6, over_refund=7, ids=(8, 2**32 - 1)),
        ),
        totals=Totals(orders=4, net=-254, over_refund=7, waiting_since=NOON),
        present={"lifecycle": Standing("repeat", NOON), "custom.vip": Standing("in", 3)},
        unannounced={"value": None, "custom.vip": "out"},
        recent_ids=(0, 2**32 - 1),
        attributes={
            "exclude": Attribute(NOON, "e-3", False),
            "city": Attribute(NOON, "e-4", "Zürich"),
            "age": Attribute(NOON, "e-5", 2**70),
            "score": Attribute(NOON, "e-6", 0.1),
            "left": Attribute(NOON, "e-7", None),
        },
        wake_at=NOON + DAY,
        is_held=True,
    )


async def write_sample(owner: Owner) -> None:
    """Write the sample into a new lane."""
    commit = owner.commit_of(sample_profiles())
    await owner.store(
        replace(
            commit,
            notes=NOTES,
            positions={"orders/0": (None, 42), "segmenter.rekeyed/0": (None, 2**60)},
            taken={"clicks/3@a1": 99},
            markers={"clicks/3": NOON},
            pages=PAGES,
            next_seq={Output.CHANGES: 3, Output.MEMBERSHIPS: 3},
            published={Output.REJECTED: 5},
            sizes={("lifecycle", "new"): 8, ("value", "B"): 8},
            hold=("käufer",),
        )
    )


async def dumped(client: Redis, namespace: str) -> bytes:
    """Return everything under a namespace as gzipped JSON, keys and values in base64."""
    keys = [key async for key in client.scan_iter(f"{{{namespace}:*")]
    content = {_text(key): await _value(client, key) for key in sorted(keys)}
    return gzip.compress(json.dumps(content, indent=0).encode(), mtime=0)


def comparable(dump: bytes) -> dict[str, Any]:
    """Return what a dump holds, without the time of the heartbeat."""
    content: dict[str, Any] = json.loads(gzip.decompress(dump))
    lane = content[_text(f"{{{NAMESPACE}:0}}:lane".encode())]
    lane[1] = [field for field in lane[1] if field[0] != _text(b"heartbeat")]
    return content


async def restore(client: Redis, dump: bytes) -> None:
    """Write a dump into an empty Redis."""
    for key, (kind, value) in json.loads(gzip.decompress(dump)).items():
        match kind:
            case "hash":
                await client.hset(_bytes(key), mapping={_bytes(name): _bytes(item) for name, item in value})
            case "zset":
                await client.zadd(_bytes(key), {_bytes(member): score for member, score in value})
            case _:
                await client.set(_bytes(key), _bytes(value))


async def _value(client: Redis, key: bytes) -> tuple[str, Any]:
    kind: str = (await call(client, "TYPE", key)).decode()
    match kind:
        case "hash":
            fields = await call(client, "HGETALL", key)
            return kind, sorted((_text(name), _text(item)) for name, item in fields.items())
        case "zset":
            flat = await call(client, "ZRANGE", key, 0, -1, "WITHSCORES")
            return kind, [(_text(member), int(score)) for member, score in zip(flat[0::2], flat[1::2], strict=True)]
        case _:
            return kind, _text(await call(client, "GET", key))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


async def _sample_dump(url: str) -> bytes:
    async with connect(url) as client:
        await write_sample(await Owner(lanes=RedisLaneStore(client, NAMESPACE)).acquire())
        return await dumped(client, NAMESPACE)


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(asyncio.run(_sample_dump(sys.argv[1])))
