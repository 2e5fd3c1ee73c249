"""The leader: finds the exact boundary of all lanes from a few hundred numbers each, and publishes it.

The owner of lane 0 leads, under lane 0's token. A round reads every lane's ranking by factor of two, then the
buckets of those factors in which a boundary lies, then ever smaller parts of the boundary's bucket until it is
one cent wide. Lanes move on meanwhile: a vector of rank versions that has moved makes the next round compute
again, so at rest the boundary is that of a full sort.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from segmenter.domain.conditions import Score
from segmenter.domain.instants import BEGINNING, Instant
from segmenter.domain.populations import rankings_of
from segmenter.domain.quintiles import FIFTHS, Bounds, Cuts
from segmenter.domain.ranking import BY_SCORE, BY_VALUE
from segmenter.domain.rulebook import ValueRule
from segmenter.domain.value import FINE, Boundary, Marks, bucket_floor, targets_of
from segmenter.engine.crossing import Found, Goal, Ranking
from segmenter.ports import GlobalBoard, LaneSummary, Range, Recorder, Token


class Leader:
    """Computes boundaries, one round at a time. Reads only while `token` owns lane 0."""

    def __init__(
        self,
        board: GlobalBoard,
        token: Token,
        lanes: int,
        rule: ValueRule,
        recorder: Recorder,
        scores: Sequence[Score] = (),
    ) -> None:
        self._board = board
        self._token = token
        self._lanes = range(lanes)
        self._rule = rule
        self._recorder = recorder
        self._scores = scores
        self._ranks_further = bool(scores) or rule.population is not None
        # The rank versions of the last round, and the number of the boundary it left in force.
        self._seen: tuple[tuple[int, ...], int] | None = None
        self._moved_bytes = 0
        self.last_round_bytes = 0
        """What the last round read of all lanes together, about."""

    async def round(self, live_from: Instant = BEGINNING) -> Boundary | None:
        """Publish a new boundary if any ranking has moved since the last round, or what it left was lost; return it.

        Boundaries are frozen while any lane is behind: by its own word, or because its stored watermark is older than
        `live_from`, as that of a lane which was live when its worker was stopped. With quintiles and populations also
        while another rulebook is on its way through the stored customers, who are not all in the rankings by then.
        """
        summaries = await self._board.summaries()
        versions = tuple(summary.rank_version for summary in summaries)
        if not _all_live(summaries, len(self._lanes), live_from):
            return None
        if self._ranks_further and not _are_ranked_alike(summaries):
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
        """Return the boundary by what the rankings hold now; what nobody is ranked by any more stays as it was."""
        whole = await self._classes(BY_VALUE) or (before if self._ranks_further else None)
        if whole is None:
            return None
        parts = [(ranking, await self._classes(ranking)) for ranking in rankings_of(self._rule.population)]
        kept = () if before is None else before.parts
        known = {**dict(kept), **{ranking: part for ranking, part in parts if part is not None}}
        return replace(
            whole,
            number=1 if before is None else before.number + 1,
            seen=versions,
            cuts=await self._cuts(),
            parts=tuple((ranking, known[ranking]) for ranking, _ in parts if ranking in known),
        )

    async def _classes(self, by: int) -> Boundary | None:
        """Return the marks of a ranking by revenue; None where nobody is ranked."""
        ranking = Ranking(self._board, self._lanes, by)
        coarse = await ranking.coarse()
        total, ranked = sum(part.total for part in coarse.values()), sum(part.count for part in coarse.values())
        if total <= 0:
            return None
        goals = [Goal(target.numerator * total, target.denominator) for target in targets_of(self._rule)]
        a, a_stay, b, b_stay = found = await ranking.find(coarse, goals)
        self._moved_bytes += ranking.moved_bytes
        return Boundary(
            number=0,
            marks=Marks(a=a.place, a_stay=a_stay.place, b=b.place, b_stay=b_stay.place),
            ranked=ranked,
            total=total,
            shares=_shares(coarse, found, total),
            is_announced=ranked >= self._rule.min_ranked,
        )

    async def _cuts(self) -> Cuts | None:
        """Return the quintiles of every score that asks for them; None where none does, or nobody is ranked."""
        bounds: dict[Score, Bounds] = {}
        ranked = 0
        for score in self._scores:
            ranking = Ranking(self._board, self._lanes, BY_SCORE[score])
            coarse = await ranking.coarse()
            ranked = sum(part.count for part in coarse.values())
            if ranked == 0:
                return None
            # More than the upper fifths are at or above the k-th bound, and no more than these above it.
            goals = [Goal((FIFTHS - k) * ranked + 1, FIFTHS, is_count=True) for k in range(1, FIFTHS)]
            first, second, third, fourth = (found.place - 1 for found in await ranking.find(coarse, goals))
            bounds[score] = first, second, third, fourth
            self._moved_bytes += ranking.moved_bytes
        return Cuts(bounds=bounds, ranked=ranked, is_announced=ranked >= self._rule.min_ranked) if bounds else None


def _all_live(summaries: Sequence[LaneSummary], lanes: int, live_from: Instant) -> bool:
    return len(summaries) == lanes and all(s.is_live and s.watermark >= live_from for s in summaries)


def _are_ranked_alike(summaries: Sequence[LaneSummary]) -> bool:
    """Tell whether all customers of all lanes are ranked by one revision."""
    rules = {summary.rules for summary in summaries}
    return len(rules) == 1 and None not in rules


def _shares(coarse: Mapping[int, Range], found: Iterable[Found], total: int) -> tuple[tuple[int, float], ...]:
    """Return (revenue, share held by those with more), highest first: exact at the marks, else by factor."""
    points = {mark.place: mark.above / total for mark in found}
    cumulative = 0
    for factor in sorted(coarse, reverse=True):
        points.setdefault(bucket_floor((factor + 1) * FINE), cumulative / total)
        cumulative += coarse[factor].total
    return tuple(sorted(points.items(), reverse=True))
