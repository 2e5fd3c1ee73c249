"""The rulebook as a YAML file: read whole or refused with every fault, its line and how to mend it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import yaml

from segmenter.adapters.codec_currencies import CURRENCIES
from segmenter.adapters.rulebook_conditions import SECTION_OF_DIMENSION
from segmenter.adapters.rulebook_dimensions import SEGMENTS_OF, care_in, engagement_in, interest_in, rhythm_in
from segmenter.adapters.rulebook_population import population_in
from segmenter.adapters.rulebook_rfm import group_names, rfm_in
from segmenter.adapters.rulebook_scope import Scope
from segmenter.adapters.rulebook_segments import segments_in
from segmenter.adapters.rulebook_storm import storm_in
from segmenter.adapters.rulebook_values import LONGEST, decimal_in, read_choice, read_decimal, read_span, read_whole
from segmenter.adapters.yaml_nodes import Faults, Section, composed, found_in, open_section_of, scalar_of, section_of
from segmenter.domain.holding import StormRule
from segmenter.domain.instants import MILLISECOND, Span, span_text
from segmenter.domain.lifecycle import Lifecycle
from segmenter.domain.rulebook import LifecycleRule, Rulebook, ValueRule
from segmenter.domain.value import A, B, C
from segmenter.errors import ConfigurationError

FORM = "1"
_DIMENSIONS = ("rfm", "engagement", "interest", "care", "rhythm")
_SECTIONS = ("rulebook", "currency", "rates", "calendar", "lifecycle", "value", *_DIMENSIONS, "storm", "segments")
_LIFECYCLE = ("inactive_after", "counts_from")
_VALUE = ("window", "a", "b", "band", "dwell", "min_ranked", "measure", "population")


@dataclass(frozen=True, slots=True)
class Checked:
    """A rulebook that can be used, and what in it is most likely not meant so."""

    rulebook: Rulebook
    warnings: tuple[str, ...] = ()
    """Each as `file:line:column: path: sentence`."""


def load_rulebook(path: Path, dedupe_horizon: Span | None) -> Rulebook:
    """Return the rulebook in a file; `dedupe_horizon` None means that orders are kept for ever.

    Raises ConfigurationError with all faults, each as `file:line:column: path: found …, expected …`.
    """
    return check_file(path, dedupe_horizon).rulebook


def check_file(path: Path, dedupe_horizon: Span | None) -> Checked:
    """Return the rulebook in a file with its warnings. Raises ConfigurationError with all faults."""
    try:
        text = path.read_bytes()
    except OSError as error:
        fault = (
            f"{path}: cannot be read ({error.strerror}); name an existing file with SEGMENTER_RULEBOOK or --rulebook"
        )
        raise ConfigurationError([fault]) from None
    return check_rulebook(text, str(path), dedupe_horizon)


def default_rulebook(dedupe_horizon: Span | None) -> Rulebook:
    """Return the rules that hold where no file is named; raises ConfigurationError where they do not fit."""
    return parse_rulebook(b"rulebook: 1", "the default rulebook", dedupe_horizon)


def parse_rulebook(text: bytes, file: str, dedupe_horizon: Span | None) -> Rulebook:
    """Return the rulebook in a text; `file` is what faults call it."""
    return check_rulebook(text, file, dedupe_horizon).rulebook


def written_conditions(text: str) -> dict[str, str]:
    """Return the conditions of a rulebook that can be read, each as it is written, in one line, by path."""
    root = yaml.load(text, Loader=yaml.BaseLoader) or {}  # noqa: S506  # it makes strings of all there is
    found: dict[str, object] = {
        f"segments.{name}.{part}": definition[part]
        for name, definition in (root.get("segments") or {}).items()
        for part in ("when", "leave_when")
        if part in definition
    }
    groups = (root.get("rfm") or {}).get("groups") or {}
    found |= {f"rfm.groups.{name}": condition for name, condition in groups.items()}
    return {path: _in_one_line(condition) for path, condition in found.items()}


def _in_one_line(condition: object) -> str:
    """Return a condition in the flow style of YAML, without the quotes that only a parser needs."""
    if isinstance(condition, dict):
        return "{" + ", ".join(f"{name}: {_in_one_line(value)}" for name, value in condition.items()) + "}"
    if isinstance(condition, list):
        return "[" + ", ".join(map(_in_one_line, condition)) + "]"
    return str(condition)


def check_rulebook(text: bytes, file: str, dedupe_horizon: Span | None) -> Checked:
    """Return the rulebook in a text with its warnings. Raises ConfigurationError with all faults."""
    faults, warnings = Faults(file), Faults(file)
    root = section_of(composed(text, file), "", _SECTIONS, faults)
    _check_form(root, faults)
    currency = _currency(root, faults)
    scope = Scope(faults=faults, warnings=warnings, currency=currency, horizon=dedupe_horizon).within(root)
    rulebook = _rulebook(root, scope)
    if faults.found:
        raise ConfigurationError(faults.sentences())
    return Checked(rulebook, tuple(warnings.sentences()))


def _rulebook(root: Section, scope: Scope) -> Rulebook:
    entries, faults = root.entries, scope.faults
    rfm = rfm_in(entries["rfm"], scope) if "rfm" in entries else None
    segments_by_dimension = {
        "lifecycle": tuple(Lifecycle),
        "value": (A, B, C),
        **{name: names for name, names in SEGMENTS_OF.items() if SECTION_OF_DIMENSION[name] in entries},
        **({} if rfm is None else {"rfm": group_names(rfm)}),
    }
    storm = storm_in(entries.get("storm"), "storm", StormRule(), faults)
    within = replace(scope, dimensions=segments_by_dimension, storm=storm)
    return Rulebook(
        currency=scope.currency,
        rates=_rates(root, scope.currency, faults),
        lifecycle=_lifecycle(root, faults),
        value=_value(root, scope.horizon, faults),
        rfm=rfm,
        engagement=engagement_in(entries["engagement"], scope) if "engagement" in entries else None,
        interest=interest_in(entries["interest"], scope) if "interest" in entries else None,
        care=care_in(entries["care"], scope) if "care" in entries else None,
        rhythm=rhythm_in(entries["rhythm"], scope) if "rhythm" in entries else None,
        storm=storm,
        segments=segments_in(entries["segments"], within) if "segments" in entries else (),
        dedupe_horizon=scope.horizon,
    )


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
    rates: dict[str, Decimal] = {}
    for name, value in open_section_of(node, "rates", "a rate for each currency", faults).entries.items():
        rate = decimal_in(scalar_of(value) or "")
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
        inactive_after=read_span(section, "inactive_after", rule.inactive_after, MILLISECOND, faults),
        counts_from=read_choice(section, "counts_from", rule.counts_from, faults),
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
        dwell=read_span(section, "dwell", rule.dwell, 0, faults),
        min_ranked=read_whole(section, "min_ranked", rule.min_ranked, 1, faults),
        measure=read_choice(section, "measure", rule.measure, faults),
        population=population_in(section, faults),
    )
    _check_shares(section, read, faults)
    if read.measure is not rule.measure and read.window is None and dedupe_horizon is not None:
        # Of orders behind the horizon only net revenue is kept.
        found = f"found {read.measure} with a window of all history; give a `window`, or rank by {rule.measure}"
        faults.add(section.entries["measure"], section.path_of("measure"), found)
    return read


def _window(section: Section, default: Span | None, dedupe_horizon: Span | None, faults: Faults) -> Span | None:
    node = section.entries.get("window")
    if node is not None and scalar_of(node) == "all":
        return None
    window = read_span(section, "window", default or LONGEST, MILLISECOND, faults, or_else=" or `all`")
    if dedupe_horizon is not None and window > dedupe_horizon:
        found = f"window of {span_text(window)} is longer than the {span_text(dedupe_horizon)} we keep"
        fix = "raise SEGMENTER_DEDUPE_HORIZON or use `all`"
        faults.add(section.node if node is None else node, section.path_of("window"), f"{found}; {fix}")
    return window


def _check_shares(section: Section, rule: ValueRule, faults: Faults) -> None:
    if rule.a >= rule.b and not faults.are_at(section.path_of("a")) and not faults.are_at(section.path_of("b")):
        place = section.entries.get("a", section.entries.get("b", section.node))
        faults.add(place, section.path_of("a"), f"found {rule.a}, expected less than b, which is {rule.b}")


def _share(section: Section, name: str, default: Decimal, faults: Faults) -> Decimal:
    expected = "a share above 0, at most 1, such as 0.80"
    return read_decimal(section, name, default, lambda share: 0 < share <= 1, expected, faults)


def _band(section: Section, default: Decimal, faults: Faults) -> Decimal:
    expected = "a share of at least 0 and below 1, such as 0.02"
    return read_decimal(section, "band", default, lambda band: 0 <= band < 1, expected, faults)


def _is_currency(text: str) -> bool:
    return text in CURRENCIES
