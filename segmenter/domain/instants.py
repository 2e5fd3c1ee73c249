"""Instants and spans as whole microseconds, so that time is exact, comparable and cheap."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

Instant: TypeAlias = int
"""Microseconds since 1970-01-01T00:00:00Z. The zone is UTC by definition."""

Span: TypeAlias = int
"""A length of time in microseconds."""

BEGINNING: Instant = 0
"""Before every event: instants before 1970 are refused as absurd."""

MICROSECOND = timedelta(microseconds=1)
MILLISECOND: Span = 1_000
SECOND: Span = 1_000_000
MINUTE: Span = 60 * SECOND
HOUR: Span = 60 * MINUTE
DAY: Span = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_SPANS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_SHORT = re.compile(r"(\d{1,9})(ms|s|m|h|d|w)")
_ISO = re.compile(r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?")


def instant_of(moment: datetime) -> Instant:
    """Return the instant of an aware datetime; a naive one raises TypeError."""
    return (moment - _EPOCH) // MICROSECOND


def rfc3339(instant: Instant) -> str:
    """Return the instant as RFC 3339 in UTC: whole milliseconds, or microseconds where it has them."""
    day, within = divmod(instant, DAY)
    seconds, part = divmod(within, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    milliseconds, rest = divmod(part, MILLISECOND)
    fraction = f"{part:06d}" if rest else f"{milliseconds:03d}"
    return f"{_date_text(day)}T{hour:02d}:{minute:02d}:{second:02d}.{fraction}Z"


# A batch tells instants of a few hundred days; the whole of history is some 20,000.
@lru_cache(maxsize=4_096)
def _date_text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def span_of(text: str) -> Span:
    """Read `90d`, `36h`, `15m`, `250ms` or ISO 8601 such as `P90D` and `PT36H`.

    Raises ValueError that names the found text and the forms that are read.
    """
    if short := _SHORT.fullmatch(text):
        return int(short[1]) * _UNIT_SPANS[short[2]]
    iso = _ISO.fullmatch(text)
    if iso is None or not any(iso.groups()):
        raise ValueError(f"{text!r} is not a duration; expected one like 90d, 36h, 15m, 250ms or P90D")
    units = (7 * DAY, DAY, HOUR, MINUTE, SECOND)
    return sum(int(count) * unit for count, unit in zip(iso.groups(), units, strict=True) if count)


def span_text(span: Span) -> str:
    """Return the span in the largest unit that divides it: `180d`, `36h`, `250ms`."""
    for unit, length in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND)):
        if span % length == 0:
            return f"{span // length}{unit}"
    return f"{span}us"


def span_words(span: Span) -> str:
    """Return about how long a span is, in its two largest units: `48d21h`; exact where two units are enough."""
    parts: list[str] = []
    rest = span
    for unit, length in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
        if len(parts) == 2 or (parts and count == 0):
            break
    return "".join(parts) or span_text(span)
