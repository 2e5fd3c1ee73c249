"""The engine of one worker: the lanes and repartition tasks the group gave it, fed by the stream's polls.

What is durable is what the store holds; everything here can be lost at any moment. A lane that is in trouble
pauses alone. The owner of lane 0 also leads: it computes the boundaries of all lanes.
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping
from contextlib import suppress

from segmenter.domain.instants import Instant
from segmenter.engine.caretaker import Caretaker
from segmenter.engine.ending import end
from segmenter.engine.hold import source_of
from segmenter.engine.holder import HELP_EVERY_S, LaneHolder
from segmenter.engine.intake import EngineStatus, Place, Poll
from segmenter.engine.lag import LagTeller
from segmenter.engine.pace import Pauses, seconds
from segmenter.engine.poison import said_of
from segmenter.engine.positions import fault_of
from segmenter.engine.repartition import RepartitionTask, Stage
from segmenter.engine.terms import Terms
from segmenter.engine.walker import Walker
from segmenter.engine.workshop import Workshop
from segmenter.errors import OwnershipError, SegmenterError, TransientError
from segmenter.ports import GlobalBoard, LaneOwnership, Recorder

# One loss right after a rebalance is a race; two in a minute are another process under our name.
LOSSES_WITHIN_S = 60.0
ONE_REBALANCE_S = 1.0
# The stream gives all of stopping 10 s, and the drain the greater part of what is left after the last poll.
DRAIN_S = 3.0

# Brokers answer idle fetches ten times a second; a rebalance or the move of a leader takes some seconds.
SILENT_AFTER_S = 15.0

log = logging.getLogger(__name__)


class Engine:
    """Takes polls and works them off. Made once a process; all of it runs in one event loop."""

    holder: type[LaneHolder] = LaneHolder
    """What keeps a lane."""

    def __init__(self, workshop: Workshop, stage: Stage, board: GlobalBoard, ownership: LaneOwnership) -> None:
        self._workshop = workshop
        self._terms: Terms = workshop.terms
        self._recorder: Recorder = workshop.services.recorder
        self._stage = stage
        self._ownership = ownership
        self._holders: dict[int, LaneHolder] = {}
        self._keepers: dict[int, asyncio.Task[None]] = {}
        self._caretaker = Caretaker(workshop, board, self._holders)
        self._tasks: dict[Place, RepartitionTask] = {}
        self._task_places: frozenset[Place] = frozenset()
        self._stopped_places: dict[Place, str] = {}
        self._pauses = Pauses()
        self._generation: int | None = None
        self._is_revoked = True
        self._working = asyncio.Lock()
        self._walker = Walker(self._holders, self._working, self._now)
        self._last_poll_at: Instant | None = None
        self._last_lost_at: float | None = None
        self._lag = LagTeller(self._recorder)
        self._asked_at: Instant = 0
        self._heard_at = seconds()
        self._background: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self.fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with the error that must end this process."""

    async def start(self) -> None:
        """Begin the work that goes on beside polls: leading, heartbeats, the boundary in force."""
        self._background = asyncio.create_task(self._look_after(), name="caretaker")

    async def stop(self) -> None:
        """Publish what is stored, and let go of everything."""
        self._is_revoked = True
        await self._walker.stop()
        await asyncio.gather(*(holder.drain(DRAIN_S) for holder in self._holders.values()))
        await asyncio.gather(*(holder.release() for holder in self._holders.values()))
        for lane in list(self._holders):
            await self._let_go(lane)
        errands = [*self._errands, *([self._background] if self._background else [])]
        await asyncio.gather(*(end(errand) for errand in errands))

    def intake(self) -> Mapping[Place, int]:
        """Return what to read now, and from where."""
        if self._is_revoked:
            return {}
        offsets = {place: task.position for place, task in self._tasks.items()}
        for holder in self._holders.values():
            offsets.update(holder.intake())
        return {place: offset for place, offset in offsets.items() if place not in self._stopped_places}

    def positions(self) -> Mapping[Place, int]:
        """Return what is stored, for tools that show lag."""
        return {place: offset for place, offset in self.intake().items() if offset}

    async def assigned(self, generation: int, partitions: Collection[Place]) -> None:
        """Keep what stays, let go of what went, begin to take what came."""
        self._generation, self._heard_at = generation, seconds()
        # Whoever has it next may have been helped by an operator before it comes back.
        self._stopped_places = {place: why for place, why in self._stopped_places.items() if place in partitions}
        lanes = {partition for topic, partition in partitions if self._is_home_topic(topic)}
        for lane in self._holders.keys() - lanes:
            await self._let_go(lane)
        staying = [self._holders[lane] for lane in lanes & self._holders.keys()]
        for lane in lanes - self._holders.keys():
            holder = self.holder(lane, generation, self._workshop, self.note_lost)
            self._holders[lane] = holder
            self._keepers[lane] = asyncio.create_task(self._keep(holder), name=f"lane {lane}")
        async with self._working:  # a commit under way moves the version that a renewal expects
            await asyncio.gather(*(holder.renew(generation) for holder in staying))
        await self._begin_tasks({place for place in partitions if place[0] in self._terms.others})
        self._is_revoked = False

    async def revoked(self) -> None:
        """Read nothing more until the next assignment, and finish what is in hand.

        The group waits for that only so long. Lanes that go to others are lost to them at any moment from here on,
        which is no reason to ask the group anew.
        """
        self._is_revoked = True
        self._walker.rest()
        async with self._working:
            pass

    async def take(self, poll: Poll) -> None:
        """Work a poll off, all lanes and tasks side by side."""
        now = self._last_poll_at = self._now()
        if self._is_revoked:
            return
        self._note_heard(poll)
        poll = self.continued(poll)
        async with self._working, asyncio.TaskGroup() as group:
            for holder in self._holders.values():
                places = holder.places()
                records = {place: poll.records[place] for place in places if place in poll.records}
                evidence = {place: poll.evidence[place] for place in places if place in poll.evidence}
                group.create_task(holder.work(records, evidence, now))
            for place, task in self._tasks.items():
                group.create_task(self._advance(place, task, poll, now))
        self._lag.tell(poll, now)
        self._walker.wake()

    def _now(self) -> Instant:
        return self._workshop.clock_check.corrected(self._workshop.clock.now())

    def continued(self, poll: Poll) -> Poll:
        """Return a poll without the partitions that were read from another offset than the one wanted by now.

        A lane may have been taken anew while the poll was under way, at an earlier offset: what is read from beyond
        it would leave a gap.
        """
        wanted = self.intake()
        stale = {place for place, offset in poll.begun.items() if wanted.get(place) != offset}
        if not stale:
            return poll
        records = {place: read for place, read in poll.records.items() if place not in stale}
        evidence = {place: seen for place, seen in poll.evidence.items() if place not in stale}
        return Poll(poll.generation, records, evidence, poll.begun)

    async def out_of_range(self, place: Place, position: int, log_start: int, log_end: int) -> None:
        """Stop what reads this partition: its log does not hold what comes next."""
        self.stop_reading(place, fault_of(place, position, log_start, log_end))

    def stop_reading(self, place: Place, reason: str) -> None:
        """Stop what reads this partition until an operator has put its position elsewhere; nothing if nobody does."""
        topic, partition = place
        holder, task = self._holders.get(partition), self._tasks.get(place)
        if self._is_home_topic(topic) and holder is not None and not holder.is_stopped:
            log.error("position_refused", extra={"source": source_of(place), "reason": reason})
            holder.stop(reason)
        elif task is not None and place not in self._stopped_places:
            log.error("position_refused", extra={"source": source_of(place), "reason": reason})
            self._stopped_places[place] = reason
            self._errand(self._await_help(place, task.position), f"help for {topic}/{partition}")

    async def _await_help(self, place: Place, position: int) -> None:
        """Begin a task again that could not be right, once an operator has put it elsewhere."""
        while place in self._stopped_places:
            await asyncio.sleep(HELP_EVERY_S)
            with suppress(TransientError):
                if await self._stage.tasks.position(source_of(place)) == position:
                    continue
                self._stopped_places.pop(place, None)
                self._tasks.pop(place, None)
                await self._begin_task(place)

    def status(self) -> EngineStatus:
        """Return what the health page shows."""
        shop, clock_fault = self._workshop, self._workshop.clock_check.fault
        return EngineStatus(
            generation=self._generation,
            lanes={lane: holder.condition for lane, holder in self._holders.items()},
            reasons={lane: holder.reason for lane, holder in self._holders.items() if holder.reason},
            stopped_sources={source_of(place): reason for place, reason in self._stopped_places.items()},
            held_for=[*filter(None, [clock_fault, self._kafka_fault()]), *shop.ear.faults(shop.clock.now())],
            rules_warning=shop.rules.warning,
            is_store_reachable=self._caretaker.is_store_reachable,
            last_poll_at=self._last_poll_at,
        )

    def _note_heard(self, poll: Poll) -> None:
        """Note that brokers answer: with records, or that there are none. Who asks for nothing is told nothing."""
        asked_at = max((seen.asked_at or 0 for seen in poll.evidence.values()), default=0)
        if poll.records or asked_at > self._asked_at or not poll.begun:
            self._asked_at, self._heard_at = max(asked_at, self._asked_at), seconds()

    def _kafka_fault(self) -> str:
        silent_s = seconds() - self._heard_at
        is_asked = self._generation is not None and not self._is_revoked
        return f"Kafka has not answered for {silent_s:.0f} s" if is_asked and silent_s >= SILENT_AFTER_S else ""

    def note_lost(self, lane: int) -> None:
        """Ask the group anew who owns what; lost again within a minute, this process ends."""
        if self._is_revoked:
            return
        now = seconds()
        if self._last_lost_at is not None and LOSSES_WITHIN_S > now - self._last_lost_at > ONE_REBALANCE_S:
            self._end(OwnershipError(f"lane {lane} was lost twice within {LOSSES_WITHIN_S:.0f} s to another owner"))
            return
        self._last_lost_at = now
        self._errand(self._ownership.rejoin(), "rejoin")

    def _errand(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _is_home_topic(self, topic: str) -> bool:
        return topic in self._terms.direct or (topic == self._terms.rekeyed and bool(self._terms.others))

    async def _keep(self, holder: LaneHolder) -> None:
        try:
            await holder.keep()
        except SegmenterError as error:
            self._end(error)

    async def _look_after(self) -> None:
        try:
            await self._caretaker.run()
        except Exception as error:  # noqa: BLE001  # the top of a task: our own bug must not go unseen
            self._end(error)

    def _end(self, error: Exception) -> None:
        if not self.fatal.done():
            self.fatal.set_exception(error)

    async def _let_go(self, lane: int) -> None:
        """End the hold on a lane. Never raises: it is not ours any more."""
        holder, keeper = self._holders.pop(lane), self._keepers.pop(lane)
        await end(keeper)
        for topic, partition in holder.places():
            self._recorder.forget_source(topic, partition)

    async def _begin_tasks(self, places: Collection[Place]) -> None:
        """Take up the repartition tasks of these partitions where they were left."""
        self._task_places = frozenset(places)
        for place in self._tasks.keys() - self._task_places:
            del self._tasks[place]
            self._recorder.forget_source(*place)
        for place in sorted(self._task_places - self._tasks.keys()):
            self._errand(self._begin_task(place), f"task {place[0]}/{place[1]}")

    async def _begin_task(self, place: Place, after_s: float = 0.0) -> None:
        source = f"{place[0]}/{place[1]}"
        await asyncio.sleep(after_s)
        while place in self._task_places - self._tasks.keys():
            try:
                position = await self._stage.tasks.position(source)
                if position is None:
                    position = (await self._workshop.sources.beginnings([place]))[place]
                    await self._stage.tasks.advance(source, position)
                incarnation = await self._stage.tasks.incarnation(source)
            except TransientError as error:
                log.warning("task_paused", extra={"source": source, "reason": str(error)})
                await asyncio.sleep(1)
            else:
                if place in self._task_places:
                    self._tasks.setdefault(place, RepartitionTask(*place, position, self._stage, incarnation))

    async def _advance(self, place: Place, task: RepartitionTask, poll: Poll, now: Instant) -> None:
        """Let a task forward its part of a poll; a server that is away makes it read the rest again."""
        try:
            await task.advance(poll.records.get(place, ()), poll.evidence.get(place), now)
        except (TransientError, OwnershipError) as error:
            log.warning("task_paused", extra={"source": task.source, "reason": str(error)})
            self._tasks.pop(place, None)
            self._errand(self._begin_task(place, self._pauses.after_failure(place)), f"task {task.source}")
        except Exception as error:  # our own bug stops this partition, and no other
            log.exception("task_stopped", extra={"source": task.source})
            self._stopped_places[place] = said_of(error)
        else:
            if place in poll.evidence:
                self._pauses.forget(place)
