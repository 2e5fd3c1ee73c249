"""What a check-up finds: the thing, how it is, what was found, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How a thing is. Only faults and what is away decide how a check-up ends."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `fix` is empty where there is nothing to do."""

    subject: str
    mark: Mark
    found: str
    fix: str = ""

    def as_json(self) -> Mapping[str, str]:
        """Return it as one JSON object."""
        return {"subject": self.subject, "mark": self.mark, "found": self.found, "fix": self.fix}


def ok(subject: str, found: str) -> Finding:
    """Return a finding of something that is as it should be."""
    return Finding(subject, Mark.OK, found)


def warning(subject: str, found: str, fix: str) -> Finding:
    """Return a finding of something that works, and may not for long."""
    return Finding(subject, Mark.WARNING, found, fix)


def fault(subject: str, found: str, fix: str) -> Finding:
    """Return a finding of something that has to be put right."""
    return Finding(subject, Mark.FAULT, found, fix)


def away(subject: str, found: str) -> Finding:
    """Return a finding of a server that does not answer; its sentence says what to do."""
    return Finding(subject, Mark.AWAY, found)
