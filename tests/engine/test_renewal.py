"""A lane the group gives to its owner again: renewed where nobody else had it, taken anew where one may have had."""

import asyncio
from typing import Any

from segmenter.domain.instants import DAY
from segmenter.engine.holder import LaneHolder
from segmenter.engine.terms import Terms
from segmenter.ports import Commit, LaneStore
from tests.engine.lane_bench import LaneBench
from tests.engine.memory_worker import World, click, day, terms_of, working

TERMS = Terms(partitions=1, direct=frozenset({"orders", "clicks"}))


async def nonce_after(generation: int) -> tuple[str, str]:
    """Return the nonce of a lane's token before and after its renewal in a generation; it was taken in the first."""
    bench = LaneBench(TERMS, 20_000 * DAY)
    await bench.take()
    before = nonce_of(bench.holder)
    await bench.holder.renew(generation)
    await asyncio.sleep(0.001)  # a hold that is broken ends
    await bench.until_held()
    after = nonce_of(bench.holder)
    await bench.let_go()
    return before, after


def nonce_of(holder: LaneHolder) -> str:
    assert holder.lane is not None
    return holder.lane.token.nonce


async def test_a_lane_that_was_ours_in_every_generation_is_not_taken_anew() -> None:
    before, after = await nonce_after(2)

    assert after == before


async def test_who_missed_a_generation_takes_his_lane_anew() -> None:
    before, after = await nonce_after(3)

    assert after != before


class _SlowStore:
    """A store whose commits wait until they may go on."""

    def __init__(self, store: LaneStore) -> None:
        self._store = store
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.has_begun = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, commit: Commit) -> object:
        """Store, and answer late."""
        outcome = await self._store.commit(commit)
        self.has_begun.set()
        await self.goes_on.wait()
        return outcome


async def test_a_commit_under_way_over_a_rebalance_does_not_cost_a_takeover() -> None:
    world = World(terms=terms_of())
    slow = _SlowStore(world.lanes)
    world.lanes = slow  # type: ignore[assignment]  # it is one, by what it passes on
    async with working(world) as worker:
        before = nonce_of(worker.holder())
        world.broker.write(("clicks", 0), click("c-1", day(0)))
        slow.goes_on.clear()
        slow.has_begun.clear()
        reading = asyncio.create_task(worker.read())
        await slow.has_begun.wait()
        telling = asyncio.create_task(worker.engine.assigned(2, worker.holder().places()))
        await asyncio.sleep(0)

        slow.goes_on.set()
        await asyncio.gather(reading, telling)

        lane = worker.lane()
        assert (lane.token.nonce, lane.token.generation) == (before, 2)
