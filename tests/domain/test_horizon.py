"""The dedupe horizon: 400 days of event time behind the watermark orders are known one by one, then as totals."""

from dataclasses import replace

import pytest

from segmenter.domain.causes import Arrived, RejectReason, Tick, Transition, Verdict
from segmenter.domain.events import Event
from segmenter.domain.instants import Instant, instant_of
from segmenter.domain.ledger import Folded
from segmenter.domain.profile import Profile
from segmenter.domain.step import step
from tests.domain.shopper import RULES, after, at, cancelled, kept, later, paid, placed, record, refunded, updated


def read_at(profile: Profile, event: Event, watermark: Instant) -> Transition:
    """Return what becomes of an event that is read when the lane has come to `watermark`."""
    happened_at = instant_of(event.occurred_at)
    cause = Arrived(event=event, at=happened_at, event_id="x", settle_to=happened_at, watermark=watermark)
    return step(later(profile, Tick(watermark)), cause, RULES)


def test_a_repeat_399_days_later_falls_away() -> None:
    again = read_at(after(placed()), placed(), at(399))

    assert (again.verdict, again.rejection, kept(again).totals.net) == (Verdict.DUPLICATE, None, 5_000)


@pytest.mark.parametrize("fact", [placed(), refunded(), cancelled(), paid(), updated(amount="1")])
def test_a_fact_of_an_order_of_401_days_ago_is_too_old(fact: Event) -> None:
    transition = read_at(after(placed()), fact, at(401))

    assert transition.rejection is not None
    assert (transition.verdict, transition.rejection.reason) == (Verdict.REJECTED, RejectReason.ORDER_TOO_OLD)
    assert (kept(transition).totals.net, transition.said) == (5_000, ())


def test_a_new_fact_about_a_folded_order_is_too_old_even_if_it_is_young() -> None:
    transition = read_at(after(placed()), refunded(day=401), at(401))

    assert transition.rejection is not None
    assert transition.rejection.reason is RejectReason.ORDER_TOO_OLD
    assert kept(transition).totals.net == 5_000


def test_a_loose_refund_of_401_days_ago_falls_away_or_is_too_old() -> None:
    transition = read_at(after(placed(), refunded("r1", order=None)), refunded("r1", order=None), at(401))

    assert transition.rejection is not None
    assert kept(transition).totals.net == 4_000


def test_an_order_may_be_named_like_a_folded_refund() -> None:
    folded = kept(read_at(after(refunded("1001", "5.00", order=None)), placed("o0", day=401), at(401)))

    transition = read_at(folded, placed("1001", day=402), at(402))

    assert transition.rejection is None
    assert kept(transition).totals.net == 9_500


def test_a_loose_refund_may_be_named_like_a_folded_order() -> None:
    folded = kept(read_at(after(placed("1001")), placed("o0", day=401), at(401)))

    transition = read_at(folded, refunded("1001", "5.00", order=None, day=402), at(402))

    assert transition.rejection is None
    assert kept(transition).totals.net == 9_500


def test_what_is_folded_still_counts() -> None:
    old = later(after(placed("o1"), placed("o2", day=1), refunded("r1", "5.00", order=None)), Tick(at(500)))

    profile = kept(record(old, placed("o3", day=500)))

    assert list(profile.ledger.orders.values()) != []
    assert len(profile.ledger.orders) == 1
    assert profile.ledger.folded.orders == 2
    assert (profile.totals.orders, profile.totals.net, profile.totals.first_order_at) == (3, 14_500, at(0))


def test_a_fact_that_waits_longer_than_the_horizon_is_given_up() -> None:
    waiting = after(paid(), placed("o2", day=1))

    kept_waiting = step(waiting, Tick(at(400) - 1), RULES)
    given_up = step(waiting, Tick(at(400)), RULES)

    assert kept_waiting.expired == ()
    assert [expired.at for expired in given_up.expired] == [at(0)]
    assert [order for _, order in kept(given_up).ledger.waiting()] == []


def test_without_a_horizon_nothing_is_ever_too_old() -> None:
    rules = replace(RULES, dedupe_horizon=None)
    old = later(after(placed(), rules=rules), Tick(at(3_000)), rules=rules)

    again = record(old, placed(), rules=rules)

    assert (again.verdict, kept(again).ledger.folded) == (Verdict.DUPLICATE, Folded())
