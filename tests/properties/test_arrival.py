"""Any order of arrival, any repetition and any timing of ticks ends in the same place."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from segmenter.domain.events import Event
from segmenter.domain.profile import Profile
from tests.oracle.model import classes_at, figures_at
from tests.properties.comparing import by_customer
from tests.properties.counter import Counter
from tests.properties.histories import Arrangement, Rules, arrivals, closing_times, histories, rules

arranged = histories().flatmap(lambda history: st.tuples(st.just(history), arrivals(history)))


@given(arranged, rules(), closing_times, st.booleans())
def test_any_arrival_ends_in_the_same_facts_lifecycle_and_class(
    arranged: tuple[list[Event], Arrangement], rules: Rules, close: datetime, is_behind: bool
) -> None:
    history, arrangement = arranged
    plain, tangled = Counter(rules.rulebook), Counter(rules.rulebook, is_behind=is_behind)

    plain.play(history)
    tangled.play(arrangement)
    plain.rest_at(close)
    tangled.rest_at(close)

    facts = {customer: facts_of(profile) for customer, profile in tangled.profiles.items()}
    assert facts == {customer: facts_of(profile) for customer, profile in plain.profiles.items()}
    assert tangled.lifecycles() == plain.lifecycles()
    assert tangled.classes() == plain.classes()


@given(arranged, rules(), closing_times, st.booleans())
def test_any_arrival_ends_where_the_model_ends(
    arranged: tuple[list[Event], Arrangement], rules: Rules, close: datetime, is_behind: bool
) -> None:
    history, arrangement = arranged
    counter = Counter(rules.rulebook, is_behind=is_behind)

    counter.play(arrangement)
    counter.rest_at(close)

    known = by_customer(history)
    figures = {customer: figures_at(events, close, rules.terms) for customer, events in known.items()}
    assert counter.lifecycles() == {customer: found.lifecycle for customer, found in figures.items()}
    assert counter.classes() == classes_at(known, close, rules.terms)


def facts_of(profile: Profile) -> tuple[object, ...]:
    """Return what is known of a customer, without what was said of him.

    Staff are left out of the totals: nothing is told of them, so no deadline keeps their window up to date.
    """
    totals = None if profile.is_excluded else profile.totals
    return profile.ledger, totals, profile.attributes, profile.first_seen_at, profile.last_seen_at
