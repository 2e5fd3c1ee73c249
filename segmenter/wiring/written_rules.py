"""A rulebook as it is shown to people: every rule with its value as it is written in a file."""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from enum import StrEnum

from segmenter.domain.conditions import Definition
from segmenter.domain.instants import span_text
from segmenter.domain.money import money_text
from segmenter.domain.rulebook import (
    CareRule,
    EngagementRule,
    InterestRule,
    RankedBy,
    RfmRule,
    RhythmRule,
    Rulebook,
    ValueRule,
)
from segmenter.domain.windows import Window

_SPANS = frozenset(["half_life", "unhappy_for", "returns_within", "fallback"])


def written_rules(rulebook: Rulebook) -> Mapping[str, str]:
    """Return every rule by its path; of a segment its state and title."""
    value = rulebook.value
    return {
        "currency": rulebook.currency,
        **{f"rates.{currency}": str(rate) for currency, rate in sorted(rulebook.rates.items())},
        "lifecycle.inactive_after": span_text(rulebook.lifecycle.inactive_after),
        "lifecycle.counts_from": rulebook.lifecycle.counts_from,
        "value.window": _window_text(Window(value.window)),
        "value.a": str(value.a),
        "value.b": str(value.b),
        "value.band": str(value.band),
        "value.dwell": span_text(value.dwell),
        "value.min_ranked": str(value.min_ranked),
        **_ranked_by(value),
        "storm.leave_share": str(rulebook.storm.leave_share),
        "storm.within": span_text(rulebook.storm.within),
        "storm.at_least": str(rulebook.storm.at_least),
        **_rfm(rulebook.rfm, rulebook.currency),
        **_flat("engagement", rulebook.engagement),
        **_flat("interest", rulebook.interest),
        **_flat("care", rulebook.care),
        **_flat("rhythm", rulebook.rhythm),
        **{f"segments.{definition.name}": _segment(definition) for definition in rulebook.segments},
    }


def _ranked_by(rule: ValueRule) -> Mapping[str, str]:
    """Return what customers are ranked by, and apart from whom, where that is not the default."""
    population = rule.population
    measure = {} if rule.measure is RankedBy.NET_REVENUE else {"value.measure": rule.measure.value}
    if population is None:
        return measure
    return {**measure, "value.population": f"{population.attribute}: {', '.join(population.values)}"}


def _rfm(rule: RfmRule | None, currency: str) -> Mapping[str, str]:
    if rule is None:
        return {}
    recency, frequency, monetary = rule.recency, rule.frequency, rule.monetary
    return {
        "rfm.window": _window_text(rule.window),
        "rfm.recency": recency if isinstance(recency, StrEnum) else ", ".join(span_text(bound) for bound in recency),
        "rfm.frequency": frequency if isinstance(frequency, StrEnum) else ", ".join(map(str, frequency)),
        "rfm.monetary": (
            monetary
            if isinstance(monetary, StrEnum)
            else ", ".join(money_text(bound, currency) for bound in monetary)
        ),
        "rfm.groups": ", ".join(name for name, _ in rule.groups),
    }


def _flat(name: str, rule: EngagementRule | InterestRule | CareRule | RhythmRule | None) -> Mapping[str, str]:
    """Return the rules of a section by their names in the file, which are those of the fields."""
    if rule is None:
        return {}
    return {f"{name}.{field.name}": _text(field.name, getattr(rule, field.name)) for field in fields(rule)}


def _text(name: str, value: int | Decimal | tuple[tuple[str, Decimal], ...]) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{kind}: {weight}" for kind, weight in value)
    return span_text(value) if name in _SPANS and isinstance(value, int) else str(value)


def _window_text(window: Window) -> str:
    if window.span is None:
        return "all"
    return span_text(window.span) if window.zone is None else f"{span_text(window.span)} of {window.zone}"


def _segment(definition: Definition) -> str:
    return f"{definition.state}: {definition.title}" if definition.title else definition.state.value
