"""The order ledger: net of what came back, whatever arrives first."""

from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest

from segmenter.domain.causes import RejectReason, Verdict
from segmenter.domain.changes import CauseKind, ChangeSet
from segmenter.domain.events import Event
from segmenter.domain.profile import LIFECYCLE
from segmenter.domain.rulebook import CountsFrom, LifecycleRule
from tests.domain.shopper import (
    RULES,
    after,
    at,
    cancelled,
    delivered,
    kept,
    paid,
    placed,
    record,
    refunded,
    told,
    updated,
)


def numbers(*events: Event) -> tuple[int, int, int]:
    """Return orders, net and over-refund after these events."""
    totals = after(*events).totals
    return totals.orders, totals.net, totals.over_refund


def test_a_partial_refund_leaves_the_rest_of_the_order() -> None:
    assert numbers(placed(amount="50.00"), refunded(amount="12.34", day=1)) == (1, 3_766, 0)


def test_two_refunds_of_one_order_add_up() -> None:
    events = placed(amount="50.00"), refunded("r1", "10.00"), refunded("r2", "10.00")

    assert numbers(*events) == (1, 3_000, 0)


def test_a_refund_of_the_whole_takes_the_order_back() -> None:
    profile = after(placed(amount="50.00"), refunded(amount="50.00", day=1))

    assert (profile.totals.orders, profile.totals.net) == (0, 0)
    assert profile.totals.last_order_at is None
    assert profile.segment_in(LIFECYCLE) == "prospect"


def test_a_refund_above_the_order_is_clamped_and_counted() -> None:
    transition = record(after(placed(amount="50.00")), refunded(amount="60.00", day=1))

    assert (kept(transition).totals.net, kept(transition).totals.over_refund) == (0, 1_000)
    assert (transition.verdict, transition.over_refunded) == (Verdict.ACCEPTED, 1_000)


def test_an_over_refund_is_shown_in_the_traits() -> None:
    other = placed("o2", "30.00", day=1)

    transition = record(after(placed(amount="50.00"), refunded(amount="60.00", day=1)), other)

    (said,) = [said for said in transition.said if isinstance(said, ChangeSet)]
    assert (said.traits.net_revenue, said.traits.over_refund) == ("30.00", "10.00")


def test_an_over_refund_of_one_order_leaves_the_others_alone() -> None:
    assert numbers(placed("o1", "50.00"), placed("o2", "20.00"), refunded(amount="60.00")) == (1, 2_000, 1_000)


def test_a_later_amount_takes_an_over_refund_back() -> None:
    events = placed(amount="50.00"), refunded(amount="60.00", day=1), updated(amount="80.00", day=2)

    assert numbers(*events) == (1, 2_000, 0)


def test_a_refund_before_its_order_waits_for_it() -> None:
    waiting = after(refunded(amount="10.00", day=1))
    assert (waiting.totals.net, waiting.totals.waiting_since) == (0, at(1))

    profile = kept(record(waiting, placed(amount="50.00", day=2)))

    assert (profile.totals.net, profile.totals.waiting_since) == (4_000, None)


def test_who_only_has_a_waiting_fact_is_a_prospect() -> None:
    assert after(paid()).segment_in(LIFECYCLE) == "prospect"


@pytest.mark.parametrize("first", ["cancelled", "refunded"])
def test_a_cancelled_order_is_worth_nothing_and_its_refund_is_no_excess(first: str) -> None:
    after_it: list[Event] = [cancelled(day=1), refunded(amount="60.00", day=1)]
    ordered = after_it if first == "cancelled" else after_it[::-1]

    assert numbers(placed(amount="50.00"), *ordered) == (0, 0, 0)


def test_an_update_changes_the_amount() -> None:
    assert numbers(placed(amount="50.00"), updated(amount="70.00", day=1)) == (1, 7_000, 0)


def test_an_update_changes_the_currency_and_keeps_the_amount() -> None:
    assert numbers(placed(amount="50.00"), updated(currency="USD", day=1)) == (1, 4_600, 0)


def test_the_newest_update_wins_whichever_arrives_last() -> None:
    assert numbers(placed(), updated(amount="30.00", day=3), updated(amount="70.00", day=2)) == (1, 3_000, 0)


def test_updates_of_one_instant_go_by_event_id() -> None:
    first = kept(record(after(placed()), updated(amount="30.00", day=1), event_id="b"))

    profile = kept(record(first, updated(amount="70.00", day=1), event_id="a"))

    assert profile.totals.net == 3_000


def test_an_update_of_each_field_stands_by_itself() -> None:
    events = placed(amount="50.00"), updated(currency="USD", day=3), updated(amount="70.00", day=2)

    assert numbers(*events) == (1, 6_440, 0)


