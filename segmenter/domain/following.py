"""Sequences: events in an order, close enough to each other, with nothing in between that must not be there.

Events of one instant count in the order of the steps they can be.
"""

from dataclasses import dataclass

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


@dataclass(slots=True)
class _Run:
    """Steps found so far: how many, when the first and the last came, and since when it may not go on."""

    found: int
    first_at: Instant
    last_at: Instant
    broken_at: Instant = NEVER


def _runs(sequence: Sequence, seen: tuple[tuple[Instant, int], ...]) -> list[_Run]:
    """Return every way in which all wanted steps were found within the span."""
    wanted, runs = _wanted(sequence), list[_Run]()
    for at, steps in seen:
        went_on = []
        for run in runs:
            if run.found < len(wanted) and steps & wanted[run.found] and _may_go_on(run, at, sequence.within):
                went_on.append(_Run(run.found + 1, run.first_at, at))
            if steps & _missing_after(sequence, run.found - 1) and at > run.last_at:
                run.broken_at = min(run.broken_at, at)
        if steps & wanted[0]:
            went_on.append(_Run(1, at, at))
        runs += went_on
    return [run for run in runs if run.found == len(wanted)]


def _may_go_on(run: _Run, at: Instant, within: Span) -> bool:
    return at <= run.broken_at and at - run.first_at <= within


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
