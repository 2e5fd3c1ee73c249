"""The rulebook as a YAML file: read whole or refused with every fault, its line and how to mend it."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import yaml

from segmenter.adapters.codec_currencies import CURRENCIES
from segmenter.adapters.yaml_nodes import Faults, Section, composed, found_in, scalar_of, section_of
from segmenter.domain.instants import DAY, MILLISECOND, Span, span_of, span_text
from segmenter.domain.rulebook import CountsFrom, LifecycleRule, Rulebook, ValueRule
from segmenter.errors import ConfigurationError

T = TypeVar("T")

FORM = "1"
LONGEST: Span = 36_500 * DAY
# Named here so that who writes them learns that they are not read, instead of waiting for their effect.
NOT_YET = ("rfm", "engagement", "interest", "care", "segments", "calendar")
_SECTIONS = ("rulebook", "currency", "rates", "lifecycle", "value")
_LIFECYCLE = ("inactive_after", "counts_from")
_VALUE = ("window", "a", "b", "band", "dwell", "min_ranked")


def load_rulebook(path: Path, dedupe_horizon: Span | None) -> Rulebook:
    """Return the rulebook in a file; `dedupe_horizon` None means that orders are kept for ever.

    Raises ConfigurationError with all faults, each as `file:line:column: path: found …, expected …`.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        fault = (
            f"{path}: cannot be read ({error.strerror}); name an existing file with SEGMENTER_RULEBOOK or --rulebook"
        )
        raise ConfigurationError([fault]) from None
    return parse_rulebook(text, str(path), dedupe_horizon)


def default_rulebook(dedupe_horizon: Span | None) -> Rulebook:
    """Return the rules that hold where no file is named; raises ConfigurationError where they do not fit."""
    return parse_rulebook(b"rulebook: 1", "the default rulebook", dedupe_horizon)


def parse_rulebook(text: bytes, file: str, dedupe_horizon: Span | None) -> Rulebook:
    """Return the rulebook in a text; `file` is what faults call it."""
    faults = Faults(file)
    root = section_of(composed(text, file), "", _SECTIONS, faults, later=NOT_YET)
    for name in NOT_YET:
        if name in root.entries:
            faults.add(root.entries[name], name, "not supported yet; remove this section")
    _check_form(root, faults)
    currency = _currency(root, faults)
    rulebook = Rulebook(
        currency=currency,
        rates=_rates(root, currency, faults),
        lifecycle=_lifecycle(root, faults),
        value=_value(root, dedupe_horizon, faults),
        dedupe_horizon=dedupe_horizon,
    )
    if faults.found:
        raise ConfigurationError(faults.sentences())
    return rulebook


def _check_form(root: Section, faults: Faults) -> None:
    node = root.entries.get("rulebook")
    if node is None:
        faults.add(root.node, "rulebook", f"is missing; begin with `rulebook: {FORM}`, the version of this form")
    elif scalar_of(node) != FORM:
        faults.add(node, "rulebook", f"found {found_in(node)}, expected {FORM}, the version of this form")


def _currency(root: Section, faults: Faults) -> str:
    node = root.entries.get("currency")
    if node is None:
        return Rulebook().currency
    text = scalar_of(node)
    if text is None or not _is_currency(text):
        faults.add(node, "currency", f"found {found_in(node)}, expected an ISO 4217 code such as EUR")
        return Rulebook().currency
    return text


