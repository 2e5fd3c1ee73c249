"""The rulebook that settings name, with what in it is most likely not meant so, and the one that was applied."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from segmenter.adapters.redis_client import Client, connect
from segmenter.adapters.redis_rules import RedisRulebookSource
from segmenter.adapters.rulebook_file import Checked, check_file, default_rulebook, parse_rulebook
from segmenter.domain.instants import MICROSECOND
from segmenter.domain.revision import Revision
from segmenter.domain.rulebook import Rulebook
from segmenter.errors import ConfigurationError, TransientError
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


def find_rulebook(settings: Settings) -> Rulebook:
    """Return the rulebook in force, as `rulebook_in_force` does. Raises TransientError when Redis does not answer."""

    async def found() -> Rulebook:
        async with aclosing(connect(settings.redis_url.get_secret_value())) as client:
            return await rulebook_in_force(client, settings)

    try:
        return asyncio.run(found())
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error


async def rulebook_in_force(client: Client, settings: Settings) -> Rulebook:
    """Return the rulebook that was applied last; where none ever was, the one that the settings name.

    Raises ConfigurationError for one that this release cannot read.
    """
    revision = await revision_in_force(client, settings)
    return rulebook_of(settings) if revision is None else rulebook_in_revision(revision, settings)


async def revision_in_force(client: Client, settings: Settings) -> Revision | None:
    """Return the revision that was applied last; None: none ever was."""
    source = RedisRulebookSource(client, settings.namespace)
    number = await source.active()
    return None if number is None else await source.revision(number)


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
