"""Declared segments and further dimensions: after each cause they are what the naive model says."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmenter.domain.changes import ChangeSet
from segmenter.domain.conditions import Announce, State
from segmenter.domain.events import Event
from segmenter.domain.instants import instant_of
from segmenter.domain.rulebook import Rulebook
from tests.oracle.segments_model import ModelCustomer
from tests.properties.histories import Arrangement
from tests.properties.segment_desk import Desk, the_day_before
from tests.properties.segment_histories import arrivals, lives, ticks
from tests.properties.segment_rules import rulebooks

# `make properties` takes its time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]

# `make properties` sets it, for a search that takes hours and begins elsewhere each time.
CASES = int(os.environ.get("CASES", "0"))
SEARCH = settings(max_examples=CASES or 300, derandomize=not CASES, print_blob=True)
FEWER = settings(max_examples=max(100, CASES // 10), derandomize=not CASES, print_blob=True)


@SEARCH
@given(arrivals(), rulebooks(), st.booleans())
def test_after_each_cause_all_segments_are_those_of_the_model(
    arrangement: Arrangement, rulebook: Rulebook, is_behind: bool
) -> None:
    desk, model = Desk(rulebook, is_behind=is_behind), ModelCustomer(rulebook)

    for cause in [the_day_before(arrangement), *arrangement] if is_behind else arrangement:
        desk.take(cause)
        if isinstance(cause, datetime):
            model.come_to(instant_of(cause))
        else:
            model.take(cause, desk.settles_to(instant_of(cause.occurred_at)))
        assert desk.segments() == model.segments()


@FEWER
@given(arrivals(), rulebooks())
def test_asking_only_what_can_have_changed_says_the_same_as_asking_always(
    arrangement: Arrangement, rulebook: Rulebook
) -> None:
    lazy, eager = Desk(rulebook), Desk(rulebook, is_eager=True)

    for cause in arrangement:
        lazy.take(cause)
        eager.take(cause)
        assert lazy.profile.present == eager.profile.present

    assert without_deadlines(lazy) == without_deadlines(eager)


def without_deadlines(desk: Desk) -> list[object]:
    """Return all that was said but the next deadlines, which may be early and are renewed when they come."""
    return [replace(said, next_change_at=None) for said in desk.said]


@FEWER
@given(lives(), rulebooks(), ticks)
def test_ticks_never_sometimes_or_always_say_the_same(
    history: Sequence[Event], rulebook: Rulebook, moments: list[int]
) -> None:
    never, sometimes, always = (Desk(rulebook) for _ in range(3))
    end = history[-1].occurred_at

    for place, event in enumerate(history):
        if place in moments:
            sometimes.take(event.occurred_at)
        always.take(event.occurred_at)
        for desk in (never, sometimes, always):
            desk.take(event)
    for desk in (never, sometimes, always):
        desk.take(end)

    assert never.said == sometimes.said == always.said


@FEWER
@given(lives(), rulebooks(), st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_in_the_same_facts(
    history: Sequence[Event], rulebook: Rulebook, random: Random
) -> None:
    in_order, shuffled = Desk(rulebook, is_behind=True), Desk(rulebook, is_behind=True)
    arrangement = list(history)
    random.shuffle(arrangement)

    for desk, causes in ((in_order, history), (shuffled, arrangement)):
        desk.take(the_day_before(history))
        desk.play(causes)

    one, other = in_order.profile, shuffled.profile
    assert one.ledger == other.ledger
    assert one.attributes == other.attributes
    assert (one.first_seen_at, one.last_seen_at) == (other.first_seen_at, other.last_seen_at)
    assert one.behaviour.tallies == other.behaviour.tallies
    assert one.behaviour.tickets == other.behaviour.tickets
    assert one.behaviour.ratings == other.behaviour.ratings
    assert one.behaviour.trails == other.behaviour.trails
    assert one.behaviour.first_channel == other.behaviour.first_channel


@FEWER
@given(arrivals(), rulebooks())
def test_what_is_silent_is_never_told_and_sequences_have_no_gaps(
    arrangement: Arrangement, rulebook: Rulebook
) -> None:
    desk = Desk(rulebook)
    silent = {
        definition.dimension
        for definition in rulebook.segments
        if definition.announce is Announce.NEVER or definition.state is not State.LIVE
    }

    desk.play(arrangement)

    told = [said for said in desk.said if isinstance(said, ChangeSet)]
    assert [said.sequence for said in told] == list(range(1, len(told) + 1))
    assert not {change.dimension for said in told for change in said.changes} & silent
    for said in told:
        assert all(change.before != change.after for change in said.changes)
