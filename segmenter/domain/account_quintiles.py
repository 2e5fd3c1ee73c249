"""Quintiles in words: what a score was made from, and the bounds between which it lies."""

from collections.abc import Iterator
from dataclasses import dataclass

from segmenter.domain.conditions import Score
from segmenter.domain.instants import rfc3339
from segmenter.domain.money import money_text
from segmenter.domain.quintiles import FIFTHS
from segmenter.domain.sight import Sight

_NAMES = {Score.RECENCY: "recency", Score.FREQUENCY: "frequency", Score.MONETARY: "monetary"}


@dataclass(frozen=True, slots=True)
class CutScore:
    """A score that was cut: which, how high, what it was made from, and between which bounds that lies."""

    score: Score
    number: int
    actual: str
    threshold: str

    @property
    def condition(self) -> str:
        """Return what is asked."""
        return f"{_NAMES[self.score]} quintile"


def cut_scores(sight: Sight) -> Iterator[CutScore]:
    """Yield the scores of a customer that were cut by quintiles."""
    rule, cuts = sight.rulebook.rfm, None if sight.boundary is None else sight.boundary.cuts
    if rule is None or cuts is None or not sight.scores:
        return
    for score in rule.cut_scores:
        number = sight.scores[score]
        bounds = [_text(score, bound, sight) for bound in cuts.bounds[score]]
        above = [] if number == 1 else [f"> {bounds[number - 2]}"]
        below = [] if number == FIFTHS else [f"<= {bounds[number - 1]}"]
        actual = _text(score, sight.numbers[score], sight)
        yield CutScore(score, number, actual, ", ".join([*above, *below]))


def _text(score: Score, number: int, sight: Sight) -> str:
    """Return a number as people read it: an instant, a count, or money."""
    if score is Score.RECENCY:
        return rfc3339(number)
    return str(number) if score is Score.FREQUENCY else money_text(number, sight.rulebook.currency)
