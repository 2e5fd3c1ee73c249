"""`value.population`: the attribute by whose values customers are ranked apart."""

import yaml

from segmenter.adapters.rulebook_values import texts_in, value_in
from segmenter.adapters.yaml_nodes import Faults, Section, found_in, section_of
from segmenter.domain.rulebook import MOST_POPULATIONS, Population

_KEYS = ("attribute", "values")
_NAME_BYTES = 128


def population_in(value: Section, faults: Faults) -> Population | None:
    """Return the populations of the section `value`; None where there are none, or a fault."""
    node, path = value.entries.get("population"), value.path_of("population")
    if node is None:
        return None
    if not isinstance(node, yaml.MappingNode):
        expected = f"{{attribute: kind, values: [b2b, b2c]}}, which names the at most {MOST_POPULATIONS} values"
        faults.add(node, path, f"found {found_in(node)}, expected {expected}")
        return None
    section = section_of(node, path, _KEYS, faults)
    for key, expected in (("attribute", "the name of an attribute"), ("values", "the values to be ranked apart")):
        if key not in section.entries and not section.has_strange_names:
            faults.add(node, section.path_of(key), f"is missing, expected {expected}")
    attribute, values = section.entries.get("attribute"), section.entries.get("values")
    if attribute is None or values is None:
        return None
    words = f"the name of an attribute, at most {_NAME_BYTES} bytes"
    name = value_in(attribute, section.path_of("attribute"), _name, words, faults)
    found = texts_in(values, section.path_of("values"), faults)
    if len(found) > MOST_POPULATIONS:
        expected = f"at most {MOST_POPULATIONS}; who has another is ranked among those without"
        faults.add(values, section.path_of("values"), f"found {len(found)} values, expected {expected}")
    return None if name is None else Population(attribute=name, values=found)


def _name(text: str) -> str | None:
    return text if 0 < len(text.encode()) <= _NAME_BYTES else None
