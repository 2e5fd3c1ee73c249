"""What the author of a rulebook expects of a file of events: YAML beside the rulebook, read whole or refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import yaml

from segmenter.adapters.yaml_nodes import (
    Faults,
    Section,
    composed,
    found_in,
    open_section_of,
    scalar_of,
    section_of,
)
from segmenter.domain.changes import CauseKind
from segmenter.domain.conditions import IN
from segmenter.domain.instants import Instant, instant_of
from segmenter.errors import ConfigurationError

_STANDING = ("at", "customer", "in", "not_in")
_CHANGE = ("customer", "dimension", "before", "after", "at", "cause")
_EXAMPLE = "2026-03-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedStanding:
    """At an instant a customer is in some segments and not in others, by dimension or declared name."""

    place: str
    at: Instant
    customer: str
    segments: Mapping[str, str]
    other_than: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedChange:
    """A move is told of a customer; what is None may be anything."""

    place: str
    customer: str
    dimension: str
    after: str
    before: str | None
    at: Instant | None
    cause: CauseKind | None


Expectation: TypeAlias = ExpectedStanding | ExpectedChange


def load_expectations(path: Path) -> list[Expectation]:
    """Return what a file expects. Raises ConfigurationError with all faults, each with its line and column."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read ({error.strerror}); name it with --expect"]) from None
    faults = Faults(str(path))
    root = section_of(composed(text, str(path)), "", ("expect",), faults)
    listed = root.entries.get("expect")
    found: list[Expectation | None] = []
    if listed is None:
        faults.add(root.node, "expect", "is missing, expected a list of expectations")
    elif not isinstance(listed, yaml.SequenceNode):
        faults.add(listed, "expect", f"found {found_in(listed)}, expected a list of expectations")
    else:
        found = [_expectation(node, f"expect[{n}]", faults) for n, node in enumerate(listed.value)]
    if faults.found:
        raise ConfigurationError(faults.sentences())
    return [expectation for expectation in found if expectation is not None]


def _expectation(node: yaml.Node, path: str, faults: Faults) -> Expectation | None:
    section = section_of(node, path, (*_STANDING, "change"), faults)
    if "change" not in section.entries:
        return _standing(section, faults)
    for name in section.entries.keys() & set(_STANDING):
        faults.add(section.entries[name], section.path_of(name), "stands beside `change`; make it one of its own")
    inner = section_of(section.entries["change"], section.path_of("change"), _CHANGE, faults)
    customer, dimension, after = (_text(inner, name, faults) for name in ("customer", "dimension", "after"))
    return ExpectedChange(
        place=_place(node, faults),
        customer=customer,
        dimension=dimension,
        after=after,
        before=_text(inner, "before", faults) if "before" in inner.entries else None,
        at=_instant(inner, faults) if "at" in inner.entries else None,
        cause=_cause(inner, faults),
    )


def _standing(section: Section, faults: Faults) -> ExpectedStanding | None:
    if isinstance(section.node, yaml.MappingNode) and not section.entries.keys() & {"in", "not_in"}:
        faults.add(section.node, section.path, "expects nothing; write `in`, `not_in` or `change`")
    return ExpectedStanding(
        place=_place(section.node, faults),
        at=_instant(section, faults),
        customer=_text(section, "customer", faults),
        segments=_segments(section, "in", faults),
        other_than=_segments(section, "not_in", faults),
    )


def _segments(section: Section, name: str, faults: Faults) -> Mapping[str, str]:
    """Read `{value: A, vip: in}`, or `[vip]` for declared segments that he is in."""
    node, path = section.entries.get(name), section.path_of(name)
    if node is None:
        return {}
    if isinstance(node, yaml.SequenceNode):
        texts = [(item, scalar_of(item)) for item in node.value]
        for item, text in texts:
            if text is None:
                faults.add(item, path, f"found {found_in(item)}, expected the name of a declared segment")
        return {text: IN for _, text in texts if text is not None}
    inner = open_section_of(node, path, "segments by dimension, or a list of declared segments", faults)
    return {dimension: _text(inner, dimension, faults) for dimension in inner.entries}


def _text(section: Section, name: str, faults: Faults) -> str:
    node = section.entries.get(name)
    text = None if node is None else scalar_of(node)
    if text:
        return text
    if isinstance(section.node, yaml.MappingNode):
        found = "is missing" if node is None else f"found {found_in(node)}"
        faults.add(node or section.node, section.path_of(name), f"{found}, expected a text")
    return ""


def _instant(section: Section, faults: Faults) -> Instant:
    text = _text(section, "at", faults)
    try:
        return instant_of(datetime.fromisoformat(text)) if text else 0
    except (ValueError, TypeError):
        sentence = f"found {text!r}, expected an instant with its zone, such as {_EXAMPLE}"
        faults.add(section.entries["at"], section.path_of("at"), sentence)
        return 0


def _cause(section: Section, faults: Faults) -> CauseKind | None:
    if "cause" not in section.entries:
        return None
    text = _text(section, "cause", faults)
    if text in list(CauseKind):
        return CauseKind(text)
    sentence = f"found {text!r}, expected one of {', '.join(CauseKind)}"
    faults.add(section.entries["cause"], section.path_of("cause"), sentence)
    return None


def _place(node: yaml.Node, faults: Faults) -> str:
    return f"{faults.file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
