"""How long it took until every lane spoke again after a fault, by the times at which the broker appended changes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from aiokafka.structs import ConsumerRecord

# A pause of a lane that begins later than this after a fault is not of its making.
BEGINS_WITHIN_S = 4.0


def times_by_lane(changes: Iterable[ConsumerRecord]) -> dict[int, list[float]]:
    """Return when each lane spoke, in seconds since 1970, in order."""
    times: dict[int, list[float]] = defaultdict(list)
    for record in changes:
        times[record.partition].append(record.timestamp / 1_000)
    return {lane: sorted(spoken) for lane, spoken in times.items()}


def recovery_s(times: Mapping[int, Sequence[float]], struck_at: float, until: float) -> float:
    """Return how long after `struck_at` the last lane ended its longest pause that the fault has begun.

    Only what was spoken up to `until` counts, where the next fault struck or the load ended.
    """
    return max(_pause(spoken, struck_at, until)[1] for spoken in times.values()) - struck_at


def pauses(times: Mapping[int, Sequence[float]], struck_at: float, until: float) -> dict[int, tuple[float, float]]:
    """Return when each lane fell silent and when it spoke again, of its longest pause that the fault has begun."""
    return {lane: _pause(spoken, struck_at, until) for lane, spoken in sorted(times.items())}


def longest_pause_s(times: Mapping[int, Sequence[float]], struck_at: float, until: float) -> float:
    """Return the longest time in which a lane said nothing between `struck_at` and `until`."""
    pauses = [0.0]
    for spoken in times.values():
        inside = [struck_at, *(at for at in spoken if struck_at < at < until), until]
        pauses += [after - before for before, after in pairwise(inside)]
    return max(pauses)


def _pause(spoken: Sequence[float], struck_at: float, until: float) -> tuple[float, float]:
    inside = [struck_at, *(at for at in spoken if struck_at < at < until), until]
    begun = [(after - before, before) for before, after in pairwise(inside) if before <= struck_at + BEGINS_WITHIN_S]
    length, before = max(begun)
    return before, before + length
