"""One lane in this worker's hands: taken, worked, given up and taken again, until the group gives it to another.

Whatever goes wrong with a lane ends its present hold; the next begins at what the store holds. A server that is
away makes the pauses between holds grow from 0.1 to 30 s. A broken invariant stops the lane for good: better
idle than wrong.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from segmenter.domain.instants import Instant
from segmenter.domain.value import Boundary
from segmenter.engine.ending import end
from segmenter.engine.intake import Evidence, LaneCondition, Place
from segmenter.engine.lane import Lane
from segmenter.engine.reading import Reader, Reading
from segmenter.engine.relay import Relay
from segmenter.engine.slices import slices_of
from segmenter.engine.watermark import Watermark
from segmenter.engine.workshop import Workshop
from segmenter.errors import FencedError, InvariantError, OwnershipError, TransientError
from segmenter.ports import LaneState, Record, RefusalKind, Refused, Token

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
# A lane works this many commits of deadlines and sweeps between two polls, so that other lanes are read too.
BITES_PER_POLL = 20

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Hold:
    """A lane while it is ours: all of it is dropped together."""

    lane: Lane
    relay: Relay
    reader: Reader
    watermark: Watermark
    positions: dict[Place, int]
    broken: "asyncio.Future[None]"


class LaneHolder:
    """Keeps one lane for as long as it is assigned to this worker.

    `on_lost` is called with the lane's number when it has a newer owner although the group gave it to us.
    """

    def __init__(self, number: int, generation: int, workshop: Workshop, on_lost: Callable[[int], None]) -> None:
        self.number = number
        self._on_lost = on_lost
        self.condition = LaneCondition.TAKEOVER
        self.reason = ""
        self.offered: Boundary | None = None
        self._generation = generation
        self._workshop = workshop
        self._hold: _Hold | None = None
        self._stop_reason: str | None = None
        self._reassigned = asyncio.Event()
        self._acquisitions = 0
        self._pause_s = FIRST_PAUSE_S

    @property
    def lane(self) -> Lane | None:
        """The lane, while it is held and running."""
        return None if self._hold is None else self._hold.lane

    def intake(self) -> Mapping[Place, int]:
        """Return what to read for it, and from where; nothing while its outbox is full."""
        hold = self._hold
        if hold is None or hold.relay.is_full:
            return {}
        return hold.positions

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
                self._tell(LaneCondition.STOPPED, str(error))
                await asyncio.Event().wait()
            except FencedError:
                raise
            except OwnershipError as error:
                await self._lose(error)
            except TransientError as error:
                await self._pause(error)

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
        """Keep the lane over a rebalance that gave it to us again; without takeover where nobody else had it."""
        self._generation = generation
        self._reassigned.set()
        hold = self._hold
        if hold is None:
            return
        new = Token(generation, hold.lane.token.nonce)
        try:
            is_ours = await hold.relay.renew_token(new, hold.lane.state.version)
        except TransientError as error:
            _break(hold, error)
            return
        if is_ours:
            hold.lane.token = new
        else:
            _break(hold, OwnershipError(f"lane {self.number} had another owner meanwhile"))

    def stop(self, reason: str) -> None:
        """Stop the lane for good, with the reason for the operator."""
        self._stop_reason = reason
        if self._hold is not None:
            _break(self._hold, InvariantError(reason))

    async def work(
        self, records: Mapping[Place, Sequence[Record]], evidence: Mapping[Place, Evidence], now: Instant
    ) -> None:
        """Work off what a poll brought for this lane. What goes wrong ends the hold, and is not raised."""
        hold = self._hold
        if hold is None or hold.relay.is_full:
            return
        try:
            await self._adopt(hold, now)
            await self._work(hold, records, evidence, now)
        except (TransientError, OwnershipError, InvariantError) as error:
            _break(hold, error)
        except Exception as error:  # the top of a lane: our own bug stops it, not the others
            log.exception("lane_failed", extra={"lane": self.number})
            _break(hold, InvariantError(f"{type(error).__name__}: {error}"))

    async def _work(
        self,
        hold: _Hold,
        records: Mapping[Place, Sequence[Record]],
        evidence: Mapping[Place, Evidence],
        now: Instant,
    ) -> None:
        lane, shop = hold.lane, self._workshop
        slices = slices_of(
            [records[place] for place in records if place in hold.positions], shop.terms.events_per_commit
        )
        for number, slice_ in enumerate(slices, start=1):
            async with shop.turns:
                reading = hold.reader.read(slice_, lane.state.taken, lane.state.markers)
                shown = evidence if number == len(slices) else {}
                self._note_shown(hold, reading, shown, now)
                watermark = hold.watermark.advance({**lane.state.markers, **reading.markers})
                await lane.advance(reading, watermark, now)
                hold.positions.update((_place(source), offset) for source, offset in reading.positions.items())
        for _ in range(BITES_PER_POLL):
            if not lane.has_more or hold.relay.is_full:
                break
            async with shop.turns:
                await lane.advance(Reading(), hold.watermark.at, now)

    def _note_shown(self, hold: _Hold, reading: Reading, shown: Mapping[Place, Evidence], now: Instant) -> None:
        """Take over how far each source is read, past control markers, and what time that is evidence of."""
        for place in hold.positions:
            source, seen = _source(place), shown.get(place)
            hold.watermark.observe(source, seen, reading.newest.get(source), now)
            if seen is not None and seen.position > reading.positions.get(source, hold.positions[place]):
                reading.positions[source] = seen.position
            elif source not in hold.lane.state.positions:
                reading.positions.setdefault(source, hold.positions[place])

    async def _adopt(self, hold: _Hold, now: Instant) -> None:
        """Adopt the boundary on offer, while the lane is live and where it differs."""
        offered, notes = self.offered, hold.lane.state.notes
        if offered is None or not hold.lane.is_live_at(now):
            return
        if notes.boundary is None or offered.content != notes.boundary.content:
            await hold.lane.adopt(offered)

    async def _keep_once(self) -> None:
        """Take the lane, and hold it until something breaks; raises what did."""
        if self._stop_reason is not None:
            raise InvariantError(self._stop_reason)
        hold = await self._take()
        self._hold = hold
        self._tell(LaneCondition.RUNNING, "")
        self._pause_s = FIRST_PAUSE_S
        publishing = asyncio.create_task(hold.relay.run(), name=f"relay {self.number}")
        try:
            await asyncio.wait([publishing, hold.broken], return_when=asyncio.FIRST_COMPLETED)
            if hold.broken.done():
                hold.broken.result()
            publishing.result()
        finally:
            self._hold = None
            hold.broken.cancel()
            await end(publishing)
            await hold.relay.close()
            self._workshop.services.recorder.forget_lane(self.number)

    async def _take(self) -> _Hold:
        """Acquire the lane in the store, then its outputs in the log; only then it is read."""
        shop, number = self._workshop, self.number
        self._tell(LaneCondition.TAKEOVER, self.reason)
        async with shop.takeovers:
            self._acquisitions += 1
            token = Token(self._generation, f"{shop.process}-{self._acquisitions}")
            acquired = await shop.services.store.acquire(number, token, shop.terms.partitions)
            if isinstance(acquired, Refused):
                if acquired.kind is RefusalKind.PARTITIONS:
                    raise InvariantError(acquired.detail)
                raise TransientError(acquired.detail)
            relay = shop.relay(number, token)
            state = await relay.take_over(shop.recovery().reconcile)
        try:
            positions = await self._positions(state)
        except BaseException:
            await relay.close()
            raise
        direct = [_source(place) for place in positions if place[0] in shop.terms.direct]
        return _Hold(
            lane=shop.lane(state, token, relay.enqueue),
            relay=relay,
            reader=shop.reader(number),
            watermark=shop.watermark(state.notes.watermark, direct),
            positions=positions,
            broken=asyncio.get_running_loop().create_future(),
        )

    async def _positions(self, state: LaneState) -> dict[Place, int]:
        """Return where to read on: where the lane was left, and from the beginning what it never read."""
        stored = {place: state.positions.get(_source(place)) for place in self.places()}
        unknown = [place for place, offset in stored.items() if offset is None]
        beginnings = await self._workshop.sources.beginnings(unknown) if unknown else {}
        return {place: beginnings[place] if offset is None else offset for place, offset in stored.items()}

    async def drain(self, timeout_s: float) -> None:
        """Wait until what is stored is published, at most this long."""
        if self._hold is not None:
            await self._hold.relay.drain(timeout_s)

    def _tell(self, condition: LaneCondition, reason: str) -> None:
        self.condition, self.reason = condition, reason

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


def _break(hold: _Hold, error: Exception) -> None:
    """End this hold, and not the next one, which may have begun meanwhile."""
    if not hold.broken.done():
        hold.broken.set_exception(error)


def _source(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _place(source: str) -> Place:
    topic, _, partition = source.rpartition("/")
    return topic, int(partition)
