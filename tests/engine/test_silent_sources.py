"""A topic that fell silent holds time: nobody is inactive for an order that a dead connector keeps back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from segmenter.domain.instants import DAY, HOUR, MINUTE, SECOND, Instant, rfc3339
from segmenter.engine.ear import Ear, max_silence_of
from segmenter.errors import TransientError
from segmenter.ports import Heard, SourceRecord
from tests.engine.memory_worker import MemoryWorker, World, click, day, order, terms_of, working

ORDERS, CLICKS = ("orders", 0), ("clicks", 0)
LATE = 2 * SECOND
DIRECT: dict[str, Any] = {"direct": frozenset({"orders", "clicks"})}
OTHER: dict[str, Any] = {"direct": frozenset({"clicks"}), "others": frozenset({"orders"})}


def world_of(keyed: dict[str, Any], max_silence: int | str = 6 * HOUR) -> World:
    terms = terms_of(**keyed, max_silence={"orders": max_silence, "clicks": max_silence})
    return World(terms=terms, tasks=("orders/0",) if terms.others else ())


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[MemoryWorker]:
    async with working(world) as worker:
        await worker.ear.refresh(world.clock.now())
        yield worker


async def come_to(worker: MemoryWorker, at: Instant) -> None:
    """Let time come to here, with all that goes on beside the polls; what is forwarded is read by the second poll."""
    worker.world.clock.at = at
    for _ in range(3):
        await worker.read()
        await worker.ear.refresh(at)


async def live_through(worker: MemoryWorker, start: float, end: float, *, orders: bool) -> None:
    """Write clicks every three hours, and orders of somebody else where they come; days from the start."""
    hours = range(int(start * 24), int(end * 24), 3)
    for hour in hours:
        at = day(0) + hour * HOUR
        worker.world.clock.at = at
        worker.world.broker.write(CLICKS, click("visitor", at), at)
        if orders:
            worker.world.broker.write(ORDERS, order("somebody", at), at)
        await come_to(worker, at)


@pytest.mark.parametrize("keyed", [DIRECT, OTHER], ids=["direct", "repartitioned"])
@pytest.mark.parametrize("max_silence", [6 * HOUR, "learned"])
async def test_orders_silent_for_three_days_while_clicks_go_on_make_nobody_inactive(
    keyed: dict[str, Any], max_silence: int | str
) -> None:
    world = world_of(keyed, max_silence)
    world.broker.write(ORDERS, order("c-1", day(0.5)), day(0.5))
    world.broker.write(ORDERS, order("c-2", day(0.5)), day(0.5))
    async with listening(world) as worker:
        await live_through(worker, 0.5, 29.5, orders=True)
        await live_through(worker, 29.5, 32.5, orders=False)
        silent = world.lifecycles("c-1") + world.lifecycles("c-2")
        held = world.count("segmenter_source_holds_time", topic="orders")
        said = worker.engine.status().held_for

        # The connector lives again, and brings first what it had kept back: an order of two days ago.
        world.broker.write(ORDERS, order("c-1", day(30.4)), day(32.5))
        await come_to(worker, day(32.5))
        backlog = world.lifecycles("c-1"), world.lifecycles("c-2")
        await live_through(worker, 32.6, 34, orders=True)
        still_held = world.count("segmenter_source_holds_time", topic="orders")

    assert silent == ["new", "new"]
    assert held == 1
    assert "orders" in said[0]
    assert backlog[0] == ["new", "repeat"]
    assert world.lifecycles("c-1") == ["new", "repeat"]
    assert world.lifecycles("c-2") == ["new", "inactive"]
    moves = [told for told in world.told() if told["customer_id"] == "c-2"]
    assert moves[-1]["effective_at"] == rfc3339(day(30.5))
    assert still_held == 0


@pytest.mark.parametrize("keyed", [DIRECT, OTHER], ids=["direct", "repartitioned"])
async def test_time_comes_no_further_than_the_silence_that_is_allowed(keyed: dict[str, Any]) -> None:
    world = world_of(keyed)
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with listening(world) as worker:
        await come_to(worker, day(0))
        await come_to(worker, day(0) + 6 * HOUR)
        before = worker.watermark
        await come_to(worker, day(3))

        assert before == day(0) + 6 * HOUR - LATE
        assert worker.watermark == day(0) + 6 * HOUR


async def test_the_hold_is_the_same_for_a_worker_that_starts_in_the_silence() -> None:
    world = world_of(DIRECT)
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with listening(world) as worker:
        await come_to(worker, day(0) + HOUR)
    world.clock.at = day(40)

    async with listening(world) as worker:
        await come_to(worker, day(40))

        assert worker.watermark == day(0) + 6 * HOUR
    assert world.lifecycles("c-1") == ["new"]


async def test_nothing_is_concluded_before_it_is_known_who_spoke() -> None:
    world = world_of(DIRECT)
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))

    async with working(world) as worker:
        worker.ear._known = None
        await worker.read()

        assert worker.watermark == 0


async def test_a_topic_that_never_spoke_and_one_that_may_be_silent_hold_nothing() -> None:
    world = World(terms=terms_of(max_silence={"clicks": 6 * HOUR}))
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))

    async with listening(world) as worker:
        await come_to(worker, day(31))

    assert world.lifecycles("c-1") == ["new", "inactive"]


async def test_an_operator_may_say_that_the_silence_is_true() -> None:
    world = world_of(DIRECT)
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    world.broker.write(CLICKS, click("visitor", day(0)), day(0))
    async with listening(world) as worker:
        await come_to(worker, day(0))
        for topic in ("orders", "clicks"):
            await world.store.sources.resume(topic, day(1))
        await come_to(worker, day(31))
        resumed = world.lifecycles("c-1"), worker.engine.status().held_for

        world.broker.write(ORDERS, order("c-2", day(31)), day(31))
        await come_to(worker, day(31))
        await come_to(worker, day(33))

        assert resumed == (["new", "inactive"], [])
        assert worker.watermark == day(31) + 6 * HOUR


async def test_a_source_that_cannot_be_read_holds_until_an_operator_leaves_it_out() -> None:
    world = world_of(DIRECT, 10 * DAY)
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with listening(world) as worker:
        await come_to(worker, day(0))

        async def pass_without_orders(at: Instant) -> float:
            world.clock.at = at
            world.broker.answer(CLICKS)
            await worker.take()
            await worker.ear.refresh(at)
            worker.engine._caretaker._tell()
            return world.count("segmenter_source_standstill_seconds", topic="orders", partition="0")

        await pass_without_orders(day(0) + MINUTE)
        stood_s = await pass_without_orders(day(0) + 2 * HOUR)
        held = worker.watermark
        await world.store.sources.resume("orders", day(0) + 2 * HOUR)
        await pass_without_orders(day(0) + 2 * HOUR + SECOND)
        await pass_without_orders(day(0) + 2 * HOUR + 2 * SECOND)
        left_out = worker.watermark

        await come_to(worker, day(0) + 3 * HOUR)
        worker.engine._caretaker._tell()
        is_counted = worker.holder().lane is not None and not worker.holder()._hold.left_out  # type: ignore[union-attr]

    assert stood_s == pytest.approx(2 * 3600 - 60, abs=120)
    assert held == day(0) - LATE
    assert left_out == day(0) + 2 * HOUR + 2 * SECOND - LATE
    assert is_counted


@pytest.mark.parametrize(("gap_h", "allowed_h"), [(0, 6), (1, 6), (2, 8), (60, 240)])
def test_four_times_the_longest_gap_is_learned_and_six_hours_at_least(gap_h: int, allowed_h: int) -> None:
    terms = terms_of(max_silence={"orders": "learned"})

    learned = max_silence_of(terms, "orders", SourceRecord(last_at=0, longest_gap=gap_h * HOUR))

    assert learned == allowed_h * HOUR


async def test_what_was_heard_while_the_store_was_away_is_told_later() -> None:
    world = world_of(DIRECT)
    told: list[dict[str, Heard]] = []

    class AwayAtFirst:
        async def hear(self, heard: dict[str, Heard]) -> dict[str, SourceRecord]:
            told.append(heard)
            if len(told) == 1:
                raise TransientError("the store of this test is away")
            return {}

        async def resume(self, topic: str, at: Instant) -> bool:
            return False

    ear = Ear(world.terms, AwayAtFirst(), world.metrics)  # type: ignore[arg-type]
    ear.hear("orders", day(1), day(9))
    with pytest.raises(TransientError):
        await ear.refresh(day(9))
    ear.hear("orders", day(2), day(9))
    await ear.refresh(day(9))

    assert told[1] == {"orders": Heard(last_at=day(2), hours={day(1) // HOUR, day(2) // HOUR})}


async def test_an_event_of_the_future_does_not_make_a_topic_speak_for_ever() -> None:
    world = world_of(DIRECT)
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    world.broker.write(ORDERS, order("c-2", day(200)), day(200))

    async with listening(world) as worker:
        await come_to(worker, day(0) + HOUR)
        await come_to(worker, day(3))

        assert worker.watermark == day(0) + 7 * HOUR
