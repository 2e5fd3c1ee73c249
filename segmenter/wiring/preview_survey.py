"""What a preview adds up: sizes now and then, moves, overlap, and samples that are the same each time."""

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from zlib import crc32

from segmenter.domain.account import is_declared_name
from segmenter.domain.foresight import Foreseen
from segmenter.domain.profile import LIFECYCLE, VALUE

Ordered = TypeVar("Ordered", "Mover", tuple[int, str])
Place = tuple[str, str]
"""Dimension and segment."""


@dataclass(frozen=True, slots=True, order=True)
class Mover:
    """One who would move, in the order of a hash of his id, which is as good as chance and repeats."""

    rank: int
    customer: str
    dimension: str
    before: str | None = field(compare=False)
    after: str | None = field(compare=False)
    why: str = field(compare=False)

    def as_json(self) -> Mapping[str, object]:
        """Return it as one JSON object."""
        return {
            "customer_id": self.customer,
            "dimension": self.dimension,
            "before": self.before,
            "after": self.after,
            "why": self.why,
        }


@dataclass(slots=True)
class Survey:
    """Sums over customers."""

    sample: int
    customers: int = 0
    unreadable: int = 0
    now: Counter[Place] = field(default_factory=Counter)
    then: Counter[Place] = field(default_factory=Counter)
    moves: Counter[tuple[str, str | None, str | None]] = field(default_factory=Counter)
    overlap: Counter[tuple[str, Place]] = field(default_factory=Counter)
    """How many of a declared segment are in another place as well."""
    members: dict[Place, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    movers: dict[str, list[Mover]] = field(default_factory=lambda: defaultdict(list))

    def add(self, foreseen: Foreseen, why: Callable[[str], str]) -> list[tuple[str, str | None, str | None]]:
        """Count a customer; `why` is asked for a dimension only where he is in the sample. Return his moves."""
        customer = foreseen.profile.customer
        rank = crc32(customer.encode())
        self.customers += 1
        self.now.update(foreseen.before.items())
        self.then.update(foreseen.after.items())
        for place in foreseen.after.items():
            _keep(self.members[place], (rank, customer), self.sample)
        self._add_overlap(foreseen.after)
        moves = foreseen.moves()
        for dimension, before, after in moves:
            self.moves[dimension, before, after] += 1
            kept = self.movers[dimension]
            if len(kept) < self.sample or (rank, customer) < (kept[-1].rank, kept[-1].customer):
                _keep(kept, Mover(rank, customer, dimension, before, after, why(dimension)), self.sample)
        return moves

    def _add_overlap(self, after: Mapping[str, str]) -> None:
        declared = [dimension for dimension in after if is_declared_name(dimension)]
        if declared:
            others = [p for p in after.items() if p[0] in (LIFECYCLE, VALUE) or is_declared_name(p[0])]
            self.overlap.update((one, other) for one in declared for other in others if other[0] != one)


def _keep(kept: "list[Ordered]", one: "Ordered", most: int) -> None:
    insort(kept, one)
    del kept[most:]