def _rates(root: Section, currency: str, faults: Faults) -> Mapping[str, Decimal]:
    node = root.entries.get("rates")
    if node is None:
        return {}
    names = (
        [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else ["a rate for each currency"]
    )
    rates: dict[str, Decimal] = {}
    for name, value in section_of(node, "rates", names, faults).entries.items():
        rate = _decimal(scalar_of(value) or "")
        if not _is_currency(name):
            faults.add(value, f"rates.{name}", "is no currency, expected an ISO 4217 code such as USD")
        elif name == currency:
            faults.add(value, f"rates.{name}", "is the currency of this rulebook, whose rate is 1; remove it")
        elif rate is None or rate <= 0:
            expected = f'what one {name} is worth in {currency}, such as "0.92", at most 18 digits'
            faults.add(value, f"rates.{name}", f"found {found_in(value)}, expected {expected}")
        else:
            rates[name] = rate
    return rates


def _lifecycle(root: Section, faults: Faults) -> LifecycleRule:
    rule = LifecycleRule()
    if "lifecycle" not in root.entries:
        return rule
    section = section_of(root.entries["lifecycle"], "lifecycle", _LIFECYCLE, faults)
    return LifecycleRule(
        inactive_after=_span(section, "inactive_after", rule.inactive_after, MILLISECOND, faults),
        counts_from=_counts_from(section, rule.counts_from, faults),
    )


def _value(root: Section, dedupe_horizon: Span | None, faults: Faults) -> ValueRule:
    rule = ValueRule()
    node = root.entries.get("value")
    # Without a section its defaults still have to fit the horizon.
    section = Section("value", root.node, {}) if node is None else section_of(node, "value", _VALUE, faults)
    read = ValueRule(
        window=_window(section, rule.window, dedupe_horizon, faults),
        a=_share(section, "a", rule.a, faults),
        b=_share(section, "b", rule.b, faults),
        band=_band(section, rule.band, faults),
        dwell=_span(section, "dwell", rule.dwell, 0, faults),
        min_ranked=_count(section, "min_ranked", rule.min_ranked, faults),
    )
    _check_shares(section, read, faults)
    return read


def _window(section: Section, default: Span | None, dedupe_horizon: Span | None, faults: Faults) -> Span | None:
    node = section.entries.get("window")
    if node is not None and scalar_of(node) == "all":
        return None
    window = _span(section, "window", default or LONGEST, MILLISECOND, faults, or_else=" or `all`")
    if dedupe_horizon is not None and window > dedupe_horizon:
        found = f"window of {span_text(window)} is longer than the {span_text(dedupe_horizon)} we keep"
        fix = "raise SEGMENTER_DEDUPE_HORIZON or use `all`"
        faults.add(section.node if node is None else node, section.path_of("window"), f"{found}; {fix}")
    return window


def _check_shares(section: Section, rule: ValueRule, faults: Faults) -> None:
    if rule.a >= rule.b and not faults.are_at(section.path_of("a")) and not faults.are_at(section.path_of("b")):
        place = section.entries.get("a", section.entries.get("b", section.node))
        faults.add(place, section.path_of("a"), f"found {rule.a}, expected less than b, which is {rule.b}")


def _span(section: Section, name: str, default: Span, least: Span, faults: Faults, or_else: str = "") -> Span:
    def read(text: str) -> Span | None:
        try:
            span = 0 if text == "0" else span_of(text)
        except ValueError:
            return None
        return span if least <= span <= LONGEST else None

    bounds = f"from {span_text(least)} to {span_text(LONGEST)}"
    return _read(section, name, default, read, f"a duration such as 90d, 36h or 15m, {bounds}{or_else}", faults)


def _share(section: Section, name: str, default: Decimal, faults: Faults) -> Decimal:
    def read(text: str) -> Decimal | None:
        share = _decimal(text)
        return share if share is not None and 0 < share <= 1 else None

    return _read(section, name, default, read, "a share above 0, at most 1, such as 0.80", faults)


def _band(section: Section, default: Decimal, faults: Faults) -> Decimal:
    def read(text: str) -> Decimal | None:
        band = _decimal(text)
        return band if band is not None and 0 <= band < 1 else None

    return _read(section, "band", default, read, "a share of at least 0 and below 1, such as 0.02", faults)


def _count(section: Section, name: str, default: int, faults: Faults) -> int:
    def read(text: str) -> int | None:
        return int(text) if re.fullmatch(r"[1-9][0-9]{0,11}", text) else None

    return _read(section, name, default, read, "a whole number of at least 1", faults)


def _counts_from(section: Section, default: CountsFrom, faults: Faults) -> CountsFrom:
    def read(text: str) -> CountsFrom | None:
        return CountsFrom(text) if text in list(CountsFrom) else None

    return _read(section, "counts_from", default, read, " or ".join(CountsFrom), faults)


def _read(
    section: Section, name: str, default: T, read: Callable[[str], T | None], expected: str, faults: Faults
) -> T:
    """Return what `read` makes of an entry, or the default where there is none or it is a fault."""
    node = section.entries.get(name)
    if node is None:
        return default
    text = scalar_of(node)
    value = None if text is None else read(text)
    if value is None:
        faults.add(node, section.path_of(name), f"found {found_in(node)}, expected {expected}")
        return default
    return value


def _decimal(text: str) -> Decimal | None:
    """Read a decimal from its text: a float would not be what was written. At most 18 digits each side."""
    if re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text) is None:
        return None
    return Decimal(text)


def _is_currency(text: str) -> bool:
    return text in CURRENCIES
