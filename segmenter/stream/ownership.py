"""Which lanes the group gave this worker, and in which generation."""

from collections.abc import Awaitable, Callable, Collection

from segmenter.engine.intake import Place

NO_GENERATION = -1


class GroupOwnership:
    """What the last rebalance left us with. Written by the consumer, read by the engine (port LaneOwnership)."""

    def __init__(self) -> None:
        self._generation = NO_GENERATION
        self._lanes: frozenset[int] = frozenset()
        self._rejoin: Callable[[], Awaitable[None]] | None = None

    @property
    def generation(self) -> int:
        """The generation of the group that gave us our lanes; -1 before the first."""
        return self._generation

    @property
    def lanes(self) -> frozenset[int]:
        """The lanes we were given; none while the group rebalances."""
        return self._lanes

    async def rejoin(self) -> None:
        """Leave the group and join it again. Without effect before the consumer has started."""
        if self._rejoin is not None:
            await self._rejoin()

    def rejoin_by(self, rejoin: Callable[[], Awaitable[None]]) -> None:
        """Take the consumer's way of doing so."""
        self._rejoin = rejoin

    def gain(self, generation: int, assigned: Collection[Place], lane_topics: Collection[str]) -> None:
        """Note what a rebalance gave."""
        self._generation = generation
        self._lanes = frozenset(partition for topic, partition in assigned if topic in lane_topics)

    def lose(self) -> None:
        """Note that a rebalance has begun. The generation stays: it names the last one we had."""
        self._lanes = frozenset()
