"""Which customers a new boundary can move, and the walk over them.

A lane adopts a boundary whenever its content differs, and looks only at customers between an old mark and the new
one. A boundary that comes while a walk is under way widens it; the walk goes on from where it is and wraps, so that
every customer in range is looked at after the last adoption.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from segmenter.domain.quintiles import Cuts
from segmenter.domain.ranking import BY_SCORE, BY_VALUE
from segmenter.domain.value import Boundary, Marks
from segmenter.ports import LaneNotes, Sweep

Range: TypeAlias = tuple[int, int]
Place: TypeAlias = tuple[int, str]

EVERYBODY: Range = (0, 2**62)
# A walk that is widened again and again is better told by its hull.
RANGES_KEPT = 16


def sweep_for(adopted: Boundary | None, new: Boundary, unfinished: Sweep | None) -> Sweep | None:
    """Return the walk over the ranking by value that adopting `new` asks for, None where nobody can be moved."""
    if new.parts:
        # Nobody is classed by what all hold together.
        return unfinished
    return _widened(_between(adopted, new), unfinished, is_first=_is_first(adopted, new))


def _is_first(before: Boundary | Cuts | None, new: Boundary | Cuts) -> bool:
    return new.is_announced and (before is None or not before.is_announced)


def further_sweeps(adopted: Boundary | None, new: Boundary, unfinished: Mapping[int, Sweep]) -> Mapping[int, Sweep]:
    """Return the walks over further rankings that adopting `new` asks for."""
    found = {} if new.cuts is None else _for_cuts(None if adopted is None else adopted.cuts, new.cuts)
    for ranking, part in new.parts:
        before = None if adopted is None else adopted.part_of(ranking)
        found[ranking] = _between(before, part), _is_first(before, part)
    wanted = {} if new.cuts is None else dict.fromkeys(BY_SCORE[score] for score in new.cuts.bounds)
    wanted |= dict.fromkeys(ranking for ranking, _ in new.parts)
    sweeps = {ranking: sweep for ranking, sweep in unfinished.items() if ranking in wanted}
    for ranking, (ranges, is_first) in found.items():
        sweep = _widened(ranges, unfinished.get(ranking), is_first=is_first)
        if sweep is not None:
            sweeps[ranking] = sweep
    return sweeps


def _for_cuts(before: Cuts | None, new: Cuts) -> dict[int, tuple[list[Range], bool]]:
    is_first = _is_first(before, new)
    return {ranking: (ranges, is_first) for ranking, ranges in _between_cuts(before, new).items()}


def _widened(ranges: list[Range], unfinished: Sweep | None, *, is_first: bool) -> Sweep | None:
    if not ranges:
        return unfinished
    if unfinished is None:
        return Sweep(ranges=_united(ranges), is_first=is_first)
    return Sweep(
        ranges=_united([*ranges, *unfinished.ranges]),
        cursor=unfinished.cursor,
        until=unfinished.cursor,
        is_first=is_first or unfinished.is_first,
    )


def is_sweeping(notes: LaneNotes) -> bool:
    """Tell whether a lane has still to look at somebody whom a boundary can have moved."""
    return notes.sweep is not None or bool(notes.further_sweeps)


def next_sweep(notes: LaneNotes) -> tuple[int, Sweep] | None:
    """Return the walk that a bite is taken of, with the ranking it goes over."""
    if notes.sweep is not None:
        return BY_VALUE, notes.sweep
    return next(iter(sorted(notes.further_sweeps.items())), None)


def swept_on(notes: LaneNotes, sweeping: tuple[int, Sweep], last: Place | None) -> LaneNotes:
    """Return the notes after a bite of this walk, that ended at `last`; None: it went to the end."""
    ranking, sweep = sweeping
    left = walked(sweep, last)
    if ranking == BY_VALUE:
        return replace(notes, sweep=left)
    others = {other: kept for other, kept in notes.further_sweeps.items() if other != ranking}
    return replace(notes, further_sweeps=others if left is None else {**others, ranking: left})


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


def _between_cuts(before: Cuts | None, new: Cuts) -> dict[int, list[Range]]:
    """Return, by ranking, the places that lie between an old bound and the new one; a place is a number and one."""
    if before is None or before.is_announced != new.is_announced or before.bounds.keys() != new.bounds.keys():
        # Whoever is in one of these rankings is in all of them.
        return {BY_SCORE[min(new.bounds)]: [EVERYBODY]} if new.bounds else {}
    found = {}
    for score, bounds in new.bounds.items():
        pairs = [pair for pair in zip(before.bounds[score], bounds, strict=True) if pair[0] != pair[1]]
        found[BY_SCORE[score]] = [(min(pair) + 2, max(pair) + 1) for pair in pairs]
    return found


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
