"""Watches boundaries being published, and knows what the lanes have not read yet."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from segmenter.domain.instants import MILLISECOND, SECOND, Instant, rfc3339
from segmenter.domain.value import Boundary
from segmenter.ports import GlobalBoard, LaneSummary, Token
from tests.simulation.rules import CLICKS, ORDERS, PARTITIONS, REKEYED, Kind

if TYPE_CHECKING:
    from tests.simulation.world import World

SLACK = SECOND


class Witness:
    """A board as one worker sees it. Boundaries are frozen while anybody is behind: he who publishes was told so."""

    def __init__(self, board: GlobalBoard, world: "World") -> None:
        self._board = board
        self._world = world
        self._asked_at: Instant = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._board, name)

    async def summaries(self) -> Sequence[LaneSummary]:
        """See the port GlobalBoard."""
        self._asked_at = self._world.clock.now()
        return await self._board.summaries()

    async def publish(self, token: Token, boundary: Boundary) -> bool:
        """See the port GlobalBoard."""
        is_published = await self._board.publish(token, boundary)
        if is_published and self._world.plan.rules.kind is Kind.LOOSE:
            self._look()
        return is_published

    def _look(self) -> None:
        """Complain of a record that was in its topic for long when the lanes were asked, and is not read now."""
        latest = self._asked_at - self._world.plan.rules.terms.behind_after - SLACK
        for lane in range(PARTITIONS):
            held = self._world.redis.store._world.lanes.get(lane)
            positions = {} if held is None else held.state.positions
            for topic in (CLICKS, ORDERS, REKEYED):
                [*unread], _ = self._world.cluster.broker.log(topic, lane).records_from(
                    positions.get(f"{topic}/{lane}", 0), 1
                )
                if unread and unread[0].timestamp * MILLISECOND < latest:
                    self._world.faults.append(
                        f"a boundary was published at {rfc3339(self._world.clock.now())} while {topic}/{lane} was "
                        f"unread since {rfc3339(unread[0].timestamp * MILLISECOND)}"
                    )
