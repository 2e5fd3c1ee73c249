"""Revisions of the rulebook and orders to hold, in the dicts of `memory_lanes.World`."""

from collections.abc import Mapping
from dataclasses import replace

from segmenter.adapters.lane_limits import REVISIONS_KEPT
from segmenter.adapters.memory_lanes import World
from segmenter.domain.revision import Revision
from segmenter.ports import HoldOrder


class MemoryRulebookSource:
    """RulebookSource in a list."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def active(self) -> int | None:
        """Return the number in force."""
        return self._world.revisions[-1].number if self._world.revisions else None

    async def revision(self, number: int) -> Revision | None:
        """Return a revision."""
        return next((each for each in self._world.revisions if each.number == number), None)

    async def history(self) -> list[Revision]:
        """Return what is kept, rising by number."""
        return list(self._world.revisions)

    async def activate(self, revision: Revision, before: Revision | None = None) -> bool:
        """Put a revision in force, if the number before it is in force."""
        kept = self._world.revisions
        if kept and kept[-1] == revision:
            return True
        if not kept and before is not None:
            kept = [before]
        if (kept[-1].number if kept else 0) != revision.number - 1:
            return False
        self._world.revisions = [*kept, revision][-REVISIONS_KEPT:]
        return True


class MemoryHoldBoard:
    """HoldBoard in a dict."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def orders(self) -> Mapping[str, HoldOrder]:
        """Return the newest order of each dimension."""
        return dict(self._world.orders)

    async def order(self, order: HoldOrder) -> HoldOrder:
        """Give an order, under the next number."""
        number = 1 + max((each.number for each in self._world.orders.values()), default=0)
        given = replace(order, number=number)
        self._world.orders[order.dimension] = given
        return given
