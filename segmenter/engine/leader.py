"""The leader: finds the exact boundary of all lanes from a few hundred numbers each, and publishes it.

The owner of lane 0 leads, under lane 0's token. A round reads every lane's ranking by factor of two, then the
buckets of those factors in which a boundary lies, then ever smaller parts of the boundary's bucket until it is
one cent wide. Lanes move on meanwhile: a vector of rank versions that has moved makes the next round compute
again, so at rest the boundary is that of a full sort.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from segmenter.domain.instants import BEGINNING, Instant
from segmenter.domain.rulebook import ValueRule
from segmenter.domain.value import FINE, Boundary, Marks, bucket_floor, coarse_of, reaches, targets_of
from segmenter.ports import GlobalBoard, LaneSummary, Range, Recorder, Token

T = TypeVar("T")
# A bucket is cut into this many parts a round trip: one cent in two to four of them.
PARTS = 64
# A number of a range takes about this much on the wire: a key, a count and a sum.
RANGE_BYTES = 24


@dataclass(frozen=True, slots=True)
class _Found:
    """A mark, and the sum of all revenues above its tie group."""

    mark: int
    above: int


class Leader:
    """Computes boundaries, one round at a time. Reads only while `token` owns lane 0."""

    def __init__(self, board: GlobalBoard, token: Token, lanes: int, rule: ValueRule, recorder: Recorder) -> None:
        self._board = board
        self._token = token
        self._lanes = range(lanes)
        self._rule = rule
        self._recorder = recorder
        # The rank versions of the last round, and the number of the boundary it left in force.
        self._seen: tuple[tuple[int, ...], int] | None = None
        self._moved_bytes = 0
        self.last_round_bytes = 0
        """What the last round read of all lanes together, about."""

    async def round(self, live_from: Instant = BEGINNING) -> Boundary | None:
        """Publish a new boundary if any ranking has moved since the last round, or what it left was lost; return it.

        Boundaries are frozen while any lane is behind: by its own word, or because its stored watermark is older than
        `live_from`, as that of a lane which was live when its worker was stopped.
        """
        summaries = await self._board.summaries()
        versions = tuple(summary.rank_version for summary in summaries)
        if not _all_live(summaries, len(self._lanes), live_from):
            return None
        before = await self._board.boundary()
        # A store that fails over may lose the boundary alone: no ranking moves then, and lanes adopt an older one.
        number = 0 if before is None else before.number
        if self._seen == (versions, number):
            return None
        found = await self._compute(before, versions)
        if found is None or (before is not None and found.content == before.content):
            self._seen = versions, number
            self._report(found, is_published=False)
            return None
        is_published = await self._board.publish(self._token, found)
        self._report(found, is_published=is_published)
        if not is_published:
            return None
        self._seen = versions, found.number
        return found

    def _report(self, found: Boundary | None, *, is_published: bool) -> None:
        ranked = 0 if found is None else found.ranked
        self.last_round_bytes, self._moved_bytes = self._moved_bytes, 0
        self._recorder.boundary_round(moved_bytes=self.last_round_bytes, ranked=ranked, published=is_published)

    async def _compute(self, before: Boundary | None, versions: tuple[int, ...]) -> Boundary | None:
        coarse = await self._merged(self._board.coarse)
        total = sum(part.total for part in coarse.values())
        ranked = sum(part.count for part in coarse.values())
        if total <= 0:
            return None
        targets = targets_of(self._rule)
        crossings = [_crossing(coarse, 0, total, target) for target in targets]
        factors = sorted({factor for factor, _ in crossings})
        fine = await self._merged(lambda lane: self._board.fine(lane, factors))
        # Without a band two targets are one.
        found_by_target = {
            target: await self._refine(target, total, crossing, fine)
            for target, crossing in dict(zip(targets, crossings, strict=True)).items()
        }
        a, a_stay, b, b_stay = found = [found_by_target[target] for target in targets]
        return Boundary(
            number=1 if before is None else before.number + 1,
            marks=Marks(a=a.mark, a_stay=a_stay.mark, b=b.mark, b_stay=b_stay.mark),
            ranked=ranked,
            total=total,
            seen=versions,
            shares=_shares(coarse, found, total),
            is_announced=ranked >= self._rule.min_ranked,
        )

    async def _refine(
        self, target: Fraction, total: int, crossing: tuple[int, int], fine: Mapping[int, Range]
    ) -> _Found:
        """Return the greatest revenue at which the cumulative share from the top reaches the target."""
        factor, above = crossing
        inside = {bucket: part for bucket, part in fine.items() if coarse_of(bucket) == factor}
        bucket, above = _crossing(inside, above, total, target, lowest=factor * FINE)
        low, high = bucket_floor(bucket), bucket_floor(bucket + 1)
        while high - low > 1:
            edges = _edges(low, high)
            parts = await self._parts(edges)
            part, above = _crossing(dict(enumerate(parts)), above, total, target)
            low, high = edges[part], edges[part + 1]
        return _Found(low, above)

    async def _merged(self, read: Callable[[int], Awaitable[Mapping[int, Range]]]) -> dict[int, Range]:
        by_lane = await self._ask(read)
        self._moved_bytes += RANGE_BYTES * sum(len(ranges) for ranges in by_lane)
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
        by_lane = await self._ask(lambda lane: self._board.parts(lane, edges))
        self._moved_bytes += RANGE_BYTES * sum(len(parts) for parts in by_lane)
        if len(by_lane) == 1:
            return by_lane[0]
        return [
            Range(sum(part.count for part in parts), sum(part.total for part in parts))
            for parts in zip(*by_lane, strict=True)
        ]


async def _answer(read: Callable[[int], Awaitable[T]], lane: int) -> T:
    return await read(lane)


def _all_live(summaries: Sequence[LaneSummary], lanes: int, live_from: Instant) -> bool:
    return len(summaries) == lanes and all(s.is_live and s.watermark >= live_from for s in summaries)


def _crossing(
    ranges: Mapping[int, Range], above: int, total: int, target: Fraction, lowest: int = 0
) -> tuple[int, int]:
    """Return in which range, walking down, the cumulative sum reaches the target, and the sum above it.

    Lanes move between two reads, so the sums of a finer read may fall short; then it is the lowest range that
    holds anybody, or `lowest`. The next round finds the version vector moved and computes again.
    """
    found = (lowest, above)
    for key in sorted(ranges, reverse=True):
        if ranges[key].count == 0:
            continue
        found = (key, above)
        if reaches(above + ranges[key].total, total, target):
            break
        above += ranges[key].total
    return found


def _edges(low: int, high: int) -> list[int]:
    """Return edges that cut low ≤ revenue < high into at most PARTS parts."""
    width = -(-(high - low) // PARTS)
    return [*range(low, high, width), high]


def _shares(coarse: Mapping[int, Range], found: Iterable[_Found], total: int) -> tuple[tuple[int, float], ...]:
    """Return (revenue, share held by those with more), highest first: exact at the marks, else by factor."""
    points = {mark.mark: mark.above / total for mark in found}
    cumulative = 0
    for factor in sorted(coarse, reverse=True):
        points.setdefault(bucket_floor((factor + 1) * FINE), cumulative / total)
        cumulative += coarse[factor].total
    return tuple(sorted(points.items(), reverse=True))
