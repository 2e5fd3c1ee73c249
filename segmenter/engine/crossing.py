"""Finding a place in a ranking of all lanes: walking down from the top, where do counts or sums reach a goal?

Every lane's coarse buckets are read, then the fine ones of those in which a goal is reached, then ever smaller parts
of one bucket until a part is one wide. Lanes move on meanwhile: whoever asks has to see that, and ask again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from segmenter.domain.ranking import scale_of
from segmenter.ports import GlobalBoard, Range

T = TypeVar("T")
# A bucket is cut into this many parts a round trip: one cent in two to four of them.
PARTS = 64
# A number of a range takes about this much on the wire: a key, a count and a sum.
RANGE_BYTES = 24


@dataclass(frozen=True, slots=True)
class Goal:
    """A cumulative sum, or with `is_count` number of customers, of at least `least` by `of`."""

    least: int
    of: int
    is_count: bool = False

    def part_of(self, part: Range) -> int:
        """Return what a range adds."""
        return part.count if self.is_count else part.total

    def is_reached(self, cumulative: int) -> bool:
        """Tell exactly whether so much is enough."""
        return cumulative * self.of >= self.least


@dataclass(frozen=True, slots=True)
class Found:
    """The greatest place at which a goal is reached from the top, and what lies above its tie group."""

    place: int
    above: int


class Ranking:
    """One ranking, over all lanes."""

    def __init__(self, board: GlobalBoard, lanes: range, ranking: int) -> None:
        self._board = board
        self._lanes = lanes
        self._ranking = ranking
        self._scale = scale_of(ranking)
        self.moved_bytes = 0
        """What was read of all lanes together, about."""

    async def coarse(self) -> dict[int, Range]:
        """Return how many are in each coarse bucket, and what they sum up to."""
        return await self._merged(lambda lane: self._board.coarse(lane, self._ranking))

    async def find(self, coarse: Mapping[int, Range], goals: Sequence[Goal]) -> list[Found]:
        """Return where each goal is reached, given the coarse buckets as they were read before."""
        crossings = {goal: _crossing(coarse, 0, goal) for goal in goals}
        factors = sorted({factor for factor, _ in crossings.values()})
        fine = await self._merged(lambda lane: self._board.fine(lane, factors, self._ranking))
        # Goals that are one, as without a band, are looked for once.
        found = {goal: await self._refine(goal, crossing, fine) for goal, crossing in crossings.items()}
        return [found[goal] for goal in goals]

    async def _refine(self, goal: Goal, crossing: tuple[int, int], fine: Mapping[int, Range]) -> Found:
        scale, (factor, above) = self._scale, crossing
        inside = {bucket: part for bucket, part in fine.items() if bucket // scale.fine == factor}
        bucket, above = _crossing(inside, above, goal, lowest=factor * scale.fine)
        low, high = scale.floor_of(bucket), scale.floor_of(bucket + 1)
        while high - low > 1:
            edges = _edges(low, high)
            parts = await self._parts(edges)
            part, above = _crossing(dict(enumerate(parts)), above, goal)
            low, high = edges[part], edges[part + 1]
        return Found(low, above)

    async def _merged(self, read: Callable[[int], Awaitable[Mapping[int, Range]]]) -> dict[int, Range]:
        by_lane = await self._ask(read)
        self.moved_bytes += RANGE_BYTES * sum(len(ranges) for ranges in by_lane)
        merged: dict[int, Range] = {}
        for ranges in by_lane:
            for key, part in ranges.items():
                if key >= 0 and part.count:
                    known = merged.get(key, Range(0, 0))
                    merged[key] = Range(known.count + part.count, known.total + part.total)
        return merged

    async def _ask(self, read: Callable[[int], Awaitable[T]]) -> Sequence[T]:
        """Ask every lane, side by side; one alone needs no tasks."""
        if len(self._lanes) == 1:
            return [await read(0)]
        return await asyncio.gather(*(_answer(read, lane) for lane in self._lanes))

    async def _parts(self, edges: Sequence[int]) -> list[Range]:
        by_lane = await self._ask(lambda lane: self._board.parts(lane, edges, self._ranking))
        self.moved_bytes += RANGE_BYTES * sum(len(parts) for parts in by_lane)
        if len(by_lane) == 1:
            return by_lane[0]
        return [
            Range(sum(part.count for part in parts), sum(part.total for part in parts))
            for parts in zip(*by_lane, strict=True)
        ]


async def _answer(read: Callable[[int], Awaitable[T]], lane: int) -> T:
    return await read(lane)


def _crossing(ranges: Mapping[int, Range], above: int, goal: Goal, lowest: int = 0) -> tuple[int, int]:
    """Return in which range, walking down, the goal is reached, and what lies above it.

    Lanes move between two reads, so what a finer read gives may fall short; then it is the lowest range that holds
    anybody, or `lowest`. The next round finds the version vector moved and computes again.
    """
    found = (lowest, above)
    for key in sorted(ranges, reverse=True):
        if ranges[key].count == 0:
            continue
        found = (key, above)
        if goal.is_reached(above + goal.part_of(ranges[key])):
            break
        above += goal.part_of(ranges[key])
    return found


def _edges(low: int, high: int) -> list[int]:
    """Return edges that cut low ≤ place < high into at most PARTS parts."""
    width = -(-(high - low) // PARTS)
    return [*range(low, high, width), high]
