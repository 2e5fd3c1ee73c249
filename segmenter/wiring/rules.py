"""The rulebook in force, as settings name it, and as it is shown to people."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from segmenter.adapters.rulebook_file import default_rulebook, load_rulebook, parse_rulebook
from segmenter.domain.instants import MICROSECOND, span_text
from segmenter.domain.revision import Revision
from segmenter.domain.rulebook import Rulebook
from segmenter.errors import ConfigurationError
from segmenter.settings import Settings

MAX_TEXT_BYTES = 512 * 1024
"""A revision is one value in Redis."""


def rulebook_of(settings: Settings) -> Rulebook:
    """Return the rulebook that the settings name, or the default. Raises ConfigurationError with all faults."""
    if settings.rulebook is None:
        return default_rulebook(settings.dedupe_horizon // MICROSECOND)
    return rulebook_in(settings.rulebook, settings)


def rulebook_in(path: Path, settings: Settings) -> Rulebook:
    """Return the rulebook in a file, held against the settings. Raises ConfigurationError with all faults."""
    return load_rulebook(path, settings.dedupe_horizon // MICROSECOND)


def rulebook_in_revision(revision: Revision, settings: Settings) -> Rulebook:
    """Return the rulebook of a revision. Raises ConfigurationError with all that this release cannot read."""
    text, name = revision.text.encode(), f"revision {revision.number}"
    return replace(parse_rulebook(text, name, settings.dedupe_horizon // MICROSECOND), revision=revision.number)


def read_text(path: Path) -> str:
    """Return a rulebook's text. Raises ConfigurationError for one that cannot be read or is too large."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: cannot be read ({error}); name a file in UTF-8"]) from None
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise ConfigurationError([f"{path}: found {len(text.encode())} bytes, expected at most {MAX_TEXT_BYTES}"])
    return text


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
        "storm.leave_share": str(rulebook.storm.leave_share),
        "storm.within": span_text(rulebook.storm.within),
        "storm.at_least": str(rulebook.storm.at_least),
    }
