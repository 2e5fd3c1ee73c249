"""What every lane store does alike at the edge of what Redis can hold."""

from segmenter.domain.instants import MINUTE, Instant, Span
from segmenter.domain.ranking import HIGHEST_PLACE
from segmenter.ports import LaneNotes

# A lower generation may take a lane from an owner who has been silent for longer.
HEARTBEAT_VALID: Span = 10 * MINUTE


def queued_at(wake_at: Instant | None) -> Instant | None:
    """Return the instant under which a deadline is queued: none is later than the year 2255."""
    return None if wake_at is None else min(wake_at, HIGHEST_PLACE)


def ranked_by(revenue: int | None) -> int | None:
    """Return the revenue by which a customer is ranked: all from 2^53 - 1 minor units on are one tie group.

    So an absurd amount is ranked at the top and stops nothing.
    """
    return None if revenue is None else min(revenue, HIGHEST_PLACE)


def is_ranking_anew(notes: LaneNotes) -> bool:
    """Tell whether a lane is on its way through its customers to rank them by other rules."""
    return notes.walk is not None and notes.walk.is_redefining


REVISIONS_KEPT = 200
"""Revisions of the rulebook that can be looked at and gone back to."""
