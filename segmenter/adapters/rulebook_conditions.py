"""Conditions of a rulebook: every leaf by the name that makes it one, and what binds them together."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import NamedTuple

import yaml

from segmenter.adapters.rulebook_attributes import TESTS, attribute
from segmenter.adapters.rulebook_bounds import COMPARISONS
from segmenter.adapters.rulebook_leaves import absent, measured, sequence
from segmenter.adapters.rulebook_scope import Reference, Scope
from segmenter.adapters.rulebook_values import listed, name_in, texts_in, value_in
from segmenter.adapters.yaml_nodes import Section, found_in, section_of
from segmenter.domain.conditions import All, AnyOf, Condition, InDimension, InSegment, Not
from segmenter.domain.truths import oddity_of

MAX_DEPTH = 20
SECTION_OF_DIMENSION: Mapping[str, str] = {
    "lifecycle": "lifecycle",
    "value": "value",
    "rfm": "rfm",
    "engagement": "engagement",
    "care": "care",
    "rhythm": "rhythm",
    "interest": "interest",
    "channel": "interest",
}
"""Which section of the rulebook brings which dimension."""

Leaf = Callable[[Section, Scope], Condition | None]


class Language(NamedTuple):
    """What can stand where a condition is expected: leaves by the name that makes them one, with all their names."""

    leaves: Mapping[str, tuple[tuple[str, ...], Leaf]]
    fallback: tuple[tuple[str, ...], Leaf] | None = None
    """The leaf that is known by any of its names, where there is one."""


_GROUPS = ("all", "any", "not")


def condition_in(node: yaml.Node, path: str, scope: Scope, language: Language, depth: int = 1) -> Condition | None:
    """Return the condition of a node; None where there is a fault in it. What can never move is a warning."""
    condition = _read(node, path, scope, language, depth)
    if condition is not None:
        _warn(condition, node, path, scope)
    return condition


def _warn(condition: Condition, node: yaml.Node, path: str, scope: Scope) -> None:
    if (oddity := oddity_of(condition)) is not None:
        scope.warnings.add(node, path, oddity)


def _read(node: yaml.Node, path: str, scope: Scope, language: Language, depth: int) -> Condition | None:
    if depth > MAX_DEPTH:
        scope.faults.add(node, path, f"is nested deeper than {MAX_DEPTH} conditions; name a part of it as a segment")
        return None
    known = (*language.leaves, *_GROUPS)
    if not isinstance(node, yaml.MappingNode):
        fix = "; put its conditions under `all` or `any`" if isinstance(node, yaml.SequenceNode) else ""
        scope.faults.add(node, path, f"found {found_in(node)}, expected a condition{fix}")
        return None
    names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    kinds = list(dict.fromkeys(name for name in names if name in known))
    if len(kinds) > 1:
        found = f"found {' and '.join(kinds)} in one condition, expected one of them"
        scope.faults.add(node, path, f"{found}; put both under `all`")
        return None
    if kinds and kinds[0] in _GROUPS:
        return _group(section_of(node, path, kinds, scope.faults), kinds[0], scope, language, depth)
    if not kinds and language.fallback is None:
        _refuse_nameless(node, path, names, known, scope)
        return None
    keys, read = language.leaves[kinds[0]] if kinds else language.fallback or ((), _nothing)
    return read(section_of(node, path, keys, scope.faults), scope)


def _nothing(section: Section, scope: Scope) -> Condition | None:
    return None


def _refuse_nameless(node: yaml.Node, path: str, names: list[str], known: tuple[str, ...], scope: Scope) -> None:
    """Blame the name that is nearest to one that makes a condition, or else the whole."""
    for key, _ in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        if close := get_close_matches(name, known, n=1):
            scope.faults.add(key, f"{path}.{name}", f"no such name; did you mean {close[0]}?")
            return
    found = f"a section with {', '.join(names)}" if names else "a section without a condition"
    scope.faults.add(node, path, f"found {found}, expected one of {', '.join(known)}")


def _group(section: Section, name: str, scope: Scope, language: Language, depth: int) -> Condition | None:
    node, path = section.entries[name], section.path_of(name)
    if name == "not":
        inner = condition_in(node, path, scope, language, depth + 1)
        return None if inner is None else Not(inner)
    if not isinstance(node, yaml.SequenceNode):
        scope.faults.add(node, path, f"found {found_in(node)}, expected a list of conditions")
        return None
    parts = [
        condition_in(item, path + end, scope, language, depth + 1) for end, item in listed(node, path, scope.faults)
    ]
    read = tuple(part for part in parts if part is not None)
    if len(read) < len(parts) or not read:
        return None
    return All(read) if name == "all" else AnyOf(read)


def _in(section: Section, scope: Scope) -> Condition | None:
    node, path = section.entries["in"], section.path_of("in")
    if isinstance(node, yaml.MappingNode) and not node.value:
        scope.faults.add(node, path, f"is empty, expected one of {', '.join(SECTION_OF_DIMENSION)}")
    inner = section_of(node, path, tuple(SECTION_OF_DIMENSION), scope.faults)
    found = [_dimension(name, value, inner.path_of(name), scope) for name, value in inner.entries.items()]
    read = tuple(condition for condition in found if condition is not None)
    if len(read) < len(found) or not read:
        return None
    if len(read) == 1:
        return read[0]
    for condition, (name, value) in zip(read, inner.entries.items(), strict=True):
        _warn(condition, value, inner.path_of(name), scope)
    return All(read)


def _dimension(name: str, node: yaml.Node, path: str, scope: Scope) -> Condition | None:
    segments = scope.dimensions.get(name)
    if segments is None:
        added = SECTION_OF_DIMENSION[name]
        scope.faults.add(node, path, f"is not a dimension of this rulebook; add the section `{added}`")
        return None
    if not segments:
        chosen = texts_in(node, path, scope.faults)
    else:
        found = [
            name_in(item, path + end, segments, "", scope.faults) for end, item in listed(node, path, scope.faults)
        ]
        chosen = tuple(sorted({segment for segment in found if segment is not None}))
    return InDimension(name, chosen) if chosen else None


def _in_segment(section: Section, scope: Scope) -> Condition | None:
    node, path = section.entries["segment"], section.path_of("segment")
    name = value_in(node, path, lambda text: text or None, "the name of a segment", scope.faults)
    if name is None:
        return None
    scope.references.append(Reference(scope.segment, name, node, path))
    return InSegment(name)


CONDITIONS = Language(
    leaves={
        "measure": (("measure", *COMPARISONS, "within", "where"), measured),
        "in": (("in",), _in),
        "absent": (("absent", "for", "include_never"), absent),
        "sequence": (("sequence", "within"), sequence),
        "attribute": (("attribute", *TESTS), attribute),
        "segment": (("segment",), _in_segment),
    }
)
"""What a segment may ask."""
