"""A member of the group that feeds an engine, as `segmenter.stream` does: the same order of the same steps.

One poll in flight. A poll of another generation, or one that comes while the group rebalances, is dropped. Evidence
of time is the moment the fetch was asked for. While partitions are taken away the poll in hand is waited for, for a
third of the rebalance time-out; telling an assignment is waited for, for a third of the session time-out.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from segmenter.domain.instants import Instant
from segmenter.engine.ending import end
from segmenter.engine.intake import Evidence, Place, Poll
from segmenter.engine.worker import Engine
from segmenter.errors import TransientError
from segmenter.ports import Clock, Record
from tests.simulation.acts import READS
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.group import HEARTBEAT_S, REBALANCE_S, SESSION_S, Assignment, Coordinator, Word, lanes_of
from tests.simulation.network import UnansweredError

RETRY_S = 0.5
LONGEST_JOIN_S = REBALANCE_S + 7


@dataclass(frozen=True, slots=True)
class Laxness:
    """Which of its duties a consumer neglects: all kept by default, each can be dropped to show what it is for."""

    trusts_its_position: bool = False
    """Reads on where it was, whatever the engine wants."""
    hands_over_stale_polls: bool = False
    """Does not compare the generation of a poll with its own."""
    takes_evidence_at_the_answer: bool = False
    """Says that a source was at its end when the answer came, not when it was asked."""
    does_not_wait_for_work: bool = False
    """Gives partitions up while a poll is being worked off."""


class Ownership:
    """See the port LaneOwnership."""

    def __init__(self) -> None:
        self.generation = -1
        self.lanes: frozenset[int] = frozenset()
        self.wants_to_rejoin = asyncio.Event()

    async def rejoin(self) -> None:
        """Leave and join again."""
        self.wants_to_rejoin.set()


class Consumer:
    """The group's side of a worker."""

    def __init__(
        self, cluster: SimulatedCluster, group: Coordinator, ownership: Ownership, clock: Clock, dice: random.Random
    ) -> None:
        self._cluster = cluster
        self._group = group
        self._ownership = ownership
        self._clock = clock
        self._dice = dice
        self.laxness = Laxness()
        self.engine: Engine | None = None
        self._member: str | None = None
        self._given: Assignment | None = None
        self._is_flowing = False
        self._telling: asyncio.Task[None] | None = None
        self._in_flight: asyncio.Task[None] | None = None
        self._positions: dict[Place, int] = {}
        self.faults: list[str] = []
        self.pace_s = 0.3
        self.reads: Sequence[int] = READS

    async def run(self) -> None:
        """Be a member until cancelled."""
        polling = asyncio.create_task(self._poll_for_ever(), name="polls")
        try:
            while True:
                given = await self._join()
                await self._give(given)
                word = await self._beat(given)
                await self._take_away()
                if word is Word.UNKNOWN:
                    self._member = None
        finally:
            await end(polling)

    async def halt(self) -> None:
        """Leave for good; the poll in hand is worked off."""
        self._is_flowing = False
        await self._forget_telling()
        if self._in_flight is not None:
            await asyncio.wait([self._in_flight])
        with suppress(UnansweredError):
            if self._member is not None:
                member = self._member
                await self._cluster.ask("leave", lambda: self._group.leave(member))

    # ---- the group

    async def _join(self) -> Assignment:
        while True:
            try:
                given = await self._ask_to_join(self._member)
            except UnansweredError:
                await asyncio.sleep(RETRY_S)
            else:
                self._member = given.member
                if given.places is not None:
                    return given

    async def _ask_to_join(self, member: str | None) -> Assignment:
        given: Assignment = await self._cluster.ask("join", lambda: self._group.join(member), LONGEST_JOIN_S)
        return given

    async def _beat(self, given: Assignment) -> Word:
        """Show life until the group wants something, or we do."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._ownership.wants_to_rejoin.wait()
                    self._ownership.wants_to_rejoin.clear()
                    with suppress(UnansweredError):
                        await self._cluster.ask("leave", lambda: self._group.leave(given.member))
                    return Word.UNKNOWN
            with suppress(UnansweredError):
                word: Word = await self._cluster.ask(
                    "heartbeat", lambda: self._group.heartbeat(given.member, given.generation)
                )
                if word is not Word.STEADY:
                    return word

    async def _give(self, given: Assignment) -> None:
        """Tell the engine what is ours now; polls begin when it knows."""
        assert given.places is not None
        self._ownership.generation = given.generation
        self._ownership.lanes = lanes_of(given.places, self._group.lane_topics)
        self._given = given
        self._positions.clear()
        self._telling = asyncio.create_task(self._tell(given), name="assigned")
        await asyncio.wait([self._telling], timeout=SESSION_S / 3)
        self._is_flowing = True

    async def _tell(self, given: Assignment) -> None:
        assert self.engine is not None
        assert given.places is not None
        while True:
            try:
                await self.engine.assigned(given.generation, sorted(given.places))
            except TransientError:
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _take_away(self) -> None:
        """Let the engine end its work."""
        self._is_flowing = False
        await self._forget_telling()
        ending = asyncio.create_task(self._revoke(), name="revoked")
        await asyncio.wait([ending], timeout=REBALANCE_S / 3)
        ending.cancel()
        await asyncio.wait([ending])
        if not ending.cancelled() and (error := ending.exception()):
            self.faults.append(f"revoking failed: {error!r}")
        self._ownership.lanes = frozenset()

    async def _revoke(self) -> None:
        assert self.engine is not None
        if self.laxness.does_not_wait_for_work:
            self.engine._is_revoked = True
            return
        await self.engine.revoked()
        if self._in_flight is not None:
            await asyncio.wait([self._in_flight])

    async def _forget_telling(self) -> None:
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.cancel()
            await asyncio.wait([telling])
            if not telling.cancelled() and (error := telling.exception()):
                self.faults.append(f"telling an assignment failed: {error!r}")

    # ---- polls

    async def _poll_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.pace_s * self._dice.choice((0.2, 1.0, 1.0, 2.0)))
            if self._is_flowing and self._telling is not None and self._telling.done():
                try:
                    await self._poll()
                except UnansweredError:
                    await asyncio.sleep(RETRY_S)

    async def _poll(self) -> None:
        assert self.engine is not None
        given = self._given
        assert given is not None
        assert given.places is not None
        begun = {place: offset for place, offset in self.engine.intake().items() if place in given.places}
        reading = {place: self._start(place, offset) for place, offset in begun.items()}
        most = self._dice.choice(self.reads)
        asked_at = self._clock.now()
        found = await self._cluster.ask("fetch", lambda: self._fetch(reading, most))
        if self.laxness.takes_evidence_at_the_answer:
            asked_at = self._clock.now()
        is_stale = not self._is_flowing or given is not self._given
        if is_stale and not self.laxness.hands_over_stale_polls:
            return
        poll = _poll_of(given.generation, found, begun, asked_at)
        self._positions.update((place, seen.position) for place, seen in poll.evidence.items())
        self._in_flight = asyncio.create_task(self.engine.take(poll), name="poll")
        await asyncio.wait([self._in_flight])
        if not self._in_flight.cancelled() and (error := self._in_flight.exception()):
            self.faults.append(f"a poll failed: {error!r}")
        self._in_flight = None

    def _start(self, place: Place, wanted: int) -> int:
        return self._positions.get(place, wanted) if self.laxness.trusts_its_position else wanted

    def _fetch(self, reading: Mapping[Place, int], most: int) -> dict[Place, tuple[list[Record], int, int]]:
        """Return of each partition its records, where to read on, and its end."""
        found: dict[Place, tuple[list[Record], int, int]] = {}
        for place, start in reading.items():
            if place in self._cluster.muted:
                continue
            log = self._cluster.broker.log(*place)
            records, position = log.records_from(start, most)
            found[place] = list(records), position, log.end
        return found


def _poll_of(
    generation: int,
    found: Mapping[Place, tuple[list[Record], int, int]],
    begun: Mapping[Place, int],
    asked_at: Instant,
) -> Poll:
    return Poll(
        generation,
        {place: records for place, (records, _, _) in found.items() if records},
        {
            place: Evidence(position, end, asked_at if position >= end else None)
            for place, (_, position, end) in found.items()
        },
        dict(begun),
    )
