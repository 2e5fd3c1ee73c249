"""The queries reproduce what others published of the same files, so they can judge the product."""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.oracle.cdnow import cdnow_events
from tests.oracle.duck import RawFacts, cdnow_facts, uk_facts
from tests.oracle.uk import uk_events

NINETY_DAYS = timedelta(days=90)
UK_END = datetime(2011, 12, 10)  # noqa: DTZ001 - the files are UTC throughout
CDNOW_END = datetime(1998, 6, 30)  # noqa: DTZ001


@pytest.fixture(scope="module")
def uk_orders() -> RawFacts:
    return uk_facts(with_refunds=False)


def test_uk_customers_are_4338_of_whom_2845_came_back(uk_orders: RawFacts) -> None:
    states = uk_orders.states_at(UK_END, inactive_after=timedelta(days=9_999))

    assert Counter(state.lifecycle for state in states.values()) == {"repeat": 2_845, "new": 1_493}
    assert sum(state.orders for state in states.values()) == 18_532


def test_uk_customers_inactive_after_90_days_are_1449(uk_orders: RawFacts) -> None:
    states = uk_orders.states_at(UK_END, inactive_after=NINETY_DAYS)

    inactive = Counter(state.lifecycle == "inactive" for state in states.values())
    assert inactive == {True: 1_449, False: 2_889}


def test_uk_first_orders_by_month_are_as_published(uk_orders: RawFacts) -> None:
    states = uk_orders.states_at(UK_END, inactive_after=NINETY_DAYS)

    months = Counter(f"{state.first_order_at:%Y-%m}" for state in states.values())
    counts = [months[month] for month in sorted(months)]
    assert counts == [885, 417, 380, 452, 300, 284, 242, 188, 169, 299, 358, 323, 41]


def test_uk_class_a_holds_1133_customers_by_orders_alone(uk_orders: RawFacts) -> None:
    states = uk_orders.states_at(UK_END, inactive_after=NINETY_DAYS)

    assert Counter(state.value for state in states.values())["A"] == 1_133


def test_uk_classes_with_refunds_are_1178_1456_and_1704() -> None:
    states = uk_facts().states_at(UK_END, inactive_after=NINETY_DAYS)

    classes = Counter(state.value for state in states.values() if state.value is not None)
    assert classes == {"A": 1_178, "B": 1_456, "C": 1_704}


def test_uk_net_of_refunds_is_8300065_81() -> None:
    facts = uk_facts()

    assert (facts.exact_sum("cents > 0"), facts.exact_sum("cents < 0")) == (891_140_790, -61_134_209)
    assert sum(state.net for state in facts.states_at(UK_END, inactive_after=NINETY_DAYS).values()) == 830_006_581


def test_cdnow_customers_active_at_the_end_are_3301_and_3317_just_before_the_boundary() -> None:
    facts = cdnow_facts()
    a_moment_less = NINETY_DAYS + timedelta(microseconds=1)

    at_the_boundary = facts.states_at(CDNOW_END, inactive_after=NINETY_DAYS)
    before_it = facts.states_at(CDNOW_END, inactive_after=a_moment_less)

    assert sum(state.lifecycle in ("new", "repeat") for state in at_the_boundary.values()) == 3_301
    assert sum(state.lifecycle in ("new", "repeat") for state in before_it.values()) == 3_317


def test_cdnow_customers_silent_since_september_are_16444_by_paid_purchases() -> None:
    states = cdnow_facts().states_at(CDNOW_END, inactive_after=NINETY_DAYS)

    last_paid = [state.last_order_at for state in states.values() if state.last_order_at is not None]
    assert len(states) == 23_570
    assert sum(at <= datetime(1997, 9, 30) for at in last_paid) == 16_444  # noqa: DTZ001


def test_events_carry_what_the_files_hold() -> None:
    uk, cdnow = uk_events(), cdnow_events()

    assert Counter(event["type"] for event in uk) == {"order.placed": 18_532, "order.refunded": 3_654}
    assert sum(Decimal(e["amount"]) * (1 if e["type"] == "order.placed" else -1) for e in uk) == Decimal(
        "8300065.814"
    )
    assert (len(cdnow), len({event["order_id"] for event in cdnow})) == (69_659, 69_659)
    assert uk == sorted(uk, key=lambda event: event["occurred_at"])
