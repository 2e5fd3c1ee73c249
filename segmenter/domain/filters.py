"""Telling events apart: by their type, and by the fields that a filter names."""

from collections.abc import Callable, Mapping

from segmenter.domain.conditions import Field, Filter, Follow
from segmenter.domain.events import Event, OrderPlaced

_SHORT_NAMES = {"order": "order.placed", "delivery": "order.delivered"}


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
    """Tell whether an event has, for every field named, one of the values asked for; an order in one line."""
    if isinstance(event, OrderPlaced) and where.fields >= {Field.ITEM, Field.CATEGORY}:
        lines = ((line.item, line.category) for line in event.items)
        if not any(where.admits(Field.ITEM, item) and where.admits(Field.CATEGORY, kind) for item, kind in lines):
            return False
    return all(any(value in values for value in _READERS[field](event)) for field, values in where.values)
