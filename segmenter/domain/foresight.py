"""What another rulebook would make of a customer as he is stored: where he is now, where he would be, and why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from segmenter.domain.account import Inquiry, is_declared_name
from segmenter.domain.causes import Tick
from segmenter.domain.conditions import IN, OUT, Score, State
from segmenter.domain.explanation import Explained
from segmenter.domain.instants import Instant
from segmenter.domain.populations import rankings_of
from segmenter.domain.profile import Profile
from segmenter.domain.quintiles import Bounds, Cuts, sorted_bounds
from segmenter.domain.ranking import BY_SCORE
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.standing import standing_at
from segmenter.domain.step import step
from segmenter.domain.totals import totals_of
from segmenter.domain.value import Boundary, sorted_marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """One customer now and then, by dimension; who is out of a declared segment is in none."""

    profile: Profile
    """Settled by the rules that hold, with totals by those that are planned."""
    before: Mapping[str, str]
    after: Mapping[str, str]

    def moves(self) -> list[tuple[str, str | None, str | None]]:
        """Return what would change, as (dimension, before, after)."""
        dimensions = sorted(self.before.keys() | self.after.keys())
        pairs = ((d, self.before.get(d), self.after.get(d)) for d in dimensions)
        return [_told(*pair) for pair in pairs if pair[1] != pair[2]]


class Foresight:
    """Compares the rulebook that holds with one that is planned, customer by customer, and changes nobody."""

    def __init__(self, running: Rulebook, planned: Rulebook) -> None:
        self.running = running
        self.planned = _with_drafts(planned)

    @property
    def ranks_anew(self) -> bool:
        """Tell whether classes need boundaries that the running system does not have."""
        return _ranked_by(self.running) != _ranked_by(self.planned)

    def seen(self, profile: Profile, at: Instant, boundary: Boundary | None, planned: Boundary | None) -> Foreseen:
        """Return where a stored customer is and would be when his lane has come to `at`.

        Deadlines up to then are played by the rules that hold. `planned` is the boundary that would hold.
        """
        before = step(profile, Tick(at), self.running, boundary).profile or profile
        work = self._totalled(before, at)
        answer = standing_at(work.settled_at, work, self.planned, planned)
        return Foreseen(
            profile=work,
            before=_shown({d: standing.segment for d, standing in before.present.items()}),
            after=_shown(answer.segments),
        )

    def revenue_of(self, profile: Profile, at: Instant) -> int | None:
        """Return what a customer would be ranked by; None for who is no buyer."""
        return self._totalled(profile, at).ranked_revenue

    def places_of(self, profile: Profile, at: Instant) -> Mapping[int, int]:
        """Return under which numbers a customer would be kept in the rankings that quintiles are cut from."""
        work = self._totalled(profile, at)
        return standing_at(work.settled_at, work, self.planned, None).places

    def boundary_of(
        self, revenues: Iterable[int], places: Mapping[int, Iterable[int]] | None = None
    ) -> Boundary | None:
        """Return the boundary by a full sort of all revenues, and of all places; None where nobody is ranked."""
        ranked, least = [revenue for revenue in revenues if revenue > 0], self.planned.value.min_ranked
        marks = sorted_marks(ranked, self.planned.value)
        if marks is None:
            return None
        return Boundary(
            number=0,
            marks=marks,
            ranked=len(ranked),
            total=sum(ranked),
            is_announced=len(ranked) >= least,
            cuts=_cuts_of(places or {}, self.planned),
            parts=tuple(self._parts(places or {})),
        )

    def _parts(self, places: Mapping[int, Iterable[int]]) -> Iterator[tuple[int, Boundary]]:
        for ranking in rankings_of(self.planned.value.population):
            ranked = [revenue for revenue in places.get(ranking, ()) if revenue > 0]
            marks = sorted_marks(ranked, self.planned.value)
            if marks is not None:
                is_announced = len(ranked) >= self.planned.value.min_ranked
                yield (
                    ranking,
                    Boundary(number=0, marks=marks, ranked=len(ranked), total=sum(ranked), is_announced=is_announced),
                )

    def why(self, foreseen: Foreseen, dimension: str, planned: Boundary | None) -> str:
        """Return the conditions that would put a customer where he would be, or keep him out."""
        segment = foreseen.after.get(dimension)
        if dimension not in foreseen.after and not is_declared_name(dimension):
            return ""
        inquiry = Inquiry(foreseen.profile, foreseen.profile.settled_at, self.planned, planned)
        if dimension not in inquiry.rulebook.plan.definition_by_dimension and is_declared_name(dimension):
            return "no longer declared, or not evaluated"
        rules = inquiry.account_of(dimension).rules
        rule = next((rule for rule in rules if rule.segment == (segment or IN)), None)
        if rule is None:
            return ""
        if segment is None:
            return "; ".join(rule.missing)
        return "; ".join(f"{leaf.condition}: {leaf.actual}, asked {leaf.threshold}" for leaf in _leaves(rule.tree))

    def uncounted(self, name: str) -> tuple[str, ...]:
        """Return what a segment counts and the running rules do not: that is known only from now on."""
        definition = next(d for d in self.planned.segments if d.name == name)
        known = {tally.key for tally in (*self.running.plan.click_tallies, *self.running.plan.contact_tallies)}
        followed = {track.key for track in self.running.plan.tracks}
        plan = replace(self.planned, segments=(definition,)).plan
        tallies = [*plan.click_tallies, *plan.contact_tallies]
        found = [str(tally.measure) for tally in tallies if tally.key not in known]
        found += ["a sequence" for track in plan.tracks if track.key not in followed]
        return tuple(dict.fromkeys(found))

    def _totalled(self, profile: Profile, at: Instant) -> Profile:
        work = profile.copy()
        work.settled_at = max(work.settled_at, at)
        work.totals = totals_of(work.ledger, work.settled_at, self.planned)
        return work


def _ranked_by(rulebook: Rulebook) -> tuple[object, ...]:
    """Return what decides among whom, and by what, customers are ranked."""
    window = rulebook.rfm.window if rulebook.rfm is not None and rulebook.cut_scores else None
    counted = rulebook.lifecycle.counts_from, rulebook.currency, rulebook.rates
    return rulebook.value, *counted, rulebook.cut_scores, window


def _cuts_of(places: Mapping[int, Iterable[int]], rulebook: Rulebook) -> Cuts | None:
    """Return the quintiles by a full sort of the places of everybody in each ranking."""
    bounds: dict[Score, Bounds] = {}
    ranked = 0
    for score in rulebook.cut_scores:
        numbers = [place - 1 for place in places.get(BY_SCORE[score], ())]
        found, ranked = sorted_bounds(numbers), len(numbers)
        if found is None:
            return None
        bounds[score] = found
    return Cuts(bounds=bounds, ranked=ranked, is_announced=ranked >= rulebook.value.min_ranked) if bounds else None


def _with_drafts(rulebook: Rulebook) -> Rulebook:
    """Return the rulebook with drafts as if they were live: that is what their author asks about."""
    segments = tuple(replace(d, state=State.LIVE) if d.state is State.DRAFT else d for d in rulebook.segments)
    return replace(rulebook, segments=segments)


def _shown(segments: Mapping[str, str]) -> dict[str, str]:
    return {d: segment for d, segment in segments.items() if not (is_declared_name(d) and segment == OUT)}


def _told(dimension: str, before: str | None, after: str | None) -> tuple[str, str | None, str | None]:
    if not is_declared_name(dimension):
        return dimension, before, after
    return dimension, before or OUT, after or OUT


def _leaves(tree: Explained) -> list[Explained]:
    return [leaf for part in tree.parts for leaf in _leaves(part)] if tree.parts else [tree]
