"""`where`: which events of a kind are meant."""

from collections.abc import Mapping
from typing import get_args, get_type_hints

import yaml

from segmenter.adapters.rulebook_values import items_of, name_in, texts_in
from segmenter.adapters.yaml_nodes import Faults, section_of
from segmenter.domain.conditions import EVERYTHING, ORDER_MEASURES, TICKET_MEASURES, Field, Filter, Measure
from segmenter.domain.events import Contact

_OF_ORDERS = (Field.CHANNEL, Field.CATEGORY, Field.CAMPAIGN, Field.COUPON, Field.ITEM)
FIELDS_OF_MEASURE: Mapping[Measure, tuple[Field, ...]] = {
    **dict.fromkeys(ORDER_MEASURES - {Measure.REFUND_RATE}, _OF_ORDERS),
    **dict.fromkeys(TICKET_MEASURES, (Field.CHANNEL, Field.CATEGORY, Field.PRIORITY)),
    Measure.CLICKS: (Field.CHANNEL, Field.CATEGORY, Field.CAMPAIGN, Field.KIND, Field.ITEM),
    Measure.CONTACTS: (Field.CHANNEL, Field.CAMPAIGN, Field.KIND),
    Measure.OPENS: (Field.CHANNEL, Field.CAMPAIGN),
}
"""By which fields the events of a measure can be told apart; none for the measures that are missing here."""

_CONTACT_KINDS: tuple[str, ...] = get_args(get_type_hints(Contact)["kind"])
CONTACTS = ("contact", "contacts")


def filter_in(node: yaml.Node | None, path: str, what: str, fields: tuple[Field, ...], faults: Faults) -> Filter:
    """Return a filter by some of these fields; `what` is what a fault calls the events that are filtered."""
    if node is None:
        return EVERYTHING
    if not fields:
        faults.add(node, path, f"is not known for {what}, which cannot be told apart; remove it")
        return EVERYTHING
    section = section_of(node, path, fields, faults)
    if isinstance(node, yaml.MappingNode) and not node.value:
        faults.add(node, path, f"is empty, expected one of {', '.join(fields)}")
    if what in CONTACTS and Field.KIND in section.entries:
        # Other kinds never arrive: a filter by one would silently admit nothing.
        kinds, kinds_path = section.entries[Field.KIND], section.path_of(Field.KIND)
        for end, item in items_of(kinds):
            name_in(item, kinds_path + end, _CONTACT_KINDS, "", faults)
    values = {Field(name): texts_in(value, section.path_of(name), faults) for name, value in section.entries.items()}
    return Filter(tuple((field, values[field]) for field in Field if field in values))
