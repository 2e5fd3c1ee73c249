"""A file in any order ends where the whole history ends, and concludes nothing that a later line refutes."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given

from segmenter.adapters.memory import MemoryStore
from segmenter.domain.changes import CauseKind, ChangeSet
from segmenter.domain.events import Click, Event, OrderPlaced, identity_of
from segmenter.domain.instants import HOUR, Instant, instant_of
from segmenter.domain.profile import LIFECYCLE, VALUE, Profile
from segmenter.domain.rulebook import CountsFrom, Rulebook, ValueRule
from segmenter.engine.lane import Services
from segmenter.engine.simulation import Simulation, Step
from segmenter.engine.terms import Terms
from segmenter.ports import Decoded, OutboxPage
from tests.oracle.model import classes_at, figures_at, minor_units
from tests.properties.comparing import by_customer, moment_of
from tests.properties.histories import START, Rules, arrivals, closing_times, histories, rules
from tests.properties.market import RECORDER, Listener, Parcel

files = histories().flatmap(arrivals).map(lambda lines: [line for line in lines if not isinstance(line, datetime)])


@given(files, rules(), closing_times)
def test_a_file_in_any_order_ends_where_the_whole_history_ends(
    lines: list[Event], rules: Rules, close: datetime
) -> None:
    profiles, _ = simulated(lines, rules.rulebook, close)

    known = by_customer(lines)
    figures = {customer: figures_at(events, close, rules.terms) for customer, events in known.items()}
    assert {c: p.segment_in(LIFECYCLE) for c, p in profiles.items()} == {c: f.lifecycle for c, f in figures.items()}
    assert {c: p.segment_in(VALUE) for c, p in profiles.items()} == classes_at(known, close, rules.terms)


@given(files, rules(), closing_times)
def test_nobody_is_called_inactive_whose_order_stands_further_down_the_file(
    lines: list[Event], rules: Rules, close: datetime
) -> None:
    by_placing = replace(rules.rulebook.lifecycle, counts_from=CountsFrom.PLACED)
    orders = [line for line in lines if isinstance(line, OrderPlaced | Click)]

    _, said = simulated(orders, replace(rules.rulebook, lifecycle=by_placing), close)

    for told in said:
        if any(change.after == "inactive" for change in told.changes):
            # An order at the very instant of the deadline comes after the silence.
            silent_since = moment_of(told.effective_at) - rules.terms.inactive_after
            assert silent_since in _order_times(orders, told.customer, rules)
            assert not any(
                silent_since < at < moment_of(told.effective_at) for at in _order_times(orders, told.customer, rules)
            )


def test_peers_move_nobody_before_what_moved_them() -> None:
    rules = Rulebook(value=ValueRule(window=36 * HOUR, band=Decimal(0), dwell=0, min_ranked=1), dedupe_horizon=None)
    orders = [(START, "c1", "1"), (START + timedelta(hours=1), "c3", "50")]
    # The first order leaves the window within the second before.
    orders.append((START + timedelta(hours=36, seconds=1), "c2", "9000"))
    lines = [
        OrderPlaced(event_id=c, customer_id=c, order_id=c, occurred_at=moment, amount=Decimal(amount), currency="EUR")
        for moment, c, amount in orders
    ]

    _, said = simulated(lines, rules, START + timedelta(hours=36, seconds=1))

    moved = [told.effective_at for told in said if told.customer == "c3" and told.cause.kind is CauseKind.PEERS]
    assert moved[-1] == instant_of(lines[-1].occurred_at)


def _order_times(events: Sequence[Event], customer: str, rules: Rules) -> list[datetime]:
    """Return when there were orders that count: 0.01 JPY come to nothing."""
    return [
        event.occurred_at
        for event in events
        if isinstance(event, OrderPlaced)
        and event.customer_id == customer
        and minor_units(event.amount, event.currency, rules.terms) > 0
    ]


def simulated(
    lines: Sequence[Event], rulebook: Rulebook, close: datetime
) -> tuple[dict[str, Profile], list[ChangeSet]]:
    """Return where everybody ends, and all that was said."""

    async def run() -> tuple[dict[str, Profile], list[ChangeSet]]:
        store, listener, end = MemoryStore(1), Listener(), instant_of(close)
        services = Services(store=store.lanes, encoder=listener, recorder=RECORDER)
        terms = Terms(rulebook=rulebook, partitions=1, announce_from=0)
        await Simulation(terms, services, store.board, _publish).run(_steps(lines, end), lambda: end)
        customers = list(by_customer(lines))
        loaded = await store.lanes.load(0, customers)
        return {c: p for c, p in zip(customers, loaded, strict=True) if p is not None}, listener.changes

    return asyncio.run(run())


def _steps(lines: Sequence[Event], end: Instant) -> Iterator[Step]:
    for offset, event in enumerate(lines):
        at, customer = instant_of(event.occurred_at), identity_of(event)
        decoded = Decoded(event=event, customer=customer, home_id=customer, at=at, event_id=event.event_id or "")
        to_come = min(instant_of(later.occurred_at) for later in lines[offset:])
        yield Step(decoded, Parcel("file", 0, offset, end), min(end, to_come))


def _publish(pages: Sequence[OutboxPage]) -> None:
    """Leave what was said to the listener."""
