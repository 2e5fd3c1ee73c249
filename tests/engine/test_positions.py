"""Positions that cannot be right stop what reads them, until an operator has put them elsewhere; nothing resets."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from segmenter.domain.instants import MINUTE
from segmenter.engine.intake import LaneCondition
from segmenter.engine.positions import fault_of, set_lane_position, set_task_position
from segmenter.errors import ConfigurationError
from segmenter.ports import WATERMARK, Commit, LaneState, Token
from tests.engine.memory_worker import REKEYED, MemoryWorker, World, day, order, terms_of, working

ORDERS = ("orders", 0)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def make_anew(world: World, count: int) -> None:
    """Delete the topic of orders, and write other orders to a new one of its name."""
    world.broker.logs[ORDERS].clear()
    for number in range(count):
        world.broker.write(ORDERS, order(f"new-{number}", day(1)), day(1))


@pytest.mark.parametrize(
    ("position", "says"), [(4, "3 unread events were deleted"), (21, "the topic was made anew"), (7, ""), (20, "")]
)
def test_a_position_outside_its_log_is_explained_with_the_way_out(position: int, says: str) -> None:
    fault = fault_of(("orders", 3), position, 7, 20)

    assert says in fault
    assert ("segmenter positions set orders/3 beginning" in fault) is bool(says)


async def test_a_lane_that_has_stopped_goes_on_by_itself_where_an_operator_has_put_it() -> None:
    world = World(terms=terms_of())
    for number in range(5):
        world.broker.write(ORDERS, order(f"c-{number}", day(0)), day(0))
    async with working(world) as worker:
        await worker.read()
        make_anew(world, 3)
        await worker.engine.out_of_range(ORDERS, 5, 0, 3)
        await until(lambda: worker.holder().condition is LaneCondition.STOPPED)
        reason = worker.engine.status().reasons[0]
        await asyncio.sleep(0.05)

        before = await set_lane_position(world.store.lanes, 0, "orders/0", 0, 1)
        await until(lambda: worker.holder().condition is LaneCondition.RUNNING)
        await worker.read()

    assert "segmenter positions set orders/0" in reason
    assert before == 5
    assert world.lifecycles("new-2") == ["new"]


async def test_a_lane_is_not_taken_from_a_worker_that_lives() -> None:
    world = World(terms=terms_of())
    async with working(world) as worker:
        await worker.read()

        with pytest.raises(ConfigurationError, match="held by a worker that lives"):
            await set_lane_position(world.store.lanes, 0, "orders/0", 0, 1)


async def test_a_worker_that_has_ended_leaves_its_lanes_to_operators_at_once() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await worker.read()

    before = await set_lane_position(world.store.lanes, 0, "orders/0", 0, 1)

    _, state = await world.store.lanes.state(0)
    assert (before, state.positions["orders/0"]) == (1, 0)


async def test_an_owner_that_was_dead_cannot_write_over_what_an_operator_set() -> None:
    world = World(terms=terms_of())
    acquired = await world.store.lanes.acquire(0, Token(5, "zombie"), 1)
    assert isinstance(acquired, LaneState)
    world.clock.at += 4 * MINUTE

    await set_lane_position(world.store.lanes, 0, "orders/0", 7, 1)
    refused = await world.store.lanes.commit(
        Commit(lane=0, token=Token(5, "zombie"), version=acquired.version, notes=acquired.notes)
    )

    assert "token of lane 0" in getattr(refused, "detail", "")


async def test_a_lane_that_recovers_does_not_wait_for_what_a_new_log_will_never_hold() -> None:
    world = World(terms=terms_of())
    acquired = await world.store.lanes.acquire(0, Token(1, "before"), 1)
    assert isinstance(acquired, LaneState)
    notes = replace(acquired.notes, recover_upto={"orders/0": 900, WATERMARK: 5})
    await world.store.lanes.commit(Commit(lane=0, token=Token(1, "before"), version=0, notes=notes))
    await world.store.lanes.release(0, Token(1, "before"))

    await set_lane_position(world.store.lanes, 0, "orders/0", 0, 1)

    _, state = await world.store.lanes.state(0)
    assert state.notes.recover_upto == {WATERMARK: 5}


async def test_a_topic_made_anew_is_read_from_its_beginning_and_none_of_it_is_taken_for_a_repeat() -> None:
    terms = terms_of(direct=frozenset(), others=frozenset({"orders"}))
    world = World(terms=terms, tasks=("orders/0",))
    for number in range(5):
        world.broker.write(ORDERS, order(f"c-{number}", day(0)), day(0))

    async def read(worker: MemoryWorker) -> None:
        for _ in range(3):
            world.clock.at += MINUTE
            await worker.read()

    async with working(world, [ORDERS, (REKEYED, 0)]) as worker:
        await read(worker)
        make_anew(world, 3)
        await worker.engine.out_of_range(ORDERS, 5, 0, 3)
        stopped = worker.engine.status().stopped_sources, ORDERS in worker.engine.intake()

        await set_task_position(world.store.tasks, "orders/0", 0)
        await until(lambda: ORDERS in worker.engine.intake())
        await read(worker)
        after = worker.engine.status().stopped_sources

    assert "segmenter positions set orders/0" in stopped[0]["orders/0"]
    assert stopped[1] is False
    assert after == {}
    assert [world.lifecycles(f"new-{number}") for number in range(3)] == [["new"]] * 3


async def test_a_task_that_is_put_forward_stays_the_same_to_its_homes() -> None:
    world = World(terms=terms_of())
    await set_task_position(world.store.tasks, "orders/0", 5)
    await set_task_position(world.store.tasks, "orders/0", 9)
    forward = await world.store.tasks.incarnation("orders/0")

    before = await set_task_position(world.store.tasks, "orders/0", 2)

    assert (forward, before, await world.store.tasks.incarnation("orders/0")) == (0, 9, 1)
