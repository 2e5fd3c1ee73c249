"""Tells the engine what the group gave this worker and what it takes away again.

The group waits while it is told, and expels whoever takes too long. Heartbeats go on while partitions are taken away,
so there the rebalance timeout counts; aiokafka sends none before an assignment is dealt with, so there it is the
session timeout. A third of it is waited for. Telling an assignment goes on after that; no poll comes before it ends.
"""

import asyncio
import logging
from collections.abc import Collection

from segmenter.engine.intake import Place
from segmenter.errors import TransientError
from segmenter.stream.binding import Binding
from segmenter.stream.handoff import Handoff
from segmenter.stream.ownership import NO_GENERATION

log = logging.getLogger(__name__)

_RETRY_S = 0.5


class Assignments:
    """The last assignment, on its way to the engine or there."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._telling: asyncio.Task[None] | None = None

    async def give(self, generation: int, places: Collection[Place]) -> None:
        """Tell the engine what is ours now. Errors are raised by `settled`."""
        await self.forget()
        self._binding.observer.rebalanced()
        self._binding.ownership.gain(generation, places, self._binding.settings.lane_topics)
        lanes = sorted(self._binding.ownership.lanes)
        log.info("lanes_assigned", extra={"generation": generation, "lanes": lanes})
        self._telling = asyncio.create_task(self._tell(generation, places), name="assigned")
        await _wait("assigned", self._telling, self._binding.settings.session_timeout_s / 3)

    async def settled(self) -> None:
        """Return when the engine knows what is ours; raise what kept it from knowing."""
        telling: asyncio.Task[None] | None = None
        while telling is not self._telling:
            telling = self._telling
            if telling is not None:
                await asyncio.wait([telling])
        if telling is not None and not telling.cancelled():
            telling.result()

    async def take_away(self, in_flight: Handoff | None) -> None:
        """Tell the engine that nothing is ours any more, and wait for the end of the poll in hand."""
        await self.forget()
        if self._binding.ownership.generation != NO_GENERATION:
            log.info("lanes_revoked", extra={"generation": self._binding.ownership.generation})
            telling = asyncio.create_task(self._revoke(in_flight), name="revoked")
            await _wait("revoked", telling, self._binding.settings.rebalance_timeout_s / 3)
            telling.cancel()
            await asyncio.wait([telling])
            if not telling.cancelled():
                telling.result()
        self._binding.ownership.lose()

    async def forget(self) -> None:
        """Stop telling what may not be true any more."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])
            self._telling = None

    async def _tell(self, generation: int, places: Collection[Place]) -> None:
        while True:
            try:
                await self._binding.engine.assigned(generation, places)
            except TransientError as error:
                log.warning("assignment_delayed", extra={"generation": generation, "reason": str(error)})
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _revoke(self, in_flight: Handoff | None) -> None:
        await self._binding.engine.revoked()
        if in_flight is not None:
            in_flight.take_back()
            await asyncio.wait([in_flight.outcome])


async def _wait(step: str, work: "asyncio.Task[None]", budget_s: float) -> None:
    await asyncio.wait([work], timeout=budget_s)
    if not work.done():
        log.error("rebalance_step_too_slow", extra={"step": step, "budget_s": budget_s})
