"""Which customers an audit looks at, and in which portions, so that its memory has a bound."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from segmenter.adapters.redis_audit import LaneSize

CUSTOMERS_A_PORTION = 100_000


@dataclass(slots=True)
class Portion:
    """Buckets, by lane, that are rebuilt in one pass over the log."""

    buckets_by_lane: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    customers: float = 0.0


def plan_all(lanes: Sequence[LaneSize], most: int) -> list[Portion]:
    """Return portions that take in everybody, lane by lane, each of about `most` customers at most."""
    return _portions([(lane, bucket) for lane in lanes for bucket in range(lane.buckets)], most)


def plan_sample(lanes: Sequence[LaneSize], customers: int, seed: int, most: int) -> list[Portion]:
    """Return portions of about so many customers, drawn by the hash that spreads them over buckets.

    Whole buckets are drawn, equally likely: the same seed draws the same as long as lanes have as many buckets.
    """
    every = [(lane, bucket) for lane in lanes for bucket in range(lane.buckets)]
    Random(seed).shuffle(every)
    drawn, expected = [], 0.0
    for lane, bucket in every:
        if expected >= customers:
            break
        drawn.append((lane, bucket))
        expected += _per_bucket(lane)
    return _portions(sorted(drawn, key=lambda one: (one[0].lane, one[1])), most)


def _portions(buckets: Sequence[tuple[LaneSize, int]], most: int) -> list[Portion]:
    return list(_cut(buckets, most))


def _cut(buckets: Sequence[tuple[LaneSize, int]], most: int) -> Iterator[Portion]:
    portion = Portion()
    for lane, bucket in buckets:
        if portion.customers and portion.customers + _per_bucket(lane) > most:
            yield portion
            portion = Portion()
        portion.buckets_by_lane[lane.lane].add(bucket)
        portion.customers += _per_bucket(lane)
    if portion.buckets_by_lane:
        yield portion


def _per_bucket(lane: LaneSize) -> float:
    return max(1, lane.customers) / lane.buckets


def whole_lanes(portions: Sequence[Portion], lanes: Sequence[LaneSize]) -> list[int]:
    """Return the lanes that the portions take in whole."""
    taken: dict[int, set[int]] = defaultdict(set)
    for portion in portions:
        for lane, buckets in portion.buckets_by_lane.items():
            taken[lane] |= buckets
    return [lane.lane for lane in lanes if len(taken[lane.lane]) == lane.buckets]
