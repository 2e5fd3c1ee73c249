"""The storm breaker: too many who leave a segment in too short a time are a bad feed, or a bad edit.

Of a declared segment everybody counts who leaves it. Of a dimension such as `value` those count whom peers, an edit,
or a fact taken back have moved: what customers do, in a flash sale or after a newsletter, and the mere passing of
time may move most of a dimension, and nothing is wrong.

Counted lane by lane, as customers are spread evenly over the lanes; by the time of the moves, so that a worker that
catches up with months counts months. What was counted is lost with the hold on the lane; what is held is not.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from segmenter.domain.changes import CauseKind, CauseNote, Change, ChangeSet
from segmenter.domain.conditions import CUSTOM_PREFIX, IN
from segmenter.domain.instants import Instant
from segmenter.domain.rulebook import Rulebook

_BY_OTHERS = frozenset([CauseKind.PEERS, CauseKind.DEFINITION])
_TAKEN_BACK = frozenset(["order.cancelled", "order.refunded", "order.updated"])
# Moves are counted in so many steps of the span, however many there are.
_STEPS = 60


class StormWatch:
    """Those who left each segment of a lane lately."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._left: dict[tuple[str, str], deque[tuple[Instant, int]]] = {}
        self._left_now: dict[tuple[str, str], int] = {}
        """Those of them who left in the present commit."""

    def copy(self) -> "StormWatch":
        """Return one for the next commit, which does not change this one."""
        copied = StormWatch(self._lanes)
        copied._left = {place: deque(left) for place, left in self._left.items()}
        return copied

    def look(self, told: Iterable[ChangeSet], rulebook: Rulebook, sizes: Mapping[tuple[str, str], int]) -> list[str]:
        """Count who was told to have left a segment; return the dimensions in which a storm has begun.

        `sizes` are those of the lane before the present commit.
        """
        stormed = []
        for said in told:
            for change in said.changes:
                if change.before is not None and _counts(change, said.cause):
                    place = change.dimension, change.before
                    self._note(place, said.effective_at, rulebook)
                    if self._is_storm(place, rulebook, sizes):
                        stormed.append(change.dimension)
        return stormed

    def forget(self, dimension: str) -> None:
        """Begin to count anew."""
        for place in [place for place in self._left if place[0] == dimension]:
            del self._left[place]

    def _note(self, place: tuple[str, str], at: Instant, rulebook: Rulebook) -> None:
        self._left_now[place] = self._left_now.get(place, 0) + 1
        left, within = self._left.setdefault(place, deque()), rulebook.storm_of(place[0]).within
        step = at - at % max(1, within // _STEPS)
        # They come about in order.
        if left and left[-1][0] >= step:
            left[-1] = left[-1][0], left[-1][1] + 1
        else:
            left.append((step, 1))
        while left[0][0] <= left[-1][0] - within:
            left.popleft()

    def _is_storm(self, place: tuple[str, str], rulebook: Rulebook, sizes: Mapping[tuple[str, str], int]) -> bool:
        rule = rulebook.storm_of(place[0])
        gone = sum(count for _, count in self._left[place])
        # Whoever left in this commit is still in the size before it; who left in earlier ones is not.
        size = max(gone, sizes.get(place, 0) + gone - self._left_now[place])
        return gone * self._lanes >= rule.at_least and gone > rule.leave_share * size


def _counts(change: Change, cause: CauseNote) -> bool:
    """Tell whether somebody who left a segment counts for a storm there."""
    if change.dimension.startswith(CUSTOM_PREFIX):
        return change.before == IN
    return cause.kind in _BY_OTHERS or cause.type in _TAKEN_BACK
