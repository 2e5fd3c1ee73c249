"""The section `rfm`: bounds of the three scores, and the groups that are made of scores."""

import re
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from typing import TypeVar

import yaml

from segmenter.adapters.rulebook_bounds import minor_in
from segmenter.adapters.rulebook_conditions import Language, condition_in
from segmenter.adapters.rulebook_scope import Scope
from segmenter.adapters.rulebook_values import span_reader, span_words, value_in, whole_in
from segmenter.adapters.yaml_nodes import Section, found_in, open_section_of, scalar_of, section_of
from segmenter.domain.conditions import All, Bound, Comparison, Condition, Score, Scored
from segmenter.domain.instants import MILLISECOND
from segmenter.domain.rulebook import Quintiles, RfmRule
from segmenter.domain.windows import ALL_HISTORY

N = TypeVar("N", int, Decimal)

_RFM = ("window", "recency", "frequency", "monetary", "groups")
_FOUR = "a list of four bounds that rise, or quintiles"
OTHERS = "others"
MAX_GROUPS = 50
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
NAME_WORDS = "a name of small letters, digits and _, beginning with a letter, at most 64"
_SCORED = re.compile(r"(>=|<=|==|>|<)? ?([1-5])")
_COMPARISONS = {
    ">=": Comparison.AT_LEAST,
    ">": Comparison.MORE_THAN,
    "<=": Comparison.AT_MOST,
    "<": Comparison.LESS_THAN,
    "==": Comparison.EQUALS,
}


def rfm_in(node: yaml.Node, scope: Scope) -> RfmRule:
    """Return how customers are scored and grouped."""
    section = section_of(node, "rfm", _RFM, scope.faults)
    window_node, window_path = section.entries.get("window"), section.path_of("window")
    window = scope.window_in(window_node, window_path) or ALL_HISTORY
    scope.check_kept(window, window_node or node, window_path)
    money = f"a decimal amount in {scope.currency}"
    return RfmRule(
        window=window,
        recency=_bounds(section, "recency", span_reader(MILLISECOND), span_words(MILLISECOND), scope),
        frequency=_bounds(section, "frequency", whole_in, "a whole number", scope),
        monetary=_floored(_bounds(section, "monetary", lambda text: minor_in(text, scope.currency), money, scope)),
        groups=_groups(section, scope),
    )


def _bounds(
    section: Section, name: str, read: Callable[[str], N | None], expected: str, scope: Scope
) -> tuple[N, ...] | Quintiles:
    """Return four bounds that do not fall, or that they are cut among all who are ranked."""
    node, path = section.entries.get(name), section.path_of(name)
    if node is None:
        if isinstance(section.node, yaml.MappingNode):
            scope.faults.add(section.node, path, f"is missing, expected {_FOUR}")
        return ()
    if scalar_of(node) == Quintiles.QUINTILES:
        return Quintiles.QUINTILES
    if not isinstance(node, yaml.SequenceNode) or len(node.value) != 4:
        count = f"a list of {len(node.value)}" if isinstance(node, yaml.SequenceNode) else found_in(node)
        scope.faults.add(node, path, f"found {count}, expected {_FOUR}")
        return ()
    read_bounds = [
        value_in(item, f"{path}[{number}]", read, expected, scope.faults) for number, item in enumerate(node.value)
    ]
    bounds = [bound for bound in read_bounds if bound is not None]
    if len(bounds) < 4:
        return ()
    for number in range(1, 4):
        if bounds[number] < bounds[number - 1]:
            found = f"found {found_in(node.value[number])} after {found_in(node.value[number - 1])}"
            scope.faults.add(node.value[number], f"{path}[{number}]", f"{found}, expected bounds that rise")
    return tuple(bounds)


def _floored(amounts: tuple[Decimal, ...] | Quintiles) -> tuple[int, ...] | Quintiles:
    if isinstance(amounts, Quintiles):
        return amounts
    return tuple(int(amount.to_integral_value(ROUND_FLOOR)) for amount in amounts)


def _groups(section: Section, scope: Scope) -> tuple[tuple[str, Condition], ...]:
    node, path = section.entries.get("groups"), section.path_of("groups")
    if node is None:
        return ()
    entries = open_section_of(node, path, "a condition for each group", scope.faults).entries
    if len(entries) > MAX_GROUPS:
        scope.faults.add(node, path, f"found {len(entries)} groups, expected at most {MAX_GROUPS}")
    groups = []
    for name, value in entries.items():
        if NAME.fullmatch(name) is None:
            scope.faults.add(value, f"{path}.{name}", f"found the name {name!r}, expected {NAME_WORDS}")
        elif name == OTHERS:
            scope.faults.add(value, f"{path}.{name}", "is the group of all who are in no other; give it another name")
        group = condition_in(value, f"{path}.{name}", scope, SCORES)
        if group is not None:
            groups.append((name, group))
    return tuple(groups)


def _scored(section: Section, scope: Scope) -> Condition | None:
    """Return `{r: …, f: …, m: …}`: every score that is named is asked for."""
    expected = 'a score from 1 to 5 or a comparison with one, such as ">=4", "<=2" or "==1"'
    bounds = {
        name: value_in(value, section.path_of(name), _comparison, expected, scope.faults)
        for name, value in section.entries.items()
    }
    if not bounds:
        if isinstance(section.node, yaml.MappingNode) and not section.node.value:
            scope.faults.add(section.node, section.path, "is empty, expected one of r, f, m, all, any, not")
        return None
    scores = tuple(Scored(score, bound) for score in Score if (bound := bounds.get(score)) is not None)
    if len(scores) < len(bounds):
        return None
    return scores[0] if len(scores) == 1 else All(scores)


def _comparison(text: str) -> Bound | None:
    written = _SCORED.fullmatch(text)
    return None if written is None else Bound(_COMPARISONS[written[1] or "=="], Decimal(written[2]))


SCORES = Language(leaves={}, fallback=(tuple(Score), _scored))
"""What a group of RFM may ask."""


def group_names(rule: RfmRule) -> tuple[str, ...]:
    """Return every group a customer can be in."""
    return (*(name for name, _ in rule.groups), OTHERS)
