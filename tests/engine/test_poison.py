"""A record that makes our own code raise costs that record, not its lane; other faults of ours stop the lane."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.memory_lanes import MemoryLaneStore
from segmenter.domain.causes import Rejection
from segmenter.domain.events import OrderPlaced
from segmenter.domain.instants import SECOND, Instant
from segmenter.engine.intake import LaneCondition
from segmenter.errors import TransientError
from segmenter.ports import Commit, Decoded, Due, Output, Record, Refused, Stored
from tests.engine.memory_worker import MemoryWorker, World, at_home, day, order, terms_of, working

ORDERS = ("orders", 0)
SECRET = "ada@example.org"


@dataclass
class FragileDecoder:
    """Reads as ours does, but cannot bear these values: it raises, or gives what a step cannot bear."""

    raising: set[bytes] = field(default_factory=set)
    breaking: set[bytes] = field(default_factory=set)
    inner: JsonDecoder = field(default_factory=JsonDecoder)

    def decode(self, record: Record) -> Decoded | Rejection:
        if record.value in self.raising:
            raise KeyError(SECRET)
        decoded = self.inner.decode(record)
        if record.value in self.breaking:
            assert isinstance(decoded, Decoded)
            assert isinstance(decoded.event, OrderPlaced)
            decoded.event = replace(decoded.event, amount=None)  # type: ignore[arg-type]
        return decoded


class UnreliableStore(MemoryLaneStore):
    """Fails some commits as if Redis were away, notes the others, and may not know what is due."""

    def __init__(self, inner: MemoryLaneStore) -> None:
        super().__init__(inner._world, inner._now)
        self.failing: set[int] = set()
        self.tries = 0
        self.commits: list[Commit] = []
        self.broken_lane: int | None = None

    async def commit(self, commit: Commit) -> Stored | Refused:
        self.tries += 1
        if self.tries in self.failing:
            raise TransientError("the store of this test is away")
        self.commits.append(commit)
        return await super().commit(commit)

    async def due(self, lane: int, up_to: Instant, limit: int) -> list[Due]:
        if lane == self.broken_lane:
            raise ZeroDivisionError
        return await super().due(lane, up_to, limit)


def world_of(decoder: FragileDecoder, partitions: int = 1) -> tuple[World, UnreliableStore]:
    world = World(terms=terms_of(partitions=partitions), decoder=decoder)
    store = UnreliableStore(world.store.lanes)
    world.lanes = store
    return world, store


def write_orders(world: World, count: int) -> list[bytes]:
    """Write an order of each of so many customers, a second apart."""
    values = [order(f"c-{number}", day(0) + number * SECOND) for number in range(count)]
    for number, value in enumerate(values):
        world.broker.write(ORDERS, value, day(0) + number * SECOND)
    return values


def told_customers(world: World) -> list[str]:
    return sorted(told["customer_id"] for told in world.told())


def put_aside(world: World) -> list[bytes]:
    return [record.value or b"" for record in world.output.records[Output.REJECTED, 0]]


async def read_all(worker: MemoryWorker) -> None:
    worker.world.clock.at = day(1)
    for _ in range(20):
        if worker.engine.intake().get(ORDERS) == len(worker.world.broker.logs[ORDERS]):
            return
        await worker.read()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("at", [0, 41, 99])
@pytest.mark.parametrize("where", ["raising", "breaking"])
async def test_a_record_that_our_code_cannot_bear_is_put_aside_alone(where: str, at: int) -> None:
    decoder = FragileDecoder()
    world, _ = world_of(decoder)
    values = write_orders(world, 100)
    getattr(decoder, where).add(values[at])

    async with working(world) as worker:
        await read_all(worker)
        condition = worker.holder().condition

    assert condition is LaneCondition.RUNNING
    assert put_aside(world) == [values[at]]
    assert told_customers(world) == sorted(f"c-{number}" for number in range(100) if number != at)
    assert world.count("segmenter_rejected_total", reason="internal_error") == 1


async def test_the_rejection_names_the_kind_of_error_and_nothing_personal() -> None:
    decoder = FragileDecoder()
    world, _ = world_of(decoder)
    [value] = write_orders(world, 1)
    decoder.raising.add(value)

    async with working(world) as worker:
        await read_all(worker)

    [record] = world.output.records[Output.REJECTED, 0]
    headers = {name: text.decode() for name, text in record.headers}
    assert headers["reason"] == "internal_error"
    assert "KeyError" in json.dumps(headers)
    assert SECRET not in json.dumps(headers)


@pytest.mark.parametrize("failing", [*range(1, 9)])
async def test_a_store_that_goes_away_in_the_midst_of_halving_makes_nothing_twice_and_loses_nothing(
    failing: int,
) -> None:
    decoder = FragileDecoder()
    world, store = world_of(decoder)
    values = write_orders(world, 64)
    decoder.breaking.update((values[3], values[40]))
    store.failing = {failing}

    async with working(world) as worker:
        await read_all(worker)

    assert put_aside(world) == [values[3], values[40]]
    assert told_customers(world) == sorted(f"c-{number}" for number in range(64) if number not in (3, 40))


async def test_time_does_not_run_ahead_of_the_half_that_is_still_to_be_read() -> None:
    decoder = FragileDecoder()
    world, store = world_of(decoder)
    values = write_orders(world, 64)
    decoder.breaking.add(values[50])

    async with working(world) as worker:
        await read_all(worker)

    times = [(dict(c.positions).get("orders/0", (0, 0))[1], c.notes.watermark) for c in store.commits]
    unread = [(read, watermark) for read, watermark in times if 0 < read < 64]
    assert len(unread) > 3
    assert all(watermark < day(0) + read * SECOND for read, watermark in unread)


async def test_what_raises_beside_any_record_stops_its_lane_and_no_other() -> None:
    world, store = world_of(FragileDecoder(), partitions=2)
    broken, sound = at_home(0, 2)[0], at_home(1, 2)[0]
    places = [(topic, lane) for topic in ("orders", "clicks") for lane in (0, 1)]
    world.broker.write(("orders", 0), order(broken, day(0)), day(0))
    store.broken_lane = 0

    async with working(world, places) as worker:
        await worker.read()
        await asyncio.sleep(0.02)
        world.broker.write(("orders", 1), order(sound, day(0)), day(0))
        await worker.read()
        conditions = [worker.holder(lane).condition for lane in (0, 1)]
        reason = worker.engine.status().reasons[0]

    assert conditions == [LaneCondition.STOPPED, LaneCondition.RUNNING]
    assert "ZeroDivisionError" in reason
    assert world.lifecycles(sound, lane=1) == ["new"]
    assert world.rejected() == {}


async def test_what_cannot_be_read_before_its_way_home_is_put_aside_there() -> None:
    decoder = FragileDecoder()
    terms = terms_of(direct=frozenset({"clicks"}), others=frozenset({"orders"}))
    world = World(terms=terms, tasks=("orders/0",), decoder=decoder)
    values = write_orders(world, 10)
    decoder.raising.add(values[4])

    async with working(world) as worker:
        for _ in range(3):
            await worker.read()

    assert put_aside(world) == [values[4]]
    assert told_customers(world) == sorted(f"c-{number}" for number in range(10) if number != 4)


@pytest.mark.parametrize("poisoned", [(), (0,), (63,), tuple(range(64))])
async def test_so_many_commits_are_made_and_no_more(poisoned: Sequence[int]) -> None:
    decoder = FragileDecoder()
    world, store = world_of(decoder)
    values = write_orders(world, 64)
    decoder.breaking.update(values[number] for number in poisoned)

    async with working(world) as worker:
        await worker.read()

    halvings = 6
    assert len([c for c in store.commits if c.positions]) <= 1 + len(poisoned) * (halvings + 1)
