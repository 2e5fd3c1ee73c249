"""The sections that bring dimensions of their own: engagement, interest, care and rhythm."""

from collections.abc import Mapping
from decimal import Decimal

import yaml

from segmenter.adapters.rulebook_scope import Scope
from segmenter.adapters.rulebook_values import decimal_in, read_decimal, read_span, read_whole, value_in
from segmenter.adapters.yaml_nodes import Section, open_section_of, section_of
from segmenter.domain.instants import SECOND
from segmenter.domain.rulebook import CareRule, EngagementRule, InterestRule, RhythmRule
from segmenter.domain.windows import Window

_ENGAGEMENT = ("half_life", "hot", "warm", "weights")
_INTEREST = ("half_life", "margin")
_CARE = ("unhappy_for", "csat_at_most", "nps_at_most", "returns", "returns_within")
_RHYTHM = ("factor", "orders", "fallback")
MAX_KINDS = 50
_POINTS = "a number above 0 such as 5"


def engagement_in(node: yaml.Node, scope: Scope) -> EngagementRule:
    """Return how clicks warm a customer up."""
    rule, faults = EngagementRule(), scope.faults
    section = section_of(node, "engagement", _ENGAGEMENT, faults)
    read = EngagementRule(
        half_life=read_span(section, "half_life", rule.half_life, SECOND, faults),
        hot=read_decimal(section, "hot", rule.hot, _is_positive, _POINTS, faults),
        warm=read_decimal(section, "warm", rule.warm, _is_positive, _POINTS, faults),
        weights=_weights(section, scope),
    )
    if read.warm >= read.hot and not faults.are_at("engagement.hot") and not faults.are_at("engagement.warm"):
        place = section.entries.get("warm", section.entries.get("hot", node))
        faults.add(place, "engagement.warm", f"found {read.warm}, expected less than hot, which is {read.hot}")
    return read


def _weights(section: Section, scope: Scope) -> tuple[tuple[str, Decimal], ...]:
    node, path = section.entries.get("weights"), section.path_of("weights")
    if node is None:
        return ()
    entries = open_section_of(node, path, "a number for each kind", scope.faults).entries
    if len(entries) > MAX_KINDS:
        scope.faults.add(node, path, f"found {len(entries)} kinds, expected at most {MAX_KINDS}")
    expected = "a number of at least 0 such as 2.5"
    weights = {
        kind: value_in(value, f"{path}.{kind}", _weight, expected, scope.faults) for kind, value in entries.items()
    }
    return tuple((kind, weight) for kind, weight in sorted(weights.items()) if weight is not None)


def _weight(text: str) -> Decimal | None:
    number = decimal_in(text)
    return number if number is not None and number >= 0 else None


def interest_in(node: yaml.Node, scope: Scope) -> InterestRule:
    """Return when another topic, or another channel, leads."""
    rule, faults = InterestRule(), scope.faults
    section = section_of(node, "interest", _INTEREST, faults)
    expected = "a factor of at least 1 such as 1.2"
    return InterestRule(
        half_life=read_span(section, "half_life", rule.half_life, SECOND, faults),
        margin=read_decimal(section, "margin", rule.margin, lambda margin: margin >= 1, expected, faults),
    )


def care_in(node: yaml.Node, scope: Scope) -> CareRule:
    """Return who counts as unhappy."""
    rule, faults = CareRule(), scope.faults
    section = section_of(node, "care", _CARE, faults)
    read = CareRule(
        unhappy_for=read_span(section, "unhappy_for", rule.unhappy_for, SECOND, faults),
        csat_at_most=read_whole(section, "csat_at_most", rule.csat_at_most, 0, faults, 5),
        nps_at_most=read_whole(section, "nps_at_most", rule.nps_at_most, 0, faults, 10),
        returns=read_whole(section, "returns", rule.returns, 1, faults),
        returns_within=read_span(section, "returns_within", rule.returns_within, SECOND, faults),
    )
    place = section.entries.get("returns_within", node)
    scope.check_kept(Window(read.returns_within), place, section.path_of("returns_within"))
    return read


def rhythm_in(node: yaml.Node, scope: Scope) -> RhythmRule:
    """Return when silence is longer than a customer's own habit."""
    rule, faults = RhythmRule(), scope.faults
    section = section_of(node, "rhythm", _RHYTHM, faults)
    return RhythmRule(
        factor=read_decimal(section, "factor", rule.factor, _is_positive, "a factor above 0 such as 2", faults),
        orders=read_whole(section, "orders", rule.orders, 2, faults),
        fallback=read_span(section, "fallback", rule.fallback, SECOND, faults),
    )


def _is_positive(number: Decimal) -> bool:
    return number > 0


SEGMENTS_OF: Mapping[str, tuple[str, ...]] = {
    "engagement": ("hot", "warm", "cold"),
    "care": ("none", "open_issue", "unhappy"),
    "rhythm": ("regular", "at_risk", "none"),
    "interest": (),
    "channel": (),
}
"""The segments of these dimensions; any text where none are listed."""
