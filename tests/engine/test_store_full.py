"""A store that is full: its lane pauses, longer each time, until something was stored again."""

import asyncio
from typing import Any

from segmenter.domain.instants import DAY
from segmenter.engine.hold import FIRST_PAUSE_S
from segmenter.engine.intake import LaneCondition
from segmenter.engine.terms import Terms
from segmenter.ports import Commit, LaneStore, RefusalKind, Refused
from tests.engine.lane_bench import LaneBench, order

START = 20_000 * DAY


class _FillingStore:
    """A store that refuses every commit while it is full."""

    def __init__(self, store: LaneStore) -> None:
        self._store = store
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, commit: Commit) -> object:
        """Refuse, or store."""
        return Refused(RefusalKind.FULL, "the store is full") if self.is_full else await self._store.commit(commit)


async def test_a_poll_that_brings_nothing_does_not_end_the_pauses_of_a_full_store() -> None:
    bench = LaneBench(Terms(partitions=1, direct=frozenset({"orders"})), START)
    store = _FillingStore(bench.store.lanes)
    bench.store.lanes = store  # type: ignore[assignment]  # it is one, by what it passes on
    await bench.take()
    await bench.poll()
    store.is_full = True
    bench.broker.put("orders", order("c-1", 1, START))
    await bench.poll()

    await asyncio.sleep(FIRST_PAUSE_S)
    assert bench.holder.intake()
    await bench.poll({"orders": 0})

    assert bench.holder.condition is LaneCondition.PAUSED
    assert "full" in bench.holder.reason
    store.is_full = False
    await bench.poll()
    assert bench.holder.condition is LaneCondition.RUNNING
    assert len(bench.told()) == 1
    await bench.let_go()
