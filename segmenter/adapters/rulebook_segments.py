"""The section `segments`: definitions, each after those it names."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

import yaml

from segmenter.adapters.rulebook_conditions import CONDITIONS, condition_in
from segmenter.adapters.rulebook_rfm import NAME, NAME_WORDS
from segmenter.adapters.rulebook_scope import Reference, Scope
from segmenter.adapters.rulebook_values import read_choice, read_entry, read_span
from segmenter.adapters.yaml_nodes import Section, is_section, open_section_of, section_of
from segmenter.domain.conditions import All, Announce, Condition, Definition, State, leaves_of
from segmenter.domain.costs import outliers
from segmenter.domain.truths import shuts_out

_KEYS = ("title", "state", "when", "leave_when", "stay_at_least", "cooldown", "announce", "calendar")
MAX_SEGMENTS = 200
MAX_LEAVES = 100
MAX_TITLE = 200
# Stands in for what could not be read: the whole rulebook is refused then.
_UNREAD = All(())


def segments_in(node: yaml.Node, scope: Scope) -> tuple[Definition, ...]:
    """Return every definition, each after those it names; costs that are out of line are warnings."""
    section = open_section_of(node, "segments", "a name for each segment", scope.faults)
    if len(section.entries) > MAX_SEGMENTS:
        found = f"found {len(section.entries)} segments, expected at most {MAX_SEGMENTS}"
        scope.faults.add(node, "segments", found)
    definitions = {name: _definition(name, value, scope) for name, value in section.entries.items()}
    _check_references(definitions, scope)
    ordered = _in_order(definitions, scope)
    for outlier in outliers(ordered):
        scope.warnings.add(section.entries[outlier.name], section.path_of(outlier.name), outlier.sentence)
    return ordered


def _definition(name: str, node: yaml.Node, scope: Scope) -> Definition:
    path, faults = f"segments.{name}", scope.faults
    if NAME.fullmatch(name) is None:
        faults.add(node, path, f"found the name {name!r}, expected {NAME_WORDS}")
    section = section_of(node, path, _KEYS, faults)
    inner = replace(scope, segment=name).within(section)
    when = _condition(section, "when", inner)
    if "when" not in section.entries and is_section(node) and not section.has_strange_names:
        faults.add(node, section.path_of("when"), "is missing, expected a condition")
    leave_when = _condition(section, "leave_when", inner)
    _check_leaves(section, [when, leave_when], scope)
    if when is not None and leave_when is not None and shuts_out(when, leave_when):
        place, found = section.entries["leave_when"], "holds wherever `when` does, so that nobody comes in"
        scope.warnings.add(place, section.path_of("leave_when"), found)
    return Definition(
        name=name,
        when=when or _UNREAD,
        leave_when=leave_when,
        title=read_entry(section, "title", "", _title, f"a text of at most {MAX_TITLE} characters", faults),
        state=read_choice(section, "state", State.LIVE, faults),
        stay_at_least=read_span(section, "stay_at_least", 0, 0, faults),
        cooldown=read_span(section, "cooldown", 0, 0, faults),
        announce=read_choice(section, "announce", Announce.CHANGES, faults),
    )


def _condition(section: Section, name: str, scope: Scope) -> Condition | None:
    node = section.entries.get(name)
    return None if node is None else condition_in(node, section.path_of(name), scope, CONDITIONS)


def _check_leaves(section: Section, conditions: list[Condition | None], scope: Scope) -> None:
    count = sum(len(leaves_of(condition)) for condition in conditions if condition is not None)
    if count > MAX_LEAVES:
        found = f"has {count} conditions, expected at most {MAX_LEAVES}; name a part of it as a segment"
        scope.faults.add(section.node, section.path, found)


def _title(text: str) -> str | None:
    return text if len(text) <= MAX_TITLE else None


def _check_references(definitions: Mapping[str, Definition], scope: Scope) -> None:
    """Refuse names of no segment, and of one in which nobody can be found."""
    for reference in scope.references:
        named = definitions.get(reference.to)
        if named is None:
            close = get_close_matches(reference.to, definitions, n=1)
            hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(definitions)}"
            scope.faults.add(reference.node, reference.path, f"found {reference.to!r}, which is no segment; {hint}")
        elif named.state is not State.LIVE and definitions[reference.by].is_evaluated:
            found = f"found {reference.to!r}, whose state is {named.state}, expected a live segment"
            scope.faults.add(reference.node, reference.path, f"{found}; set it live, or take it out here")


def _in_order(definitions: Mapping[str, Definition], scope: Scope) -> tuple[Definition, ...]:
    """Return the definitions in the order of the file, but each after those it names; a cycle is a fault."""
    named: dict[str, list[Reference]] = {name: [] for name in definitions}
    for reference in scope.references:
        if reference.to in definitions:
            named[reference.by].append(reference)
    done: dict[str, Definition] = {}

    def visit(name: str, way: tuple[str, ...]) -> None:
        for reference in named[name]:
            if reference.to in (*way, name):
                cycle = [*way, name][[*way, name].index(reference.to) :]
                found = f"is a cycle: {' → '.join([*cycle, reference.to])}; take one of them out"
                scope.faults.add(reference.node, reference.path, found)
            elif reference.to not in done:
                visit(reference.to, (*way, name))
        done.setdefault(name, definitions[name])

    for name in definitions:
        if name not in done:
            visit(name, ())
    return tuple(done.values())
