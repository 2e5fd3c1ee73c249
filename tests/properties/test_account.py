"""What is told of the rules is what the evaluator decides by, after any history."""

from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from segmenter.adapters.rulebook_file import parse_rulebook
from segmenter.domain.account import Inquiry, dimensions_in, is_declared_name
from segmenter.domain.causes import Arrived, Tick
from segmenter.domain.events import Click, Event
from segmenter.domain.instants import instant_of
from segmenter.domain.outlook import turns_ahead
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import step
from segmenter.domain.value import Boundary
from tests.properties.histories import boundaries, by_time, histories, moments

RULES = parse_rulebook(
    b"""
rulebook: 1
rates: {USD: "0.92", JPY: "0.0061"}
lifecycle: {inactive_after: 60h}
value: {window: 108h, band: 0.2, dwell: 12h, min_ranked: 1}
rfm:
  recency: [12h, 24h, 48h, 96h]
  frequency: [1, 2, 3, 4]
  monetary: ["10.00", "20.00", "30.00", "40.00"]
  groups: {best: {r: ">=4", f: ">=2"}, rich: {m: ">=3"}, fresh: {r: ">=4"}}
engagement: {half_life: 12h, hot: 2, warm: 1}
interest: {half_life: 12h, margin: 1.2}
care: {unhappy_for: 24h, csat_at_most: 3, returns: 2, returns_within: 48h}
rhythm: {factor: 2, orders: 2, fallback: 36h}
segments:
  buyers: {when: {measure: orders, within: 48h, at_least: 2}, stay_at_least: 24h}
  quiet:
    when: {absent: any, for: 24h}
    leave_when: {measure: orders, within: 12h, at_least: 1}
    cooldown: 36h
  both: {when: {all: [{segment: buyers}, {not: {measure: open_tickets, at_least: 1}}]}}
  either: {when: {any: [{measure: clicks, within: 24h, at_least: 1}, {in: {lifecycle: [inactive]}}]}}
""",
    "test",
    None,
)

# Each example asks about twelve dimensions; a third of the usual number takes as long as other properties.
FEW = settings.default.max_examples // 3 if settings.default is not None else 30

clicks = st.builds(
    Click, customer_id=st.just("c1"), kind=st.just("view"), category=st.sampled_from(["a", "b"]), occurred_at=moments
)


@settings(max_examples=FEW)
@given(histories(["c1"]), st.lists(clicks, max_size=4), moments, boundaries() | st.none())
def test_the_rule_that_holds_is_the_segment_he_is_in(
    history: list[Event], extra: list[Click], now: datetime, boundary: Boundary | None
) -> None:
    profile = lived([*history, *extra], boundary)

    inquiry = Inquiry(profile, instant_of(now), RULES, boundary)

    if inquiry.profile.is_excluded or not inquiry.profile.is_known:
        return
    for dimension in dimensions_in(RULES):
        account = inquiry.account_of(dimension)
        holding = [rule.segment for rule in account.rules if rule.tree.holds]
        if is_declared_name(dimension):
            moves_in = account.segment == "out" and "in" in holding
            moves_out = account.segment == "in" and (
                holding != ["in"] if len(account.rules) == 1 else "out" in holding
            )
            assert not moves_in, (dimension, account)
            assert not moves_out, (dimension, account)
        elif account.segment is None or any("dwell" in note for note in account.notes):
            continue
        elif dimension != "value" or boundary is not None:
            assert holding == [account.segment], (dimension, account)


@settings(max_examples=FEW)
@given(histories(["c1"]), moments, boundaries() | st.none())
def test_what_is_told_to_come_comes_then_and_not_sooner(
    history: list[Event], now: datetime, boundary: Boundary | None
) -> None:
    inquiry = Inquiry(lived(history, boundary), instant_of(now), RULES, boundary)

    turns = turns_ahead(inquiry)

    for turn in turns:
        assert segment_after(inquiry.profile, turn.dimension, turn.at - 1, boundary) == turn.before
        assert segment_after(inquiry.profile, turn.dimension, turn.at, boundary) == turn.after


def segment_after(profile: Profile, dimension: str, at: int, boundary: Boundary | None) -> str | None:
    after = step(profile, Tick(at), RULES, boundary).profile
    assert after is not None
    return after.segment_in(dimension)


def lived(history: list[Event], boundary: Boundary | None, rules: Rulebook = RULES) -> Profile:
    profile = Profile(customer="c1")
    for number, event in enumerate(sorted(history, key=by_time)):
        at = instant_of(event.occurred_at)
        cause = Arrived(event, at, event.event_id or f"x{number}", at, at)
        profile = step(profile, cause, rules, boundary).profile or profile
    return profile


def test_the_rules_cover_every_dimension() -> None:
    assert len(dimensions_in(RULES)) == 8 + 4