def test_facts_of_an_order_end_alike_in_every_order_of_arrival() -> None:
    facts: list[Event] = [
        placed(amount="10.005"),
        updated(currency="USD", day=1),
        updated(amount="33.335", day=2),
        refunded(amount="1.00", day=3),
        paid(day=1),
    ]

    ledgers = [after(*arrival).ledger for arrival in permutations(facts)]

    assert all(ledger == ledgers[0] for ledger in ledgers)


def test_an_update_of_items_alone_makes_the_customer_known() -> None:
    transition = record(after(), updated())

    assert (transition.verdict, kept(transition).segment_in(LIFECYCLE)) == (Verdict.ACCEPTED, "prospect")


def test_an_order_of_amount_0_is_a_contact_and_no_order() -> None:
    profile = after(placed(amount="0"))

    assert profile.totals.orders == 0
    assert profile.segment_in(LIFECYCLE) == "prospect"
    assert profile.last_seen_at == at(0)


@pytest.mark.parametrize(("counts_from", "fact"), [(CountsFrom.PAID, paid), (CountsFrom.DELIVERED, delivered)])
def test_an_order_counts_from_the_time_of_the_named_fact(counts_from: CountsFrom, fact: object) -> None:
    rules = replace(RULES, lifecycle=LifecycleRule(counts_from=counts_from))
    named = paid(day=3) if fact is paid else delivered(day=3)

    before = after(placed(amount="50.00"), rules=rules)
    profile = kept(record(before, named, rules=rules))

    assert (before.totals.orders, before.totals.net) == (0, 0)
    assert (profile.totals.orders, profile.totals.net, profile.totals.last_order_at) == (1, 5_000, at(3))


@pytest.mark.parametrize("days", [(3, 2), (2, 3)])
def test_of_two_payments_the_earlier_counts_whichever_arrives_first(days: tuple[int, int]) -> None:
    rules = replace(RULES, lifecycle=LifecycleRule(counts_from=CountsFrom.PAID))

    profile = after(placed(), *(paid(day=day) for day in days), rules=rules)

    assert (profile.totals.orders, profile.totals.last_order_at) == (1, at(2))


def test_a_refund_of_an_order_that_does_not_count_lowers_nothing() -> None:
    rules = replace(RULES, lifecycle=LifecycleRule(counts_from=CountsFrom.PAID))

    profile = after(placed(amount="50.00"), refunded(amount="10.00"), rules=rules)

    assert profile.totals.net == 0


def test_a_refund_without_an_order_lowers_revenue_only() -> None:
    profile = after(placed(amount="50.00"), refunded(order=None, amount="70.00", day=1))

    assert (profile.totals.orders, profile.totals.net, profile.totals.window_net) == (1, -2_000, -2_000)
    assert (profile.totals.last_order_at, profile.segment_in(LIFECYCLE)) == (at(0), "new")


def test_a_refund_that_moves_somebody_is_the_cause() -> None:
    transition = record(after(placed()), refunded(amount="50.00", day=1))

    (said,) = [said for said in transition.said if isinstance(said, ChangeSet)]
    assert (told(transition), said.cause.kind) == ([(LIFECYCLE, "new", "prospect")], CauseKind.REFUND)


@pytest.mark.parametrize(
    "fact", [placed(), paid(), delivered(), cancelled(), refunded(), refunded("r9", order=None), updated(amount="7")]
)
def test_a_repeated_fact_is_a_duplicate_and_alters_nothing(fact: Event) -> None:
    profile = after(placed(), fact)

    again = record(profile, fact)

    assert (again.said, again.profile) == ((), profile)


def test_an_order_placed_twice_with_another_amount_keeps_the_first() -> None:
    again = record(after(placed(amount="50.00")), placed(amount="70.00"))

    assert (again.verdict, kept(again).totals.net) == (Verdict.DUPLICATE, 5_000)


@pytest.mark.parametrize("fact", [placed(currency="CHF"), refunded(currency="CHF"), updated(currency="CHF")])
def test_an_amount_without_a_rate_is_rejected_and_alters_nothing(fact: Event) -> None:
    profile = after(placed("o0"))

    transition = record(profile, fact)

    assert transition.rejection is not None
    assert (transition.verdict, transition.rejection.reason) == (Verdict.REJECTED, RejectReason.NO_RATE)
    assert (transition.said, transition.profile) == ((), profile)


def test_an_amount_with_too_many_decimals_is_counted_as_rounded() -> None:
    transition = record(after(), placed(amount=str(Decimal("10.005"))))

    assert (transition.rounded, kept(transition).totals.net) == (1, 1_001)
