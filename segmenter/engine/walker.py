"""Lets lanes go on with their passes over all customers between polls: a bite of one lane, then a rest as long.

So a poll waits for one bite at most, however many lanes there are, and half of a core is left to live events. What a
bite has done is stored with it: a walker that is stopped, or killed, has begun nothing that another must finish.
"""

import asyncio
from collections.abc import Callable, Mapping

from segmenter.domain.instants import Instant
from segmenter.engine.holder import LaneHolder
from segmenter.engine.pace import seconds

# A bite that took long has waited for a store in trouble; more than this is left to the pauses of its lane.
LONGEST_REST_S = 1.0


class Walker:
    """Takes bites in turn while `working`, which polls take as well, is free; gives way to whoever waits for it."""

    def __init__(self, holders: Mapping[int, LaneHolder], working: asyncio.Lock, now: Callable[[], Instant]) -> None:
        self._holders = holders
        self._working = working
        self._now = now
        self._is_wanted = False
        self._last = -1
        self._task: asyncio.Task[None] | None = None

    @property
    def is_at_work(self) -> bool:
        """Tell whether there is a lane to go on with, and nobody has asked for a rest."""
        return self._task is not None and not self._task.done()

    def wake(self) -> None:
        """Begin, where a lane has an unfinished pass."""
        self._is_wanted = True
        if not self.is_at_work and self._next() is not None:
            self._task = asyncio.create_task(self._walk(), name="walker")

    def rest(self) -> None:
        """Begin no other bite until woken."""
        self._is_wanted = False

    async def stop(self) -> None:
        """Return when the bite in hand is stored, and begin no other."""
        self.rest()
        if self._task is not None:
            async with self._working:
                # Nobody is at a bite now: what is cancelled is a rest.
                self._task.cancel()
            await asyncio.wait([self._task])

    async def _walk(self) -> None:
        while self._is_wanted and self._next() is not None:
            async with self._working:
                began = seconds()
                holder = self._next() if self._is_wanted else None
                if holder is None:
                    return
                self._last = holder.number
                await holder.walk(self._now())
            await asyncio.sleep(min(seconds() - began, LONGEST_REST_S))

    def _next(self) -> LaneHolder | None:
        """Return the next lane, behind the one before, that has a pass to go on with and may."""
        walking = [number for number, holder in self._holders.items() if holder.may_walk]
        if not walking:
            return None
        return self._holders[min(walking, key=lambda number: (number <= self._last, number))]
