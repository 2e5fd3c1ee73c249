"""Corners of declared segments that random histories found, or hardly ever find."""

from collections.abc import Sequence as Many
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from segmenter.domain.causes import Arrived, Tick
from segmenter.domain.changes import ChangeSet, Reason
from segmenter.domain.conditions import (
    Announce,
    Bound,
    Comparison,
    Definition,
    Field,
    Filter,
    Follow,
    InDimension,
    Measure,
    Measured,
    Sequence,
)
from segmenter.domain.events import Click, CustomerUpdated, Event, Item, OrderPlaced, SupportRated
from segmenter.domain.instants import BEGINNING, DAY, HOUR, instant_of
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import CareRule, EngagementRule, Rulebook
from segmenter.domain.step import step
from segmenter.domain.windows import Window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_click_far_ahead_of_the_settled_time_warms_up_as_if_it_were_now() -> None:
    rulebook = Rulebook(engagement=EngagementRule())

    profile, _ = played([click(NOON)], rulebook, settle_to=BEGINNING)

    assert profile.segment_in("engagement") == "warm"


def test_a_cooldown_does_not_hold_who_was_never_in() -> None:
    buyers = Definition(
        name="buyers",
        when=InDimension("lifecycle", ("new",)),
        cooldown=30 * DAY,
        announce=Announce.ALL,
    )

    _, said = played([click(NOON), order(NOON + timedelta(hours=1))], Rulebook(segments=(buyers,)))

    moves = [(c.before, c.after) for told in said for c in told.changes if c.dimension == "custom.buyers"]
    assert moves == [(None, "out"), ("out", "in")]


def test_an_order_in_a_sequence_has_item_and_category_in_one_line() -> None:
    where = Filter(((Field.CATEGORY, ("hats",)), (Field.ITEM, ("boot",))))
    rulebook = following(Follow("click"), Follow("order", where))
    apart = order(NOON, Item(item="boot", category="shoes"), Item(item="cap", category="hats"))
    together = order(NOON, Item(item="boot", category="hats"))

    assert played([click(NOON), apart], rulebook)[0].segment_in("custom.s") is None
    assert played([click(NOON), together], rulebook)[0].segment_in("custom.s") == "in"


def test_events_of_one_instant_fit_a_sequence_in_any_order() -> None:
    any_click, basket = Follow("click"), Follow("click", Filter(((Field.KIND, ("basket",)),)))
    rulebook = following(basket, any_click)

    profile, _ = played([click(NOON, "view"), click(NOON, "basket")], rulebook)

    assert profile.segment_in("custom.s") == "in"


def test_a_sequence_of_many_equal_steps_takes_no_time_to_find() -> None:
    """Every choice of 6 among 50 would be 16 millions."""
    rulebook = following(*[Follow("click")] * 5, Follow("order"))
    clicks = [click(NOON + timedelta(seconds=number)) for number in range(49)]

    profile, _ = played([*clicks, order(NOON + timedelta(minutes=5))], rulebook)

    assert profile.segment_in("custom.s") == "in"


def following(*steps: Follow) -> Rulebook:
    """Return rules with one segment: these steps within an hour."""
    return Rulebook(segments=(Definition(name="s", when=Sequence(steps, HOUR)),))


def click(at: datetime, kind: str = "view") -> Click:
    """Return a click."""
    return Click(occurred_at=at, kind=kind, customer_id="c1")


def order(at: datetime, *items: Item) -> OrderPlaced:
    """Return an order with these lines."""
    return OrderPlaced(
        occurred_at=at, order_id="o1", amount=Decimal(10), currency="EUR", items=items, customer_id="c1"
    )


def played(events: Many[Event], rulebook: Rulebook, settle_to: int | None = None) -> tuple[Profile, list[ChangeSet]]:
    """Return the profile after these events, and what was told."""
    profile, told = Profile(customer="c1"), list[ChangeSet]()
    for number, event in enumerate(events):
        at = instant_of(event.occurred_at)
        cause = Arrived(event=event, at=at, event_id=f"e{number}", settle_to=at if settle_to is None else settle_to)
        transition = step(profile, cause, rulebook)
        assert transition.profile is not None
        profile = transition.profile
        told += [said for said in transition.said if isinstance(said, ChangeSet)]
    return profile, told


def test_who_became_unhappy_is_told_by_the_answer_that_made_him_so() -> None:
    rulebook = Rulebook(care=CareRule())
    rated = SupportRated(occurred_at=datetime(2026, 3, 1, tzinfo=UTC), customer_id="c", score=1, scale="csat")
    at = instant_of(rated.occurred_at)

    said = step(Profile("c"), Arrived(rated, at, "e-1", at), rulebook).said

    reasons = [reason for told in said if isinstance(told, ChangeSet) for reason in told.reasons]
    assert (
        Reason(
            dimension="care",
            condition="last csat answer within 30d",
            actual="1 at 2026-03-01T00:00:00.000Z",
            threshold="<= 2",
        )
        in reasons
    )


def test_an_update_that_comes_twice_is_one_step_of_a_sequence() -> None:
    updated = CustomerUpdated(occurred_at=NOON, event_id="u-1", customer_id="c", attributes={"is_member": True})
    twice = Sequence(steps=(Follow("customer.updated"), Follow("customer.updated")), within=DAY)
    rulebook = Rulebook(segments=(Definition(name="twice", when=twice),))
    cause = Arrived(updated, instant_of(NOON), "u-1", instant_of(NOON))

    once = step(Profile("c"), cause, rulebook).profile
    again = once and step(once, cause, rulebook).profile

    assert again is not None
    assert again.segment_in("custom.twice") is None


def test_a_count_that_falls_by_two_at_once_meets_its_bound_with_one_more() -> None:
    once = Measured(Measure.CLICKS, Bound(Comparison.EQUALS, Decimal(1)), Window(3 * DAY))
    rulebook = Rulebook(segments=(Definition(name="once", when=once),))
    clicks = [click(NOON), click(NOON), click(NOON + timedelta(hours=6))]

    profile, _ = played(clicks, rulebook)
    at_the_exit = step(profile, Tick(instant_of(NOON) + 3 * DAY), rulebook).profile

    assert profile.segment_in("custom.once") == "out"
    assert at_the_exit is not None
    assert at_the_exit.segment_in("custom.once") == "in"
