"""What is held back: moves go on, but are not told until somebody says so."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from segmenter.domain.instants import MINUTE, Span

EVERYTHING_HELD = "all"
"""Stands among dimensions for all of them: the red button."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRule:
    """When too many leave a segment: more than `leave_share` of it, and at least `at_least`, within a span.

    A share of 1 never holds anything.
    """

    leave_share: Decimal = Decimal("0.2")
    within: Span = 10 * MINUTE
    at_least: int = 100


NEVER_HELD = StormRule(leave_share=Decimal(1))


@dataclass(frozen=True, slots=True)
class Held:
    """The dimensions whose moves are not told now."""

    dimensions: frozenset[str] = frozenset()

    def holds(self, dimension: str) -> bool:
        """Tell whether moves in this dimension are held."""
        return bool(self.dimensions) and (dimension in self.dimensions or EVERYTHING_HELD in self.dimensions)


NOTHING_HELD = Held()


def held_of(dimensions: Collection[str]) -> Held:
    """Return what holds these dimensions."""
    return Held(frozenset(dimensions)) if dimensions else NOTHING_HELD
