"""Quintiles found step by step, over lanes that adopt at their own pace, are those of a full sort once all rest."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from segmenter.domain.conditions import Bound, Comparison, Score, Scored
from segmenter.domain.events import Event
from segmenter.domain.instants import DAY, Instant, instant_of
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Quintiles, RfmRule, Rulebook
from segmenter.domain.windows import ALL_HISTORY, Window
from tests.oracle.quintiles import orders_at, scores_of
from tests.properties.histories import CLOSE
from tests.properties.test_classes import Days, days, opened

CUT = Quintiles.QUINTILES
SPANS = (10 * DAY, 20 * DAY, 30 * DAY, 40 * DAY)
COUNTS = (1, 2, 3, 4)
AMOUNTS = (10, 100, 300, 2_000)


def groups_of(score: Score) -> tuple[tuple[str, Scored], ...]:
    """Return a group for every number of one score, so that a customer's group tells it."""
    return tuple((f"{score}{n}", Scored(score, Bound(Comparison.EQUALS, Decimal(n)))) for n in range(1, 6))


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rulebook, Score]:
    """Draw rules that cut at least the score that is looked at."""
    shown = draw(st.sampled_from(list(Score)))
    cut = {shown, *draw(st.sets(st.sampled_from(list(Score))))}
    rfm = RfmRule(
        window=draw(st.sampled_from([ALL_HISTORY, Window(20 * DAY)])),
        recency=CUT if Score.RECENCY in cut else SPANS,
        frequency=CUT if Score.FREQUENCY in cut else COUNTS,
        monetary=CUT if Score.MONETARY in cut else AMOUNTS,
        groups=groups_of(shown),
    )
    return Rulebook(rfm=rfm), shown


def groups_in(profiles: Mapping[str, Profile]) -> dict[str, str | None]:
    return {customer: profile.segment_in("rfm") for customer, profile in profiles.items()}


def expected_at(events: list[Event], at: Instant, rulebook: Rulebook, score: Score) -> dict[str, str | None]:
    """Return what a full sort of all numbers as they are at an instant makes of everybody."""
    assert rulebook.rfm is not None
    numbers = {c: orders_at(own, at, rulebook.rfm) for c, own in by_customer(events).items()}
    scores = scores_of(numbers, score)
    return {customer: None if n is None else f"{score}{scores[customer]}" for customer, n in numbers.items()}


def by_customer(events: list[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.customer_id or "", []).append(event)
    return found


@given(days(), rules())
def test_at_rest_every_score_is_that_of_a_full_sort(days: Days, drawn: tuple[Rulebook, Score]) -> None:
    rulebook, score = drawn

    async def play() -> None:
        market = await opened(days, rulebook)
        for at in (market.now, instant_of(CLOSE), instant_of(CLOSE + timedelta(days=15))):
            market.now = max(at, market.now)
            await market.rest()
            assert groups_in(await market.profiles()) == expected_at(days.events(), market.now, rulebook, score)

    asyncio.run(play())


@given(days(), rules())
def test_what_is_announced_in_the_end_is_what_is_present(days: Days, drawn: tuple[Rulebook, Score]) -> None:
    rulebook, _ = drawn

    async def play() -> None:
        market = await opened(days, rulebook)
        await market.rest()
        told: dict[str, str | None] = {}
        for said in market.listener.changes:
            told.update((said.customer, change.after) for change in said.changes if change.dimension == "rfm")
        present = groups_in(await market.profiles())
        boundary = market.lanes[0].state.notes.boundary
        if boundary is not None and boundary.cuts is not None and boundary.cuts.is_announced:
            assert {customer: told.get(customer) for customer in present} == present
        else:
            assert not told

    asyncio.run(play())


@given(days(), rules())
def test_by_time_alone_nobody_moves_another_in_recency(days: Days, drawn: tuple[Rulebook, Score]) -> None:
    rulebook = replace(drawn[0], rfm=replace(recency_alone(), groups=groups_of(Score.RECENCY)))

    async def play() -> None:
        market = await opened(days, rulebook)
        await market.rest()
        before, boundary = groups_in(await market.profiles()), market.lanes[0].state.notes.boundary
        market.now += 5 * 365 * DAY
        await market.rest()
        after = market.lanes[0].state.notes.boundary
        assert groups_in(await market.profiles()) == before
        assert (after and after.cuts) == (boundary and boundary.cuts)

    asyncio.run(play())


def recency_alone() -> RfmRule:
    return RfmRule(recency=CUT, frequency=COUNTS, monetary=AMOUNTS)
