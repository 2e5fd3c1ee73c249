"""What has to be kept of a customer for a set of definitions, and which events can touch which of them.

The reverse index of the rules: an event that no rule names leaves a profile's behaviour unopened.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from segmenter.domain.conditions import (
    TALLIED,
    Absent,
    Activity,
    Condition,
    Definition,
    Field,
    Filter,
    Follow,
    Measure,
    Measured,
    Sequence,
    State,
    leaves_of,
)
from segmenter.domain.events import Click, Contact, Event, OrderPlaced
from segmenter.domain.windows import Window

_SHORT_NAMES = {"order": "order.placed", "delivery": "order.delivered"}


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
    """What a rulebook needs beyond orders and attributes."""

    definitions: tuple[Definition, ...] = ()
    """Those in which customers move, each after those it names."""
    definition_by_dimension: Mapping[str, Definition] = field(default_factory=dict)
    paused: tuple[str, ...] = ()
    """Dimensions in which customers stay where they are."""
    has_dimensions: bool = False
    """Whether there are more dimensions than lifecycle and value."""
    click_tallies: tuple[Tally, ...] = ()
    contact_tallies: tuple[Tally, ...] = ()
    tally_by_leaf: Mapping[Measured, Tally] = field(default_factory=dict)
    tracks: tuple[Track, ...] = ()
    track_by_sequence: Mapping[Sequence, Track] = field(default_factory=dict)
    track_types: frozenset[str] = frozenset()
    asks_for_clicks: bool = False
    """Whether a rule asks how long there was no click."""
    asks_for_contacts: bool = False
    watches_clicks: bool = False
    """Whether a click can touch any rule at all."""
    watches_contacts: bool = False

    @property
    def is_plain(self) -> bool:
        """Tell whether there is nothing but lifecycle and value."""
        return not (self.definitions or self.has_dimensions or self.paused)


def plan_of(segments: Iterable[Definition], *, has_dimensions: bool, has_clicks: bool) -> Plan:
    """Return the plan of these definitions, and of dimensions that may be made from clicks."""
    declared = tuple(segments)
    definitions = tuple(definition for definition in declared if definition.is_evaluated)
    leaves = [leaf for definition in definitions for leaf in _leaves(definition)]
    tallies = {leaf: _tally(leaf) for leaf in leaves if isinstance(leaf, Measured) and leaf.measure in TALLIED}
    kept = {tally.key: tally for tally in tallies.values()}.values()
    sequences = {leaf: Track(_key(repr(leaf)), leaf) for leaf in leaves if isinstance(leaf, Sequence)}
    missed = {leaf.activity for leaf in leaves if isinstance(leaf, Absent)}
    clicks = tuple(tally for tally in kept if tally.measure is Measure.CLICKS)
    contacts = tuple(tally for tally in kept if tally.measure is not Measure.CLICKS)
    types = frozenset(type_of(step) for sequence in sequences for step in sequence.steps)
    return Plan(
        definitions=definitions,
        definition_by_dimension={definition.dimension: definition for definition in definitions},
        paused=tuple(definition.dimension for definition in declared if definition.state is State.PAUSED),
        has_dimensions=has_dimensions,
        click_tallies=clicks,
        contact_tallies=contacts,
        tally_by_leaf=tallies,
        tracks=tuple(sequences.values()),
        track_by_sequence=sequences,
        track_types=types,
        asks_for_clicks=Activity.CLICK in missed,
        asks_for_contacts=Activity.CONTACT in missed,
        watches_clicks=bool(clicks or has_clicks or "click" in types or missed & {Activity.CLICK, Activity.ANY}),
        watches_contacts=bool(contacts or "contact" in types or missed & {Activity.CONTACT, Activity.ANY}),
    )


def _leaves(definition: Definition) -> list[Condition]:
    more = [] if definition.leave_when is None else leaves_of(definition.leave_when)
    return leaves_of(definition.when) + more


def _tally(leaf: Measured) -> Tally:
    """Return what is counted: the bound does not matter, the window does, as it says how wide the buckets are."""
    key = _key(repr((leaf.measure.value, leaf.window, leaf.where)))
    return Tally(key, leaf.measure, leaf.window, leaf.where)


def _key(text: str) -> int:
    return crc32(text.encode())


def type_of(step: Follow) -> str:
    """Return the type of the events of a step."""
    return _SHORT_NAMES.get(step.type, step.type)


_READERS: Mapping[Field, Callable[[Event], tuple[str | None, ...]]] = {
    Field.CHANNEL: lambda event: (getattr(event, "channel", None),),
    Field.CAMPAIGN: lambda event: (getattr(event, "campaign", None),),
    Field.COUPON: lambda event: (getattr(event, "coupon", None),),
    Field.KIND: lambda event: (getattr(event, "kind", None),),
    Field.PRIORITY: lambda event: (getattr(event, "priority", None),),
    Field.ITEM: lambda event: (
        tuple(line.item for line in event.items)
        if isinstance(event, OrderPlaced)
        else (getattr(event, "item", None),)
    ),
    Field.CATEGORY: lambda event: (
        tuple(line.category for line in event.items)
        if isinstance(event, OrderPlaced)
        else (getattr(event, "category", None),)
    ),
}

FIELDS_OF_TYPE: Mapping[str, frozenset[Field]] = {
    "order.placed": frozenset([Field.CHANNEL, Field.CAMPAIGN, Field.COUPON, Field.ITEM, Field.CATEGORY]),
    "click": frozenset([Field.KIND, Field.ITEM, Field.CATEGORY, Field.CHANNEL, Field.CAMPAIGN]),
    "contact": frozenset([Field.KIND, Field.CHANNEL, Field.CAMPAIGN]),
    "support.opened": frozenset([Field.PRIORITY, Field.CHANNEL, Field.CATEGORY]),
    "support.closed": frozenset([Field.PRIORITY, Field.CHANNEL, Field.CATEGORY]),
}
"""By which fields the events of a type can be told apart; none for the types that are missing here."""

TRACKED_TYPES = frozenset(
    [
        *(_SHORT_NAMES),
        *("order.placed", "order.paid", "order.delivered", "order.cancelled", "order.updated", "order.refunded"),
        *("click", "contact", "support.opened", "support.closed", "support.rated", "customer.updated"),
    ]
)
"""What a step of a sequence may name."""


def admits(where: Filter, event: Event) -> bool:
    """Tell whether an event has, for every field named, one of the values asked for."""
    return all(any(value in values for value in _READERS[field](event)) for field, values in where.values)
