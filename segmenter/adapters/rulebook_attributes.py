"""The leaf `attribute`: what the shop told of a customer."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date

import yaml

from segmenter.adapters.rulebook_bounds import COMPARISONS, NUMBERS, SPANS, bound_in, pair_in
from segmenter.adapters.rulebook_leaves import truth_in
from segmenter.adapters.rulebook_scope import Scope
from segmenter.adapters.rulebook_values import decimal_in, listed, span_reader, value_in
from segmenter.adapters.yaml_nodes import Faults, Section, is_section, scalar_of, section_of
from segmenter.domain.conditions import (
    Age,
    Anniversary,
    AttributeTest,
    Comparison,
    Condition,
    DateIn,
    Exists,
    HasAttribute,
    Number,
    OneOf,
)
from segmenter.domain.instants import DAY, Span
from segmenter.domain.windows import local_midnight

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_NUMERIC = tuple(name for name in COMPARISONS if name != Comparison.EQUALS)
TESTS = ("equals", "one_of", "exists", *_NUMERIC, "age", "anniversary", "date")
# A year and more ahead, every date has its anniversary.
_LONGEST_ANNIVERSARY = 365 * DAY
UTC_ZONE = str(UTC)


def attribute(section: Section, scope: Scope) -> Condition | None:
    """Return `attribute` with its one test."""
    expected = "the name of an attribute, at most 128 bytes"
    name = value_in(section.entries["attribute"], section.path_of("attribute"), _name, expected, scope.faults)
    tests = [entry for entry in section.entries if entry in TESTS]
    if not tests and not section.has_strange_names:
        scope.faults.add(section.node, section.path, f"has no test, expected one of {', '.join(TESTS)}")
    for more in tests[1:]:
        found = f"is a second test beside {tests[0]}; put each in a condition of its own, under `all`"
        scope.faults.add(section.entries[more], section.path_of(more), found)
    test = _test(tests[0], section, scope) if len(tests) == 1 else None
    return None if test is None or name is None else HasAttribute(name, test)


def _name(text: str) -> str | None:
    return text if text and len(text.encode()) <= 128 else None


def _test(name: str, section: Section, scope: Scope) -> AttributeTest | None:
    if name in _NUMERIC:
        bound = bound_in(section, NUMBERS, scope.faults, _NUMERIC)
        return None if bound is None else Number(bound)
    return _READERS[name](section.entries[name], section.path_of(name), scope)


def _equals(node: yaml.Node, path: str, scope: Scope) -> OneOf | None:
    """Read a value as JSON would: `NO` is a text here, and not the false of YAML."""
    is_plain = isinstance(node, yaml.ScalarNode) and node.style is None

    def read(text: str) -> OneOf | None:
        known = _plain(text) if is_plain else None
        if known is not None:
            return OneOf((known,))
        return OneOf((text,)) if len(text.encode()) <= 1_024 else None

    return value_in(node, path, read, "a text, a number, true or false", scope.faults)


def _one_of(node: yaml.Node, path: str, scope: Scope) -> OneOf | None:
    found = [_equals(item, path + end, scope) for end, item in listed(node, path, scope.faults)]
    values = [value for one in found if one is not None for value in one.values]
    # 1 and true are equal in Python and are not to the shop.
    each = {(type(value), value): value for value in values}
    return OneOf(tuple(each.values())) if values and len(values) == len(found) else None


def _plain(text: str) -> int | float | bool | None:
    """Return the truth or number that a text without quotes stands for."""
    if (truth := truth_in(text)) is not None or decimal_in(text) is None:
        return truth
    return float(text) if "." in text else int(text)


def _exists(node: yaml.Node, path: str, scope: Scope) -> Exists | None:
    is_there = value_in(node, path, truth_in, "true or false", scope.faults)
    return None if is_there is None else Exists(is_there)


def _age(node: yaml.Node, path: str, scope: Scope) -> Age | None:
    section = section_of(node, path, _NUMERIC, scope.faults)
    bound = bound_in(section, SPANS, scope.faults, _NUMERIC) if is_section(node) else None
    return None if bound is None else Age(bound)


def _anniversary(node: yaml.Node, path: str, scope: Scope) -> Anniversary | None:
    if isinstance(node, yaml.MappingNode):
        section = section_of(node, path, ("within",), scope.faults)
        if "within" not in section.entries:
            scope.faults.add(node, section.path_of("within"), "is missing, expected whole days such as `within: 7d`")
            return None
        node, path = section.entries["within"], section.path_of("within")
    within = value_in(node, path, _whole_days, "whole days from 0d to 365d, such as 7d", scope.faults)
    return None if within is None else Anniversary(within, scope.zone or UTC_ZONE)


def _whole_days(text: str) -> Span | None:
    span = span_reader(0)(text)
    return span if span is not None and span % DAY == 0 and span <= _LONGEST_ANNIVERSARY else None


def _date_in(node: yaml.Node, path: str, scope: Scope) -> DateIn | None:
    section = section_of(node, path, ("in",), scope.faults)
    if "in" not in section.entries:
        if isinstance(node, yaml.MappingNode):
            scope.faults.add(node, section.path_of("in"), "is missing, expected `in: [2026-01-01, 2026-01-31]`")
        return None
    ends, ends_path = section.entries["in"], section.path_of("in")
    pair = pair_in(ends, ends_path, "`[first, last]`, both days included", scope.faults)
    days = [] if pair is None else [_day_in(end, f"{ends_path}[{n}]", scope.faults) for n, end in enumerate(pair)]
    if pair is None or days[0] is None or days[1] is None:
        return None
    if days[0] > days[1]:
        found = f"found {scalar_of(pair[0])} before {scalar_of(pair[1])}, expected the earlier day first"
        scope.faults.add(ends, ends_path, found)
        return None
    zone = scope.zone or UTC_ZONE
    return DateIn(local_midnight(days[0], zone), local_midnight(days[1] + 1, zone), zone)


def _day_in(node: yaml.Node, path: str, faults: Faults) -> int | None:
    return value_in(node, path, _day, "a day such as 2026-01-31, from 1900 to 2200", faults)


def _day(text: str) -> int | None:
    """Return the number of a day since 1970-01-01."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day.toordinal() - _EPOCH_DAY if 1900 <= day.year <= 2200 else None


_READERS: Mapping[str, Callable[[yaml.Node, str, Scope], AttributeTest | None]] = {
    "equals": _equals,
    "one_of": _one_of,
    "exists": _exists,
    "age": _age,
    "anniversary": _anniversary,
    "date": _date_in,
}
