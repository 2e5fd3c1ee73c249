"""What a quintile is, and what is said of one."""

from datetime import UTC, datetime

import pytest

from segmenter.adapters.rulebook_file import parse_rulebook
from segmenter.domain.account import Inquiry
from segmenter.domain.causes import Arrived, PeersMoved, Tick
from segmenter.domain.changes import ChangeSet, Reason
from segmenter.domain.conditions import Score
from segmenter.domain.events import OrderPlaced
from segmenter.domain.instants import DAY, instant_of
from segmenter.domain.profile import Profile
from segmenter.domain.quintiles import Bounds, Cuts, scored, sorted_bounds
from segmenter.domain.ranking import BY_SCORE
from segmenter.domain.step import step
from segmenter.domain.value import Boundary, Marks
from tests.oracle.quintiles import score_in

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
AT = instant_of(NOON)
RULES = parse_rulebook(
    b"""
rulebook: 1
rfm:
  recency: quintiles
  frequency: [1, 2, 3, 6]
  monetary: quintiles
  groups: {best: {m: 5}, worst: {m: 1}}
""",
    "rules",
    None,
)


def boundary_of(monetary: Bounds, *, is_announced: bool = True) -> Boundary:
    bounds = {Score.RECENCY: (AT - 9, AT - 5, AT, AT + 9), Score.MONETARY: monetary}
    cuts = Cuts(bounds=bounds, ranked=70, is_announced=is_announced)
    return Boundary(number=1, marks=Marks(a=1, a_stay=1, b=1, b_stay=1), ranked=70, total=1, cuts=cuts)


def buyer(boundary: Boundary | None) -> tuple[Profile, list[ChangeSet]]:
    """Return one with an order of 50.00 at noon, and what was told of it."""
    order = OrderPlaced(
        customer_id="c",
        event_id="e",
        occurred_at=NOON,
        order_id="o",
        amount=50,
        currency="EUR",  # type: ignore[arg-type]
    )
    came = step(Profile(customer="c"), Arrived(order, AT, "e", AT), RULES, boundary)
    assert came.profile is not None
    return came.profile, [said for said in came.said if isinstance(said, ChangeSet)]


@pytest.mark.parametrize(
    ("numbers", "bounds"),
    [
        (range(1, 11), (2, 4, 6, 8)),
        (range(1, 6), (1, 2, 3, 4)),
        ([7], (7, 7, 7, 7)),
        ([1, 1, 1, 2, 9], (1, 1, 1, 2)),
        ([3, 3, 3, 3], (3, 3, 3, 3)),
        ([], None),
    ],
)
def test_a_bound_is_the_nearest_rank(numbers: list[int], bounds: Bounds | None) -> None:
    assert sorted_bounds(numbers) == bounds


@pytest.mark.parametrize("numbers", [list(range(23)), [1] * 9 + [2] * 4 + [30], [5, 5, 6, 7, 7, 7, 7, 8, 100]])
def test_a_score_is_what_counting_those_below_gives_and_equals_share_it(numbers: list[int]) -> None:
    bounds = sorted_bounds(numbers)

    assert bounds is not None
    assert [scored(number, bounds) for number in numbers] == [score_in(number, numbers) for number in numbers]


def test_before_the_first_bounds_there_is_no_group_but_a_place_in_each_ranking() -> None:
    profile, told = buyer(None)

    assert profile.segment_in("rfm") is None
    assert profile.places == {BY_SCORE[Score.RECENCY]: AT + 1, BY_SCORE[Score.MONETARY]: 5_001}
    assert told[0].traits.scores is None


def test_who_is_overtaken_moves_by_his_peers_and_the_reasons_name_number_and_bounds() -> None:
    profile, _ = buyer(boundary_of((1_000, 2_000, 3_000, 4_999)))

    moved = step(profile, PeersMoved(AT + DAY), RULES, boundary_of((5_000, 6_000, 7_000, 8_000)))

    told = [said for said in moved.said if isinstance(said, ChangeSet)]
    assert [(c.before, c.after) for c in told[0].changes if c.dimension == "rfm"] == [("best", "worst")]
    assert told[0].cause.kind == "peers"
    assert [reason for reason in told[0].reasons if reason.dimension == "rfm"] == [
        Reason(dimension="rfm", condition="scores", actual="r3 m1 f1", threshold="worst"),
        Reason(
            dimension="rfm",
            condition="recency quintile",
            actual="3: 2026-05-04T12:00:00.000Z",
            threshold="> 2026-05-04T11:59:59.999995Z, <= 2026-05-04T12:00:00.000Z",
        ),
        Reason(dimension="rfm", condition="monetary quintile", actual="1: 50.00", threshold="<= 50.00"),
    ]


def test_time_alone_moves_no_score_that_is_cut() -> None:
    boundary = boundary_of((1_000, 2_000, 3_000, 4_999))
    profile, _ = buyer(boundary)

    aged = step(profile, Tick(AT + 9_999 * DAY), RULES, boundary)

    assert aged.profile is not None
    assert (aged.profile.segment_in("rfm"), aged.profile.segment_in("lifecycle")) == ("best", "inactive")
    told = [said.traits.scores for said in aged.said if isinstance(said, ChangeSet)]
    assert told[-1] == (3, 1, 5)


def test_too_few_who_are_ranked_are_grouped_and_not_told() -> None:
    boundary = boundary_of((1_000, 2_000, 3_000, 4_999), is_announced=False)

    profile, told = buyer(boundary)

    assert profile.segment_in("rfm") == "best"
    assert not any(change.dimension == "rfm" for said in told for change in said.changes)
    notes = Inquiry(profile, AT, RULES, boundary).account_of("rfm").notes
    assert "groups are computed but not announced: 70 customers are ranked, min_ranked is 50" in notes
    assert "m5: monetary quintile, 50.00, which is > 49.99" in notes


def test_the_question_why_says_that_there_are_no_quintiles_yet() -> None:
    profile, _ = buyer(None)

    rules = Inquiry(profile, AT, RULES, None).account_of("rfm").rules

    assert {rule.missing for rule in rules} == {("quintiles the first ones: the first quintiles",)}
