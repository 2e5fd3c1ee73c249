"""Small worlds for faults that the large ones have found, or would find too seldom."""

import asyncio
import json
from typing import NoReturn

from segmenter.domain.instants import DAY, MINUTE
from segmenter.engine.intake import LaneCondition
from segmenter.engine.outbox import PAGE_BYTES, Outbox
from segmenter.engine.slices import SLICE_BYTES, slices_of
from segmenter.ports import Body, Output
from tests.engine.memory_worker import (
    MemoryWorker,
    PausableOutput,
    World,
    click,
    day,
    event,
    order,
    terms_of,
    working,
)

ORDERS, CLICKS = ("orders", 0), ("clicks", 0)


def visit(cookie: str, at: int) -> bytes:
    """Return a click of somebody unknown."""
    said = json.loads(click("nobody", at))
    del said["customer_id"]
    return json.dumps({**said, "anonymous_id": cookie}).encode()


async def test_a_visitor_who_comes_back_and_expires_again_in_one_commit_leaves_nothing() -> None:
    world = World(terms=terms_of())
    async with working(world) as worker:
        world.broker.write(CLICKS, visit("cookie", day(0)))
        await worker.read()
        world.clock.at = day(100)

        world.broker.write(CLICKS, visit("cookie", day(35)))
        world.broker.write(ORDERS, order("c-1", day(99)))
        await worker.read()
        await worker.read()

    assert await world.store.lanes.load(0, ["anon:cookie"]) == [None]
    assert await world.store.lanes.due(0, 2**53, 9) != []


async def test_an_event_that_is_put_aside_leaves_nothing_of_a_customer_nobody_knows() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0), currency="JPY"))
    async with working(world) as worker:
        await worker.read()

    assert world.rejected() == {"no_rate": 1}
    assert await world.store.lanes.load(0, ["c-1"]) == [None]


async def test_a_customer_with_endless_attributes_stops_no_lane() -> None:
    world = World(terms=terms_of())
    world.clock.at = day(1)
    names = [f"seen-{number}" for number in range(1_200 * 64)]
    for start in range(0, len(names), 64):
        attributes = dict.fromkeys(names[start : start + 64], "x")
        world.broker.write(CLICKS, event("customer.updated", "c-1", day(0) + start, attributes=attributes))
    world.broker.write(CLICKS, event("customer.updated", "c-1", day(0) + DAY // 2, attributes={"seen-0": "y"}))
    async with working(world) as worker:
        await worker.read()
        condition = worker.holder().condition

    [profile] = await world.store.lanes.load(0, ["c-1"])
    assert condition is LaneCondition.RUNNING
    assert profile is not None
    assert (len(profile.attributes), profile.attributes["seen-0"].value) == (256, "y")
    assert world.rejected() == {"too_many_facts": 1_196}


async def test_a_partition_that_could_not_be_read_is_tried_again_when_it_comes_back() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)))
    async with working(world) as worker:
        await worker.engine.out_of_range(ORDERS, 5, 0, 1)
        async with asyncio.timeout(5):
            while worker.holder().condition is not LaneCondition.STOPPED:  # noqa: ASYNC110
                await asyncio.sleep(0)

        await worker.engine.assigned(2, [])
        await worker.assign([ORDERS, CLICKS])
        worker.generation = 2
        await worker.read()

    assert world.lifecycles("c-1") == ["new"]


async def test_a_repartition_task_that_went_to_another_worker_is_not_begun_any_more() -> None:
    world = World(terms=terms_of(direct=frozenset(), others=frozenset({"mail"})), tasks=("mail/0",))
    async with working(world) as worker:
        await worker.engine.assigned(2, [])

        beginning = worker.engine.assigned(3, [("mail", 0)])
        await beginning
        await worker.engine.assigned(4, [])
        await asyncio.sleep(0.05)

        assert ("mail", 0) not in worker.engine.intake()


def test_pages_stay_small_whatever_the_headers_of_bad_records_are() -> None:
    outbox = Outbox({}, 0)
    for _ in range(50):
        outbox.put(Output.REJECTED, Body(b"", b"", (("original", b"x" * 60_000),)), day(0))

    pages = outbox.pages()

    sizes = [sum(len(value) for entry in page.entries for _, value in entry.headers) for page in pages]
    assert max(sizes) <= PAGE_BYTES
    assert sum(len(page.entries) for page in pages) == 50


async def test_an_engine_stops_while_its_store_is_away() -> None:
    world = World(terms=terms_of())
    async with working(world) as worker:
        await worker.read()
        world.clock.at += MINUTE
        async with asyncio.timeout(10):
            await worker.engine.stop()
            await worker.engine.stop()


def test_a_slice_of_a_poll_is_bounded_in_bytes_as_well() -> None:
    world = World(terms=terms_of())
    sizes = [10, SLICE_BYTES, 20, 30, 2 * SLICE_BYTES, *[SLICE_BYTES // 4] * 9]
    records = [world.broker.write(ORDERS, b"x" * size) for size in sizes]

    slices = slices_of([records], 8)

    assert [record for slice_ in slices for record in slice_] == records
    assert [len(slice_) for slice_ in slices] == [1, 1, 2, 1, 3, 4, 2]
    assert slices_of([], 8) == [()]


async def test_a_poll_of_much_that_is_put_aside_becomes_several_commits() -> None:
    world = World(terms=terms_of())
    for _ in range(12):
        world.broker.write(ORDERS, b"x" * (SLICE_BYTES // 4))
    async with working(world) as worker:
        before = worker.lane().state.version
        await worker.read()
        commits = worker.lane().state.version - before

    assert world.rejected() == {"unparseable": 12}
    assert commits == 3


class _BrokenOutput(PausableOutput):
    """The output of a worker with a bug in it."""

    async def take_over(self, lane: int) -> NoReturn:
        raise LookupError("our own bug")


async def test_a_bug_in_a_takeover_stops_the_lane_and_says_so() -> None:
    world = World(terms=terms_of())
    world.output = _BrokenOutput()
    worker = MemoryWorker(world)

    await worker.engine.assigned(1, [ORDERS, CLICKS])
    async with asyncio.timeout(10):
        while not (reasons := worker.engine.status().reasons):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)

    assert "LookupError" in " ".join(reasons.values())
    assert set(worker.engine.status().lanes.values()) == {LaneCondition.STOPPED}
    await worker.engine.stop()
