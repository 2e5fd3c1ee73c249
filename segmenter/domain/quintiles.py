"""Quintiles: four bounds that cut all customers with an order that counts into fifths.

The k-th bound is the least number that at least k fifths of them do not exceed (the nearest rank). A score is one
more than the bounds that are exceeded, so equals share a score, and a fifth may be empty where very many are equal.

Recency is cut by the time of the last order, not by its age: nobody overtakes anybody by time alone, so its bounds
are instants, which only orders move.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segmenter.domain.conditions import Score

FIFTHS = 5
Bounds = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """The bounds in force, by score: instants, numbers of orders, minor units; and among how many they were found."""

    bounds: Mapping[Score, Bounds]
    ranked: int
    is_announced: bool = True

    @property
    def content(self) -> tuple[object, ...]:
        """What decides scores."""
        return tuple(sorted(self.bounds.items())), self.is_announced

    def __hash__(self) -> int:
        """Return the same for equals, though bounds are a mapping."""
        return hash((self.content, self.ranked))


def scored(number: int, bounds: Iterable[int]) -> int:
    """Return the score of a number: one more than the bounds it exceeds."""
    return 1 + sum(1 for bound in bounds if number > bound)


def sorted_bounds(numbers: Iterable[int]) -> Bounds | None:
    """Return the bounds by a full sort: the definition, slow and obvious. None where there is nobody."""
    ranked = sorted(numbers)
    if not ranked:
        return None
    first, second, third, fourth = (ranked[-(-k * len(ranked) // FIFTHS) - 1] for k in range(1, FIFTHS))
    return first, second, third, fourth
