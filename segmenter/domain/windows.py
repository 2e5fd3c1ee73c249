"""Trailing windows: until when a fact counts, rolling or by whole local days."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from segmenter.domain.instants import DAY, HOUR, MICROSECOND, MINUTE, SECOND, Instant, Span, instant_of

NEVER: Instant = 2**62
"""Later than any instant: of a fact that never leaves."""

# Events that are too many to be kept one by one lie in buckets; about this many make up a window.
_BUCKETS = 60
_WIDTHS: tuple[Span, ...] = (DAY, 6 * HOUR, HOUR, 15 * MINUTE, 5 * MINUTE, MINUTE, 10 * SECOND, SECOND)
_EPOCH_DATE = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Window:
    """The last `span` of time; None: all history.

    With a `zone` it is `span` in whole local days, today included: a fact of Monday is in a window of one day until
    midnight, whether the day has 23, 24 or 25 hours.
    """

    span: Span | None = None
    zone: str | None = None

    def exit_at(self, at: Instant) -> Instant:
        """Return when a fact of this time leaves: it counts while now is before that."""
        if self.span is None:
            return NEVER
        if self.zone is None:
            return at + self.span
        return local_midnight(local_day(at, self.zone) + self.span // DAY, self.zone)

    def opens_at(self, now: Instant) -> Instant:
        """Return the time after which a fact counts at `now`, -1 where all do."""
        if self.span is None:
            return -1
        if self.zone is None:
            return now - self.span
        return local_midnight(local_day(now, self.zone) - self.span // DAY + 1, self.zone) - 1

    @property
    def width(self) -> Span:
        """How wide a bucket is in which events that are not kept one by one are counted; 0: one for all history."""
        if self.span is None:
            return 0
        if self.zone is not None:
            return DAY
        span = self.span
        return next((width for width in _WIDTHS if width * _BUCKETS <= span), _WIDTHS[-1])

    def bucket_of(self, at: Instant) -> int:
        """Return the bucket of an event: it ends at or after it, or is its local day."""
        if self.span is None:
            return 0
        if self.zone is not None:
            return local_day(at, self.zone)
        return -(-at // self.width)

    def bucket_exit_at(self, bucket: int) -> Instant:
        """Return when the events of a bucket leave: all of them together, up to a width after their own time."""
        if self.span is None:
            return NEVER
        if self.zone is not None:
            return local_midnight(bucket + self.span // DAY, self.zone)
        return bucket * self.width + self.span


ALL_HISTORY = Window()


def next_exit(exits: Iterable[Instant], now: Instant) -> Instant | None:
    """Return the first of these that is still to come; None where nothing leaves any more."""
    return min((at for at in exits if now < at < NEVER), default=None)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=16_384)
def local_midnight(day: int, zone: str) -> Instant:
    """Return when a local day begins, by its number since 1970-01-01.

    Where midnight does not exist, it is the first instant after it.
    """
    moment = datetime.combine(_EPOCH_DATE + timedelta(days=day), datetime.min.time(), _zone(zone))
    return instant_of(moment.astimezone(UTC))


def local_day(at: Instant, zone: str) -> int:
    """Return the number of the local day since 1970-01-01 in which an instant lies."""
    day = at // DAY
    # A zone is at most 14 hours away from UTC.
    return next(near for near in (day + 1, day, day - 1) if local_midnight(near, zone) <= at)


def moment_of(at: Instant, zone: str) -> datetime:
    """Return an instant as a local date and time."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + at * MICROSECOND).astimezone(_zone(zone))
