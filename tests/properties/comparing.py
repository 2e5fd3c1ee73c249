"""Product and model side by side."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from segmenter.domain.events import Event, identity_of
from segmenter.domain.instants import Instant, instant_of
from segmenter.domain.ledger import Totals
from segmenter.domain.profile import LIFECYCLE, Profile
from tests.oracle.model import Figures, Terms, figures_at
from tests.properties.histories import START


def moment_of(instant: Instant) -> datetime:
    """Return the instant as the model has it."""
    return START + timedelta(microseconds=instant - instant_of(START))


def by_customer(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Return the events of each customer, in their order."""
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(identity_of(event), []).append(event)
    return found


def numbers_of(totals: Totals) -> tuple[object, ...]:
    """Return the totals of the product in the order of `model_numbers`."""
    return (
        totals.orders,
        totals.first_order_at,
        totals.last_order_at,
        totals.net,
        totals.window_net,
        totals.over_refund,
    )


def model_numbers(figures: Figures) -> tuple[object, ...]:
    """Return what the model found in the order of `numbers_of`."""
    first, last = figures.first_order_at, figures.last_order_at
    return (
        figures.orders,
        None if first is None else instant_of(first),
        None if last is None else instant_of(last),
        figures.net,
        figures.window_net,
        figures.over_refund,
    )


def assert_like_model(profile: Profile, known: Sequence[Event], terms: Terms) -> None:
    """Hold every number and the lifecycle of a profile against all events known so far."""
    figures = figures_at(known, moment_of(profile.settled_at), terms)
    assert profile.segment_in(LIFECYCLE) == figures.lifecycle
    if not profile.is_excluded:
        # Nothing is told of staff, so no deadline keeps their window up to date.
        assert numbers_of(profile.totals) == model_numbers(figures)
