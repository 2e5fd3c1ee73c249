"""The instants at which the naive customer is looked at: whenever a span that a rule names has passed since a fact.

Far too many, and that is the point: which of them matter is what the product has to know.
"""

import itertools
from collections.abc import Iterable, Iterator
from functools import lru_cache

from segmenter.domain.conditions import (
    Absent,
    Age,
    AnyOf,
    Bound,
    Condition,
    HasAttribute,
    Measure,
    Measured,
    Not,
    Sequence,
)
from segmenter.domain.conditions import All as AllOf
from segmenter.domain.events import CustomerPut
from segmenter.domain.rulebook import EngagementRule, Rulebook
from segmenter.domain.windows import Window
from tests.oracle.segments_conditions import HOUR, bucket_end, instant_in, local_date, silence_of, warmth_at
from tests.oracle.segments_facts import Facts, micros

_TALLIED = (Measure.CLICKS, Measure.CONTACTS, Measure.OPENS)


def moments_between(facts: Facts, rulebook: Rulebook, after: int, until: int) -> set[int]:
    """Return every instant of (after, until] at which an answer may become another by time alone."""
    found = {at + span for at in _times(facts, rulebook) for span in _spans_of(rulebook)}
    found |= {
        bucket_end(at, window) + window.span
        for at in [at for at, _ in (*facts.clicks, *facts.contacts)]
        for window in _bucketed(rulebook)
        if window.span is not None
    }
    found |= {micros(event.until) for _, event in facts.timeline if isinstance(event, CustomerPut) and event.until}
    for zone in _zones(rulebook):
        found |= set(_midnights(zone, after, until))
    if rulebook.rhythm is not None and (times := [at for at, _ in facts.counted]):
        found.add(max(times) + silence_of(rulebook.rhythm, times))
    if rulebook.engagement is not None:
        found |= set(_coolings(rulebook.engagement, facts, after, until))
    return {at for at in found if after < at <= until}


def _times(facts: Facts, rulebook: Rulebook) -> set[int]:
    times = {at for at, _ in facts.timeline} | {facts.first_seen_at}
    return times | {at for value in facts.attributes.values() if (at := instant_in(value, "UTC")) is not None}


def leaves_of(rulebook: Rulebook) -> Iterator[Condition]:
    """Yield every leaf of every definition."""
    for definition in rulebook.segments:
        for condition in (definition.when, definition.leave_when):
            if condition is not None:
                yield from _leaves(condition)


def _leaves(condition: Condition) -> Iterator[Condition]:
    match condition:
        case AllOf(conditions) | AnyOf(conditions):
            for part in conditions:
                yield from _leaves(part)
        case Not(inner):
            yield from _leaves(inner)
        case _:
            yield condition


def _spans_of(rulebook: Rulebook) -> set[int]:
    spans = {rulebook.lifecycle.inactive_after}
    for leaf in leaves_of(rulebook):
        spans |= set(_spans_in(leaf))
    if rulebook.rfm is not None:
        spans |= {span + 1 for span in rulebook.rfm.recency if not isinstance(span, str)}
        spans |= _rolling(rulebook.rfm.window)
    if rulebook.care is not None:
        spans |= {rulebook.care.unhappy_for, rulebook.care.returns_within}
    return spans


def _spans_in(leaf: Condition) -> Iterable[int]:
    match leaf:
        case Measured(measure, bound, window):
            ages = _edges(bound) if measure is Measure.TICKET_OPEN_FOR else set[int]()
            return _rolling(window) | ages
        case Absent(window=window):
            return _rolling(window)
        case Sequence(within=within):
            return {within}
        case HasAttribute(test=Age(bound)):
            return _edges(bound)
        case _:
            return ()


def _rolling(window: Window) -> set[int]:
    return set() if window.span is None or window.zone is not None else {window.span}


def _edges(bound: Bound) -> set[int]:
    return {int(edge) + more for edge in (bound.least, bound.most) if edge is not None for more in (0, 1)}


def _bucketed(rulebook: Rulebook) -> set[Window]:
    leaves = (leaf for leaf in leaves_of(rulebook) if isinstance(leaf, Measured) and leaf.measure in _TALLIED)
    return {leaf.window for leaf in leaves if leaf.window.zone is None}


def _zones(rulebook: Rulebook) -> set[str]:
    windows = [leaf.window.zone for leaf in leaves_of(rulebook) if isinstance(leaf, Measured | Absent)]
    tests = [getattr(leaf.test, "zone", None) for leaf in leaves_of(rulebook) if isinstance(leaf, HasAttribute)]
    rfm = [] if rulebook.rfm is None else [rulebook.rfm.window.zone]
    return {zone for zone in (*windows, *tests, *rfm) if zone is not None}


def _midnights(zone: str, after: int, until: int) -> Iterator[int]:
    """Yield every full hour that begins another local day: all zones of the tests are whole hours away from UTC."""
    for hour in range(after // HOUR, until // HOUR + 1):
        if _begins_a_day(hour, zone):
            yield hour * HOUR


@lru_cache(maxsize=100_000)
def _begins_a_day(hour: int, zone: str) -> bool:
    return local_date(hour * HOUR, zone) != local_date(hour * HOUR - 1, zone)


def _coolings(rule: EngagementRule, facts: Facts, after: int, until: int) -> Iterator[int]:
    """Yield the first instants at which he is less than hot, and less than warm, by halving between clicks."""
    stops = sorted({after, until, *(at for at, _ in facts.clicks if after < at < until)})
    for bound in (float(rule.hot), float(rule.warm)):
        for first, last in itertools.pairwise(stops):
            if warmth_at(rule, facts, first) >= bound > warmth_at(rule, facts, last):
                low, high = first, last
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if warmth_at(rule, facts, middle) >= bound else (low, middle)
                yield high
