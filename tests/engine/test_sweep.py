"""The walk over customers whom a boundary can move."""

import random

import pytest

from segmenter.domain.value import Boundary, Marks
from segmenter.engine.sweep import EVERYBODY, RANGES_KEPT, left_of, sweep_for, walked
from segmenter.ports import Sweep

BITE = 10
CUSTOMERS = sorted((revenue, f"c-{revenue % 7}-{revenue}") for revenue in range(0, 400, 3))


def boundary(number: int, a: int, b: int, *, is_announced: bool = True) -> Boundary:
    return Boundary(
        number=number,
        marks=Marks(a=a, a_stay=a - 10, b=b, b_stay=b - 10),
        ranked=len(CUSTOMERS),
        total=1,
        is_announced=is_announced,
    )


def bite_of(sweep: Sweep) -> list[tuple[int, str]]:
    """What a store gives for the next bite."""
    found = [
        pair
        for low, high, after in left_of(sweep)
        for pair in CUSTOMERS
        if low <= pair[0] <= high and (after is None or pair > after)
    ]
    return found[:BITE]


def after(sweep: Sweep, bite: list[tuple[int, str]]) -> Sweep | None:
    return walked(sweep, bite[-1] if len(bite) == BITE else None)


def test_the_first_boundary_looks_at_everybody_and_is_history() -> None:
    sweep = sweep_for(None, boundary(1, 200, 100), None)

    assert sweep is not None
    assert sweep.ranges == (EVERYBODY,)
    assert sweep.is_first


def test_a_boundary_of_equal_content_moves_nobody() -> None:
    assert sweep_for(boundary(1, 200, 100), boundary(2, 200, 100), None) is None


def test_only_customers_between_an_old_mark_and_the_new_one_are_looked_at() -> None:
    sweep = sweep_for(boundary(1, 200, 100), boundary(2, 205, 98), None)

    assert sweep is not None
    assert (sweep.ranges, sweep.is_first) == (((88, 89), (98, 99), (190, 194), (200, 204)), False)


def test_ranges_that_touch_are_one() -> None:
    sweep = sweep_for(boundary(1, 200, 100), boundary(2, 230, 100), None)

    assert sweep is not None
    assert sweep.ranges == ((190, 229),)


def test_a_walk_that_is_widened_for_ever_falls_back_to_its_hull() -> None:
    adopted, sweep = boundary(0, 100_000, 10), None
    for number in range(1, 40):
        new = boundary(number, 100_000 + number * 100 * (-1) ** number, 10)
        sweep, adopted = sweep_for(adopted, new, sweep), new

    assert sweep is not None
    assert len(sweep.ranges) <= RANGES_KEPT


def test_announcing_for_the_first_time_looks_at_everybody() -> None:
    sweep = sweep_for(boundary(1, 200, 100, is_announced=False), boundary(2, 200, 100), None)

    assert sweep is not None
    assert (sweep.ranges, sweep.is_first) == ((EVERYBODY,), True)


@pytest.mark.parametrize("seed", range(30))
def test_everybody_in_range_is_looked_at_after_the_last_adoption(seed: int) -> None:
    chance = random.Random(seed)
    adopted = boundary(1, 200, 100)
    sweep: Sweep | None = None
    looked_at: set[tuple[int, str]] = set()
    expected: set[tuple[int, str]] = set()
    for number in range(2, 7):
        new = boundary(number, chance.randrange(60, 390), chance.randrange(20, 50))
        sweep = sweep_for(adopted, new, sweep)
        adopted = new
        if sweep is None:
            continue
        expected = {pair for pair in CUSTOMERS if any(low <= pair[0] <= high for low, high in sweep.ranges)}
        looked_at = set()
        for _ in range(chance.randrange(0, 6)):
            if sweep is None:
                break
            bite = bite_of(sweep)
            looked_at.update(bite)
            sweep = after(sweep, bite)

    while sweep is not None:
        bite = bite_of(sweep)
        looked_at.update(bite)
        sweep = after(sweep, bite)

    assert looked_at >= expected
