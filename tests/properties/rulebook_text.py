"""Rulebooks as the YAML that a person would write, from their values."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeAlias

import yaml

from segmenter.domain.conditions import (
    UNIT_OF,
    Absent,
    Age,
    All,
    Anniversary,
    AnyOf,
    Bound,
    Comparison,
    Condition,
    DateIn,
    Definition,
    Exists,
    Filter,
    Follow,
    HasAttribute,
    InDimension,
    InSegment,
    Measured,
    Not,
    Number,
    OneOf,
    Scored,
    Sequence,
    Unit,
    leaves_of,
)
from segmenter.domain.instants import DAY, span_text
from segmenter.domain.money import exponent_of
from segmenter.domain.rulebook import EngagementRule, RfmRule, Rulebook
from segmenter.domain.windows import ALL_HISTORY, Window, moment_of

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | float | bool"

_SIGNS = {
    Comparison.AT_LEAST: ">=",
    Comparison.MORE_THAN: ">",
    Comparison.AT_MOST: "<=",
    Comparison.LESS_THAN: "<",
    Comparison.EQUALS: "==",
}


def yaml_of(rulebook: Rulebook) -> str:
    """Return the whole file."""
    return yaml.safe_dump(tree_of(rulebook), sort_keys=False, allow_unicode=True)


def tree_of(rulebook: Rulebook) -> Tree:
    """Return the rulebook in the form of its file."""
    value, lifecycle = rulebook.value, rulebook.lifecycle
    tree: dict[str, Tree] = {
        "rulebook": 1,
        "currency": rulebook.currency,
        "rates": {name: str(rate) for name, rate in rulebook.rates.items()},
        "lifecycle": {
            "inactive_after": span_text(lifecycle.inactive_after),
            "counts_from": lifecycle.counts_from.value,
        },
        "value": {
            "window": "all" if value.window is None else span_text(value.window),
            "a": str(value.a),
            "b": str(value.b),
            "band": str(value.band),
            "dwell": span_text(value.dwell),
            "min_ranked": value.min_ranked,
        },
    }
    tree |= _dimensions(rulebook)
    if rulebook.segments:
        tree["segments"] = {one.name: _definition(one, rulebook.currency) for one in rulebook.segments}
    return tree


def _dimensions(rulebook: Rulebook) -> dict[str, Tree]:
    found: dict[str, Tree] = {}
    if rulebook.rfm is not None:
        found["rfm"] = _rfm(rulebook.rfm, rulebook.currency)
    if rulebook.engagement is not None:
        found["engagement"] = _engagement(rulebook.engagement)
    if (interest := rulebook.interest) is not None:
        found["interest"] = {"half_life": span_text(interest.half_life), "margin": str(interest.margin)}
    if (care := rulebook.care) is not None:
        found["care"] = {
            "unhappy_for": span_text(care.unhappy_for),
            "csat_at_most": care.csat_at_most,
            "nps_at_most": care.nps_at_most,
            "returns": care.returns,
            "returns_within": span_text(care.returns_within),
        }
    if (rhythm := rulebook.rhythm) is not None:
        fallback = span_text(rhythm.fallback)
        found["rhythm"] = {"factor": str(rhythm.factor), "orders": rhythm.orders, "fallback": fallback}
    return found


def _rfm(rule: RfmRule, currency: str) -> Tree:
    tree: dict[str, Tree] = {
        "window": "all" if rule.window.span is None else span_text(rule.window.span),
        "recency": [span_text(bound) for bound in rule.recency if isinstance(bound, int)],
        "frequency": [bound for bound in rule.frequency if isinstance(bound, int)],
        "monetary": [money(Decimal(bound), currency) for bound in rule.monetary if isinstance(bound, int)],
    }
    if rule.groups:
        tree["groups"] = {name: condition_tree(group, currency) for name, group in rule.groups}
    return tree


def _engagement(rule: EngagementRule) -> Tree:
    weights: dict[str, Tree] = {kind: str(weight) for kind, weight in rule.weights}
    return {
        "half_life": span_text(rule.half_life),
        "hot": str(rule.hot),
        "warm": str(rule.warm),
        "weights": weights,
    }


def _definition(definition: Definition, currency: str) -> Tree:
    conditions = [definition.when] + ([] if definition.leave_when is None else [definition.leave_when])
    tree: dict[str, Tree] = {"title": definition.title, "state": definition.state.value}
    if (zone := _zone_of(conditions)) is not None:
        tree["calendar"] = zone
    tree["when"] = condition_tree(definition.when, currency)
    if definition.leave_when is not None:
        tree["leave_when"] = condition_tree(definition.leave_when, currency)
    return tree | {
        "stay_at_least": span_text(definition.stay_at_least),
        "cooldown": span_text(definition.cooldown),
        "announce": definition.announce.value,
    }


def _zone_of(conditions: Iterable[Condition]) -> str | None:
    """Return the calendar of the segment: the one zone that its leaves have."""
    zones = set()
    for leaf in (leaf for condition in conditions for leaf in leaves_of(condition)):
        match leaf:
            case Measured(window=Window(zone=zone)) | Absent(window=Window(zone=zone)):
                zones.add(zone)
            case HasAttribute(test=Anniversary(zone=zone) | DateIn(zone=zone)) if zone != "UTC":
                zones.add(zone)
            case _:
                pass
    return next((zone for zone in zones if zone is not None), None)


def condition_tree(condition: Condition, currency: str) -> Tree:  # noqa: PLR0911 - one a kind
    """Return a condition in the form of its file."""
    match condition:
        case All(conditions):
            return {"all": [condition_tree(part, currency) for part in conditions]}
        case AnyOf(conditions):
            return {"any": [condition_tree(part, currency) for part in conditions]}
        case Not(inner):
            return {"not": condition_tree(inner, currency)}
        case Measured():
            return _measured(condition, currency)
        case InDimension(dimension, segments):
            return {"in": {dimension: list(segments)}}
        case Absent(activity, window, include_never):
            absent: dict[str, Tree] = {"absent": activity.value, "for": span_text(window.span or 0)}
            return absent | ({"include_never": True} if include_never else {})
        case Sequence(steps, within):
            return {"sequence": [_step(step) for step in steps], "within": span_text(within)}
        case HasAttribute():
            return _attribute(condition)
        case InSegment(name):
            return {"segment": name}
        case Scored(score, bound):
            return {score.value: f"{_SIGNS[bound.comparison]}{bound.least}"}


def _measured(leaf: Measured, currency: str) -> Tree:
    tree: dict[str, Tree] = {"measure": leaf.measure.value}
    if leaf.window != ALL_HISTORY:
        tree["within"] = span_text(leaf.window.span or 0)
    unit = UNIT_OF.get(leaf.measure, Unit.COUNT)
    return tree | _where(leaf.where) | _bound(leaf.bound, unit, currency)


def _where(where: Filter) -> dict[str, Tree]:
    if not where.values:
        return {}
    return {"where": {field.value: list(values) for field, values in reversed(where.values)}}


def _bound(bound: Bound, unit: Unit, currency: str) -> dict[str, Tree]:
    least = _number(bound.least, unit, currency)
    if bound.most is None:
        return {bound.comparison.value: least}
    return {bound.comparison.value: [least, _number(bound.most, unit, currency)]}


def _number(number: Decimal, unit: Unit, currency: str) -> str:
    if unit is Unit.MONEY:
        return money(number, currency)
    return span_text(int(number)) if unit is Unit.SPAN else str(number)


def money(minor: Decimal, currency: str) -> str:
    """Return minor units, whole or not, as a decimal amount."""
    return f"{minor.scaleb(-exponent_of(currency)):f}"


def _step(step: Follow) -> Tree:
    if not step.is_missing:
        return {"event": step.type} | _where(step.where)
    return {"not": {"event": step.type} | _where(step.where) if step.where.values else step.type}


def _attribute(leaf: HasAttribute) -> Tree:
    tree: dict[str, Tree] = {"attribute": leaf.name}
    match leaf.test:
        case Exists(is_there):
            tree["exists"] = is_there
        case OneOf((value,)):
            tree["equals"] = value
        case OneOf(values):
            tree["one_of"] = list(values)
        case Number(bound):
            tree |= _bound(bound, Unit.SCORE, "EUR")
        case Age(bound):
            tree["age"] = _bound(bound, Unit.SPAN, "EUR")
        case Anniversary(within):
            tree["anniversary"] = span_text(within)
        case DateIn(first, end, zone):
            tree["date"] = {"in": [_day(first, zone), _day(end - DAY // 2, zone)]}
    return tree


def _day(at: int, zone: str) -> str:
    return moment_of(at, zone).date().isoformat()
