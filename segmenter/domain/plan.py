"""What has to be kept of a customer for a set of definitions, and which events can touch which of them.

The reverse index of the rules: an event that no rule names leaves a profile's behaviour unopened.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from segmenter.domain.conditions import (
    OUT,
    TALLIED,
    Absent,
    Activity,
    Bound,
    Condition,
    Definition,
    Field,
    Filter,
    InSegment,
    Measure,
    Measured,
    Sequence,
    State,
    leaves_of,
)
from segmenter.domain.events import Click, Contact
from segmenter.domain.filters import admits, type_of
from segmenter.domain.touches import Touch, touches_of
from segmenter.domain.windows import Window


@dataclass(frozen=True, slots=True)
class Tally:
    """One count of clicks or messages in buckets of time; conditions that count alike share it."""

    key: int
    """Stands for what is counted, also after another rulebook came: a new rule finds what an old one has counted."""
    measure: Measure
    window: Window
    where: Filter

    def counts(self, event: Click | Contact) -> bool:
        """Tell whether an event is one of those that are counted."""
        if isinstance(event, Click):
            return admits(self.where, event)
        return self._means(event.kind) and admits(self.where, event)

    def _means(self, kind: str) -> bool:
        if self.measure is Measure.OPENS:
            return kind == "opened"
        return Field.KIND in self.where.fields or kind == "sent"


@dataclass(frozen=True, slots=True)
class Track:
    """The events of one sequence, kept while they can still be part of it."""

    key: int
    sequence: Sequence


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rulebook needs beyond orders and attributes, and what has to be asked again after which event.

    Definitions are named by their places in `definitions`.
    """

    definitions: tuple[Definition, ...] = ()
    """Those in which customers move, each after those it names."""
    definition_by_dimension: Mapping[str, Definition] = field(default_factory=dict)
    paused: tuple[str, ...] = ()
    """Dimensions in which customers stay where they are."""
    has_dimensions: bool = False
    """Whether there are more dimensions than lifecycle and value."""
    click_tallies: tuple[Tally, ...] = ()
    contact_tallies: tuple[Tally, ...] = ()
    key_by_leaf: Mapping[int, int] = field(default_factory=dict)
    """The key of the tally or track behind each leaf, by its `id`: to hash a leaf takes longer than to ask it."""
    outs: Mapping[str, str] = field(default_factory=dict)
    """Out of every segment that is live or paused: what is told of one who is in none."""
    bounds_by_tally: Mapping[int, tuple[tuple[Bound, int], ...]] = field(default_factory=dict)
    """The bounds that a count is held against, each with the definition that asks."""
    tracks: tuple[Track, ...] = ()
    track_types: frozenset[str] = frozenset()
    asking_by_track: Mapping[int, frozenset[int]] = field(default_factory=dict)
    absences: tuple[tuple[Absent, int], ...] = ()
    """What asks how long there was no click, no message or nothing at all, each with its definition."""
    touches: Mapping[str, tuple[Touch, ...]] = field(default_factory=dict)
    """By the type of an event, which definitions it may touch otherwise."""
    followers: tuple[frozenset[int], ...] = ()
    """By definition, all others that name it, directly or not."""
    watches_clicks: bool = False
    """Whether a click can touch any rule at all."""
    is_eager: bool = False
    """Ask everything after every event: gives the same, and is there to prove it."""

    @property
    def is_plain(self) -> bool:
        """Tell whether there is nothing but lifecycle and value."""
        return not (self.definitions or self.has_dimensions or self.paused)

    def places_of(self, segment: str) -> set[int]:
        """Return the places of the definitions with this name, live or in trial."""
        return {place for place, definition in enumerate(self.definitions) if definition.name == segment}

    def asked_of(self, touched: Iterable[int]) -> list[Definition]:
        """Return the definitions to be asked again, with those that name them, each after those it names."""
        all_touched = set(touched)
        for place in tuple(all_touched):
            all_touched |= self.followers[place]
        return [self.definitions[place] for place in sorted(all_touched)]


