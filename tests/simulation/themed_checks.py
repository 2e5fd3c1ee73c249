"""What must hold in worlds that are made to bring one thing about, beside all that holds everywhere."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from segmenter.domain.events import CustomerUpdated, Event, OrderPlaced
from segmenter.domain.instants import SECOND, Span, instant_of
from segmenter.domain.profile import LIFECYCLE
from segmenter.domain.rulebook import CountsFrom
from tests.oracle.model import ORDER_EVENTS
from tests.simulation.acts import Theme
from tests.simulation.heard import Heard
from tests.simulation.rules import MAILS, REKEYED, Kind
from tests.simulation.themes import MAX_SILENCE, OUTBOX
from tests.simulation.world import World

# What one commit of seven events, three deadlines and two looks may add to an outbox, two or three records each.
MOST_A_COMMIT = 30
# Pauses that double from 0.1 s: eleven of them take longer than any world refuses anything.
MOST_TRIES = 14
FORWARD = ("prospect", "new", "repeat")
# Until a lane is behind its clicks conclude by their own time, and what was under way then is still told.
SLACK: Span = 25 * SECOND


class TornError(AssertionError):
    """No time can mend this."""


def laws_for(world: World, heard: Heard, events: Mapping[str, Sequence[Event]]) -> Iterator[Callable[[], None]]:
    """Yield the laws of a world's theme and kind."""
    theme, kind = world.plan.theme, world.plan.rules.kind

    def a_lane_that_stays_is_not_taken_anew() -> None:
        taken = {place: count for place, count in world.watch.acquired.items() if count > 1}
        if taken:
            raise TornError(f"taken more than once: {taken}")

    def outboxes_stayed_bounded() -> None:
        if world.watch.fullest > OUTBOX + MOST_A_COMMIT:
            raise TornError(f"{world.watch.fullest} entries in an outbox of {OUTBOX}")

    def nobody_tried_without_pauses() -> None:
        _check_tries("claims", world.watch.tries)
        _check_tries("commits", world.watch.refused)
        refusals = world.cluster.refusals.items()
        _check_tries("forwards", {place: count // MAILS for place, count in refusals if place.topic == REKEYED})

    def time_stood_still_while_a_topic_was_silent() -> None:
        _check_silences(world, heard)

    def nobody_lost_an_order_that_nothing_took_back() -> None:
        _check_forward(heard, events)

    if theme is Theme.CALM:
        yield a_lane_that_stays_is_not_taken_anew
    if theme is Theme.STORM:
        yield outboxes_stayed_bounded
        yield nobody_tried_without_pauses
    if theme is Theme.SILENT:
        yield time_stood_still_while_a_topic_was_silent
    if kind is Kind.REWIND and world.plan.rules.terms.rulebook.lifecycle.counts_from is CountsFrom.PLACED:
        yield nobody_lost_an_order_that_nothing_took_back


def _check_tries(what: str, tries: Mapping[Any, int]) -> None:
    if any(count > MOST_TRIES for count in tries.values()):
        raise TornError(f"{what} while all was refused: {dict(tries)}")


def _check_silences(world: World, heard: Heard) -> None:
    """Nothing was concluded of the time in which a topic was silent before it spoke again."""
    for said in _sets(heard):
        if said["cause"]["kind"] != "time":
            continue
        effective_at, recorded_at = _instant(said["effective_at"]), _instant(said["recorded_at"])
        for silence in world.watch.silences:
            if silence.began_at + MAX_SILENCE + SLACK < effective_at and recorded_at < silence.ended_at:
                raise TornError(f"{silence} and yet {said}")


def _check_forward(heard: Heard, events: Mapping[str, Sequence[Event]]) -> None:
    """Whose events only ever add orders goes forward: he is never told to be again what he was."""
    for customer, sets in heard.changes.items():
        if not _only_adds(events.get(customer, ())):
            continue
        furthest = 0
        for change in (change for said in sets for change in said["changes"] if change["dimension"] == LIFECYCLE):
            if change["after"] in FORWARD:
                place = FORWARD.index(change["after"])
                if place < furthest:
                    raise TornError(f"{customer}: {change} in {sets}")
                furthest = place


def _only_adds(events: Sequence[Event]) -> bool:
    facts = Counter(e.order_id for e in events if isinstance(e, ORDER_EVENTS))
    return not any(
        isinstance(event, CustomerUpdated) or (isinstance(event, ORDER_EVENTS) and _takes_back(event, facts))
        for event in events
    )


def _takes_back(event: Any, facts: Counter[str | None]) -> bool:
    return facts[event.order_id] > 1 or not isinstance(event, OrderPlaced)


def _sets(heard: Heard) -> Iterator[Any]:
    return (said for sets in heard.changes.values() for said in sets)


def _instant(text: str) -> int:
    return instant_of(datetime.fromisoformat(text))
