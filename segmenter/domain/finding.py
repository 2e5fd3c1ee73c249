"""What a condition answers: whether it holds, what it found, and for how long that is certain."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from segmenter.domain.conditions import Bound
from segmenter.domain.instants import Instant
from segmenter.domain.windows import NEVER

Actual: TypeAlias = int | Decimal | str | None
"""A number in the unit of its measure, a segment or a value of an attribute; None: there is nothing to compare."""


@dataclass(slots=True)
class Finding:
    """The answer of a condition, which stays as it is before `until` where nothing happens that touches it."""

    holds: bool
    until: Instant = NEVER
    actual: Actual = None


def all_of(findings: Iterable[Finding]) -> Finding:
    """Return whether all hold. Where not, it is as certain as the most certain one that does not."""
    answers = list(findings)
    failing = [answer for answer in answers if not answer.holds]
    if failing:
        return Finding(False, max(answer.until for answer in failing))
    return Finding(True, min((answer.until for answer in answers), default=NEVER))


def any_of(findings: Iterable[Finding]) -> Finding:
    """Return whether any holds. Where one does, it is as certain as the most certain one that does."""
    return negated(all_of(negated(answer) for answer in findings))


def negated(answer: Finding) -> Finding:
    """Return the opposite, just as certain."""
    return Finding(not answer.holds, answer.until)


def falling_until(bound: Bound, total: Decimal | int, exits: Iterable[tuple[Instant, Decimal | int]]) -> Instant:
    """Return when a sum first crosses a bound as its parts leave, given when each does, in that order."""
    holds, last_at = bound.holds(total), None
    for at, part in exits:
        if last_at is not None and at != last_at and bound.holds(total) != holds:
            return last_at
        total -= part
        last_at = at
    return last_at if last_at is not None and bound.holds(total) != holds else NEVER
