"""Ordered (number, customer) pairs in dicts: deadlines by day, ranks by log bucket."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from itertools import islice

from segmenter.errors import InvariantError

Pair = tuple[int, str]


class OrderedPairs:
    """Pairs in rising order, kept in slices so that an insertion moves few of them.

    `slice_of` must not fall when its number rises, nor `group_of` when its slice rises: sums are kept for both.
    """

    def __init__(
        self, name: str, slice_of: Callable[[int], int], group_of: Callable[[int], int] = lambda number: number
    ) -> None:
        self._name = name
        self._slice_of = slice_of
        self._group_of = group_of
        self._group_sums: dict[int, tuple[int, int]] = {}
        self._pairs_by_slice: dict[int, list[Pair]] = {}
        self._sums: dict[int, tuple[int, int]] = {}
        self._slices: list[int] = []

    def __contains__(self, pair: Pair) -> bool:
        pairs = self._pairs_by_slice.get(self._slice_of(pair[0]), [])
        place = bisect_left(pairs, pair)
        return place < len(pairs) and pairs[place] == pair

    def add(self, pair: Pair) -> None:
        """Put a pair in its place."""
        number = self._slice_of(pair[0])
        if number not in self._pairs_by_slice:
            self._pairs_by_slice[number] = []
            self._sums[number] = (0, 0)
            insort(self._slices, number)
        insort(self._pairs_by_slice[number], pair)
        self._count(number, 1, pair[0])

    def require(self, pair: Pair) -> None:
        """Raise InvariantError when the pair is not there."""
        if pair not in self:
            raise InvariantError(f"{self._name} do not hold {pair}; expected it there, as the commit says")

    def remove(self, pair: Pair) -> None:
        """Take a pair out that is there."""
        number = self._slice_of(pair[0])
        pairs = self._pairs_by_slice[number]
        del pairs[bisect_left(pairs, pair)]
        self._count(number, -1, -pair[0])
        if not pairs:
            del self._pairs_by_slice[number], self._sums[number]
            del self._slices[bisect_left(self._slices, number)]

    def between(self, low: int, high: int, after: Pair | None = None) -> Iterator[Pair]:
        """Yield pairs with low ≤ number ≤ high that are greater than `after`, rising."""
        if after is not None:
            low = max(low, after[0])
        first = bisect_left(self._slices, self._slice_of(low)) if self._slices else 0
        for number in islice(self._slices, first, None):
            pairs = self._pairs_by_slice[number]
            start = bisect_left(pairs, (low,))
            if after is not None:
                start = max(start, bisect_right(pairs, after))
            for pair in islice(pairs, start, None):
                if pair[0] > high:
                    return
                yield pair

    def first(self) -> int | None:
        """Return the least number."""
        return self._pairs_by_slice[self._slices[0]][0][0] if self._slices else None

    def group_sums(self) -> dict[int, tuple[int, int]]:
        """Return count and sum of the numbers by group."""
        return self._group_sums

    def sums_of(self, group: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yield the slices of a group, each with count and sum of its numbers."""
        for number in islice(self._slices, bisect_left(self._slices, group, key=self._group_of), None):
            if self._group_of(number) != group:
                return
            yield number, self._sums[number]

    def _count(self, number: int, pairs: int, total: int) -> None:
        count, held = self._sums[number]
        self._sums[number] = (count + pairs, held + total)
        group = self._group_of(number)
        count, held = self._group_sums.get(group, (0, 0))
        if count + pairs:
            self._group_sums[group] = (count + pairs, held + total)
        else:
            del self._group_sums[group]
