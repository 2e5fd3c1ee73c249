"""A lane while it is ours: what polls bring is worked off in slices, each of them one commit.

All of it is dropped together when anything breaks. A record that our own code cannot bear does not break it, and
neither does a store that is full: the commit was refused whole, so the same work is tried again after a pause.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from segmenter.domain.causes import Rejection
from segmenter.domain.instants import BEGINNING, Instant, Span
from segmenter.domain.value import Boundary
from segmenter.engine.intake import Evidence, Place
from segmenter.engine.lane import Lane, Refusal
from segmenter.engine.pace import seconds
from segmenter.engine.poison import Refusing, work_around
from segmenter.engine.reading import Reading
from segmenter.engine.relay import Relay
from segmenter.engine.slices import slices_of
from segmenter.engine.standing import STUCK_AFTER, Standing
from segmenter.engine.sweep import is_sweeping
from segmenter.engine.watermark import Watermark
from segmenter.engine.workshop import Workshop
from segmenter.ports import Record, RefusalKind, Source, Token

# A lane works this many commits of deadlines and sweeps between two polls, so that other lanes are read too.
BITES_PER_POLL = 20
# What is not worked off by then is read again: the group waits for nobody longer than its rebalance time-out of 30 s.
WORKED_PER_POLL_S = 20.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

log = logging.getLogger(__name__)


class Hold:
    """The hold on one lane. `positions` are the next offsets to read."""

    def __init__(self, lane: Lane, relay: Relay, watermark: Watermark, positions: dict[Place, int], shop: Workshop):
        self.lane = lane
        self.relay = relay
        self.watermark = watermark
        self.positions = positions
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.trouble = ""
        """Why it pauses although nothing is broken; empty: it does not."""
        self.left_out: frozenset[Source] = frozenset()
        """Sources that make no progress and that an operator does not want to wait for."""
        self._standing = Standing()
        self._shop = shop
        self._pause_s = FIRST_PAUSE_S
        self._again_at = 0.0
        lane.may_walk = False

    @property
    def may_work(self) -> bool:
        """Intake, deadlines and sweeps go on: the rules are known, there is room in the outbox, and no pause."""
        return not self._shop.rules.fault and not self.relay.is_full and seconds() >= self._again_at

    @property
    def may_walk(self) -> bool:
        """It has an unfinished pass over its customers, and may go on with it: a sweep is finished first."""
        notes = self.lane.state.notes
        return self.may_work and notes.walk is not None and not is_sweeping(notes)

    @property
    def waits_for(self) -> str:
        """Why it does not work now, for the operator; empty: it does."""
        if self._shop.rules.fault:
            return self._shop.rules.fault
        if not self.trouble and self.relay.is_full:
            return f"the outbox is full: {self.relay.depth} records wait for Kafka to take them"
        return self.trouble

    def look_at_sources(self, now: Instant) -> Mapping[Source, Span]:
        """Return for how long each source has made no progress, and leave out those that may be."""
        markers = self.lane.state.markers
        times = self.watermark.times(markers)
        standing = self._standing.look(times, now)
        self.left_out = frozenset(
            source
            for source, span in standing.items()
            if span >= STUCK_AFTER
            and (times[source] or BEGINNING) < self._shop.ear.resumed_at(source.rpartition("/")[0])
        )
        return standing

    def break_off(self, error: Exception) -> None:
        """End this hold, and not the next one, which may have begun meanwhile."""
        if not self.broken.done():
            self.broken.set_exception(error)

    async def renew(self, generation: int) -> bool:
        """Go on in a new generation of the group, if token and version still stand in the store; tell whether.

        No commit may be under way. Raises TransientError when it is not known.
        """
        new = Token(generation, self.lane.token.nonce)
        is_ours = await self.relay.renew_token(new, self.lane.state.version)
        if is_ours:
            self.lane.token = new
        return is_ours

    async def work(
        self,
        records: Mapping[Place, Sequence[Record]],
        evidence: Mapping[Place, Evidence],
        offered: Boundary | None,
        now: Instant,
    ) -> None:
        """Work off what a poll brought; a store that is full ends that for now."""
        async with self._pausing():
            await self._adopt_rules()
            await self._adopt(offered, now)
            await self._work(records, evidence, now)

    async def walk(self, now: Instant) -> None:
        """Take a bite of the pass over all customers; a store that is full ends that for now."""
        self.lane.may_walk = True
        try:
            async with self._pausing():
                await work_around((), partial(self._attempt, {}, None, now))
        finally:
            self.lane.may_walk = False

    @asynccontextmanager
    async def _pausing(self) -> AsyncIterator[None]:
        version = self.lane.state.version
        try:
            yield
        except Refusal as refusal:
            if refusal.kind is not RefusalKind.FULL:
                raise
            self._pause(str(refusal))
        else:
            # A poll that brought nothing to store has not shown that there is room.
            if self.lane.state.version > version:
                self.trouble, self._pause_s = "", FIRST_PAUSE_S

    def _pause(self, reason: str) -> None:
        """Leave the store alone for a while, longer each time; nothing of what it refused is done."""
        pause_s, self._pause_s = self._pause_s * random.uniform(0.5, 1.0), min(2 * self._pause_s, LONGEST_PAUSE_S)
        self.trouble, self._again_at = reason, seconds() + pause_s
        log.warning("store_full", extra={"lane": self.lane.state.lane, "reason": reason, "pause_s": pause_s})

    async def _work(
        self, records: Mapping[Place, Sequence[Record]], evidence: Mapping[Place, Evidence], now: Instant
    ) -> None:
        until = seconds() + WORKED_PER_POLL_S
        by_partition = [records[place] for place in records if place in self.positions]
        slices = slices_of(by_partition, self._shop.terms.events_per_commit)
        for number, slice_ in enumerate(slices, start=1):
            shown = evidence if number == len(slices) else {}
            await self._obey()
            await work_around(slice_, partial(self._attempt, shown, self._last_of(slice_), now))
            if self.relay.is_full or seconds() > until:
                return
        for _ in range(BITES_PER_POLL):
            if not self.lane.has_more or self.relay.is_full:
                break
            await work_around((), partial(self._attempt, {}, None, now))

    @staticmethod
    def _last_of(records: Sequence[Record]) -> Record | None:
        return records[-1] if records else None

    async def _attempt(
        self,
        evidence: Mapping[Place, Evidence],
        last: Record | None,
        now: Instant,
        records: Sequence[Record],
        put_aside: Rejection | None,
    ) -> None:
        """Work these records off in one commit. Nothing is changed here unless it was stored.

        The evidence is of all records up to the last one, so it counts only when that is among them.
        """
        shop, state = self._shop, self.lane.state
        async with shop.turns:
            reader = shop.reader(state.lane, None if put_aside is None else Refusing(put_aside))
            reading = reader.read(records, state.taken, state.markers)
            watermark = self.watermark.copy()
            self._note_shown(reading, watermark, evidence if self._last_of(records) is last else {}, now)
            limit = shop.ear.limit() if shop.clock_check.is_trusted else BEGINNING
            at = watermark.advance({**state.markers, **reading.markers}, limit, self.left_out)
            await self.lane.advance(reading, at, now)
            for source, newest in reading.newest.items():
                shop.ear.hear(source.rpartition("/")[0], newest, now)
            self.watermark = watermark
            self.positions.update((_place(source), offset) for source, offset in reading.positions.items())

    def _note_shown(
        self, reading: Reading, watermark: Watermark, shown: Mapping[Place, Evidence], now: Instant
    ) -> None:
        """Take over how far each source is read, past control markers, and what time that is evidence of."""
        is_trusted = self._shop.clock_check.is_trusted
        for place in self.positions:
            source, seen = source_of(place), shown.get(place)
            # A fetch stamped by a clock that is off proves nothing, now or later.
            watermark.observe(source, seen if is_trusted else None, reading.newest.get(source), now)
            if seen is not None and seen.position > reading.positions.get(source, self.positions[place]):
                reading.positions[source] = seen.position
            elif source not in self.lane.state.positions:
                reading.positions.setdefault(source, self.positions[place])

    async def _adopt_rules(self) -> None:
        """Decide by the rulebook in force from now on, where it is another; what was due before went by the old."""
        offer, lane = self._shop.rules.offer, self.lane
        if offer is not None and offer.rulebook.revision != lane.state.notes.revision and lane.is_settled:
            await lane.adopt_rules(offer)

    async def _obey(self) -> None:
        """Hold and let go as was ordered meanwhile."""
        orders, known = self._shop.rules.orders, self.lane.state.notes.orders
        if any(order.number > known for order in orders.values()):
            await self.lane.obey(orders)

    async def _adopt(self, offered: Boundary | None, now: Instant) -> None:
        """Adopt the boundary on offer, while the lane is live and where it differs."""
        notes = self.lane.state.notes
        if offered is None or not self.lane.is_live_at(now):
            return
        if notes.boundary is None or offered.content != notes.boundary.content:
            await self.lane.adopt(offered)


def source_of(place: Place) -> str:
    """Return a partition as text: `orders/3`."""
    return f"{place[0]}/{place[1]}"


def _place(source: str) -> Place:
    topic, _, partition = source.rpartition("/")
    return topic, int(partition)
