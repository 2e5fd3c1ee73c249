"""What goes on beside the polls, once a second: clock and sources, leading, the boundary on offer, heartbeats."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping

from segmenter.domain.conditions import Score
from segmenter.domain.instants import SECOND
from segmenter.domain.rulebook import ValueRule
from segmenter.engine.holder import LaneHolder
from segmenter.engine.intake import LaneCondition
from segmenter.engine.leader import Leader
from segmenter.engine.orders import is_unknown_storm, storm_order
from segmenter.engine.pace import seconds
from segmenter.engine.workshop import Workshop
from segmenter.errors import OwnershipError, TransientError
from segmenter.ports import GlobalBoard
from segmenter.ports import LaneCondition as Shown

ROUND_EVERY_S = 1.0
HEARTBEAT_EVERY_S = 60.0
LISTEN_EVERY_S = 5.0

log = logging.getLogger(__name__)


class Caretaker:
    """Looks after the lanes that this worker holds; `holders` is the engine's own mapping."""

    def __init__(self, workshop: Workshop, board: GlobalBoard, holders: Mapping[int, LaneHolder]) -> None:
        self.is_store_reachable = True
        self._workshop = workshop
        self._board = board
        self._holders = holders
        self._leader: tuple[tuple[str, ValueRule, tuple[Score, ...]], Leader] | None = None
        self._beaten_at = seconds()
        self._listened_at, self._has_listened = 0.0, False

    async def run(self) -> None:
        """Go round until cancelled. A store that is away, or a lane that is lost, is for the next round."""
        while True:
            try:
                await self._watch_rules()
                await self._watch_time()
                await self._lead()
                await self._offer_boundary()
                await self._beat()
                self.is_store_reachable = True
            except TransientError as error:
                self.is_store_reachable = False
                log.warning("store_unreachable", extra={"reason": str(error)})
            except OwnershipError as error:
                log.warning("not_leading", extra={"reason": str(error)})
            self._tell()
            await asyncio.sleep(ROUND_EVERY_S)

    async def _watch_rules(self) -> None:
        """Look up the rulebook and the orders in force, and let all lanes hold what one of them had to."""
        rules = self._workshop.rules
        await rules.look()
        for holder in self._holders.values():
            notes = None if holder.lane is None else holder.lane.state.notes
            for dimension in () if notes is None else notes.held:
                if notes is not None and is_unknown_storm(dimension, notes, rules.orders):
                    await self._hold(dimension, holder.number)

    async def _hold(self, dimension: str, lane: int) -> None:
        shop = self._workshop
        why = f"too many left it within too short a time, first in lane {lane}"
        log.error("storm", extra={"dimension": dimension, "lane": lane})
        await shop.rules.hold(storm_order(dimension, shop.clock.now(), why))

    async def _watch_time(self) -> None:
        """See whether the clock is right, and tell and learn which topics were heard."""
        shop = self._workshop
        await shop.clock_check.look()
        if seconds() - self._listened_at >= LISTEN_EVERY_S or not self._has_listened:
            await shop.ear.refresh(shop.clock.now())
            self._listened_at, self._has_listened = seconds(), True

    async def _lead(self) -> None:
        """Hold a round while lane 0 is ours."""
        holder = self._holders.get(0)
        lane = None if holder is None else holder.lane
        if lane is None:
            self._leader = None
            return
        # Classes are those of the rules that lane 0 has adopted: other rules are another leader, who computes anew.
        terms, rule, scores = self._workshop.terms, lane.rulebook.value, lane.rulebook.cut_scores
        led_by = str(lane.token), rule, scores
        if self._leader is None or self._leader[0] != led_by:
            recorder = self._workshop.services.recorder
            self._leader = led_by, Leader(self._board, lane.token, terms.partitions, rule, recorder, scores)
        await self._leader[1].round(self._workshop.clock.now() - terms.behind_after - terms.greatest_lateness)

    async def _offer_boundary(self) -> None:
        if not self._holders:
            return
        boundary = await self._board.boundary()
        for holder in self._holders.values():
            holder.offered = boundary

    async def _beat(self) -> None:
        if seconds() - self._beaten_at < HEARTBEAT_EVERY_S:
            return
        self._beaten_at = seconds()
        for lane, holder in list(self._holders.items()):
            if holder.lane is not None:
                await self._workshop.services.store.heartbeat(lane, holder.lane.token)

    def _tell(self) -> None:
        recorder, now = self._workshop.services.recorder, self._workshop.clock.now()
        recorder.lanes(Counter(_shown(holder) for holder in self._holders.values()))
        notes = [holder.lane.state.notes for holder in self._holders.values() if holder.lane is not None]
        recorder.held({dimension for each in notes for dimension in each.held})
        for lane, holder in self._holders.items():
            if holder.lane is not None:
                recorder.sizes(lane, holder.lane.state.sizes)
            for source, span in holder.look_at_sources(now).items():
                topic, _, partition = source.rpartition("/")
                recorder.standstill(topic, int(partition), span / SECOND)


def _shown(holder: LaneHolder) -> Shown:
    """Return a lane's condition as the metrics name it."""
    if holder.condition is LaneCondition.STOPPED:
        return "stopped"
    if holder.is_full:
        return "full"
    if holder.condition is LaneCondition.PAUSED:
        return "paused"
    if holder.lane is None:
        return "takeover"
    return "live" if holder.lane.state.notes.is_live else "behind"
