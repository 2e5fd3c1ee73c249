"""What a benchmark says: figures, each with the count that proves that the work behind it was done."""

from collections.abc import Mapping
from dataclasses import dataclass, field


class CheckError(Exception):
    """What was read back is not what was put in: the figure is worth nothing and is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of a table."""

    name: str
    value: str
    target: str = ""
    """What the design asks for; empty where it asks for nothing."""
    check: str
    """What was read back and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one benchmark found, and under which circumstances."""

    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """What is written beside the table, by file name: a plot, the numbers behind it."""


def expect(what: str, found: object, expected: object) -> None:
    """Raise CheckError unless both are equal."""
    if found != expected:
        raise CheckError(f"{what}: found {found!r}, expected {expected!r}")


def quantile(values: list[float], share: float) -> float:
    """Return the value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
