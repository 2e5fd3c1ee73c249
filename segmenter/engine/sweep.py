"""Which customers a new boundary can move, and the walk over them.

A lane adopts a boundary whenever its content differs, and looks only at customers between the old and the new
marks. A boundary that comes while a walk is under way widens its range; the walk goes on from where it is and
wraps, so that every customer in range is looked at after the last adoption.
"""

from dataclasses import replace

from segmenter.domain.value import Boundary, Marks
from segmenter.ports import Sweep

EVERYBODY = (0, 2**62)


def sweep_for(adopted: Boundary | None, new: Boundary, unfinished: Sweep | None) -> Sweep | None:
    """Return the walk that adopting `new` asks for, None where nobody can be moved."""
    hull = _hull(adopted, new)
    if hull is None:
        return unfinished
    low, high = hull
    is_first = new.is_announced and (adopted is None or not adopted.is_announced)
    if unfinished is None:
        return Sweep(low=low, high=high, is_first=is_first)
    return Sweep(
        low=min(low, unfinished.low),
        high=max(high, unfinished.high),
        cursor=unfinished.cursor,
        until=unfinished.cursor,
        is_first=is_first or unfinished.is_first,
    )


def _hull(adopted: Boundary | None, new: Boundary) -> tuple[int, int] | None:
    if adopted is None or adopted.is_announced != new.is_announced:
        return EVERYBODY
    pairs = [(mark(adopted.marks), mark(new.marks)) for mark in _MARKS]
    moved = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    if not moved:
        return None
    return min(low for low, _ in moved), max(high for _, high in moved)


def _a(marks: Marks) -> int:
    return marks.a


def _a_stay(marks: Marks) -> int:
    return marks.a_stay


def _b(marks: Marks) -> int:
    return marks.b


def _b_stay(marks: Marks) -> int:
    return marks.b_stay


_MARKS = (_a, _a_stay, _b, _b_stay)


def walked(sweep: Sweep, found: list[tuple[int, str]], limit: int) -> Sweep | None:
    """Return the walk after a bite of at most `limit` customers was looked at; None: it is done."""
    if len(found) == limit:
        last = found[-1]
        if sweep.has_wrapped and sweep.until is not None and last >= sweep.until:
            return None
        return replace(sweep, cursor=last)
    if sweep.until is None or sweep.has_wrapped:
        return None
    return replace(sweep, cursor=None, has_wrapped=True)
