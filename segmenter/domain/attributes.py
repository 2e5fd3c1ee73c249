"""Conditions on what the shop told of a customer: texts, numbers and dates."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import assert_never

from segmenter.domain.conditions import Age, Anniversary, Bound, DateIn, Exists, HasAttribute, Number, OneOf
from segmenter.domain.events import AttributeValue
from segmenter.domain.finding import Finding
from segmenter.domain.instants import DAY, Instant, instant_of
from segmenter.domain.sight import Sight
from segmenter.domain.windows import NEVER, local_day, local_midnight

_EPOCH = date(1970, 1, 1)


def attribute_finding(leaf: HasAttribute, sight: Sight) -> Finding:
    """Return whether an attribute passes its test; one that is missing or of another kind does not."""
    known = sight.profile.attributes.get(leaf.name)
    value = None if known is None else known.value
    match leaf.test:
        case Exists(is_there):
            return Finding((value is not None) == is_there, actual=_shown(value))
        case OneOf(values):
            return Finding(any(_equal(value, wanted) for wanted in values), actual=_shown(value))
        case Number(bound):
            number = _number_in(value)
            return Finding(number is not None and bound.holds(number), actual=number)
        case Age(bound):
            return _age(bound, _instant_in(value, "UTC"), sight.now)
        case Anniversary(within, zone):
            return _anniversary(_date_in(value, zone), within // DAY, zone, sight.now)
        case DateIn(first, end, zone):
            at = _instant_in(value, zone)
            return Finding(at is not None and first <= at < end, actual=_shown(value))
        case _:
            assert_never(leaf.test)


def _shown(value: AttributeValue) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _equal(value: AttributeValue, wanted: str | int | float | bool) -> bool:
    """Tell whether two values are the same; `true` is no number here, and a number no text."""
    if isinstance(value, bool) or isinstance(wanted, bool) or isinstance(value, str) or isinstance(wanted, str):
        return type(value) is type(wanted) and value == wanted
    return value == wanted


def _number_in(value: AttributeValue) -> Decimal | None:
    if value is None or isinstance(value, bool | str):
        return None
    # What was written, not what the nearest binary number is.
    return Decimal(str(value))


def _age(bound: Bound, since: Instant | None, now: Instant) -> Finding:
    if since is None:
        return Finding(False)
    holds = bound.holds(now - since)
    edges = [since + int(edge) + extra for edge in (bound.least, bound.most) if edge is not None for extra in (0, 1)]
    until = min((at for at in edges if at > now and bound.holds(at - since) != holds), default=NEVER)
    return Finding(holds, until, actual=now - since)


def _anniversary(day: date | None, days_ahead: int, zone: str, now: Instant) -> Finding:
    """Return whether the next anniversary is today or at most so many days ahead; 29 February is kept on the 28th."""
    if day is None:
        return Finding(False)
    today = local_day(now, zone)
    this_year = _date(today).year
    coming = min(n for year in (this_year, this_year + 1) if (n := _number(_in_year(day, year))) >= today)
    ahead = coming - today
    if ahead <= days_ahead:
        following = min(n for n in (_number(_in_year(day, _date(coming).year + 1)),))
        leaves = coming + 1
        # Windows that touch leave no gap between two anniversaries.
        until = NEVER if following - days_ahead <= leaves else local_midnight(leaves, zone)
        return Finding(True, until, actual=str(ahead))
    return Finding(False, local_midnight(coming - days_ahead, zone), actual=str(ahead))


def _in_year(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def _date(number: int) -> date:
    return date.fromordinal(_EPOCH.toordinal() + number)


def _number(day: date) -> int:
    return day.toordinal() - _EPOCH.toordinal()


def _date_in(value: AttributeValue, zone: str) -> date | None:
    """Return the date of a text: as it is written, or of an instant in this zone."""
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        at = _instant_in(value, zone)
        return None if at is None else _date(local_day(at, zone))


def _instant_in(value: AttributeValue, zone: str) -> Instant | None:
    """Return the instant of a text in RFC 3339; of a date, when it begins in this zone."""
    if not isinstance(value, str):
        return None
    try:
        return local_midnight(_number(date.fromisoformat(value)), zone)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant_of(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
