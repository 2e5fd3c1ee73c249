"""The rulebook in force, as settings name it, with what in it is most likely not meant so."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from segmenter.adapters.rulebook_file import Checked, check_file, default_rulebook, parse_rulebook
from segmenter.domain.instants import MICROSECOND
from segmenter.domain.revision import Revision
from segmenter.domain.rulebook import Rulebook
from segmenter.errors import ConfigurationError
from segmenter.settings import Settings

MAX_TEXT_BYTES = 512 * 1024
"""A revision is one value in Redis."""

log = logging.getLogger(__name__)


def rulebook_of(settings: Settings) -> Rulebook:
    """Return the rulebook that the settings name, or the default. Raises ConfigurationError with all faults."""
    return checked_rulebook_of(settings).rulebook


def checked_rulebook_of(settings: Settings) -> Checked:
    """Return it with its warnings."""
    if settings.rulebook is None:
        return Checked(default_rulebook(settings.dedupe_horizon // MICROSECOND))
    return rulebook_in(settings.rulebook, settings)


def rulebook_in(path: Path, settings: Settings) -> Checked:
    """Return the rulebook in a file, held against the settings. Raises ConfigurationError with all faults."""
    return check_file(path, settings.dedupe_horizon // MICROSECOND)


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


def log_warnings(warnings: Iterable[str]) -> None:
    """Tell the log of everything in a rulebook that is most likely not meant so."""
    for warning in warnings:
        log.warning("rulebook_warning", extra={"warning": warning})
