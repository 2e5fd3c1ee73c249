"""The rulebook in force, as settings name it, with what in it is most likely not meant so."""

import logging
from collections.abc import Iterable
from pathlib import Path

from segmenter.adapters.rulebook_file import Checked, check_file, default_rulebook
from segmenter.domain.instants import MICROSECOND
from segmenter.domain.rulebook import Rulebook
from segmenter.settings import Settings

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


def log_warnings(warnings: Iterable[str]) -> None:
    """Tell the log of everything in a rulebook that is most likely not meant so."""
    for warning in warnings:
        log.warning("rulebook_warning", extra={"warning": warning})
