"""The storm breaker: too many who leave a declared segment in too short a time are a bad feed, or a bad edit.

Counted lane by lane, as customers are spread evenly over the lanes; by the time of the moves, so that a worker that
catches up with months counts months. What was counted is lost with the hold on the lane; what is held is not.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from segmenter.domain.changes import ChangeSet
from segmenter.domain.conditions import CUSTOM_PREFIX, IN
from segmenter.domain.instants import Instant
from segmenter.domain.rulebook import Rulebook


class StormWatch:
    """Those who left each segment of a lane lately."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._left: dict[str, deque[tuple[Instant, int]]] = {}
        self._left_now: dict[str, int] = {}
        """Those of them who left in the present commit."""

    def copy(self) -> "StormWatch":
        """Return one for the next commit, which does not change this one."""
        copied = StormWatch(self._lanes)
        copied._left = {dimension: deque(left) for dimension, left in self._left.items()}
        return copied

    def look(self, told: Iterable[ChangeSet], rulebook: Rulebook, sizes: Mapping[tuple[str, str], int]) -> list[str]:
        """Count who was told to have left a segment; return the dimensions in which a storm has begun.

        `sizes` are those of the lane before the present commit.
        """
        stormed = []
        for said in told:
            for change in said.changes:
                if change.before == IN and change.dimension.startswith(CUSTOM_PREFIX):
                    self._note(change.dimension, said.effective_at, rulebook)
                    if self._is_storm(change.dimension, rulebook, sizes):
                        stormed.append(change.dimension)
        return stormed

    def forget(self, dimension: str) -> None:
        """Begin to count anew."""
        self._left.pop(dimension, None)

    def _note(self, dimension: str, at: Instant, rulebook: Rulebook) -> None:
        self._left_now[dimension] = self._left_now.get(dimension, 0) + 1
        left = self._left.setdefault(dimension, deque())
        # Moves of one instant, as those of an edit, are one entry; they come about in order.
        if left and left[-1][0] >= at:
            left[-1] = left[-1][0], left[-1][1] + 1
        else:
            left.append((at, 1))
        within = rulebook.storm_of(dimension).within
        while left[0][0] <= left[-1][0] - within:
            left.popleft()

    def _is_storm(self, dimension: str, rulebook: Rulebook, sizes: Mapping[tuple[str, str], int]) -> bool:
        rule = rulebook.storm_of(dimension)
        gone = sum(count for _, count in self._left[dimension])
        # Whoever left in this commit is still in the size before it; who left in earlier ones is not.
        size = max(gone, sizes.get((dimension, IN), 0) + gone - self._left_now[dimension])
        return gone * self._lanes >= rule.at_least and gone > rule.leave_share * size
