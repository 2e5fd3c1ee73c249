"""Conditions in words: what each asked for, what it found, and what is missing. The evaluator is the live one."""

from dataclasses import dataclass
from decimal import Decimal

from segmenter.domain.conditions import (
    IN,
    TALLIED,
    UNIT_OF,
    Absent,
    Age,
    All,
    Anniversary,
    AnyOf,
    Bound,
    Comparison,
    Condition,
    DateIn,
    Definition,
    Exists,
    Filter,
    HasAttribute,
    InDimension,
    InSegment,
    Measured,
    Not,
    Number,
    OneOf,
    Scored,
    Sequence,
    Unit,
    parts_of,
)
from segmenter.domain.evaluation import find
from segmenter.domain.finding import Actual, Finding
from segmenter.domain.instants import Instant, rfc3339, span_text, span_words
from segmenter.domain.money import money_text
from segmenter.domain.sight import Sight
from segmenter.domain.windows import NEVER, Window

_SIGNS = {
    Comparison.AT_LEAST: ">=",
    Comparison.MORE_THAN: ">",
    Comparison.AT_MOST: "<=",
    Comparison.LESS_THAN: "<",
    Comparison.EQUALS: "==",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """A condition with its answer. `parts` are those of `all`, `any` and `not`; a leaf has none."""

    condition: str
    """What is asked, such as `orders within 365d`; `all`, `any` or `not` for what is made of parts."""
    holds: bool
    actual: str
    threshold: str
    until: Instant | None
    """When the answer can change by time alone."""
    missing: str = ""
    """What would make it hold; empty where it does, or where that cannot be said in a number."""
    parts: "tuple[Explained, ...]" = ()


def explained(condition: Condition, sight: Sight) -> Explained:
    """Return a condition with everything below it, answered at the moment of the sight."""
    finding = find(condition, sight)
    until = None if finding.until >= NEVER else finding.until
    parts = tuple(explained(part, sight) for part in parts_of(condition))
    if parts:
        name = "all" if isinstance(condition, All) else "any" if isinstance(condition, AnyOf) else "not"
        missing = must_end(parts[0]) if name == "not" and not finding.holds else ""
        return Explained(name, finding.holds, "", "", until, missing, parts)
    currency = sight.rulebook.currency
    return Explained(
        name_of(condition),
        finding.holds,
        _actual(condition, finding.actual, currency),
        threshold_of(condition, currency),
        until,
        "" if finding.holds else _missing(condition, finding, currency),
    )


def must_end(part: Explained) -> str:
    """Return what would make a `not` hold: the end of what it refuses, and when that comes by itself."""
    when = "" if part.until is None else f" (by time alone at {rfc3339(part.until)})"
    what = f"the end of `{part.condition}`" if part.parts else f"{part.condition} no longer {part.threshold}"
    return what + when


def leaves_explained(definition: Definition, sight: Sight, *, is_in: bool) -> list[Explained]:
    """Return the leaves that decided on a segment: of `when`, or of `leave_when` for one who has left by that."""
    condition = definition.when if is_in or definition.leave_when is None else definition.leave_when
    return _leaves(explained(condition, sight))


def _leaves(tree: Explained) -> list[Explained]:
    return [leaf for part in tree.parts for leaf in _leaves(part)] if tree.parts else [tree]


def name_of(leaf: Condition) -> str:  # noqa: PLR0911 - one line a kind
    """Return what a leaf asks about."""
    match leaf:
        case Measured(measure, _, window, where):
            return f"{measure}{_where(where)}{_within(window)}"
        case InDimension(dimension):
            return dimension
        case Absent(activity, window):
            return f"no {activity}{_for(window)}"
        case Sequence(steps):
            named = (f"{'no ' if step.is_missing else ''}{step.type}{_where(step.where)}" for step in steps)
            return " then ".join(named)
        case HasAttribute(name, Age()):
            return f"age of attribute {name}"
        case HasAttribute(name, Anniversary()):
            return f"days to the anniversary of attribute {name}"
        case HasAttribute(name):
            return f"attribute {name}"
        case InSegment(name):
            return f"segment {name}"
        case Scored(score):
            return f"score {score}"
        case All() | AnyOf() | Not():
            return "condition"


def threshold_of(leaf: Condition, currency: str) -> str:  # noqa: PLR0911 - one line a kind
    """Return what a leaf is held against."""
    match leaf:
        case Measured(measure, bound):
            return _bound(bound, UNIT_OF.get(measure, Unit.COUNT), currency)
        case InDimension(_, segments):
            return " or ".join(segments)
        case Absent(_, window):
            return f">= {span_text(window.span or 0)}"
        case Sequence(_, within):
            return f"within {span_text(within)}"
        case HasAttribute(_, test):
            return _test(test, currency)
        case InSegment():
            return IN
        case Scored(_, bound):
            return _bound(bound, Unit.COUNT, currency)
        case All() | AnyOf() | Not():
            return ""


def _test(test: Exists | OneOf | Number | Age | Anniversary | DateIn, currency: str) -> str:
    match test:
        case Exists(is_there):
            return "is there" if is_there else "is not there"
        case OneOf(values):
            return " or ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
        case Number(bound):
            return _bound(bound, Unit.COUNT, currency)
        case Age(bound):
            return _bound(bound, Unit.SPAN, currency)
        case Anniversary(within):
            return f"within {span_text(within)}"
        case DateIn(first, end):
            return f"from {rfc3339(first)} to {rfc3339(end)}"


def _bound(bound: Bound, unit: Unit, currency: str) -> str:
    least = _number(bound.least, unit, currency)
    if bound.comparison is Comparison.BETWEEN:
        return f"{least} to {_number(bound.most or Decimal(0), unit, currency)}"
    return f"{_SIGNS[bound.comparison]} {least}"


def _actual(leaf: Condition, actual: Actual, currency: str) -> str:
    if actual is None:
        return "none" if isinstance(leaf, InDimension) else "nothing"
    match leaf:
        case Measured(measure) if UNIT_OF.get(measure) is Unit.SPAN:
            return span_words(int(actual))
        case Measured(measure):
            return _number(actual, UNIT_OF.get(measure, Unit.COUNT), currency)
        case Absent() | HasAttribute(_, Age()):
            return span_words(int(actual))
        case _:
            return str(actual)


def _number(actual: int | Decimal | str, unit: Unit, currency: str) -> str:
    if isinstance(actual, str):
        return actual
    match unit:
        case Unit.MONEY:
            return f"{_money(actual, currency)} {currency}"
        case Unit.SPAN:
            return span_text(int(actual))
        case Unit.SHARE | Unit.SCORE | Unit.DAYS:
            return f"{Decimal(actual):.3f}".rstrip("0").rstrip(".")
        case Unit.COUNT:
            return str(actual)


def _money(units: int | Decimal, currency: str) -> str:
    """Return money as text; a threshold may be finer than the currency."""
    whole = int(units)
    if whole == units:
        return money_text(whole, currency)
    exponent = len(money_text(0, currency).partition(".")[2])
    return f"{Decimal(units).scaleb(-exponent):f}"


def _missing(leaf: Condition, finding: Finding, currency: str) -> str:
    """Return what a leaf lacks: a number to be reached, or a time to be waited for."""
    if isinstance(leaf, Measured) and not isinstance(finding.actual, str):
        unit = UNIT_OF.get(leaf.measure, Unit.COUNT)
        found = finding.actual or 0
        rises = leaf.bound.comparison in (Comparison.AT_LEAST, Comparison.BETWEEN, Comparison.EQUALS)
        if unit is not Unit.SPAN and rises and found < leaf.bound.least:
            return f"{_number(leaf.bound.least - found, unit, currency)} more"
        if unit is Unit.COUNT and leaf.bound.comparison is Comparison.MORE_THAN:
            return f"{int(leaf.bound.least // 1) + 1 - found} more"
        if unit is not Unit.SPAN and leaf.bound.comparison is Comparison.MORE_THAN:
            return f"more than {_number(leaf.bound.least - found, unit, currency)} more"
    return f"time until {rfc3339(finding.until)}" if finding.until < NEVER else ""


def _where(where: Filter) -> str:
    return "".join(f" of {field} {' or '.join(values)}" for field, values in where.values)


def _within(window: Window) -> str:
    return "" if window.span is None else f" within {span_text(window.span)}{_zone(window)}"


def _for(window: Window) -> str:
    return "" if window.span is None else f" for {span_text(window.span)}{_zone(window)}"


def _zone(window: Window) -> str:
    return "" if window.zone is None else f" of {window.zone}"


def bucket_note(leaf: Condition) -> str:
    """Return how wide the buckets are in which a leaf counts; empty where it is exact to the second."""
    if isinstance(leaf, Measured) and leaf.measure in TALLIED and leaf.window.width:
        return f"counted in steps of {span_text(leaf.window.width)}"
    return ""
