"""Faust's consumer, handing over whole polls instead of records. See docs/stream.md for the reasons.

What it guarantees: the engine sees every partition from the offset it asked for, in order and without gaps; never
two polls at a time; and never a poll of another generation of the group than the one it was told of.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import assert_never

from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from segmenter.engine.intake import Place, Poll
from segmenter.errors import ConfigurationError, TransientError
from segmenter.stream.assignments import Assignments
from segmenter.stream.binding import Binding
from segmenter.stream.consumer_thread import BatchConsumerThread
from segmenter.stream.handoff import Dropped, Failed, Handoff, Outcome, Taken
from segmenter.stream.partition_counts import count_faults
from segmenter.stream.position_mirror import PositionMirror
from segmenter.stream.source_reader import Gathered, text_of
from segmenter.stream.watchdog import Watchdog

log = logging.getLogger(__name__)

_POLL_WAIT_S = 0.5
# Asked for nothing, no broker answers, and whatever the engine wants next would wait for the end of the poll.
_IDLE_WAIT_S = 0.05
_WATCH_EVERY_S = 1.0
_MIRROR_EVERY_S = 1.0
_BACKOFF_S = 0.5


class BatchConsumer(driver.Consumer):  # type: ignore[misc]  # Faust is not typed
    """One poll of all partitions is one event, and the next poll waits until the agent has dealt with it."""

    def __init__(self, transport: "BatchTransport", *args: object, **kwargs: object) -> None:
        self.binding = transport.binding
        self._engine = transport.binding.engine
        self._observer = transport.binding.observer
        self.in_flight: Handoff | None = None
        self.is_polling = False
        """A poll is asked for, or is there and not yet handed over: positions may be ahead of the engine."""
        self.polls = 0
        self._is_halted = False
        self._polling = asyncio.Lock()
        self._rebalancing = asyncio.Lock()
        super().__init__(transport, *args, **kwargs)
        self._assignments = Assignments(self.binding)
        self.mirror = PositionMirror(self.binding, self.reader_thread)
        self.binding.ownership.rejoin_by(self.reader_thread.rejoin)

    @property
    def reader_thread(self) -> BatchConsumerThread:
        """The thread that talks to the broker."""
        thread: BatchConsumerThread = self._thread
        return thread

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def halt(self) -> None:
        """Give the engine nothing more; return when it is done with what it has in hand."""
        self._is_halted = True
        await self._assignments.forget()
        async with self._polling, self._rebalancing:
            pass

    # ---- the loop

    async def _drain_messages(self, fetcher: Service) -> None:
        """Poll for as long as Faust's fetcher runs."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                if self._is_halted:
                    await fetcher.sleep(_WATCH_EVERY_S)
                elif not self.flow_active:
                    await fetcher.wait(self.can_resume_flow)
                else:
                    await self._poll_once()
        except asyncio.CancelledError:
            # Faust stops its fetcher so, and takes it for a crash where the group happens to rebalance.
            if not fetcher.should_stop:
                raise

    async def _poll_once(self) -> None:
        async with self._polling:
            await self._assignments.settled()
            if not self._is_halted:
                self.is_polling = True
                try:
                    await self._poll_and_hand_over()
                finally:
                    self.is_polling = False

    async def _poll_and_hand_over(self) -> None:
        begun = self._engine.intake()
        gathered = await self.reader_thread.poll(begun, _POLL_WAIT_S if begun else _IDLE_WAIT_S)
        self.polls += 1
        self._tell_reseeks(gathered)
        if gathered.failures:
            await self._tell_failures(gathered.failures)
        if gathered.anchor is None:
            return
        if not self.flow_active or gathered.generation != self.binding.ownership.generation:
            self._observer.poll_dropped()
            return
        poll = Poll(gathered.generation, gathered.records, gathered.evidence, begun)
        await self._hand_over(Handoff(self._engine, poll), gathered.anchor)

    async def _hand_over(self, handoff: Handoff, anchor: Place) -> None:
        """Pass the poll through Faust's conductor and agent, and wait for its end."""
        self.in_flight = handoff
        delivery = asyncio.create_task(self.callback(self._message(handoff, anchor)), name="poll delivery")
        # Where the conductor does not know the partition (any more), nobody will ever begin this poll.
        delivery.add_done_callback(lambda task: handoff.take_back() if _has_failed(task) else None)
        suspension = asyncio.create_task(self.suspend_flow.wait(), name="poll suspension")
        try:
            await asyncio.wait([handoff.outcome, suspension], return_when=asyncio.FIRST_COMPLETED)
            # Suspended: a rebalance clears the queues. What is begun ends by itself: `Engine.revoked` sees to it.
            handoff.take_back()
            outcome = await handoff.outcome
        finally:
            delivery.cancel()
            suspension.cancel()
            await asyncio.gather(delivery, suspension, return_exceptions=True)
            self.in_flight = None
        await self._conclude(handoff, outcome)

    async def _conclude(self, handoff: Handoff, outcome: Outcome) -> None:
        match outcome:
            case Taken():
                self._observer.polled(handoff.records)
            case Dropped():
                self._observer.poll_dropped()
            case Failed(error=error) if _is_transient(error):
                log.warning("poll_failed", extra={"reason": str(error)})
                await self.sleep(_BACKOFF_S)
            case Failed(error=error):
                await self.crash(error)
            case _:
                assert_never(outcome)

    def _message(self, handoff: Handoff, anchor: Place) -> ConsumerMessage:
        """Wrap the poll as a record of one of our partitions: the conductor finds the agent by it."""
        topic, partition = anchor
        generation = self.binding.ownership.generation
        return ConsumerMessage(
            topic, partition, self.polls, 0.0, 0, None, None, handoff, None, 0, 0, generation_id=generation
        )

    def _tell_reseeks(self, gathered: Gathered) -> None:
        for place, before, after in gathered.reseeks:
            self._observer.reseeked(place)
            log.info("reseeked", extra={"source": text_of(place), "position": before, "expected": after})

    async def _tell_failures(self, failures: Mapping[Place, KafkaError]) -> None:
        for place, error in failures.items():
            self._observer.fetch_failed(type(error).__name__)
            log.error("fetch_failed", extra={"source": text_of(place), "error": repr(error)})
            if isinstance(error, OffsetOutOfRangeError):
                await self._tell_out_of_range(place)
        await self.sleep(_BACKOFF_S)

    async def _tell_out_of_range(self, place: Place) -> None:
        expected = self._engine.intake().get(place)
        if expected is None:
            return
        try:
            start, end = await self.reader_thread.bounds(place)
        except KafkaError as error:
            log.warning("bounds_unknown", extra={"source": text_of(place), "error": repr(error)})
            return
        if not start <= expected <= end:
            await self._engine.out_of_range(place, expected, start, end)

    # ---- rebalances

    async def on_partitions_revoked(self, revoked: set[Place]) -> None:
        """Let the engine end its work, then let Faust suspend its streams."""
        self.stop_flow()
        async with self._rebalancing:
            if not self._is_halted:
                try:
                    await self._assignments.take_away(self.in_flight)
                except Exception as error:  # noqa: BLE001  # aiokafka would only log it and go on
                    await self.crash(error)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[Place], generation_id: int = 0) -> None:
        """Tell the engine what is ours now, then let Faust resume its streams."""
        if faults := self._co_partition_faults(assigned):
            await self.crash(ConfigurationError(faults))
            return
        async with self._rebalancing:
            if not self._is_halted:
                self.mirror.forget()
                places = [(topic, partition) for topic, partition in assigned]
                await self._assignments.give(generation_id, places)
        await super().on_partitions_assigned(assigned, generation_id)

    def _co_partition_faults(self, assigned: Collection[Place]) -> list[str]:
        """Check what this member knows of the topics; metadata that has not come yet is no fault."""
        known = {topic: self.reader_thread.partition_count(topic) for topic in self.binding.settings.topics}
        counts = {topic: count for topic, count in known.items() if count is not None}
        return count_faults(counts, self.binding.settings, assigned)

    async def seek_to_committed(self) -> Mapping[Place, int]:
        """Seek to where the engine wants to start; Faust calls this after a rebalance.

        Kafka's committed offset is a mirror for lag tools and starts nothing. What the engine does not want yet,
        because a lane is still being taken over, is put right by the poll that first asks for it.
        """
        expected = self._engine.intake()
        await self.reader_thread.put_back(expected)
        ours = self.assignment()
        return {TP(*place): offset for place, offset in expected.items() if place in ours}

    # ---- upkeep

    @Service.task  # type: ignore[untyped-decorator]  # Faust is not typed
    async def _watch(self) -> None:
        """Once a second: free what is stuck, and say that we live."""
        watchdog = Watchdog(self)
        while not self.should_stop:
            await self.sleep(_WATCH_EVERY_S)
            try:
                await watchdog.look()
            except TransientError:
                if not self.should_stop:
                    raise
            self.binding.pulse.beat()

    @Service.task  # type: ignore[untyped-decorator]  # Faust is not typed
    async def _mirror(self) -> None:
        """Once a second: show lag tools how far we are."""
        while not self.should_stop:
            await self.sleep(_MIRROR_EVERY_S)
            if self.flow_active and not self._is_halted:
                await self.mirror.show()

    def verify_event_path(self, now: float, tp: Place) -> None:
        """Do nothing: Faust's checks compare what our path does not keep, and warn without cause."""


class BatchTransport(driver.Transport):  # type: ignore[misc]  # Faust is not typed
    """Makes our consumer in place of Faust's."""

    Consumer = BatchConsumer

    def __init__(self, urls: object, app: object, binding: Binding) -> None:
        super().__init__(urls, app)
        self.binding = binding


def _has_failed(task: "asyncio.Task[None]") -> bool:
    return not task.cancelled() and task.exception() is not None


def _is_transient(error: Exception) -> bool:
    """Tell whether a server was away, for one or for all of what was done side by side."""
    if isinstance(error, ExceptionGroup):
        return all(_is_transient(each) for each in error.exceptions)
    return isinstance(error, TransientError)
