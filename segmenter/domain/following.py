"""Sequences: events in an order, close enough to each other, with nothing in between that must not be there.

Events of one instant count in the order of the steps they can be.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter

from segmenter.domain.behaviour import STEPS_KEPT, Trail
from segmenter.domain.conditions import Sequence
from segmenter.domain.events import Event
from segmenter.domain.filters import admits, type_of
from segmenter.domain.finding import Finding
from segmenter.domain.instants import Instant, Span
from segmenter.domain.plan import Track
from segmenter.domain.windows import NEVER


def steps_met(track: Track, event: Event) -> int:
    """Return the steps that an event can be, a bit each."""
    return sum(
        1 << place
        for place, step in enumerate(track.sequence.steps)
        if type_of(step) == event.type and admits(step.where, event)
    )


def with_step(trail: Trail, sequence: Sequence, at: Instant, steps: int) -> Trail:
    """Return the trail with an event more; of too many the oldest goes, and whether it made one whole is kept."""
    seen = tuple(sorted((*trail.seen, (at, steps))))
    if len(seen) <= STEPS_KEPT:
        return Trail(seen, trail.is_complete)
    is_complete = trail.is_complete or (not sequence.steps[-1].is_missing and bool(_runs(sequence, seen)))
    return Trail(seen[-STEPS_KEPT:], is_complete)


def sequence_finding(sequence: Sequence, trail: Trail, now: Instant) -> Finding:
    """Return whether the sequence is there."""
    if trail.is_complete:
        return Finding(True)
    runs = _runs(sequence, trail.seen)
    if not sequence.steps[-1].is_missing:
        return Finding(bool(runs))
    missing = _missing_after(sequence, len(_wanted(sequence)) - 1)
    due = [
        run.first_at + sequence.within
        for run in runs
        if not any(steps & missing and at > run.last_at for at, steps in trail.seen)
    ]
    if any(at <= now for at in due):
        return Finding(True)
    return Finding(False, min(due, default=NEVER))


@dataclass(frozen=True, slots=True)
class _Run:
    """Steps found so far: how many, when the first and the last came."""

    found: int
    first_at: Instant
    last_at: Instant


def _runs(sequence: Sequence, seen: tuple[tuple[Instant, int], ...]) -> list[_Run]:
    """Return every way in which all wanted steps were found within the span, alike ones once."""
    wanted, is_due_later = _wanted(sequence), sequence.steps[-1].is_missing
    missing = [_missing_after(sequence, found - 1) for found in range(len(wanted) + 1)]
    broken_at: dict[_Run, Instant] = {}
    for at, group in groupby(seen, key=itemgetter(0)):
        bits = [steps for _, steps in group]
        open_runs = [run for run, until in broken_at.items() if _may_go_on(run, at, until, sequence.within)]
        for run, until in broken_at.items():
            if at < until and any(steps & missing[run.found] for steps in bits):
                broken_at[run] = at
        longer = _longer([*open_runs, _Run(0, at, at)], wanted, at, bits)
        for run in longer if is_due_later else _latest(longer):
            broken_at[run] = NEVER
    return [run for run in broken_at if run.found == len(wanted)]


def _latest(runs: set[_Run]) -> Iterable[_Run]:
    """Return of runs that came equally far the one that began last: it goes on where any of them does."""
    return {run.found: run for run in sorted(runs, key=attrgetter("first_at"))}.values()


def _longer(runs: list[_Run], wanted: list[int], at: Instant, bits: list[int]) -> set[_Run]:
    """Return what these runs become by the events of one instant, in whatever order these fit, each used once."""
    known = {(run, tuple(sorted(bits))) for run in runs}
    waiting, longer = list(known), set[_Run]()
    while waiting:
        run, left = waiting.pop()
        for steps in set(left) if run.found < len(wanted) else ():
            if not steps & wanted[run.found]:
                continue
            place = left.index(steps)
            one = _Run(run.found + 1, run.first_at, at), left[:place] + left[place + 1 :]
            longer.add(one[0])
            if one not in known:
                known.add(one)
                waiting.append(one)
    return longer


def _may_go_on(run: _Run, at: Instant, broken_at: Instant, within: Span) -> bool:
    return at <= broken_at and at - run.first_at <= within


def _wanted(sequence: Sequence) -> list[int]:
    """Return the bits of the steps that must come."""
    return [1 << place for place, step in enumerate(sequence.steps) if not step.is_missing]


def _missing_after(sequence: Sequence, found: int) -> int:
    """Return the bits of the steps that must not come after so many of those that must, counted from 0."""
    bits, wanted = 0, -1
    for place, step in enumerate(sequence.steps):
        if not step.is_missing:
            wanted += 1
        elif wanted == found:
            bits |= 1 << place
    return bits
