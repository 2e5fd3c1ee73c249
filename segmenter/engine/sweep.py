"""Which customers a new boundary can move, and the walk over them.

A lane adopts a boundary whenever its content differs, and looks only at customers between an old mark and the new
one. A boundary that comes while a walk is under way widens it; the walk goes on from where it is and wraps, so that
every customer in range is looked at after the last adoption.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from segmenter.domain.value import Boundary, Marks
from segmenter.ports import Sweep

Range: TypeAlias = tuple[int, int]
Place: TypeAlias = tuple[int, str]

EVERYBODY: Range = (0, 2**62)
# A walk that is widened again and again is better told by its hull.
RANGES_KEPT = 16


def sweep_for(adopted: Boundary | None, new: Boundary, unfinished: Sweep | None) -> Sweep | None:
    """Return the walk that adopting `new` asks for, None where nobody can be moved."""
    ranges = _between(adopted, new)
    if not ranges:
        return unfinished
    is_first = new.is_announced and (adopted is None or not adopted.is_announced)
    if unfinished is None:
        return Sweep(ranges=_united(ranges), is_first=is_first)
    return Sweep(
        ranges=_united([*ranges, *unfinished.ranges]),
        cursor=unfinished.cursor,
        until=unfinished.cursor,
        is_first=is_first or unfinished.is_first,
    )


def left_of(sweep: Sweep) -> Iterator[tuple[int, int, Place | None]]:
    """Yield what is left to the top of the walk, or to where it began: low, high, and beyond which customer."""
    start, end = sweep.cursor, sweep.until if sweep.has_wrapped else None
    for low, high in sweep.ranges:
        if start is not None and high < start[0]:
            continue
        if end is not None and low > end[0]:
            return
        yield low, high, start if start is not None and start[0] >= low else None


def walked(sweep: Sweep, last: Place | None) -> Sweep | None:
    """Return the walk after a bite that ended at `last`; None: it went to the end. Returns None when all is done."""
    if last is not None:
        if sweep.has_wrapped and sweep.until is not None and last >= sweep.until:
            return None
        return replace(sweep, cursor=last)
    if sweep.until is None or sweep.has_wrapped:
        return None
    return replace(sweep, cursor=None, has_wrapped=True)


def _between(adopted: Boundary | None, new: Boundary) -> list[Range]:
    """Return the revenues that lie between an old mark and the new one."""
    if adopted is None or adopted.is_announced != new.is_announced:
        return [EVERYBODY]
    pairs = zip(_marks(adopted.marks), _marks(new.marks), strict=True)
    return [(min(pair), max(pair) - 1) for pair in pairs if pair[0] != pair[1]]


def _marks(marks: Marks) -> tuple[int, int, int, int]:
    return marks.a, marks.a_stay, marks.b, marks.b_stay


def _united(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return the ranges rising and apart."""
    united: list[Range] = []
    for low, high in sorted(ranges):
        if united and low <= united[-1][1] + 1:
            united[-1] = (united[-1][0], max(high, united[-1][1]))
        else:
            united.append((low, high))
    return tuple(united) if len(united) <= RANGES_KEPT else ((united[0][0], united[-1][1]),)
