"""What one commit of a lane is about, beside the records that were read."""

from dataclasses import dataclass, field

from segmenter.domain.instants import Instant
from segmenter.engine.sweep import left_of
from segmenter.ports import LaneStore, Sweep


@dataclass(slots=True)
class Work:
    """What one commit is about, beside the records read."""

    ticks: list[tuple[Instant, str]] = field(default_factory=list)
    swept: list[tuple[int, str]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    """Customers who were put aside by an earlier owner."""
    walked: list[str] = field(default_factory=list)
    is_walking: bool = False
    """A bite of an unfinished walk is taken: `walked`, none where nobody is left."""
    is_cut: bool = False
    """There may be more to walk than this bite."""
    is_passed: bool = False
    """The lane has come to where it was before a rewind, and may release whom it holds."""

    def customers(self) -> list[str]:
        """Return whose profiles are needed."""
        timed = [*(c for _, c in self.ticks), *(c for _, c in self.swept)]
        return [*timed, *self.released, *self.retried, *self.walked]


async def bite_of(store: LaneStore, lane: int, sweeping: tuple[int, Sweep], most: int) -> list[tuple[int, str]]:
    """Return the next customers of a sweep over a ranking, as many as one commit takes."""
    found: list[tuple[int, str]] = []
    ranking, sweep = sweeping
    for low, high, after in left_of(sweep):
        if len(found) >= most:
            break
        found += await store.ranked(lane, low, high, after, most - len(found), ranking)
    return found
