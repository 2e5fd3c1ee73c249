"""Classes within populations: each is that of a full sort of its own once all rest, whoever changes sides."""

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from segmenter.domain.changes import ChangeSet
from segmenter.domain.events import CustomerUpdated, Event
from segmenter.domain.instants import instant_of
from segmenter.domain.profile import VALUE, Profile
from segmenter.domain.rulebook import Population, Rulebook
from tests.oracle.model import classes_at
from tests.properties.comparing import by_customer, moment_of
from tests.properties.histories import CLOSE, Rules, moments, rules
from tests.properties.market import Market, enough_for_all
from tests.properties.test_classes import Days, days

KIND = Population(attribute="kind", values=("b2b", "b2c"))
kinds = st.sampled_from(["b2b", "b2c", "b2c", "press", None, True])


@dataclass(frozen=True, slots=True)
class Sides:
    """What the shop tells of whom a customer belongs to, between the sales."""

    told: tuple[tuple[int, Event], ...]
    """With the place among the sales before which it comes."""

    def kinds_in_the_end(self) -> dict[str, object]:
        """Return the newest word on everybody, by time and id."""
        newest: dict[str, CustomerUpdated] = {}
        for _, event in self.told:
            assert isinstance(event, CustomerUpdated)
            known = newest.get(event.customer_id or "")
            if known is None or (event.occurred_at, event.event_id or "") > (known.occurred_at, known.event_id or ""):
                newest[event.customer_id or ""] = event
        return {customer: event.attributes["kind"] for customer, event in newest.items()}


@st.composite
def sides(draw: st.DrawFn) -> Sides:
    """Draw words on up to ten customers, some of whom change sides."""
    told = []
    for number in range(draw(st.integers(0, 20))):
        update = CustomerUpdated(occurred_at=draw(moments), attributes={"kind": draw(kinds)})
        named = replace(update, customer_id=f"c{draw(st.integers(0, 9))}", event_id=f"u{number:02d}")
        told.append((draw(st.integers(0, 20)), named))
    return Sides(tuple(told))


def parted(rulebook: Rulebook) -> Rulebook:
    return replace(rulebook, value=replace(rulebook.value, population=KIND))


async def opened(days: Days, sides: Sides, rulebook: Rulebook) -> Market:
    """Return a market to which all sales have come, and all words between them."""
    market = Market(enough_for_all(parted(rulebook), days.min_ranked), lanes=days.lanes, bite=days.bite)
    await market.open()
    for place in range(21):
        for event in (event for before, event in sides.told if before == place):
            await market.take(event)
        if place < len(days.sales):
            event, pause = days.sales[place]
            await market.take(event)
            if pause.leads:
                await market.lead()
            for number in pause.adopts:
                await market.adopt(number)
            for number in pause.works:
                await market.work(number)
    return market


def side_of(kind: object) -> str | None:
    return kind if kind in KIND.values else None  # type: ignore[return-value]


@given(days(), sides(), rules())
def test_at_rest_the_classes_of_each_population_are_those_of_a_full_sort(
    days: Days, sides: Sides, rules: Rules
) -> None:
    async def play() -> None:
        market = await opened(days, sides, rules.rulebook)
        kinds = sides.kinds_in_the_end()
        for at in (market.now, instant_of(CLOSE)):
            market.now = max(at, market.now)
            await market.rest()
            found = {c: p.segment_in(VALUE) for c, p in (await market.profiles()).items()}
            for side in (*KIND.values, None):
                sales = [event for event in days.events() if side_of(kinds.get(event.customer_id or "")) == side]
                expected = classes_at(by_customer(sales), moment_of(market.now), rules.terms)
                assert {customer: found[customer] for customer in expected} == expected

    asyncio.run(play())


@given(days(), sides(), rules())
def test_everybody_is_kept_in_the_ranking_of_his_population_alone(days: Days, sides: Sides, rules: Rules) -> None:
    async def play() -> None:
        market = await opened(days, sides, rules.rulebook)
        await market.rest()
        kinds, profiles = sides.kinds_in_the_end(), await market.profiles()
        for customer, profile in profiles.items():
            side = side_of(kinds.get(customer))
            ranking = 10 if side is None else 11 + KIND.values.index(side)
            revenue = profile.ranked_revenue
            assert profile.places == ({} if revenue is None else {ranking: revenue})

    asyncio.run(play())


def test_one_who_changes_sides_moves_in_the_commit_of_that_event() -> None:
    async def play() -> tuple[list[ChangeSet], Profile]:
        market = Market(enough_for_all(parted(Rulebook()), 1), lanes=1, bite=100)
        await market.open()
        for customer, kind, amount in ((1, "b2b", 9_000), (2, "b2b", 800), (3, "b2c", 90), (4, "b2c", 5)):
            named = {"customer_id": f"c{customer}", "occurred_at": CLOSE}
            await market.take(CustomerUpdated(event_id=f"u{customer}", attributes={"kind": kind}, **named))
            await market.take(order(f"o{customer}", amount, **named))
        await market.rest()
        before = len(market.listener.changes)
        aside = {"customer_id": "c2", "occurred_at": CLOSE}
        await market.take(CustomerUpdated(event_id="u9", attributes={"kind": "b2c"}, **aside))
        return market.listener.changes[before:], (await market.profiles())["c2"]

    told, profile = asyncio.run(play())

    assert [(c.dimension, c.before, c.after) for said in told for c in said.changes] == [("value", "B", "A")]
    assert told[0].cause.event_ids == ("u9",)
    assert profile.places == {12: 80_000}


def order(order_id: str, amount: int, **named: object) -> Event:
    from segmenter.domain.events import OrderPlaced

    return OrderPlaced(order_id=order_id, event_id=order_id, amount=Decimal(amount), currency="EUR", **named)  # type: ignore[arg-type]
