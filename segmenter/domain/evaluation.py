"""The evaluator, one for live traffic, backfill, preview and explanation. Answers carry their expiry."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from segmenter.domain.attributes import attribute_finding
from segmenter.domain.behaviour import Trail
from segmenter.domain.conditions import (
    CUSTOM_PREFIX,
    IN,
    OUT,
    Absent,
    Activity,
    All,
    AnyOf,
    Condition,
    Definition,
    HasAttribute,
    InDimension,
    InSegment,
    Measured,
    Not,
    Scored,
    Sequence,
)
from segmenter.domain.finding import Finding, all_of, any_of, negated
from segmenter.domain.following import sequence_finding
from segmenter.domain.instants import Instant
from segmenter.domain.measuring import measured
from segmenter.domain.puts import Put
from segmenter.domain.sight import Sight
from segmenter.domain.windows import NEVER

_NO_TRAIL = Trail()


def find(condition: Condition, sight: Sight) -> Finding:
    """Return the answer of a condition at the moment of the sight."""
    return _FINDERS[type(condition)](condition, sight)


def _in_dimension(leaf: InDimension, sight: Sight) -> Finding:
    present = sight.segments.get(leaf.dimension)
    return Finding(present in leaf.segments, actual=present)


def _in_segment(leaf: InSegment, sight: Sight) -> Finding:
    present = sight.segments.get(f"{CUSTOM_PREFIX}{leaf.name}", OUT)
    return Finding(present == IN, actual=present)


def _scored(leaf: Scored, sight: Sight) -> Finding:
    number = sight.scores.get(leaf.score.value)
    return Finding(number is not None and leaf.bound.holds(number), actual=number)


def _all(condition: All, sight: Sight) -> Finding:
    return all_of([find(part, sight) for part in condition.conditions])


def _any(condition: AnyOf, sight: Sight) -> Finding:
    return any_of([find(part, sight) for part in condition.conditions])


def _not(condition: Not, sight: Sight) -> Finding:
    return negated(find(condition.condition, sight))


def _absent(leaf: Absent, sight: Sight) -> Finding:
    """Return whether nothing of a kind came for so long; the actual is the time since, in microseconds."""
    last_at = _last_at(leaf.activity, sight)
    if last_at is None and leaf.include_never:
        return Finding(True)
    since = sight.profile.first_seen_at if last_at is None else last_at
    if since is None:
        return Finding(False)
    over_at = leaf.window.exit_at(since)
    actual = max(0, sight.now - since)
    return Finding(True, actual=actual) if sight.now >= over_at else Finding(False, over_at, actual=actual)


def _last_at(activity: Activity, sight: Sight) -> Instant | None:
    match activity:
        case Activity.ORDER:
            return max(_known(sight.folded.last_at, (at for at, _ in sight.orders)), default=None)
        case Activity.CLICK:
            return sight.behaviour.clicked_at
        case Activity.DELIVERY:
            delivered = (order.delivered_at for order in sight.ledger.orders.values())
            return max((at for at in delivered if at is not None), default=None)
        case Activity.CONTACT:
            return sight.behaviour.contacted_at
        case Activity.ANY:
            return sight.profile.last_seen_at


def _known(at: Instant | None, times: Iterable[Instant]) -> list[Instant]:
    return [*times] if at is None else [at, *times]


def _sequence(leaf: Sequence, sight: Sight) -> Finding:
    key = sight.rulebook.plan.key_by_leaf[id(leaf)]
    return sequence_finding(leaf, sight.behaviour.trails.get(key, _NO_TRAIL), sight.now)


# Looked up by type: a rulebook has hundreds of conditions, and matching them in turn took longer than most answers.
_FINDERS: Mapping[type, Callable[[Any, Sight], Finding]] = {
    Measured: measured,
    InDimension: _in_dimension,
    Absent: _absent,
    Sequence: _sequence,
    HasAttribute: attribute_finding,
    InSegment: _in_segment,
    Scored: _scored,
    All: _all,
    AnyOf: _any,
    Not: _not,
}


def membership(definition: Definition, sight: Sight) -> tuple[Finding, bool]:
    """Return whether a customer is in a segment now, and whether a move is held back by a stay or a cooldown."""
    put = sight.open_puts.get(definition.name)
    return _by_rules(definition, sight) if put is None else (_by_hand(definition, put, sight), False)


def _by_hand(definition: Definition, put: Put, sight: Sight) -> Finding:
    """Return where a put has the customer, or where the rules have him now that it is over; keep what these say.

    Stays and cooldowns are about what is told, and do not count beneath a put.
    """
    if put.is_in_by_rules:
        leave = Not(definition.when) if definition.leave_when is None else definition.leave_when
        ruled = negated(find(leave, sight))
    else:
        ruled = _entering(definition, sight)
    if not put.holds_at(sight.now):
        sight.in_by_rules[definition.name] = None
        return ruled
    sight.in_by_rules[definition.name] = ruled.holds
    return Finding(put.to == IN, min(put.until, ruled.until))


def _entering(definition: Definition, sight: Sight) -> Finding:
    enters = find(definition.when, sight)
    if definition.leave_when is None:
        return enters
    return all_of((enters, negated(find(definition.leave_when, sight))))


def _by_rules(definition: Definition, sight: Sight) -> tuple[Finding, bool]:
    present = sight.profile.present.get(definition.dimension)
    if present is not None and present.segment == IN:
        leaves = (
            negated(find(definition.when, sight))
            if definition.leave_when is None
            else find(definition.leave_when, sight)
        )
        stays_until = present.since + definition.stay_at_least
        if leaves.holds and sight.now < stays_until:
            return Finding(True, min(stays_until, leaves.until)), True
        return negated(leaves), False
    enters = _entering(definition, sight)
    if enters.holds and present is not None and sight.now < (free_at := present.since + definition.cooldown):
        return Finding(False, min(free_at, enters.until)), True
    return enters, False


def segments_of(sight: Sight) -> tuple[Instant, tuple[str, ...]]:
    """Put the customer into the declared segments, in their order; return expiry, and where a move is held.

    Who was never in a segment has no entry for it; who left keeps one, so that it is known since when.
    """
    until, held = NEVER, list[str]()
    for dimension in sight.rulebook.plan.paused:
        if (standing := sight.profile.present.get(dimension)) is not None:
            sight.segments[dimension] = standing.segment
    for definition in sight.rulebook.plan.definitions:
        answer, is_held = membership(definition, sight)
        until = min(until, answer.until)
        if is_held:
            held.append(definition.dimension)
        if answer.holds:
            sight.segments[definition.dimension] = IN
        elif definition.dimension in sight.profile.present:
            sight.segments[definition.dimension] = OUT
    return until, tuple(held)


def touched_until(definitions: Iterable[Definition], sight: Sight) -> Instant | None:
    """Return until when these stay as they are; None where one of them moves, is or was held, or is put by hand."""
    until, was_held = NEVER, sight.behaviour.held
    for definition in definitions:
        if definition.name in sight.open_puts:
            return None
        answer, is_held = membership(definition, sight)
        dimension = definition.dimension
        if is_held or dimension in was_held or answer.holds != (sight.segments.get(dimension) == IN):
            return None
        until = min(until, answer.until)
    return until