def plan_of(segments: Iterable[Definition], *, has_dimensions: bool, has_clicks: bool) -> Plan:
    """Return the plan of these definitions, and of dimensions that may be made from clicks."""
    declared = tuple(segments)
    definitions = tuple(definition for definition in declared if definition.is_evaluated)
    asked = [(leaf, place) for place, definition in enumerate(definitions) for leaf in _leaves(definition)]
    tallies = {leaf: _tally(leaf) for leaf, _ in asked if isinstance(leaf, Measured) and leaf.measure in TALLIED}
    kept = {tally.key: tally for tally in tallies.values()}.values()
    tracks = {leaf: Track(_key(repr(leaf)), leaf) for leaf, _ in asked if isinstance(leaf, Sequence)}
    clicks = tuple(tally for tally in kept if tally.measure is Measure.CLICKS)
    contacts = tuple(tally for tally in kept if tally.measure is not Measure.CLICKS)
    types = frozenset(type_of(step) for sequence in tracks for step in sequence.steps)
    absences = tuple(
        (leaf, place) for leaf, place in asked if isinstance(leaf, Absent) and leaf.activity in _FREQUENT
    )
    missed = {leaf.activity for leaf, _ in absences}
    return Plan(
        definitions=definitions,
        definition_by_dimension={definition.dimension: definition for definition in definitions},
        paused=tuple(definition.dimension for definition in declared if definition.state is State.PAUSED),
        has_dimensions=has_dimensions,
        click_tallies=clicks,
        contact_tallies=contacts,
        key_by_leaf=_keys(asked, tallies, tracks),
        outs={d.dimension: OUT for d in declared if d.state in (State.LIVE, State.PAUSED)},
        bounds_by_tally={tally.key: _bounds(tally, tallies, asked) for tally in kept},
        tracks=tuple(tracks.values()),
        track_types=types,
        asking_by_track={
            track.key: frozenset(place for leaf, place in asked if leaf == sequence)
            for sequence, track in tracks.items()
        },
        absences=absences,
        touches=touches_of(asked),
        followers=_followers(definitions),
        watches_clicks=bool(clicks or has_clicks or "click" in types or missed & {Activity.CLICK, Activity.ANY}),
    )


def _keys(
    asked: Iterable[tuple[Condition, int]], tallies: Mapping[Measured, Tally], tracks: Mapping[Sequence, Track]
) -> dict[int, int]:
    by_leaf: dict[Condition, int] = {leaf: tally.key for leaf, tally in tallies.items()}
    by_leaf.update({leaf: track.key for leaf, track in tracks.items()})
    return {id(leaf): by_leaf[leaf] for leaf, _ in asked if leaf in by_leaf}


_FREQUENT = (Activity.CLICK, Activity.CONTACT, Activity.ANY)


def _bounds(
    tally: Tally, tallies: Mapping[Measured, Tally], asked: Iterable[tuple[Condition, int]]
) -> tuple[tuple[Bound, int], ...]:
    measured = ((leaf, place) for leaf, place in asked if isinstance(leaf, Measured) and leaf in tallies)
    return tuple((leaf.bound, place) for leaf, place in measured if tallies[leaf].key == tally.key)


def _leaves(definition: Definition) -> list[Condition]:
    more = [] if definition.leave_when is None else leaves_of(definition.leave_when)
    return leaves_of(definition.when) + more


def _followers(definitions: tuple[Definition, ...]) -> tuple[frozenset[int], ...]:
    """Return who names whom, through any number of others: whoever names comes after who is named."""
    place_by_name = {definition.name: place for place, definition in enumerate(definitions)}
    named_by = [
        {
            place_by_name[leaf.name]
            for leaf in _leaves(definition)
            if isinstance(leaf, InSegment) and leaf.name in place_by_name
        }
        for definition in definitions
    ]
    followers: list[set[int]] = [set() for _ in definitions]
    for place in reversed(range(len(definitions))):
        for named in named_by[place]:
            followers[named] |= {place} | followers[place]
    return tuple(frozenset(places) for places in followers)


def _tally(leaf: Measured) -> Tally:
    """Return what is counted: the bound does not matter, the window does, as it says how wide the buckets are."""
    key = _key(repr((leaf.measure.value, leaf.window, leaf.where)))
    return Tally(key, leaf.measure, leaf.window, leaf.where)


def _key(text: str) -> int:
    return crc32(text.encode())
