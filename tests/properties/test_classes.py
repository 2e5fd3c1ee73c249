"""Classes computed step by step, over lanes that adopt at their own pace, are those of a full sort once all rest."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from segmenter.domain.events import Event, OrderPlaced, OrderRefunded
from segmenter.domain.instants import instant_of
from segmenter.domain.profile import VALUE, Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.value import grade, sorted_marks
from tests.oracle.model import classes_at
from tests.properties.comparing import by_customer, moment_of
from tests.properties.histories import CLOSE, Rules, moments, rules
from tests.properties.market import Market, enough_for_all

# Few amounts and many buyers: ties are the rule, and every sale can move the boundary. Where all is cents, a
# share is reached or missed by one of them.
_price_lists = st.sampled_from([("0.01", "0.02", "1", "2", "2", "5", "10", "40"), ("0.01", "0.01", "0.02", "0.03")])


@dataclass(frozen=True, slots=True)
class Pause:
    """What happens between two sales: a round of the leader, then lanes that adopt or work."""

    leads: bool
    adopts: tuple[int, ...]
    works: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Days:
    """Sales with pauses between them, on so many lanes, in bites of so many customers."""

    lanes: int
    bite: int
    min_ranked: int
    sales: tuple[tuple[Event, Pause], ...]

    def events(self) -> list[Event]:
        """Return the sales alone."""
        return [event for event, _ in self.sales]


@st.composite
def sales(draw: st.DrawFn) -> list[Event]:
    """Draw orders, and a few refunds without one, of up to ten customers."""
    prices = st.sampled_from([Decimal(price) for price in draw(_price_lists)])
    return [draw(_sale(number, prices)) for number in range(draw(st.integers(1, 20)))]


@st.composite
def _sale(draw: st.DrawFn, number: int, prices: st.SearchStrategy[Decimal]) -> Event:
    customer, at, amount = f"c{draw(st.integers(0, 9))}", draw(moments), draw(prices)
    if draw(st.integers(0, 4)):
        order = OrderPlaced(order_id=f"o{number}", occurred_at=at, amount=amount, currency="EUR")
        return replace(order, customer_id=customer, event_id=f"e{number}")
    refund = OrderRefunded(refund_id=f"r{number}", occurred_at=at, amount=amount, currency="EUR")
    return replace(refund, customer_id=customer, event_id=f"e{number}")


@st.composite
def days(draw: st.DrawFn) -> Days:
    """Draw sales, mostly in order of time, and what the lanes do between them."""
    lanes = draw(st.integers(1, 3))
    numbers = st.lists(st.integers(0, lanes - 1), max_size=2).map(tuple)
    pauses = st.builds(Pause, leads=st.booleans(), adopts=numbers, works=numbers)
    events = draw(sales())
    if draw(st.integers(0, 3)):
        events.sort(key=lambda event: event.occurred_at)
    return Days(
        lanes=lanes,
        bite=draw(st.sampled_from([1, 2, 100])),
        min_ranked=draw(st.sampled_from([1, 3])),
        sales=tuple((event, draw(pauses)) for event in events),
    )


async def opened(days: Days, rulebook: Rulebook) -> Market:
    """Return a market to which all these sales have come."""
    market = Market(enough_for_all(rulebook, days.min_ranked), lanes=days.lanes, bite=days.bite)
    await market.open()
    for event, pause in days.sales:
        await market.take(event)
        if pause.leads:
            await market.lead()
        for number in pause.adopts:
            await market.adopt(number)
        for number in pause.works:
            await market.work(number)
    return market


def classes_of(profiles: dict[str, Profile]) -> dict[str, str | None]:
    """Return everybody's class."""
    return {customer: profile.segment_in(VALUE) for customer, profile in profiles.items()}


@given(days(), rules())
def test_at_rest_every_class_is_that_of_a_full_sort(days: Days, rules: Rules) -> None:
    async def play() -> None:
        market = await opened(days, rules.rulebook)
        for at in (market.now, instant_of(CLOSE)):
            market.now = at
            await market.rest()
            expected = classes_at(by_customer(days.events()), moment_of(at), rules.terms)
            assert classes_of(await market.profiles()) == expected

    asyncio.run(play())


@given(days(), rules(is_plain=False))
def test_at_rest_after_the_dwell_every_class_stands_by_the_band(days: Days, rules: Rules) -> None:
    async def play() -> None:
        market = await opened(days, rules.rulebook)
        # The window may let revenue go at any time up to its length, and each fall may wait its dwell.
        for at in (CLOSE, CLOSE + timedelta(days=30), CLOSE + timedelta(days=60)):
            market.now = instant_of(at)
            await market.rest()
        profiles = await market.profiles()
        marks = sorted_marks(_revenues(profiles.values()), rules.rulebook.value)
        for profile in profiles.values():
            revenue, present = profile.totals.window_net, profile.segment_in(VALUE)
            if profile.totals.orders and marks is not None:
                assert present == grade(revenue, present, marks)

    asyncio.run(play())


@given(days(), rules())
def test_what_is_announced_in_the_end_is_what_is_present(days: Days, rules: Rules) -> None:
    async def play() -> None:
        market = await opened(days, rules.rulebook)
        await market.rest()
        told: dict[str, str | None] = {}
        for said in market.listener.changes:
            told.update((said.customer, change.after) for change in said.changes if change.dimension == VALUE)
        present = classes_of(await market.profiles())
        boundary = market.lanes[0].state.notes.boundary
        if boundary is not None and boundary.is_announced:
            assert {customer: told.get(customer) for customer in present} == present

    asyncio.run(play())


def _revenues(profiles: Iterable[Profile]) -> list[int]:
    return [revenue for profile in profiles if (revenue := profile.ranked_revenue) is not None]
