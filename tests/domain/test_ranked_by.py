"""Classes by what an order is worth to the shop: with its tax, without it, or without tax and cost."""

from decimal import Decimal

import pytest

from segmenter.domain.instants import DAY
from segmenter.domain.ledger import Details, Ledger, Order
from segmenter.domain.rulebook import RankedBy, Rulebook, ValueRule
from segmenter.domain.totals import totals_of

NOW = 400 * DAY


def ranked(measure: RankedBy, *orders: Order) -> int:
    ledger = Ledger(orders=dict(enumerate(orders)))
    return totals_of(ledger, NOW, Rulebook(value=ValueRule(measure=measure))).window_net


def an_order(gross: int = 11_900, **more: object) -> Order:
    details = Details(tax=Decimal("19.00"), cost=Decimal("70.00"))
    return Order(placed_at=NOW - DAY, gross=gross, details=details, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [(RankedBy.NET_REVENUE, 11_900), (RankedBy.NET_OF_TAX, 10_000), (RankedBy.MARGIN, 3_000)],
)
def test_an_order_counts_with_what_its_measure_leaves(measure: RankedBy, expected: int) -> None:
    assert ranked(measure, an_order()) == expected


def test_of_an_order_sent_back_in_half_half_of_its_margin_is_left() -> None:
    assert ranked(RankedBy.MARGIN, an_order(refunds=((1, 5_950, NOW),))) == 1_500


def test_a_margin_below_nothing_lowers_what_others_brought() -> None:
    assert ranked(RankedBy.MARGIN, an_order(), an_order(gross=5_000)) == 3_000 - 3_900


def test_without_tax_and_cost_in_its_event_an_order_counts_whole() -> None:
    assert ranked(RankedBy.MARGIN, Order(placed_at=NOW - DAY, gross=500)) == 500
