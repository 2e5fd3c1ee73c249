"""What a customer did beyond ordering, as bytes: a part of a packed profile, which stays packed until asked for."""

from struct import Struct

from segmenter.adapters.profile_parts import (
    Cursor,
    instant,
    pack_instant,
    pack_optional_text,
    pack_text,
)
from segmenter.domain.behaviour import NO_BEHAVIOUR, Behaviour, Buckets, Rating, Ticket, Trail, Warmth
from segmenter.domain.instants import Instant
from segmenter.domain.sealed import Sealed

# One bit a field, in the order in which they are written.
_TALLIES = 1 << 0
_TICKETS = 1 << 1
_RATINGS = 1 << 2
_TRAILS = 1 << 3
_LAST_TIMES = 1 << 4
_WARMTH = 1 << 5
_TOPICS = 1 << 6
_CHANNELS = 1 << 7
_FIRST_CHANNEL = 1 << 8
_HELD = 1 << 9

# flags
_HEAD = Struct("<H")
_COUNT = Struct("<H")
# key, buckets, first bucket
_TALLY = Struct("<IHq")
_BUCKET = Struct("<II")
_TICKET = Struct("<Qqq")
_RATING = Struct("<qBb")
# key, whether it is complete, events
_TRAIL = Struct("<IBH")
_STEP = Struct("<qH")
_TIMES = Struct("<qq")
_INSTANT = Struct("<q")
_WARM = Struct("<qd")
_SCALES = ("csat", "nps")


def sealed_behaviour(part: Behaviour) -> Behaviour | Sealed[Behaviour]:
    """Return it packed, and open still; NO_BEHAVIOUR where there is nothing to keep."""
    parts: list[bytes] = [b""]
    flags = _put_counts(parts, part) | _put_more(parts, part)
    if not flags:
        return NO_BEHAVIOUR
    parts[0] = _HEAD.pack(flags)
    return Sealed(b"".join(parts), flags, take_behaviour, part)


def _put_counts(parts: list[bytes], part: Behaviour) -> int:
    flags = 0
    if part.tallies:
        flags |= _TALLIES
        parts.append(_COUNT.pack(len(part.tallies)))
        for key, buckets in part.tallies.items():
            _put_buckets(parts, key, buckets)
    if part.tickets:
        flags |= _TICKETS
        parts.append(_COUNT.pack(len(part.tickets)))
        for key, ticket in part.tickets.items():
            parts.append(_TICKET.pack(key, pack_instant(ticket.opened_at), pack_instant(ticket.closed_at)))
            parts += map(pack_optional_text, (ticket.priority, ticket.channel, ticket.category))
    if part.ratings:
        flags |= _RATINGS
        parts.append(_COUNT.pack(len(part.ratings)))
        for rating in part.ratings:
            parts += (_RATING.pack(rating.at, _SCALES.index(rating.scale), rating.score), pack_text(rating.by))
    if part.trails:
        flags |= _TRAILS
        parts.append(_COUNT.pack(len(part.trails)))
        for key, trail in part.trails.items():
            parts.append(_TRAIL.pack(key, trail.is_complete, len(trail.seen)))
            parts += (_STEP.pack(at, steps) for at, steps in trail.seen)
    return flags


def _put_buckets(parts: list[bytes], key: int, buckets: Buckets) -> None:
    first = buckets[0][0] if buckets else 0
    parts.append(_TALLY.pack(key, len(buckets), first))
    parts += (_BUCKET.pack(bucket - first, count) for bucket, count in buckets)


def _put_more(parts: list[bytes], part: Behaviour) -> int:
    flags = 0
    if part.clicked_at is not None or part.contacted_at is not None:
        flags |= _LAST_TIMES
        parts.append(_TIMES.pack(pack_instant(part.clicked_at), pack_instant(part.contacted_at)))
    if part.warmth is not None:
        flags |= _WARMTH
        parts.append(_WARM.pack(part.warmth.at, part.warmth.weight))
    for flag, topics in ((_TOPICS, part.topics), (_CHANNELS, part.channels)):
        if topics:
            flags |= flag
            parts.append(_COUNT.pack(len(topics)))
            for name, warmth in topics.items():
                parts += (pack_text(name), _WARM.pack(warmth.at, warmth.weight))
    if part.first_channel is not None:
        flags |= _FIRST_CHANNEL
        parts += (_INSTANT.pack(part.first_channel[0]), pack_text(part.first_channel[1]))
    if part.held:
        flags |= _HELD
        parts.append(_COUNT.pack(len(part.held)))
        parts += map(pack_text, part.held)
    return flags


def take_behaviour(packed: bytes, flags: int) -> Behaviour:
    """Return what `sealed_behaviour` packed."""
    cursor = Cursor(packed, 0)
    flags = cursor.take(_HEAD)[0]
    # The arguments are read from left to right, as they were put.
    return Behaviour(
        tallies=_take_tallies(cursor) if flags & _TALLIES else {},
        tickets=_take_tickets(cursor) if flags & _TICKETS else {},
        ratings=_take_ratings(cursor) if flags & _RATINGS else (),
        trails=_take_trails(cursor) if flags & _TRAILS else {},
        clicked_at=_take_moment(cursor) if flags & _LAST_TIMES else None,
        contacted_at=_take_moment(cursor) if flags & _LAST_TIMES else None,
        warmth=_take_warmth(cursor) if flags & _WARMTH else None,
        topics=_take_topics(cursor) if flags & _TOPICS else {},
        channels=_take_topics(cursor) if flags & _CHANNELS else {},
        first_channel=(cursor.take_instant(), cursor.take_text()) if flags & _FIRST_CHANNEL else None,
        held=tuple(cursor.take_text() for _ in range(cursor.take_count())) if flags & _HELD else (),
    )


def _take_tallies(cursor: Cursor) -> dict[int, Buckets]:
    tallies = {}
    for _ in range(cursor.take_count()):
        key, count, first = cursor.take(_TALLY)
        buckets = _BUCKET.iter_unpack(cursor.take_bytes(count * _BUCKET.size))
        tallies[key] = tuple((first + offset, number) for offset, number in buckets)
    return tallies


def _take_tickets(cursor: Cursor) -> dict[int, Ticket]:
    tickets = {}
    for _ in range(cursor.take_count()):
        key, opened_at, closed_at = cursor.take(_TICKET)
        labels = [cursor.take_optional_text() for _ in range(3)]
        tickets[key] = Ticket(instant(opened_at), instant(closed_at), *labels)
    return tickets


def _take_ratings(cursor: Cursor) -> tuple[Rating, ...]:
    ratings = []
    for _ in range(cursor.take_count()):
        at, scale, score = cursor.take(_RATING)
        ratings.append(Rating(at, cursor.take_text(), _SCALES[scale], score))
    return tuple(ratings)


def _take_trails(cursor: Cursor) -> dict[int, Trail]:
    trails = {}
    for _ in range(cursor.take_count()):
        key, is_complete, count = cursor.take(_TRAIL)
        trails[key] = Trail(tuple(_STEP.iter_unpack(cursor.take_bytes(count * _STEP.size))), bool(is_complete))
    return trails


def _take_moment(cursor: Cursor) -> Instant | None:
    return instant(cursor.take_instant())


def _take_warmth(cursor: Cursor) -> Warmth:
    return Warmth(*cursor.take(_WARM))


def _take_topics(cursor: Cursor) -> dict[str, Warmth]:
    return {cursor.take_text(): _take_warmth(cursor) for _ in range(cursor.take_count())}
