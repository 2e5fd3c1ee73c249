"""One lane in this worker's hands: taken, worked, given up and taken again, until the group gives it to another.

Whatever goes wrong with a lane ends its present hold; the next begins at what the store holds. A server that is
away makes the pauses between holds grow from 0.1 to 30 s. A broken invariant stops the lane for good: better
idle than wrong.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

from segmenter.domain.instants import Instant, Span
from segmenter.domain.value import Boundary
from segmenter.engine.ending import end
from segmenter.engine.hold import Hold, source_of
from segmenter.engine.intake import Evidence, LaneCondition, Place
from segmenter.engine.lane import Lane
from segmenter.engine.pace import FIRST_PAUSE_S, LONGEST_PAUSE_S, seconds
from segmenter.engine.poison import said_of
from segmenter.engine.workshop import Workshop
from segmenter.errors import (
    ConfigurationError,
    FencedError,
    InvariantError,
    OwnershipError,
    SegmenterError,
    TransientError,
)
from segmenter.ports import LaneState, Record, RefusalKind, Refused, Source, Token

HELP_EVERY_S = 2.0
RELEASE_S = 1.0

log = logging.getLogger(__name__)


class LaneHolder:
    """Keeps one lane for as long as it is assigned to this worker.

    `on_lost` is called with the lane's number when it has a newer owner although the group gave it to us.
    """

    hold: type[Hold] = Hold
    """What a takeover makes."""

    def __init__(self, number: int, generation: int, workshop: Workshop, on_lost: Callable[[int], None]) -> None:
        self.number = number
        self._on_lost = on_lost
        self._condition = LaneCondition.TAKEOVER
        self._reason = ""
        self.offered: Boundary | None = None
        self._generation = generation
        self._workshop = workshop
        self._hold: Hold | None = None
        self._stop_reason: str | None = None
        self._reassigned = asyncio.Event()
        self._acquisitions = 0
        self._last_token: Token | None = None
        self._pause_s = FIRST_PAUSE_S

    @property
    def lane(self) -> Lane | None:
        """The lane, while it is held and running."""
        return None if self._hold is None else self._hold.lane

    @property
    def condition(self) -> LaneCondition:
        """What the lane is doing."""
        return LaneCondition.PAUSED if self._hold is not None and self._hold.waits_for else self._condition

    @property
    def is_full(self) -> bool:
        """It is held, and waits for its outbox to empty."""
        return self._hold is not None and self._hold.relay.is_full

    @property
    def reason(self) -> str:
        """Why it does not run, or waits, or cannot publish; empty where it simply runs."""
        return self._reason if self._hold is None else self._hold.waits_for or self._hold.relay.trouble

    def look_at_sources(self, now: Instant) -> Mapping[Source, Span]:
        """Return for how long each of its sources has made no progress; nothing while it is not held."""
        return {} if self._hold is None else self._hold.look_at_sources(now)

    @property
    def may_walk(self) -> bool:
        """It is held, and may go on with a pass over its customers."""
        return self._hold is not None and self._hold.may_walk

    def intake(self) -> Mapping[Place, int]:
        """Return what to read for it, and from where; nothing while it waits."""
        return self._hold.positions if self._hold is not None and self._hold.may_work else {}

    def places(self) -> list[Place]:
        """Return the partitions it is read from."""
        terms = self._workshop.terms
        topics = sorted(terms.direct) + ([terms.rekeyed] if terms.others else [])
        return [(topic, self.number) for topic in topics]

    async def keep(self) -> None:
        """Hold the lane until cancelled. Raises FencedError when this process must end."""
        while True:
            try:
                await self._keep_once()
            except InvariantError as error:
                log.exception("lane_stopped", extra={"lane": self.number})
                await self._stand_still(str(error))
            except (FencedError, ConfigurationError):
                raise
            except OwnershipError as error:
                await self._lose(error)
            except TransientError as error:
                await self._pause(error)
            except Exception as error:  # the top of a lane: nobody else would ever hear of our own bug
                log.exception("lane_failed", extra={"lane": self.number})
                await self._stand_still(said_of(error))

    async def _stand_still(self, reason: str) -> None:
        """Do nothing more with the lane, and say why."""
        self._tell(LaneCondition.STOPPED, reason)
        if self._stop_reason is None:
            await asyncio.Event().wait()
        await self._await_help()
        self._stop_reason = None
        log.info("lane_helped", extra={"lane": self.number})

    async def _await_help(self) -> None:
        """Return once an operator has put a position of the lane elsewhere: its version has moved."""
        await self.release()
        stopped_at: int | None = None
        while True:
            with contextlib.suppress(TransientError):
                _, state = await self._workshop.services.store.state(self.number)
                stopped_at = state.version if stopped_at is None else stopped_at
                if state.version != stopped_at:
                    return
            await asyncio.sleep(HELP_EVERY_S)

    async def release(self) -> None:
        """Let others, and operators, have the lane at once. A store that does not answer makes them wait a while."""
        token = self._last_token
        if token is not None:
            with contextlib.suppress(TransientError, TimeoutError):
                async with asyncio.timeout(RELEASE_S):
                    await self._workshop.services.store.release(self.number, token)

    async def _lose(self, error: OwnershipError) -> None:
        """Find out who owns the lane now: nobody newer (the store was put back), or one to whom it is left."""
        try:
            owner, _ = await self._workshop.services.store.state(self.number)
        except TransientError as away:
            await self._pause(away)
            return
        if owner is None or owner.generation < self._generation or owner.nonce.startswith(self._workshop.process):
            await self._pause(error)
            return
        log.warning("lane_lost", extra={"lane": self.number, "owner": str(owner), "reason": str(error)})
        self._tell(LaneCondition.PAUSED, f"owned by {owner}; asking the group anew")
        self._reassigned.clear()
        self._on_lost(self.number)
        await self._reassignment(LONGEST_PAUSE_S)

    async def renew(self, generation: int) -> None:
        """Keep the lane over a rebalance that gave it to us again; without takeover where nobody else had it.

        Token and version alone do not tell: a store that was put back shows ours again, whoever came after us. He who
        was away while the group gave the lane out has missed a generation.
        """
        hold, before, self._generation = self._hold, self._generation, generation
        self._reassigned.set()
        if hold is None:
            return
        try:
            is_ours = generation in (before, before + 1) and await hold.renew(generation)
        except TransientError as error:
            hold.break_off(error)
            return
        if not is_ours:
            hold.break_off(OwnershipError(f"lane {self.number} may have had another owner meanwhile"))

    @property
    def is_stopped(self) -> bool:
        """It waits for an operator's help."""
        return self._stop_reason is not None

    def stop(self, reason: str) -> None:
        """Stop the lane for good, with the reason for the operator."""
        self._stop_reason = reason
        if self._hold is not None:
            self._hold.break_off(InvariantError(reason))

    async def work(
        self, records: Mapping[Place, Sequence[Record]], evidence: Mapping[Place, Evidence], now: Instant
    ) -> None:
        """Work off what a poll brought for this lane. What goes wrong ends the hold, and is not raised."""
        hold = self._hold
        if hold is not None and hold.may_work:
            await self._guarded(hold, hold.work(records, evidence, self.offered, now))

    async def walk(self, now: Instant) -> None:
        """Take a bite of its pass over all customers. What goes wrong ends the hold, and is not raised."""
        hold = self._hold
        if hold is not None and self.may_walk:
            await self._guarded(hold, hold.walk(now))

    async def _guarded(self, hold: Hold, work: Awaitable[None]) -> None:
        try:
            await work
        except SegmenterError as error:
            hold.break_off(error)
        except Exception as error:  # the top of a lane: our own bug stops it, not the others
            log.exception("lane_failed", extra={"lane": self.number})
            hold.break_off(InvariantError(said_of(error)))

    async def _keep_once(self) -> None:
        """Take the lane, and hold it until something breaks; raises what did."""
        if self._stop_reason is not None:
            raise InvariantError(self._stop_reason)
        began = seconds()
        hold = await self._take()
        self._hold = hold
        self._tell(LaneCondition.RUNNING, "")
        log.info("lane_taken", extra={"lane": self.number, "took_s": round(seconds() - began, 3)})
        version = hold.lane.state.version
        publishing = asyncio.create_task(hold.relay.run(), name=f"relay {self.number}")
        try:
            await asyncio.wait([publishing, hold.broken], return_when=asyncio.FIRST_COMPLETED)
            if hold.broken.done():
                hold.broken.result()
            publishing.result()
        finally:
            self._hold = None
            hold.broken.cancel()
            if hold.lane.state.version > version:
                # Only a hold that has stored something was worth a takeover: after others the pauses grow.
                self._pause_s = FIRST_PAUSE_S
            await end(publishing)
            await hold.relay.close()
            self._workshop.services.recorder.forget_lane(self.number)

    async def _take(self) -> Hold:
        """Acquire the lane in the store, then its outputs in the log; only then it is read."""
        shop, number = self._workshop, self.number
        self._tell(LaneCondition.TAKEOVER, self._reason)
        async with shop.takeovers:
            self._acquisitions += 1
            token = Token(self._generation, f"{shop.process}-{self._acquisitions}")
            self._last_token = token
            acquired = await shop.services.store.acquire(number, token, shop.terms.partitions)
            if isinstance(acquired, Refused):
                if acquired.kind is RefusalKind.PARTITIONS:
                    raise InvariantError(acquired.detail)
                raise TransientError(acquired.detail)
            relay = shop.relay(number, token)
            state = await relay.take_over(shop.recovery().reconcile)
        try:
            positions = await self._positions(state)
            rulebook = await shop.rules.rulebook_of(state.notes.revision, shop.terms.rulebook)
        except BaseException:
            await relay.close()
            raise
        direct = [source_of(place) for place in positions if place[0] in shop.terms.direct]
        return self.hold(
            shop.lane(state, token, rulebook, relay.enqueue),
            relay,
            shop.watermark(state.notes.watermark, direct),
            positions,
            shop,
        )

    async def _positions(self, state: LaneState) -> dict[Place, int]:
        """Return where to read on: where the lane was left, and from the beginning what it never read."""
        stored = {place: state.positions.get(source_of(place)) for place in self.places()}
        unknown = [place for place, offset in stored.items() if offset is None]
        beginnings = await self._workshop.sources.beginnings(unknown) if unknown else {}
        return {place: beginnings[place] if offset is None else offset for place, offset in stored.items()}

    async def drain(self, timeout_s: float) -> None:
        """Wait until what is stored is published, at most this long."""
        if self._hold is not None:
            await self._hold.relay.drain(timeout_s)

    def _tell(self, condition: LaneCondition, reason: str) -> None:
        self._condition, self._reason = condition, reason

    async def _pause(self, error: Exception) -> None:
        log.warning("lane_paused", extra={"lane": self.number, "reason": str(error), "pause_s": self._pause_s})
        self._tell(LaneCondition.PAUSED, str(error))
        pause_s, self._pause_s = self._pause_s * random.uniform(0.5, 1.0), min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._reassigned.clear()
        await self._reassignment(pause_s)

    async def _reassignment(self, timeout_s: float) -> None:
        """Wait until the group assigns the lane anew, at most this long: the next try finds out how things are."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._reassigned.wait()
