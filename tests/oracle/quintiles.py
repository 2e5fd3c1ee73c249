"""Quintiles by counting: how many do not exceed each number? Written apart from the product."""

from collections.abc import Iterable, Mapping

from segmenter.domain.events import Event, OrderPlaced, OrderRefunded
from segmenter.domain.rulebook import RfmRule
from tests.oracle.segments_conditions import counts
from tests.oracle.segments_facts import at_of

Numbers = tuple[int, int, int]


def orders_at(events: Iterable[Event], now: int, rule: RfmRule) -> Numbers | None:
    """Return the last order, the number of orders and what they came to, of one who orders and sends back only."""
    orders, refunds = [], []
    for event in events:
        if isinstance(event, OrderPlaced):
            orders.append((at_of(event), int(event.amount * 100)))
        elif isinstance(event, OrderRefunded):
            refunds.append((at_of(event), int(event.amount * 100)))
    if not orders:
        return None
    inside = [amount for at, amount in orders if counts(at, rule.window, now)]
    back = [amount for at, amount in refunds if counts(at, rule.window, now)]
    return max(at for at, _ in orders), len(inside), max(0, sum(inside) - sum(back))


def scores_of(numbers: Mapping[str, Numbers | None], score: str) -> dict[str, int]:
    """Return the score of everybody who has ordered."""
    place = "rfm".index(score)
    ranked = {customer: found[place] for customer, found in numbers.items() if found is not None}
    return {customer: score_in(number, list(ranked.values())) for customer, number in ranked.items()}


def score_in(number: int, everybody: list[int]) -> int:
    """Return one more than the fifths that end below a number: all that do not exceed some lesser one are below."""
    below = sum(1 for other in everybody if other < number)
    return 1 + sum(1 for fifth in range(1, 5) if 5 * below >= fifth * len(everybody))
