"""What another rulebook would make of a stored customer, without touching him."""

from segmenter.adapters.rulebook_file import parse_rulebook
from segmenter.domain.events import Click
from segmenter.domain.foresight import Foresight
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.value import Boundary, Marks
from tests.domain.shopper import after, at, on, placed


def ruled(text: str) -> Rulebook:
    return parse_rulebook(f"rulebook: 1\n{text}".encode(), "test", None)


def test_a_customer_moves_by_the_rules_that_are_planned_and_stays_as_he_is() -> None:
    profile = after(placed(), rules=Rulebook())
    planned = ruled("lifecycle: {inactive_after: 30d}\nsegments: {buyer: {when: {measure: orders, at_least: 1}}}")
    before = profile.copy()

    foresight = Foresight(Rulebook(), planned)
    seen = foresight.seen(profile, at(40), None, None)

    assert seen.moves() == [("custom.buyer", "out", "in"), ("lifecycle", "new", "inactive")]
    assert foresight.why(seen, "custom.buyer", None) == "orders: 1, asked >= 1"
    assert profile == before


def test_deadlines_up_to_now_are_played_by_the_rules_that_hold() -> None:
    profile = after(placed(), rules=Rulebook())

    seen = Foresight(Rulebook(), Rulebook()).seen(profile, at(200), None, None)

    assert seen.before["lifecycle"] == "inactive"
    assert seen.moves() == []


def test_a_segment_that_is_gone_lets_everybody_go() -> None:
    running = ruled("segments: {buyer: {when: {measure: orders, at_least: 1}}}")
    foresight = Foresight(running, Rulebook(dedupe_horizon=None))

    seen = foresight.seen(after(placed(), rules=running), at(1), None, None)

    assert seen.moves() == [("custom.buyer", "in", "out")]
    assert foresight.why(seen, "custom.buyer", None) == "no longer declared, or not evaluated"


def test_a_draft_is_seen_as_if_it_were_live() -> None:
    planned = ruled("segments: {idea: {state: draft, when: {measure: orders, at_least: 1}}}")

    seen = Foresight(Rulebook(), planned).seen(after(placed()), at(1), None, None)

    assert seen.after["custom.idea"] == "in"


def test_other_value_rules_are_ranked_by_a_full_sort() -> None:
    foresight = Foresight(ruled("value: {window: 365d}"), ruled("value: {window: 30d, min_ranked: 2}"))
    profile = after(placed(amount="60.00", day=0), placed("o2", amount="40.00", day=20))

    assert foresight.ranks_anew
    assert [foresight.revenue_of(profile, at(day)) for day in (25, 40, 60)] == [10_000, 4_000, 0]
    boundary = foresight.boundary_of([10_000, 4_000, 0, 500])
    assert boundary is not None
    assert (boundary.marks, boundary.ranked) == (Marks(a=4_000, a_stay=4_000, b=4_000, b_stay=500), 3)
    assert foresight.boundary_of([0]) is None
    assert not Foresight(Rulebook(), Rulebook()).ranks_anew


def test_what_was_never_counted_is_named() -> None:
    keen = "segments: {keen: {when: {measure: clicks, within: 60d, at_least: 1}}}"
    click = Click(customer_id="c1", kind="view", occurred_at=on(0))

    assert Foresight(Rulebook(), ruled(keen)).uncounted("keen") == ("clicks",)
    assert Foresight(ruled(keen), ruled(keen)).uncounted("keen") == ()
    seen = Foresight(ruled(keen), ruled(keen)).seen(after(click, rules=ruled(keen)), at(1), None, None)
    assert seen.after["custom.keen"] == "in"


def test_classes_are_by_the_boundary_that_is_planned() -> None:
    low = Boundary(number=1, marks=Marks(a=1, a_stay=1, b=1, b_stay=1), ranked=60, total=1)
    high = Boundary(number=2, marks=Marks(a=10**9, a_stay=10**9, b=10**8, b_stay=10**8), ranked=60, total=1)
    profile = after(placed(), rules=ruled("value: {dwell: 0d}"), boundary=low)

    foresight = Foresight(ruled("value: {dwell: 0d}"), ruled("value: {dwell: 0d, a: 0.1}"))

    assert foresight.seen(profile, at(1), low, high).moves() == [("value", "A", "C")]
