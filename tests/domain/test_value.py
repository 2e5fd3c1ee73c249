"""Value classes: shares of whole tie groups, a band that holds, a dwell that waits."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmenter.domain.causes import PeersMoved, Tick
from segmenter.domain.changes import CauseKind, ChangeSet
from segmenter.domain.profile import LIFECYCLE, VALUE, Standing
from segmenter.domain.rulebook import ValueRule
from segmenter.domain.step import step
from segmenter.domain.value import (
    FINE,
    Boundary,
    Marks,
    bucket_floor,
    bucket_of,
    coarse_of,
    grade,
    histogram,
    is_fall,
    share_above,
    sorted_marks,
)
from tests.domain.shopper import BOUNDARY, MARKS, RULES, after, at, days, kept, later, placed, record, refunded, told

PLAIN = ValueRule(band=Decimal(0), dwell=0, min_ranked=1)
NO_DWELL = replace(RULES, value=replace(RULES.value, dwell=0))
POORER = replace(BOUNDARY, number=2, marks=Marks(a=2_000, a_stay=1_500, b=1_000, b_stay=500))
RICHER = replace(BOUNDARY, number=2, marks=Marks(a=90_000, a_stay=80_000, b=40_000, b_stay=30_000))


@pytest.mark.parametrize(
    ("revenue", "present", "segment"),
    [
        (10_000, None, "A"),
        (9_999, None, "B"),
        (9_999, "A", "A"),
        (8_000, "A", "A"),
        (7_999, "A", "B"),
        (9_999, "B", "B"),
        (5_000, None, "B"),
        (4_999, None, "C"),
        (4_999, "B", "B"),
        (4_000, "B", "B"),
        (3_999, "B", "C"),
        (4_999, "A", "C"),
        (4_999, "C", "C"),
        (0, "B", "C"),
        (-500, "A", "C"),
    ],
)
def test_the_band_holds_only_who_is_in_the_class(revenue: int, present: str | None, segment: str) -> None:
    assert grade(revenue, present, MARKS) == segment


@pytest.mark.parametrize(
    ("before", "after_it", "falls"), [("A", "B", True), ("B", "A", False), (None, "C", False), ("B", "B", False)]
)
def test_a_fall_goes_down_the_alphabet(before: str | None, after_it: str, falls: bool) -> None:
    assert is_fall(before, after_it) is falls


@pytest.mark.parametrize(
    ("revenues", "a", "b"),
    [
        ([80, 15, 5], 80, 15),
        ([79, 16, 5], 16, 16),
        ([1], 1, 1),
        ([10, 10, 10, 10], 10, 10),
        ([50, 30, 30, 5, 5], 30, 5),
        ([80, 10, 10], 80, 10),
        ([0, -7, 80, 15, 5], 80, 15),
    ],
)
def test_a_class_is_the_shortest_run_of_whole_tie_groups_that_reaches_its_share(
    revenues: list[int], a: int, b: int
) -> None:
    marks = sorted_marks(revenues, PLAIN)

    assert marks == Marks(a=a, a_stay=a, b=b, b_stay=b)


def test_with_nobody_ranked_there_are_no_marks() -> None:
    assert sorted_marks([0, -5], PLAIN) is None


def test_the_band_lengthens_the_run_and_ends_at_the_whole() -> None:
    marks = sorted_marks([80, 10, 5, 3, 2], replace(PLAIN, band=Decimal("0.1")))

    assert marks == Marks(a=80, a_stay=10, b=5, b_stay=2)


def test_shares_are_exact_where_floats_are_not() -> None:
    # 0.8 of 10**18 + 5 is not a whole number of cents; a float would call the first one enough.
    enough, total = 8 * 10**17 + 4, 10**18 + 5

    marks = sorted_marks([enough - 1, total - enough, 1], PLAIN)

    assert marks is not None
    assert marks.a == total - enough


@given(st.integers(1, 2**70))
def test_a_bucket_holds_what_lies_between_its_floor_and_the_next(revenue: int) -> None:
    bucket = bucket_of(revenue)

    assert bucket_floor(bucket) <= revenue < bucket_floor(bucket + 1) or revenue < FINE
    assert bucket_floor(bucket) <= revenue
    assert coarse_of(bucket) == revenue.bit_length() - 1


@given(st.integers(1, 2**60), st.integers(1, 2**60))
def test_buckets_rise_with_revenue(one: int, other: int) -> None:
    low, high = sorted((one, other))

    assert bucket_of(low) <= bucket_of(high)


@given(st.lists(st.integers(1, 10**6)))
def test_a_histogram_keeps_every_customer_and_cent(revenues: list[int]) -> None:
    buckets = histogram(revenues)

    assert sum(count for count, _ in buckets.values()) == len(revenues)
    assert sum(total for _, total in buckets.values()) == sum(revenues)


def test_the_share_of_those_above_is_exact_at_known_points_and_linear_between() -> None:
    shares = ((1_000, 0.2), (500, 0.6), (100, 0.9))

    estimates = [share_above(revenue, shares) for revenue in (2_000, 1_000, 750, 500, 100)]

    assert estimates == pytest.approx([0.2, 0.2, 0.4, 0.6, 0.9])


def test_a_first_order_comes_with_its_class() -> None:
    transition = record(after(), placed(amount="100.00"), boundary=BOUNDARY)

    assert told(transition) == [(LIFECYCLE, None, "new"), (VALUE, None, "A")]


def test_a_prospect_has_no_class() -> None:
    assert after(refunded(order=None), boundary=BOUNDARY).segment_in(VALUE) is None


def test_a_buyer_with_nothing_left_in_the_window_is_c() -> None:
    profile = after(placed(amount="50.00"), refunded(order=None, amount="50.00", day=8), boundary=BOUNDARY)

    assert (profile.totals.window_net, profile.segment_in(VALUE)) == (0, "C")


def test_a_rise_is_at_once() -> None:
    b = after(placed("o1", "50.00"), boundary=BOUNDARY)

    assert (VALUE, "B", "A") in told(record(b, placed("o2", "50.00", day=1), boundary=BOUNDARY))


def test_a_fall_waits_until_the_dwell_has_passed_since_the_class_was_entered() -> None:
    a = after(placed("o1", "60.00"), placed("o2", "60.00", day=1), boundary=BOUNDARY)

    fallen = kept(record(a, refunded(order=None, amount="50.00", day=2), boundary=BOUNDARY))
    waited = step(fallen, Tick(at(8)), RULES, BOUNDARY)

    assert (fallen.segment_in(VALUE), fallen.wake_at) == ("A", at(8))
    assert told(step(fallen, Tick(at(8) - 1), RULES, BOUNDARY)) == []
    assert told(waited) == [(VALUE, "A", "B")]
    assert kept(waited).present[VALUE] == Standing("B", at(8))


def test_a_fall_that_is_made_good_within_the_dwell_never_happened() -> None:
    a = after(placed("o1", "60.00"), placed("o2", "60.00", day=1), boundary=BOUNDARY)
    fallen = kept(record(a, refunded(order=None, amount="50.00", day=2), boundary=BOUNDARY))

    made_good = later(
        kept(record(fallen, placed("o3", "60.00", day=3), boundary=BOUNDARY)), Tick(at(30)), boundary=BOUNDARY
    )

    assert made_good.present[VALUE] == Standing("A", at(1))
    assert made_good.sequence == fallen.sequence


def test_a_fall_long_after_entering_is_at_once() -> None:
    a = after(placed("o1", "120.00"), boundary=BOUNDARY)

    assert told(record(a, refunded(order=None, amount="50.00", day=7), boundary=BOUNDARY)) == [(VALUE, "A", "B")]


def test_revenue_leaves_the_window_at_its_time_plus_the_window() -> None:
    a = after(placed("o1", "60.00"), placed("o2", "60.00", day=100), boundary=BOUNDARY, rules=NO_DWELL)

    before = later(a, Tick(at(365) - 1), rules=NO_DWELL, boundary=BOUNDARY)
    transition = step(before, Tick(at(365)), NO_DWELL, BOUNDARY)

    assert before.segment_in(VALUE) == "A"
    assert told(transition) == [(VALUE, "A", "B")]
    assert kept(transition).totals.window_net == 6_000


def test_a_refund_of_an_order_leaves_the_window_with_it() -> None:
    profile = after(placed("o1", "60.00"), refunded(amount="20.00", day=100), placed("o2", "60.00", day=200))

    assert later(profile, Tick(at(365))).totals.window_net == 6_000


def test_a_refund_without_an_order_leaves_the_window_at_its_own_time() -> None:
    profile = after(
        placed("o1", "60.00"), refunded(order=None, amount="20.00", day=100), placed("o2", "60.00", day=200)
    )

    assert later(profile, Tick(at(365))).totals.window_net == 4_000
    assert later(profile, Tick(at(465))).totals.window_net == 6_000


@pytest.mark.parametrize(
    ("boundary", "changes"), [(POORER, [(VALUE, "B", "A")]), (RICHER, [(VALUE, "B", "C")]), (BOUNDARY, [])]
)
def test_peers_move_a_customer_who_did_nothing(boundary: Boundary, changes: list[tuple[str, str, str]]) -> None:
    b = after(placed(amount="50.00"), boundary=BOUNDARY)

    transition = step(b, PeersMoved(at(20)), RULES, boundary)

    assert told(transition) == changes
    assert all(said.cause.kind is CauseKind.PEERS for said in transition.said if isinstance(said, ChangeSet))


def test_a_fall_by_peers_waits_for_the_dwell_too() -> None:
    b = after(placed(amount="50.00"), boundary=BOUNDARY)

    held = later(b, PeersMoved(at(1)), boundary=RICHER)

    assert (held.segment_in(VALUE), held.wake_at) == ("B", at(7))
    assert later(held, Tick(at(7)), boundary=RICHER).segment_in(VALUE) == "C"


def test_below_min_ranked_classes_are_computed_and_not_announced() -> None:
    silent = replace(BOUNDARY, is_announced=False)

    transition = record(after(), placed(amount="100.00"), boundary=silent)

    assert told(transition) == [(LIFECYCLE, None, "new")]
    assert kept(transition).segment_in(VALUE) == "A"


def test_what_was_not_announced_is_told_when_enough_are_ranked() -> None:
    silent = after(placed(amount="100.00"), boundary=replace(BOUNDARY, is_announced=False))

    transition = step(silent, PeersMoved(at(1)), RULES, BOUNDARY)

    assert told(transition) == [(VALUE, None, "A")]


def test_the_window_of_all_history_lets_nothing_go() -> None:
    rules = replace(RULES, value=replace(RULES.value, window=None))

    profile = later(after(placed(amount="60.00"), rules=rules), Tick(at(10_000) + days(1)), rules=rules)

    assert profile.totals.window_net == 6_000


def test_what_peers_do_to_a_customer_comes_after_what_he_did_himself() -> None:
    buyer = after(placed(day=10), boundary=BOUNDARY)

    moved = step(buyer, PeersMoved(at(9)), RULES, POORER)

    sets = [said for said in moved.said if isinstance(said, ChangeSet)]
    assert [(said.changes[0].after, said.effective_at) for said in sets] == [("A", at(10))]
    assert kept(moved).present[VALUE].since == at(10)
