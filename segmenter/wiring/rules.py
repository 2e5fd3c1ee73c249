"""The rulebook in force, as settings name it, and as it is shown to people."""

from collections.abc import Mapping
from pathlib import Path

from segmenter.adapters.rulebook_file import default_rulebook, load_rulebook
from segmenter.domain.instants import MICROSECOND, span_text
from segmenter.domain.rulebook import Rulebook
from segmenter.settings import Settings


def rulebook_of(settings: Settings) -> Rulebook:
    """Return the rulebook that the settings name, or the default. Raises ConfigurationError with all faults."""
    if settings.rulebook is None:
        return default_rulebook(settings.dedupe_horizon // MICROSECOND)
    return rulebook_in(settings.rulebook, settings)


def rulebook_in(path: Path, settings: Settings) -> Rulebook:
    """Return the rulebook in a file, held against the settings. Raises ConfigurationError with all faults."""
    return load_rulebook(path, settings.dedupe_horizon // MICROSECOND)


def written_rules(rulebook: Rulebook) -> Mapping[str, str]:
    """Return every rule with its value as it is written in a file."""
    value = rulebook.value
    return {
        "currency": rulebook.currency,
        **{f"rates.{currency}": str(rate) for currency, rate in sorted(rulebook.rates.items())},
        "lifecycle.inactive_after": span_text(rulebook.lifecycle.inactive_after),
        "lifecycle.counts_from": rulebook.lifecycle.counts_from,
        "value.window": "all" if value.window is None else span_text(value.window),
        "value.a": str(value.a),
        "value.b": str(value.b),
        "value.band": str(value.band),
        "value.dwell": span_text(value.dwell),
        "value.min_ranked": str(value.min_ranked),
    }
