"""Single values of a rulebook: durations, decimals, counts and names, each read or told as a fault."""

import re
from collections.abc import Callable, Collection
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

import yaml

from segmenter.adapters.yaml_nodes import Faults, Section, found_in, scalar_of
from segmenter.domain.instants import DAY, SECOND, Span, span_of, span_text

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

LONGEST: Span = 36_500 * DAY
NUMBER = "a decimal number of at most 18 digits"
MAX_VALUES = 1_000
# The measures are listed to one who knows none of them, the 600 time zones are not.
_LISTED = 60


def read_entry(
    section: Section, name: str, default: T, read: Callable[[str], T | None], expected: str, faults: Faults
) -> T:
    """Return what `read` makes of an entry, or the default where there is none or it is a fault."""
    node = section.entries.get(name)
    if node is None:
        return default
    value = value_in(node, section.path_of(name), read, expected, faults)
    return default if value is None else value


def value_in(node: yaml.Node, path: str, read: Callable[[str], T | None], expected: str, faults: Faults) -> T | None:
    """Return what `read` makes of a single value; None where that is a fault."""
    text = scalar_of(node)
    value = None if text is None else read(text)
    if value is None:
        faults.add(node, path, f"found {found_in(node)}, expected {expected}")
    return value


def read_span(section: Section, name: str, default: Span, least: Span, faults: Faults, or_else: str = "") -> Span:
    """Return a duration of at least `least`."""
    return read_entry(section, name, default, span_reader(least), span_words(least, or_else), faults)


def span_reader(least: Span) -> Callable[[str], Span | None]:
    """Return what reads a duration of at least `least`."""

    def read(text: str) -> Span | None:
        try:
            span = 0 if text == "0" else span_of(text)
        except ValueError:
            return None
        return span if least <= span <= LONGEST else None

    return read


def span_words(least: Span, or_else: str = "") -> str:
    """Return which duration is expected."""
    return f"a duration such as 90d, 36h or 15m, from {span_text(least)} to {span_text(LONGEST)}{or_else}"


def read_decimal(
    section: Section, name: str, default: Decimal, accepts: Callable[[Decimal], bool], expected: str, faults: Faults
) -> Decimal:
    """Return a decimal that is accepted."""

    def read(text: str) -> Decimal | None:
        number = decimal_in(text)
        return number if number is not None and accepts(number) else None

    return read_entry(section, name, default, read, expected, faults)


def read_whole(section: Section, name: str, default: int, least: int, faults: Faults, most: int | None = None) -> int:
    """Return a whole number from `least` to `most`."""

    def read(text: str) -> int | None:
        number = whole_in(text)
        return number if number is not None and least <= number and (most is None or number <= most) else None

    reach = f"of at least {least}" if most is None else f"from {least} to {most}"
    return read_entry(section, name, default, read, f"a whole number {reach}", faults)


def whole_in(text: str) -> int | None:
    """Read a whole number of at most 12 digits."""
    return int(text) if re.fullmatch(r"0|[1-9][0-9]{0,11}", text) else None


def decimal_in(text: str) -> Decimal | None:
    """Read a decimal from its text: a float would not be what was written. At most 18 digits each side."""
    if re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text) is None:
        return None
    return Decimal(text)


def read_choice(section: Section, name: str, default: E, faults: Faults) -> E:
    """Return one of the members of a closed set, by its value."""
    node = section.entries.get(name)
    if node is None:
        return default
    choices = type(default)
    found = name_in(node, section.path_of(name), [member.value for member in choices], "", faults)
    return default if found is None else choices(found)


def name_in(node: yaml.Node, path: str, known: Collection[str], noun: str, faults: Faults) -> str | None:
    """Return a value that is one of the known names; None where it is a fault, told with the nearest name.

    `noun` says what is expected where the names themselves are too many to be listed beside the nearest one.
    """
    text = scalar_of(node)
    if text is not None and text in known:
        return text
    # Of three names, all of which are told, none is nearest.
    close = get_close_matches(text, known, n=1) if text is not None and len(known) > 3 else []
    names = f"one of {', '.join(known)}" if len(known) > 2 else " or ".join(known)
    if len(known) > _LISTED:
        names = noun
    expected = f"{noun or names}; did you mean {close[0]}?" if close else names
    faults.add(node, path, f"found {found_in(node)}, expected {expected}")
    return None


def items_of(node: yaml.Node) -> "list[tuple[str, yaml.Node]]":
    """Return the items of a list with what their paths end in; a single value is a list of one."""
    if isinstance(node, yaml.SequenceNode):
        return [(f"[{number}]", item) for number, item in enumerate(node.value)]
    return [("", node)]


def texts_in(node: yaml.Node, path: str, faults: Faults) -> tuple[str, ...]:
    """Return a text or a list of texts, sorted and each once, so that equal lists are equal values."""

    def read(text: str) -> str | None:
        return text if text and len(text.encode()) <= 1_024 else None

    found = [value_in(item, path + end, read, "a text", faults) for end, item in listed(node, path, faults)]
    return tuple(sorted({text for text in found if text is not None}))


def listed(node: yaml.Node, path: str, faults: Faults) -> "list[tuple[str, yaml.Node]]":
    """Return the items of a list that has some, and not too many."""
    items = items_of(node)
    if not items:
        faults.add(node, path, "is empty, expected at least one value")
    if len(items) > MAX_VALUES:
        faults.add(node, path, f"found {len(items)} values, expected at most {MAX_VALUES}")
        return []
    return items


SHORTEST: Span = SECOND
"""Windows of a definition are at least this long: buckets and deadlines are no finer."""
