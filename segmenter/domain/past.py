"""Where a customer stood at a moment that is gone, read from what was told of him since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segmenter.domain.changes import CauseNote, Change, Reason
from segmenter.domain.instants import Instant, rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldChange:
    """A change-set as it stands in the log."""

    life: int
    sequence: int
    changes: tuple[Change, ...]
    cause: CauseNote
    effective_at: Instant
    recorded_at: Instant
    reasons: tuple[Reason, ...]
    traits: Mapping[str, str | int | None]
    next_change_at: Instant | None
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStanding:
    """A segment as of then. `by` is the change that brought it; None: it was there before the log begins."""

    dimension: str
    segment: str | None
    by: ToldChange | None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Return the conditions that decided, as they were told."""
        return () if self.by is None else tuple(r for r in self.by.reasons if r.dimension == self.dimension)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A customer as of an instant. `gap` says in a sentence what the log no longer knows."""

    at: Instant
    standings: tuple[PastStanding, ...]
    last: ToldChange | None
    """The last change up to then."""
    following: ToldChange | None
    """The first change after it."""
    gap: str | None


def past_at(at: Instant, told: Sequence[ToldChange], log_begins_at: Instant | None) -> Past:
    """Return where a customer stood, given all that the log still holds of him, oldest first.

    `log_begins_at` None: the log is whole. A change tells what was before it, so that the first one that is kept of
    a dimension answers for the time before it as well.
    """
    until = [change for change in told if change.effective_at <= at]
    after = [change for change in told if change.effective_at > at]
    standings: dict[str, PastStanding] = {}
    for change_set in until:
        for change in change_set.changes:
            standings[change.dimension] = PastStanding(
                dimension=change.dimension, segment=change.after, by=change_set
            )
    for change_set in after:
        for change in change_set.changes:
            before = PastStanding(dimension=change.dimension, segment=change.before, by=None)
            standings.setdefault(change.dimension, before)
    return Past(
        at=at,
        standings=tuple(s for _, s in sorted(standings.items()) if s.segment is not None),
        last=until[-1] if until else None,
        following=after[0] if after else None,
        gap=_gap(at, told, log_begins_at),
    )


def _gap(at: Instant, told: Sequence[ToldChange], log_begins_at: Instant | None) -> str | None:
    begins = "" if log_begins_at is None else f"; the log begins at {rfc3339(log_begins_at)}"
    if not told:
        if log_begins_at is None:
            return "nothing was ever told of this customer"
        return f"the log holds nothing of this customer{begins}: what was told before is gone"
    first = told[0]
    if first.sequence == 1 and first.life == 1:
        if at < first.effective_at:
            return f"nothing was told of this customer before {rfc3339(first.effective_at)}"
        return None
    if at < first.effective_at:
        return (
            f"the log no longer reaches back to {rfc3339(at)}: its first change of this customer is number "
            f"{first.sequence}, of {rfc3339(first.effective_at)}{begins}; shown is what that and later ones tell of "
            "the time before them"
        )
    return (
        f"the log knows this customer from change {first.sequence} of {rfc3339(first.effective_at)} on{begins}; "
        "segments that have not moved since are missing here"
    )
