"""What an event has to touch for the sake of definitions, counted before any event has come.

A look-up is a counter, a last time or a step of a sequence that an event of a kind is held against, and each value
of its filter. What several definitions ask alike is kept once, and is nobody's alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from segmenter.domain.conditions import (
    TICKET_MEASURES,
    Absent,
    Activity,
    Condition,
    Definition,
    Filter,
    HasAttribute,
    InDimension,
    Measure,
    Measured,
    Sequence,
    leaves_of,
)
from segmenter.domain.filters import type_of

CLICK, CONTACT, ORDER, SUPPORT, CUSTOMER = "click", "contact", "order", "support", "customer"
_WORDS: Mapping[str, str] = {
    CLICK: "a click",
    CONTACT: "a contact",
    ORDER: "an event of an order",
    SUPPORT: "an event of support",
    CUSTOMER: "an update of a customer",
}
_OF_ACTIVITY: Mapping[Activity, tuple[str, ...]] = {
    Activity.ORDER: (ORDER,),
    Activity.CLICK: (CLICK,),
    Activity.DELIVERY: (ORDER,),
    Activity.CONTACT: (CONTACT,),
    Activity.ANY: tuple(_WORDS),
}
_OF_DIMENSION: Mapping[str, str] = {"engagement": CLICK, "interest": CLICK, "channel": CLICK, "care": SUPPORT}
# Fewer cost next to nothing, whatever their share.
_NOTICEABLE = 24


class Outlier(NamedTuple):
    """A definition for which events of a kind touch more than for all others together."""

    name: str
    kind: str
    own: int
    """Look-ups that are there for this definition alone."""
    whole: int

    @property
    def sentence(self) -> str:
        """Return it in words."""
        share = f"{100 * self.own // self.whole} %"
        return f"costs {share} of what {_WORDS[self.kind]} costs: {self.own} of {self.whole} look-ups"


def outliers(definitions: Iterable[Definition]) -> list[Outlier]:
    """Return the definitions that cost more than half of what an event of a kind costs, where that is noticeable."""
    evaluated = [definition for definition in definitions if definition.is_evaluated]
    needs = {definition.name: dict(_needs(definition)) for definition in evaluated}
    users = Counter(need for own in needs.values() for need in own)
    whole: Counter[str] = Counter()
    for (kind, _), count in {need: count for own in needs.values() for need, count in own.items()}.items():
        whole[kind] += count
    found = []
    for name, own in needs.items():
        alone: Counter[str] = Counter()
        for need, count in own.items():
            alone[need[0]] += count if users[need] == 1 else 0
        found += [
            Outlier(name, kind, count, whole[kind])
            for kind, count in alone.items()
            if count >= _NOTICEABLE and 2 * count > whole[kind]
        ]
    return found


Need = tuple[str, object]
"""A kind of event, and what it touches."""


def _needs(definition: Definition) -> Iterator[tuple[Need, int]]:
    conditions = [definition.when] + ([] if definition.leave_when is None else [definition.leave_when])
    for leaf in (leaf for condition in conditions for leaf in leaves_of(condition)):
        yield from _needs_of(leaf)


def _needs_of(leaf: Condition) -> Iterator[tuple[Need, int]]:
    match leaf:
        case Measured(measure, _, window, where):
            yield (_kind_of(measure), (measure, window, where)), 1 + _values(where)
        case Absent(activity):
            yield from (((kind, activity), 1) for kind in _OF_ACTIVITY[activity])
        case Sequence(steps):
            for place, step in enumerate(steps):
                # The step itself, and the way to it through the steps before.
                yield ((_kind_of_type(type_of(step)), (leaf, place)), len(steps) + _values(step.where))
        case HasAttribute(name):
            yield (CUSTOMER, name), 1
        case InDimension(dimension):
            yield (_OF_DIMENSION.get(dimension, ORDER), dimension), 1
        case _:
            return


def _values(where: Filter) -> int:
    return sum(len(values) for _, values in where.values)


def _kind_of(measure: Measure) -> str:
    if measure is Measure.CLICKS:
        return CLICK
    if measure in (Measure.CONTACTS, Measure.OPENS):
        return CONTACT
    return SUPPORT if measure in TICKET_MEASURES or measure in (Measure.CSAT, Measure.NPS) else ORDER


def _kind_of_type(name: str) -> str:
    return name.partition(".")[0]
