from decimal import Decimal
from itertools import product

import pytest

from segmenter.domain.conditions import All, AnyOf, Bound, Comparison, Condition, Measure, Measured
from segmenter.domain.truths import NEVER_FALSE, NEVER_TRUE, oddity_of

WHOLE = [Decimal(number) for number in range(4)]
HALVES = [Decimal(number) / 2 for number in range(-2, 4)]
MANY_WHOLE = [Decimal(number) for number in range(8)]
MANY = [Decimal(number) / 4 for number in range(-20, 20)]


def bounds_over(thresholds: list[Decimal]) -> list[Bound]:
    pairs = [(least, most) for least, most in product(thresholds, thresholds) if least <= most]
    return [
        *(Bound(one, least) for one in Comparison if one is not Comparison.BETWEEN for least in thresholds),
        *(Bound(Comparison.BETWEEN, least, most) for least, most in pairs),
    ]


@pytest.mark.parametrize(
    ("measure", "thresholds", "values"),
    [(Measure.ORDERS, WHOLE, MANY_WHOLE), (Measure.NET_REVENUE, HALVES, MANY)],
)
def test_two_bounds_are_called_impossible_when_no_value_is_within_both(
    measure: Measure, thresholds: list[Decimal], values: list[Decimal]
) -> None:
    for one, other in product(bounds_over(thresholds), repeat=2):
        parts = (Measured(measure, one), Measured(measure, other))
        alone = [oddity_of(part) for part in parts]
        is_possible = any(one.holds(value) and other.holds(value) for value in values)
        is_called_impossible = any((found or "").startswith(NEVER_TRUE) for found in [*alone, oddity_of(All(parts))])

        assert is_called_impossible != is_possible, (one, other)


@pytest.mark.parametrize(
    ("measure", "thresholds", "values"),
    [(Measure.ORDERS, WHOLE, MANY_WHOLE), (Measure.NET_REVENUE, HALVES, MANY)],
)
def test_two_bounds_are_called_certain_when_every_value_is_within_one(
    measure: Measure, thresholds: list[Decimal], values: list[Decimal]
) -> None:
    for one, other in product(bounds_over(thresholds), repeat=2):
        parts = (Measured(measure, one), Measured(measure, other))
        is_certain = all(one.holds(value) or other.holds(value) for value in values)
        is_called_certain = (oddity_of(AnyOf(parts)) or "").startswith(NEVER_FALSE)

        assert is_called_certain == is_certain, (one, other)


def test_a_number_that_may_not_be_there_is_never_certain() -> None:
    at_least_none: Condition = Measured(Measure.REFUND_RATE, Bound(Comparison.AT_LEAST, Decimal(0)))

    assert oddity_of(at_least_none) is None
