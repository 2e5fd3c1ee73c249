"""Thresholds: the one comparison of a leaf, its number read in the unit of what is compared."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Context, Decimal

import yaml

from segmenter.adapters.rulebook_values import NUMBER, decimal_in, span_reader, span_words, value_in, whole_in
from segmenter.adapters.yaml_nodes import Faults, Section, found_in
from segmenter.domain.conditions import Bound, Comparison, Unit
from segmenter.domain.money import exponent_of

COMPARISONS: tuple[str, ...] = tuple(Comparison)
# 18 digits on each side of the point, and the point moved by at most 4, fit without rounding.
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Scale:
    """How a threshold is written, and what a fault calls it."""

    read: Callable[[str], Decimal | None]
    expected: str


def scale_of(unit: Unit, currency: str) -> Scale:
    """Return how thresholds of a unit are written."""
    match unit:
        case Unit.COUNT:
            return Scale(_whole, "a whole number")
        case Unit.MONEY:
            example = "a decimal amount" if exponent_of(currency) == 0 else 'a decimal amount such as "250.00"'
            return Scale(lambda text: minor_in(text, currency), f"{example} in {currency}, at most 18 digits")
        case Unit.SHARE:
            return Scale(_not_negative, "a share of at least 0 such as 0.25")
        case Unit.DAYS:
            return Scale(_not_negative, "a number of days such as 30 or 14.5")
        case Unit.SPAN:
            return SPANS
        case Unit.SCORE:
            return NUMBERS


def minor_in(text: str, currency: str) -> Decimal | None:
    """Read an amount as minor units, which need not be whole: 250.106 EUR are 25010.6 cents."""
    amount = decimal_in(text)
    return None if amount is None else amount.scaleb(exponent_of(currency), _EXACT)


def _whole(text: str) -> Decimal | None:
    number = whole_in(text)
    return None if number is None else Decimal(number)


def _not_negative(text: str) -> Decimal | None:
    number = decimal_in(text)
    return number if number is not None and number >= 0 else None


def _span(text: str) -> Decimal | None:
    span = span_reader(0)(text)
    return None if span is None else Decimal(span)


NUMBERS = Scale(decimal_in, NUMBER)
SPANS = Scale(_span, span_words(0))


def bound_in(
    section: Section, scale: Scale, faults: Faults, comparisons: Collection[str] = COMPARISONS
) -> Bound | None:
    """Return the one comparison of a section; None where there is none, more than one, or it is a fault."""
    written = [name for name in section.entries if name in comparisons]
    if not written and not section.has_strange_names:
        faults.add(section.node, section.path, f"has no comparison, expected one of {', '.join(comparisons)}")
    for name in written[1:]:
        found = f"is a second comparison beside {written[0]}"
        faults.add(section.entries[name], section.path_of(name), f"{found}; keep one, or use `between: [a, b]`")
    if len(written) != 1:
        return None
    name = written[0]
    node, path = section.entries[name], section.path_of(name)
    if name == Comparison.BETWEEN:
        return _between(node, path, scale, faults)
    least = value_in(node, path, scale.read, scale.expected, faults)
    return None if least is None else Bound(Comparison(name), least)


def _between(node: yaml.Node, path: str, scale: Scale, faults: Faults) -> Bound | None:
    ends = pair_in(node, path, "`[a, b]`, both ends included", faults)
    if ends is None:
        return None
    least, most = (
        value_in(end, f"{path}[{number}]", scale.read, scale.expected, faults) for number, end in enumerate(ends)
    )
    if least is None or most is None:
        return None
    if least > most:
        faults.add(node, path, f"found {found_in(ends[0])} before {found_in(ends[1])}, expected the lower end first")
        return None
    return Bound(Comparison.BETWEEN, least, most)


def pair_in(node: yaml.Node, path: str, expected: str, faults: Faults) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the two items of a list; None where it is not one of two."""
    if not isinstance(node, yaml.SequenceNode):
        faults.add(node, path, f"found {found_in(node)}, expected {expected}")
        return None
    if len(node.value) != 2:
        faults.add(node, path, f"found a list of {len(node.value)}, expected {expected}")
        return None
    return node.value[0], node.value[1]
