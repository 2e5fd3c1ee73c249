"""What comes next for a customer: the next move by time alone, played through the one door, and what he could do."""

from collections.abc import Iterable
from dataclasses import dataclass

from segmenter.domain.account import Account, Inquiry, dimensions_in, is_declared_name
from segmenter.domain.causes import Tick
from segmenter.domain.conditions import (
    IN,
    ORDER_MEASURES,
    OUT,
    TALLIED,
    Absent,
    Activity,
    Condition,
    Definition,
    InDimension,
    InSegment,
    Measure,
    Measured,
    leaves_of,
)
from segmenter.domain.dimensions import ENGAGEMENT, RFM, RHYTHM
from segmenter.domain.explanation import Explained
from segmenter.domain.instants import Instant
from segmenter.domain.profile import LIFECYCLE, VALUE, Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import step

# Deadlines that move nobody, such as an order that leaves a window, are played on to the next that does.
_DEADLINES_PLAYED = 200
_ORDER, _CLICK, _MESSAGE = "an order", "a click", "a message"
_WORD_BY_ACTIVITY = {
    Activity.ORDER: _ORDER,
    Activity.CLICK: _CLICK,
    Activity.DELIVERY: "a delivery",
    Activity.CONTACT: _MESSAGE,
    Activity.ANY: "anything he does",
}
_WORD_BY_DIMENSION = {LIFECYCLE: _ORDER, VALUE: _ORDER, RFM: _ORDER, RHYTHM: _ORDER, ENGAGEMENT: _CLICK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A move that time alone will bring, and what would prevent it."""

    dimension: str
    before: str | None
    after: str | None
    at: Instant
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A segment that is within reach, and the one piece that is missing."""

    dimension: str
    segment: str
    missing: str


def turns_ahead(inquiry: Inquiry) -> tuple[Turn, ...]:
    """Return the next moves that come if nothing happens, all at one moment; none where nothing comes."""
    profile, rulebook, boundary = inquiry.profile, inquiry.rulebook, inquiry.boundary
    for _ in range(_DEADLINES_PLAYED):
        at = profile.wake_at
        if at is None:
            return ()
        after = step(profile, Tick(at), rulebook, boundary).profile
        if after is None:
            return ()
        moved = _moved(profile, after)
        if moved:
            return tuple(
                Turn(dimension=d, before=before, after=segment, at=at, unless=_preventions(d, rulebook))
                for d, before, segment in moved
            )
        profile = after
    return ()


def _moved(before: Profile, after: Profile) -> list[tuple[str, str | None, str | None]]:
    dimensions = sorted(before.present.keys() | after.present.keys())
    pairs = [(d, before.segment_in(d), after.segment_in(d)) for d in dimensions]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _preventions(dimension: str, rulebook: Rulebook) -> tuple[str, ...]:
    """Return what a customer can do against a move that time brings."""
    definition = rulebook.plan.definition_by_dimension.get(dimension)
    if definition is None:
        word = _WORD_BY_DIMENSION.get(dimension)
        return () if word is None else (word,)
    more = [] if definition.leave_when is None else leaves_of(definition.leave_when)
    found = (word for leaf in [*leaves_of(definition.when), *more] for word in _words(leaf, rulebook))
    return tuple(dict.fromkeys(found))


def _words(leaf: Condition, rulebook: Rulebook) -> Iterable[str]:
    match leaf:
        case Absent(activity):
            yield _WORD_BY_ACTIVITY[activity]
        case Measured(measure) if measure in ORDER_MEASURES:
            yield _ORDER
        case Measured(measure) if measure in TALLIED:
            yield _CLICK if measure is Measure.CLICKS else _MESSAGE
        case InDimension(dimension) if dimension in _WORD_BY_DIMENSION:
            yield _WORD_BY_DIMENSION[dimension]
        case InSegment(name):
            named = next((d for d in rulebook.segments if d.name == name), None)
            yield from () if named is None else _preventions(named.dimension, rulebook)
        case _:
            pass


def steps_within_reach(inquiry: Inquiry) -> tuple[Step, ...]:
    """Return the segments that lack one piece only: the next class, the next stage, a declared segment."""
    found: list[Step] = []
    for dimension in dimensions_in(inquiry.rulebook):
        account = inquiry.account_of(dimension)
        if is_declared_name(dimension):
            definition = inquiry.rulebook.plan.definition_by_dimension[dimension]
            found += _into_segment(account, definition)
        elif dimension in (LIFECYCLE, VALUE, ENGAGEMENT):
            found += _upwards(account)
    return tuple(found)


def _into_segment(account: Account, definition: Definition) -> Iterable[Step]:
    if account.segment != OUT:
        return
    rule = next(rule for rule in account.rules if rule.segment == IN)
    if len(rule.missing) == 1:
        yield Step(dimension=definition.dimension, segment=IN, missing=rule.missing[0])


_UPWARDS = {
    LIFECYCLE: {"prospect": "new", "new": "repeat", "inactive": "repeat"},
    VALUE: {"C": "B", "B": "A"},
    ENGAGEMENT: {"cold": "warm", "warm": "hot"},
}


def _upwards(account: Account) -> Iterable[Step]:
    """Yield the next better segment with what is missing there, as it is written: "37.60 EUR more"."""
    target = _UPWARDS[account.dimension].get(account.segment or "")
    rule = next((rule for rule in account.rules if rule.segment == target), None)
    if target is None or rule is None:
        return
    missing = [leaf.missing for leaf in _lacking(rule.tree) if leaf.missing]
    if missing:
        yield Step(dimension=account.dimension, segment=target, missing=missing[0])


def _lacking(tree: Explained) -> Iterable[Explained]:
    if tree.holds:
        return
    if not tree.parts or tree.condition == "not":
        yield tree
        return
    for part in tree.parts:
        yield from _lacking(part)
