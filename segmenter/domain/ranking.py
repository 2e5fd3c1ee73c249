"""The rankings of a lane: by value, and by what quintiles are cut from. Each is a number under which it is kept.

A ranking is counted in buckets of two levels, so that a bound among all lanes is found from a few hundred numbers.
Revenue and counts are cut by factors of two, instants by days: 1 % of an instant since 1970 is half a year.
"""

from collections.abc import Callable
from dataclasses import dataclass

from segmenter.domain.conditions import Score
from segmenter.domain.instants import DAY
from segmenter.domain.value import FINE, UNRANKED, bucket_floor, bucket_of

BY_VALUE = 0
"""The ranking by revenue of the window, of everybody."""
BY_SCORE = {Score.RECENCY: 1, Score.FREQUENCY: 2, Score.MONETARY: 3}
"""By the last order, the number of orders and net revenue, each raised by one: the least counts as well."""
BY_POPULATION = 10
"""The first of the rankings of populations: of who has none of their values, then one a value."""
# Sorted sets order by doubles, which hold whole numbers exactly up to here.
HIGHEST_PLACE = 2**53 - 1
# Days up to the year 2200 are 84,000, log buckets 2,600: no bucket of a ranking is one of the next.
APART = 1_000_000


@dataclass(frozen=True, slots=True)
class Scale:
    """How the places of a ranking are cut: into buckets, so many of which are one coarse bucket."""

    bucket_of: Callable[[int], int]
    floor_of: Callable[[int], int]
    """The least place of a bucket."""
    fine: int


def _day_of(place: int) -> int:
    return place // DAY if place > 0 else UNRANKED


LOG = Scale(bucket_of, bucket_floor, FINE)
DAYS = Scale(_day_of, lambda bucket: max(1, bucket * DAY), 32)


def scale_of(ranking: int) -> Scale:
    """Return how a ranking is cut."""
    return DAYS if ranking == BY_SCORE[Score.RECENCY] else LOG
