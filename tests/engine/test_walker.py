"""Passes over all customers go on between polls, lane by lane, and never in lanes that are about to be taken back."""

import asyncio
from decimal import Decimal

from segmenter.domain.conditions import Bound, Comparison, Definition, Measure, Measured
from segmenter.domain.instants import Instant
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.orders import Offer
from segmenter.engine.walker import Walker
from tests.engine.memory_worker import World, at_home, day, order, terms_of, working

BASE = terms_of().rulebook
VIP = Definition(name="vip", when=Measured(Measure.ORDERS, Bound(Comparison.AT_LEAST, Decimal(1))))
RULES = Rulebook(lifecycle=BASE.lifecycle, value=BASE.value, segments=(VIP,), revision=2)


class Lanes:
    """Lanes with so many bites left, in place of holders; `order` is whose bites were taken."""

    def __init__(self, *left: int) -> None:
        self.left = dict(enumerate(left))
        self.order: list[int] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    def holders(self) -> dict[int, "_Lane"]:
        return {number: _Lane(self, number) for number in self.left}


class _Lane:
    def __init__(self, lanes: Lanes, number: int) -> None:
        self._lanes, self.number = lanes, number

    @property
    def may_walk(self) -> bool:
        return self._lanes.left[self.number] > 0

    async def walk(self, now: Instant) -> None:
        await self._lanes.goes_on.wait()
        self._lanes.left[self.number] -= 1
        self._lanes.order.append(self.number)


def walker_of(lanes: Lanes) -> tuple[Walker, asyncio.Lock]:
    working_ = asyncio.Lock()
    return Walker(lanes.holders(), working_, lambda: 0), working_  # type: ignore[arg-type]


async def until_done(walker: Walker) -> None:
    async with asyncio.timeout(10):
        await asyncio.wait([walker._task])  # type: ignore[list-item]


async def test_lanes_take_bites_in_turn() -> None:
    lanes = Lanes(3, 0, 2)
    walker, _ = walker_of(lanes)

    walker.wake()
    await until_done(walker)

    assert lanes.order == [0, 2, 0, 2, 0]
    assert not walker.is_at_work


async def test_a_poll_waits_for_one_bite_and_no_bite_is_taken_meanwhile() -> None:
    lanes = Lanes(50)
    walker, working_ = walker_of(lanes)
    lanes.goes_on.clear()
    walker.wake()
    await asyncio.sleep(0)
    assert working_.locked()

    lanes.goes_on.set()
    async with working_:
        taken = len(lanes.order)
        await asyncio.sleep(0.02)
        assert len(lanes.order) == taken == 1
    await until_done(walker)
    assert len(lanes.order) == 50


async def test_who_rests_begins_no_other_bite_and_goes_on_when_woken() -> None:
    lanes = Lanes(50)
    walker, _ = walker_of(lanes)
    walker.wake()
    await asyncio.sleep(0)

    await walker.stop()
    taken = len(lanes.order)
    await asyncio.sleep(0.02)
    assert len(lanes.order) == taken < 50

    walker.wake()
    await until_done(walker)
    assert len(lanes.order) == 50


async def test_who_is_stopped_finishes_the_bite_in_hand() -> None:
    lanes = Lanes(50)
    walker, working_ = walker_of(lanes)
    lanes.goes_on.clear()
    walker.wake()
    await asyncio.sleep(0)
    stopping = asyncio.create_task(walker.stop())
    await asyncio.sleep(0.01)
    assert not stopping.done()

    lanes.goes_on.set()
    await stopping

    assert lanes.order == [0]
    assert not walker.is_at_work
    assert not working_.locked()


async def test_a_bite_is_a_commit_between_polls_until_all_are_done() -> None:
    made = World(terms=terms_of(partitions=1, walk_per_commit=7))
    made.clock.at = day(1)
    customers = at_home(0, 1, 40)
    for customer in customers:
        made.broker.write(("orders", 0), order(customer, day(0)))
    async with working(made) as worker:
        await worker.read()
        await worker.lane().adopt_rules(Offer(RULES))
        before = worker.lane().state.version
        await worker.read()

        assert worker.lane().state.notes.walk is None
        assert worker.lane().state.version - before >= 40 // 7 + 1
        assert worker.lane().state.sizes["custom.vip", "in"] == 40


async def test_nobody_walks_in_a_lane_that_was_taken_back() -> None:
    made = World(terms=terms_of(partitions=1, walk_per_commit=1))
    made.clock.at = day(1)
    for customer in at_home(0, 1, 40):
        made.broker.write(("orders", 0), order(customer, day(0)))
    async with working(made) as worker:
        await worker.read()
        await worker.lane().adopt_rules(Offer(RULES))
        worker.engine._walker.wake()
        await worker.engine.revoked()
        version = worker.lane().state.version
        await asyncio.sleep(0.05)

        assert worker.lane().state.version == version
        assert worker.lane().state.notes.walk is not None
