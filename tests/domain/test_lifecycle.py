"""Lifecycle: prospect, new, repeat, inactive, and back."""

from dataclasses import replace

import pytest

from segmenter.domain.causes import Arrived, Tick
from segmenter.domain.changes import CauseKind, ChangeSet
from segmenter.domain.events import Click, CustomerUpdated, Event
from segmenter.domain.instants import instant_of
from segmenter.domain.profile import LIFECYCLE, VALUE
from segmenter.domain.rulebook import LifecycleRule
from segmenter.domain.step import step
from tests.domain.shopper import (
    BOUNDARY,
    RULES,
    after,
    at,
    cancelled,
    days,
    kept,
    later,
    on,
    placed,
    record,
    refunded,
    told,
)

NINETY_DAYS = replace(RULES, lifecycle=LifecycleRule(inactive_after=days(90)))


def click(day: float = 0) -> Click:
    return Click(customer_id="c1", occurred_at=on(day), kind="view")


@pytest.mark.parametrize(
    ("events", "segment"),
    [
        ([click()], "prospect"),
        ([placed()], "new"),
        ([click(), placed(day=1)], "new"),
        ([placed("o1"), placed("o2", day=1)], "repeat"),
        ([placed("o1"), placed("o2"), cancelled("o2")], "new"),
        ([placed("o1"), cancelled("o1")], "prospect"),
        ([refunded(order=None)], "prospect"),
    ],
)
def test_the_number_of_counting_orders_makes_the_segment(events: list[Event], segment: str) -> None:
    assert after(*events).segment_in(LIFECYCLE) == segment


def test_the_first_sight_of_a_buyer_is_one_change_from_nothing() -> None:
    assert told(record(after(), placed())) == [(LIFECYCLE, None, "new")]


def test_a_moment_before_the_deadline_the_customer_is_not_inactive() -> None:
    profile = later(after(placed()), Tick(at(90) - 1), rules=NINETY_DAYS)

    assert profile.segment_in(LIFECYCLE) == "new"


def test_at_the_exact_instant_of_the_deadline_the_customer_is_inactive() -> None:
    transition = step(after(placed(), rules=NINETY_DAYS), Tick(at(90)), NINETY_DAYS)

    (said,) = [said for said in transition.said if isinstance(said, ChangeSet)]
    assert told(transition) == [(LIFECYCLE, "new", "inactive")]
    assert (said.cause.kind, said.effective_at) == (CauseKind.TIME, at(90))


def test_a_late_timer_stamps_the_change_with_the_deadline() -> None:
    transition = step(after(placed(), rules=NINETY_DAYS), Tick(at(200)), NINETY_DAYS)

    (said,) = [said for said in transition.said if isinstance(said, ChangeSet)]
    assert said.effective_at == at(90)


def test_an_order_at_the_very_deadline_comes_after_the_silence() -> None:
    transition = record(after(placed(), rules=NINETY_DAYS), placed("o2", day=90), rules=NINETY_DAYS)

    assert told(transition) == [(LIFECYCLE, "new", "inactive"), (LIFECYCLE, "inactive", "repeat")]


def test_who_orders_again_is_back_as_repeat() -> None:
    inactive = later(after(placed(), rules=NINETY_DAYS), Tick(at(100)), rules=NINETY_DAYS)

    assert told(record(inactive, placed("o2", day=101), rules=NINETY_DAYS)) == [(LIFECYCLE, "inactive", "repeat")]


def test_who_orders_again_with_nothing_left_of_the_first_is_new() -> None:
    events = placed("o1"), placed("o2", day=1), cancelled("o1", day=2), refunded(order="o2", amount="49.00", day=2)
    inactive = later(after(*events, rules=NINETY_DAYS), Tick(at(100)), rules=NINETY_DAYS)

    back = kept(record(inactive, cancelled("o2", day=101), rules=NINETY_DAYS))
    back = kept(record(back, placed("o3", day=102), rules=NINETY_DAYS))

    assert back.segment_in(LIFECYCLE) == "new"


def test_a_click_does_not_put_off_inactivity() -> None:
    profile = after(placed(), click(day=89), rules=NINETY_DAYS)

    assert later(profile, Tick(at(90)), rules=NINETY_DAYS).segment_in(LIFECYCLE) == "inactive"


def test_a_late_order_takes_inactivity_back_at_once() -> None:
    inactive = later(after(placed(), rules=NINETY_DAYS), Tick(at(90)), rules=NINETY_DAYS)

    transition = record(inactive, placed("o2", day=50), rules=NINETY_DAYS)

    (said,) = [said for said in transition.said if isinstance(said, ChangeSet)]
    assert told(transition) == [(LIFECYCLE, "inactive", "repeat")]
    assert (said.cause.kind, said.effective_at) == (CauseKind.LATE_EVENT, at(90))


def test_cancelling_the_last_order_brings_the_deadline_forward() -> None:
    profile = after(placed("o1"), placed("o2", day=40), cancelled("o2", day=41), rules=NINETY_DAYS)

    assert profile.wake_at == at(90)


def test_a_lane_that_is_behind_concludes_nothing_from_a_later_event() -> None:
    order_of_day_0 = after(placed(), rules=NINETY_DAYS)
    ahead = click(day=200)
    cause = Arrived(event=ahead, at=instant_of(ahead.occurred_at), event_id="k", settle_to=at(10))

    transition = step(order_of_day_0, cause, NINETY_DAYS)

    assert (told(transition), kept(transition).settled_at) == ([], at(10))


def test_an_anonymous_visitor_has_no_lifecycle_and_no_class() -> None:
    visitor = replace(after(), customer="anon:v1")

    profile = kept(record(visitor, click(), boundary=BOUNDARY))

    assert profile.present == {}


def test_an_anonymous_visitor_is_forgotten_30_days_after_the_last_event() -> None:
    visitor = kept(record(replace(after(), customer="anon:v1"), click()))
    visitor = kept(record(visitor, click(day=10)))

    assert later(visitor, Tick(at(40) - 1)).customer == "anon:v1"
    assert step(visitor, Tick(at(40)), RULES).profile is None


def test_staff_are_taken_out_of_everything() -> None:
    buyer = after(placed(), boundary=BOUNDARY)
    exclude = CustomerUpdated(customer_id="c1", occurred_at=on(1), attributes={"exclude": True})

    transition = record(buyer, exclude, boundary=BOUNDARY)

    assert told(transition) == [(LIFECYCLE, "new", None), (VALUE, "B", None)]
    assert kept(transition).ranked_revenue is None


def test_who_is_staff_no_more_stands_where_his_orders_put_him() -> None:
    staff = after(placed("o1"), CustomerUpdated(customer_id="c1", occurred_at=on(1), attributes={"exclude": True}))
    placed_meanwhile = kept(record(staff, placed("o2", day=2)))
    back = CustomerUpdated(customer_id="c1", occurred_at=on(400), attributes={"exclude": False})

    profile = kept(record(placed_meanwhile, back))

    assert profile.segment_in(LIFECYCLE) == "inactive"
    assert (profile.totals.net, profile.totals.window_net) == (10_000, 0)
