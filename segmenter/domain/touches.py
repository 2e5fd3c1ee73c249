"""Which definitions an event may touch, by its type: the reverse index of all that is not counted in buckets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segmenter.domain.conditions import (
    EVERYTHING,
    ORDER_MEASURES,
    TALLIED,
    TICKET_MEASURES,
    Absent,
    Activity,
    Condition,
    Filter,
    HasAttribute,
    Measured,
)
from segmenter.domain.events import CustomerUpdated, Event
from segmenter.domain.filters import admits

PLACED = "order.placed"
_LATER_FACTS = ("order.paid", "order.delivered", "order.cancelled", "order.updated", "order.refunded")
_TICKET_FACTS = ("support.opened", "support.closed")


@dataclass(frozen=True, slots=True)
class Touch:
    """A definition that events of a type may touch: those that pass the filter, or tell of the attribute."""

    place: int
    """Of the definition."""
    where: Filter = EVERYTHING
    attribute: str | None = None

    def meets(self, event: Event) -> bool:
        """Tell whether this event may touch it."""
        if self.attribute is not None:
            return isinstance(event, CustomerUpdated) and self._is_told(event)
        return not self.where.values or admits(self.where, event)

    def _is_told(self, event: CustomerUpdated) -> bool:
        name = self.attribute or ""
        return name in event.attributes or name.removeprefix("consent.") in event.consent


def touches_of(asked: Iterable[tuple[Condition, int]]) -> Mapping[str, tuple[Touch, ...]]:
    """Return, by the type of an event, what it may touch; given every leaf with the place of its definition."""
    touches: dict[str, dict[Touch, None]] = {}
    for leaf, place in asked:
        for type_, touch in _of_leaf(leaf, place):
            touches.setdefault(type_, {})[touch] = None
    return {type_: tuple(found) for type_, found in touches.items()}


def _of_leaf(leaf: Condition, place: int) -> list[tuple[str, Touch]]:
    everything = Touch(place)
    match leaf:
        case Measured(measure, where=where) if measure in ORDER_MEASURES:
            # A later fact does not say what its order was.
            return [(PLACED, Touch(place, where)), *((type_, everything) for type_ in _LATER_FACTS)]
        case Measured(measure) if measure in TICKET_MEASURES:
            return [(type_, everything) for type_ in _TICKET_FACTS]
        case Measured(measure) if measure not in TALLIED:
            # Refunds and answers.
            return [("order.refunded", everything), ("support.rated", everything)]
        case Absent(Activity.ORDER | Activity.DELIVERY):
            return [(type_, everything) for type_ in (PLACED, *_LATER_FACTS)]
        case HasAttribute(name):
            return [("customer.updated", Touch(place, attribute=name))]
        case _:
            return []
