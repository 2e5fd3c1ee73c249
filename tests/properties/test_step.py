"""What holds for every single step of any history."""

import copy
from dataclasses import replace
from datetime import datetime

from hypothesis import assume, given
from hypothesis import strategies as st

from segmenter.domain.causes import Arrived, Tick, Verdict
from segmenter.domain.events import Event, OrderUpdated, identity_of
from segmenter.domain.folding import folded_before
from segmenter.domain.instants import MICROSECOND, Instant, instant_of
from segmenter.domain.step import step
from segmenter.domain.totals import totals_of
from segmenter.domain.value import Boundary
from tests.oracle.model import ORDER_EVENTS
from tests.properties.comparing import assert_like_model, numbers_of
from tests.properties.counter import Counter
from tests.properties.histories import (
    CLOSE,
    HALF_DAY,
    Arrangement,
    Rules,
    arrivals,
    boundaries,
    closing_times,
    histories,
    off_grid_moments,
    rules,
)

tangled = histories(["c1"]).flatmap(arrivals)


@given(tangled, rules(), st.booleans())
def test_after_each_cause_every_number_is_that_of_the_whole_history(
    arrangement: Arrangement, rules: Rules, is_behind: bool
) -> None:
    counter = Counter(rules.rulebook, is_behind=is_behind)
    known: list[Event] = []

    for cause in arrangement:
        if isinstance(cause, datetime):
            counter.tick(cause)
        else:
            counter.arrive(cause)
            known.append(cause)
        for profile in counter.profiles.values():
            assert_like_model(profile, known, rules.terms)


@given(tangled, rules(is_plain=False), boundaries(), st.booleans())
def test_a_profile_given_to_step_stays_as_it_is(
    arrangement: Arrangement, rules: Rules, boundary: Boundary, is_behind: bool
) -> None:
    counter = Counter(rules.rulebook, boundary, is_behind=is_behind)

    for cause in arrangement:
        given_profile = counter.profiles.get("c1")
        kept = copy.deepcopy(given_profile)
        counter.play([cause])
        assert given_profile == kept


@given(tangled, rules(is_plain=False), boundaries())
def test_a_repeated_order_fact_alters_nothing(arrangement: Arrangement, rules: Rules, boundary: Boundary) -> None:
    counter = Counter(rules.rulebook, boundary)
    counter.play(arrangement)

    for event in arrangement:
        if not isinstance(event, ORDER_EVENTS):
            continue
        profile = counter.profiles[identity_of(event)]
        repeated = step(profile, arrived(event, profile.settled_at), rules.rulebook, boundary)
        assert (repeated.said, repeated.profile) == ((), profile)
        # An update that was overtaken by a newer one cannot be told from a repeat.
        assert repeated.verdict is Verdict.DUPLICATE or isinstance(event, OrderUpdated)


@given(tangled, rules(is_plain=False), boundaries(), off_grid_moments)
def test_a_late_tick_alters_nothing(
    arrangement: Arrangement, rules: Rules, boundary: Boundary, moment: datetime
) -> None:
    counter = Counter(rules.rulebook, boundary)
    counter.play([*arrangement, CLOSE])

    for profile in counter.profiles.values():
        late = step(profile, Tick(instant_of(moment)), rules.rulebook, boundary)
        assert (late.said, late.profile) == ((), profile)


@given(tangled, rules(is_plain=False), boundaries(), closing_times)
def test_after_settling_the_next_deadline_lies_ahead(
    arrangement: Arrangement, rules: Rules, boundary: Boundary, moment: datetime
) -> None:
    counter = Counter(rules.rulebook, boundary)

    for cause in [*arrangement, moment]:
        counter.play([cause])
        for profile in counter.profiles.values():
            assert profile.wake_at is None or profile.wake_at > profile.settled_at


@given(tangled, rules(), st.lists(off_grid_moments, max_size=4), closing_times)
def test_folding_at_any_time_leaves_the_totals(
    arrangement: Arrangement, rules: Rules, foldings: list[datetime], now: datetime
) -> None:
    counter = Counter(rules.rulebook)
    counter.play(arrangement)
    window = rules.rulebook.value.window

    for profile in counter.profiles.values():
        ledger = profile.ledger
        for moment in foldings:
            horizon_at = instant_of(moment) if window is None else min(instant_of(moment), instant_of(now) - window)
            ledger = folded_before(ledger, horizon_at, rules.rulebook)
        folded = totals_of(ledger, instant_of(now), rules.rulebook)
        whole = totals_of(profile.ledger, instant_of(now), rules.rulebook)
        assert numbers_of(folded) == numbers_of(whole)
        assert (folded.leaves_at, folded.waiting_since) == (whole.leaves_at, whole.waiting_since)


@given(tangled, rules(), st.booleans())
def test_with_a_horizon_every_number_is_that_of_what_was_accepted(
    arrangement: Arrangement, rules: Rules, is_behind: bool
) -> None:
    horizon = 10 * HALF_DAY  # longer than any window: what is folded has left it
    counter = Counter(replace(rules.rulebook, dedupe_horizon=horizon // MICROSECOND), is_behind=is_behind)
    accepted: list[Event] = []

    for cause in arrangement:
        if isinstance(cause, datetime):
            counter.tick(cause)
        elif counter.arrive(cause).verdict is not Verdict.REJECTED:
            accepted.append(cause)
        # A fact that was given up waiting is out of the ledger, and the model would still count it.
        assume(not counter.expired)
        for profile in counter.profiles.values():
            if profile.is_known:
                assert_like_model(profile, accepted, rules.terms)


def arrived(event: Event, at: Instant) -> Arrived:
    """Return the event as a cause, in a lane that has come to `at`."""
    happened_at = instant_of(event.occurred_at)
    return Arrived(event=event, at=happened_at, event_id=event.event_id or "", settle_to=min(happened_at, at))
