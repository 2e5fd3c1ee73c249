"""What a customer did beyond ordering, as far as rules ask for it: counts of clicks, tickets, answers, trails.

Tickets and answers are few and are always kept, so that a new rule finds them. Clicks and messages are many: they
are counted in buckets of time, only where a rule asks, and from the moment on at which it was first there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from segmenter.domain.instants import Instant, Span
from segmenter.domain.plan import Tally

Buckets = tuple[tuple[int, int], ...]
"""Bucket and count, by bucket."""

TICKETS_KEPT = 200
ANSWERS_KEPT = 200
STEPS_KEPT = 50
"""Events kept of one sequence."""
TOPICS_KEPT = 16
# Sums of fading weights that are equal on paper differ in their last bits, by the order in which they were added.
_NEARLY = 1e-9


@dataclass(slots=True)
class Ticket:
    """One ticket; facts about it may come in any order. Replaced, never changed."""

    opened_at: Instant | None = None
    closed_at: Instant | None = None
    priority: str | None = None
    channel: str | None = None
    category: str | None = None


@dataclass(slots=True)
class Rating:
    """A judgement on the scale csat (1 to 5) or nps (0 to 10)."""

    at: Instant
    by: str
    scale: str
    score: int


@dataclass(slots=True)
class Trail:
    """The events of one sequence that can still be part of it, by time; each names the steps it can be, as bits."""

    seen: tuple[tuple[Instant, int], ...] = ()
    is_complete: bool = False
    """It was there once, and what made it up is no longer kept."""


@dataclass(slots=True)
class Warmth:
    """A weight as of an instant, that halves with time."""

    at: Instant
    weight: float

    def faded_to(self, at: Instant, half_life: Span) -> float:
        """Return the weight at another instant; before its own it is the same, as nothing has faded yet.

        Source: exponential decay, w = 2 ** (-age / half_life).
        """
        return float(self.weight * 2.0 ** (min(0, self.at - at) / half_life))

    def plus(self, at: Instant, weight: float, half_life: Span) -> "Warmth":
        """Return it with something added at an instant, which may lie before its own."""
        if at >= self.at:
            return Warmth(at, self.faded_to(at, half_life) + weight)
        return Warmth(self.at, self.weight + float(weight * 2.0 ** ((at - self.at) / half_life)))


@dataclass(slots=True)
class Behaviour:
    """Replaced field by field, and only by the profile that made it: see `Profile`."""

    tallies: Mapping[int, Buckets] = field(default_factory=dict)
    tickets: Mapping[int, Ticket] = field(default_factory=dict)
    ratings: tuple[Rating, ...] = ()
    trails: Mapping[int, Trail] = field(default_factory=dict)
    clicked_at: Instant | None = None
    contacted_at: Instant | None = None
    warmth: Warmth | None = None
    topics: Mapping[str, Warmth] = field(default_factory=dict)
    channels: Mapping[str, Warmth] = field(default_factory=dict)
    first_channel: tuple[Instant, str] | None = None
    held: tuple[str, ...] = ()
    """Dimensions in which a move is held back, by a stay or a cooldown."""

    def copy(self) -> "Behaviour":
        """Return one whose fields can be replaced without changing this one."""
        return Behaviour(
            self.tallies,
            self.tickets,
            self.ratings,
            self.trails,
            self.clicked_at,
            self.contacted_at,
            self.warmth,
            self.topics,
            self.channels,
            self.first_channel,
            self.held,
        )


NO_BEHAVIOUR = Behaviour()


def counted(before: Buckets, tally: Tally, at: Instant, now: Instant) -> Buckets:
    """Return the buckets with one event more, without those that have left the window."""
    window = tally.window
    bucket = window.bucket_of(at)
    if before and before[-1][0] == bucket:  # nearly always
        after = (*before[:-1], (bucket, before[-1][1] + 1))
    else:
        counts = dict(before)
        counts[bucket] = counts.get(bucket, 0) + 1
        after = tuple(sorted(counts.items()))
    first = 0
    while first < len(after) and window.bucket_exit_at(after[first][0]) <= now:
        first += 1
    return after[first:]


def opened(before: Ticket, at: Instant, labels: tuple[str | None, str | None, str | None]) -> Ticket | None:
    """Return the ticket opened, with the labels of its first opening; None where it was open already."""
    if before.opened_at is not None:
        return None
    priority, channel, category = labels
    return Ticket(at, before.closed_at, priority, channel, category)


def closed(before: Ticket, at: Instant) -> Ticket | None:
    """Return the ticket closed; None where it was closed already."""
    if before.closed_at is not None:
        return None
    return Ticket(before.opened_at, at, before.priority, before.channel, before.category)


def with_ticket(tickets: Mapping[int, Ticket], key: int, ticket: Ticket) -> Mapping[int, Ticket]:
    """Return the tickets with this one; of too many, those closed longest go first."""
    after = {**tickets, key: ticket}
    if len(after) > TICKETS_KEPT:
        goes = min(after, key=lambda k: (after[k].closed_at is None, after[k].closed_at or after[k].opened_at or 0))
        del after[goes]
    return after


def with_rating(ratings: tuple[Rating, ...], rating: Rating) -> tuple[Rating, ...] | None:
    """Return the answers with this one, by time; None where it is there already."""
    if any(known.by == rating.by for known in ratings):
        return None
    after = sorted((*ratings, rating), key=lambda known: (known.at, known.by))
    return tuple(after[-ANSWERS_KEPT:])


def with_topic(
    topics: Mapping[str, Warmth], topic: str, at: Instant, weight: float, half_life: Span
) -> Mapping[str, Warmth]:
    """Return the topics with one that was met again; of too many, the faintest goes."""
    known = topics.get(topic)
    after = {**topics, topic: Warmth(at, weight) if known is None else known.plus(at, weight, half_life)}
    if len(after) > TOPICS_KEPT:
        newest = max(warmth.at for warmth in after.values())
        del after[min(after, key=lambda name: (after[name].faded_to(newest, half_life), name))]
    return after


def leading(topics: Mapping[str, Warmth], present: str | None, margin: Decimal, half_life: Span) -> str | None:
    """Return the topic that leads: the present one, unless another weighs more than `margin` times as much.

    All fade alike, so that nobody overtakes by time alone. Ties go to the first by name.
    """
    if not topics:
        return None
    newest = max(warmth.at for warmth in topics.values())
    weights = {name: warmth.faded_to(newest, half_life) for name, warmth in topics.items()}
    most = max(weights.values())
    if present in weights and most <= float(margin) * weights[present] * (1 + _NEARLY):
        return present
    return min(name for name, weight in weights.items() if weight >= most * (1 - _NEARLY))
