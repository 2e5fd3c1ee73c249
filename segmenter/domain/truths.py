"""Conditions that no customer can fulfil, and conditions that none can miss: most likely not what was meant."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TypeAlias

from segmenter.domain.conditions import (
    UNIT_OF,
    Age,
    All,
    AnyOf,
    Bound,
    Comparison,
    Condition,
    HasAttribute,
    InDimension,
    Measure,
    Measured,
    Not,
    Number,
    OneOf,
    Scored,
    Unit,
)
from segmenter.domain.lifecycle import Lifecycle

End: TypeAlias = tuple[Decimal, int]
"""A number, and whether just below it (-1), itself (0) or just above it (1) is meant."""

Interval: TypeAlias = tuple[End, End]
"""All numbers from one end to the other; empty where the first lies above the second."""

_LEAST: End = (Decimal("-Infinity"), 0)
_MOST: End = (Decimal("Infinity"), 0)
_FROM_0: Interval = ((Decimal(0), 0), _MOST)
_ANY: Interval = (_LEAST, _MOST)
_RANGES: Mapping[Measure, Interval] = {
    Measure.NET_REVENUE: _ANY,
    Measure.AVERAGE_ORDER: _ANY,
    Measure.DISCOUNT_SHARE: ((Decimal(0), 0), (Decimal(1), 0)),
    Measure.CSAT: ((Decimal(1), 0), (Decimal(5), 0)),
    Measure.NPS: ((Decimal(0), 0), (Decimal(10), 0)),
}
"""What the measures can come to; from 0 up where they are missing here."""
_SCORES: Interval = ((Decimal(1), 0), (Decimal(5), 0))
# A customer has no average, share, gap or answer until there is something to work it out from.
_ALWAYS_THERE = frozenset(measure for measure in Measure if UNIT_OF.get(measure, Unit.COUNT) is Unit.COUNT) | {
    Measure.NET_REVENUE,
    Measure.GROSS_REVENUE,
    Measure.REFUNDED,
}
_EVERYONE: Mapping[str, frozenset[str]] = {
    "lifecycle": frozenset(Lifecycle),
    "engagement": frozenset(["hot", "warm", "cold"]),
    "care": frozenset(["none", "open_issue", "unhappy"]),
    "rhythm": frozenset(["regular", "at_risk", "none"]),
}
"""Dimensions in which every customer has a segment, with all of them."""

NEVER_TRUE, NEVER_FALSE = "can never be true", "can never be false"


def oddity_of(condition: Condition) -> str | None:
    """Return why a condition never moves anybody, looking at it alone and not into its parts; None if it may."""
    match condition:
        case Measured():
            return _of_measure(condition)
        case Scored(_, bound):
            return _of_reach(bound, _SCORES, "a score is from 1 to 5", is_whole=True, is_always_there=False)
        case InDimension(dimension, segments) if frozenset(segments) >= _EVERYONE.get(dimension, frozenset("?")):
            return f"{NEVER_FALSE}: these are all segments of {dimension}"
        case All():
            return _of_all(condition)
        case AnyOf():
            return _of_any(condition)
        case _:
            return None


def shuts_out(when: Condition, leave_when: Condition) -> bool:
    """Tell whether `leave_when` holds wherever `when` does: nobody comes in then."""
    return any(_implies(part, leave_when) for part in _flat(All((when,)), All))


def _implies(part: Condition, other: Condition) -> bool:
    if part == other:
        return True
    if isinstance(part, InDimension) and isinstance(other, InDimension):
        return part.dimension == other.dimension and set(part.segments) <= set(other.segments)
    inner, outer = _bounded(part), _bounded(other)
    if inner is None or outer is None or _subject(part) != _subject(other):
        return False
    return outer[1][0] <= inner[1][0] and inner[1][1] <= outer[1][1]


def _of_measure(leaf: Measured) -> str | None:
    measure, bound, unit = leaf.measure, leaf.bound, UNIT_OF.get(leaf.measure, Unit.COUNT)
    low, high = _RANGES.get(measure, _FROM_0)
    reach = f"{measure} is never below {low[0]}" if high == _MOST else f"{measure} is from {low[0]} to {high[0]}"
    is_always_there = measure in _ALWAYS_THERE
    found = _of_reach(bound, (low, high), reach, is_whole=unit is Unit.COUNT, is_always_there=is_always_there)
    if found is None and unit is Unit.SHARE and max(bound.least, bound.most or bound.least) > 1:
        return "is a share above 1; 25 % is written as 0.25"
    return found


def _of_reach(bound: Bound, reach: Interval, words: str, *, is_whole: bool, is_always_there: bool) -> str | None:
    asked = _interval(bound, is_whole)
    if _is_empty(_common([asked, reach])):
        return f"{NEVER_TRUE}: {words}"
    if is_always_there and asked[0] <= reach[0] and asked[1] >= reach[1]:
        return f"{NEVER_FALSE}: {words}"
    return None


def _of_all(condition: All) -> str | None:
    """Find parts that exclude each other."""
    parts = _flat(condition, All)
    if (both := _negated_part(parts)) is not None:
        return f"{NEVER_TRUE}: {both} is asked for, and that it is not"
    for name, intervals in _by_subject(parts):
        if _is_empty(_common(intervals)) and not any(_is_empty(interval) for interval in intervals):
            return f"{NEVER_TRUE}: no number is within all bounds of {name}"
    for name, choices in _choices(parts).items():
        if not frozenset.intersection(*choices):
            return f"{NEVER_TRUE}: nothing is among all values of {name}"
    return None


def _of_any(condition: AnyOf) -> str | None:
    """Find parts of which one always holds."""
    parts = _flat(condition, AnyOf)
    if (both := _negated_part(parts)) is not None:
        return f"{NEVER_FALSE}: {both} is asked for, or that it is not"
    for leaf in parts:
        if isinstance(leaf, Measured) and leaf.measure in _ALWAYS_THERE:
            alike = [part for part in parts if isinstance(part, Measured) and _subject(part) == _subject(leaf)]
            is_whole = _is_whole(leaf)
            intervals = [_interval(part.bound, is_whole) for part in alike]
            if len(alike) > 1 and _cover(intervals, _RANGES.get(leaf.measure, _FROM_0), is_whole):
                return f"{NEVER_FALSE}: every number is within one of the bounds of {leaf.measure}"
    for dimension, everyone in _EVERYONE.items():
        named = [part.segments for part in parts if isinstance(part, InDimension) and part.dimension == dimension]
        if len(named) > 1 and frozenset().union(*named) >= everyone:
            return f"{NEVER_FALSE}: these are all segments of {dimension}"
    return None


def _flat(condition: All | AnyOf, kind: type[All] | type[AnyOf]) -> list[Condition]:
    """Return the parts, and in their place the parts of parts that are bound alike."""
    found: list[Condition] = []
    for part in condition.conditions:
        found += _flat(part, kind) if isinstance(part, All | AnyOf) and isinstance(part, kind) else [part]
    return found


def _negated_part(parts: Iterable[Condition]) -> str | None:
    """Return what is there both as it is and negated."""
    negated = {part.condition for part in parts if isinstance(part, Not)}
    both = next((part for part in parts if part in negated), None)
    return None if both is None else _name(both)


def _name(condition: Condition) -> str:
    match condition:
        case Measured(measure):
            return measure.value
        case InDimension(dimension):
            return dimension
        case HasAttribute(name):
            return name
        case _:
            return "the same condition"


def _by_subject(parts: Iterable[Condition]) -> Iterable[tuple[str, list[Interval]]]:
    """Return the bounds that parts set to one and the same number, with its name."""
    found: dict[object, tuple[str, list[Interval]]] = {}
    for part in parts:
        if (bounded := _bounded(part)) is not None:
            name, interval = bounded
            found.setdefault(_subject(part), (name, []))[1].append(interval)
    return found.values()


def _bounded(part: Condition) -> tuple[str, Interval] | None:
    """Return the name of the number that a leaf holds against a bound, and what is within; None for other parts."""
    match part:
        case Measured(measure, bound):
            return measure.value, _interval(bound, _is_whole(part))
        case Scored(score, bound):
            return score.value, _interval(bound, is_whole=True)
        case HasAttribute(name, Number(bound) | Age(bound)):
            return name, _interval(bound, is_whole=False)
        case _:
            return None


def _subject(part: Condition) -> object:
    match part:
        case Measured(measure, _, window, where):
            return (measure, window, where)
        case Scored(score):
            return score
        case HasAttribute(name, test):
            return (name, type(test))
        case _:
            return part


def _is_whole(leaf: Measured) -> bool:
    return UNIT_OF.get(leaf.measure, Unit.COUNT) is Unit.COUNT


def _choices(parts: Iterable[Condition]) -> dict[str, list[frozenset[object]]]:
    """Return the sets of values that parts set to one and the same dimension or attribute."""
    found: dict[str, list[frozenset[object]]] = {}
    for part in parts:
        match part:
            case InDimension(dimension, segments):
                found.setdefault(dimension, []).append(frozenset(segments))
            case HasAttribute(name, OneOf(values)):
                found.setdefault(f"the attribute {name}", []).append(frozenset(values))
            case _:
                pass
    return found


def _interval(bound: Bound, is_whole: bool) -> Interval:
    low, high = _ends(bound)
    if not is_whole:
        return low, high
    return (_whole_from(low), 0), (_whole_to(high), 0)


def _ends(bound: Bound) -> Interval:
    least, most = bound.least, bound.least if bound.most is None else bound.most
    match bound.comparison:
        case Comparison.AT_LEAST:
            return (least, 0), _MOST
        case Comparison.MORE_THAN:
            return (least, 1), _MOST
        case Comparison.AT_MOST:
            return _LEAST, (least, 0)
        case Comparison.LESS_THAN:
            return _LEAST, (least, -1)
        case Comparison.EQUALS | Comparison.BETWEEN:
            return (least, 0), (most, 0)


def _whole_from(end: End) -> Decimal:
    number, beside = end
    if not number.is_finite():
        return number
    return number.to_integral_value(ROUND_FLOOR) + 1 if beside else number.to_integral_value(ROUND_CEILING)


def _whole_to(end: End) -> Decimal:
    number, beside = end
    if not number.is_finite():
        return number
    return number.to_integral_value(ROUND_CEILING) - 1 if beside else number.to_integral_value(ROUND_FLOOR)


def _common(intervals: Iterable[Interval]) -> Interval:
    lows, highs = zip(*intervals, strict=True)
    return max(lows), min(highs)


def _is_empty(interval: Interval) -> bool:
    return interval[0] > interval[1]


def _cover(intervals: Iterable[Interval], reach: Interval, is_whole: bool) -> bool:
    """Tell whether every number within reach lies in one of the intervals."""
    wanted, end = reach
    for low, high in sorted(intervals):
        if low > wanted:
            return False
        if high >= end:
            return True
        if high >= wanted:
            wanted = (high[0] + 1, 0) if is_whole else (high[0], high[1] + 1)
    return False
