"""A revision of the rulebook: its text as it was applied, by whom, when and why."""

import hashlib
from dataclasses import dataclass

from segmenter.domain.instants import Instant

FIRST = 1
"""The revision of rules that were never applied: those of a file, or the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision. Numbers rise by one with each that is put in force; `text` is the whole rulebook in YAML."""

    number: int
    text: str
    at: Instant
    by: str = ""
    comment: str = ""
    is_announced: bool = False
    """Moves that it leads to by itself are told, marked as backfill; else they are silent."""

    @property
    def digest(self) -> str:
        """Tells this text from any other: SHA-256, in hex."""
        return digest_of(self.text)


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
