"""One rule of a dimension with its answer, and what all makers of such answers share."""

from dataclasses import dataclass

from segmenter.domain.explanation import Explained
from segmenter.domain.instants import Instant
from segmenter.domain.windows import NEVER


@dataclass(frozen=True, slots=True)
class RuleAccount:
    """What puts customers into a segment, answered for one of them."""

    segment: str
    tree: Explained

    @property
    def missing(self) -> tuple[str, ...]:
        """Return what is missing until it holds, a piece each; empty where it holds."""
        return missing_in(self.tree)


def missing_in(tree: Explained) -> tuple[str, ...]:
    """Return the missing pieces below a condition that does not hold, from left to right."""
    if tree.holds:
        return ()
    if tree.condition == "not":
        return (tree.missing,) if tree.missing else ()
    if not tree.parts:
        what = f"{tree.condition} {tree.threshold}".strip()
        return (f"{what}: {tree.missing}" if tree.missing else f"{what}: found {tree.actual}",)
    pieces = [missing_in(part) for part in tree.parts if not part.holds]
    if tree.condition == "any":
        return (" or ".join(" and ".join(piece) for piece in pieces if piece),)
    return tuple(piece for found in pieces for piece in found)


def all_parts(*parts: Explained) -> Explained:
    """Return a rule that asks for all of these; one alone stands for itself."""
    if len(parts) == 1:
        return parts[0]
    untils = [part.until for part in parts if part.until is not None]
    return Explained("all", all(part.holds for part in parts), "", "", min(untils, default=None), parts=tuple(parts))


def any_parts(*parts: Explained) -> Explained:
    """Return a rule that asks for one of these; one alone stands for itself."""
    if len(parts) == 1:
        return parts[0]
    untils = [part.until for part in parts if part.until is not None]
    return Explained("any", any(part.holds for part in parts), "", "", min(untils, default=None), parts=tuple(parts))


def known(until: Instant | None) -> Instant | None:
    """Return a moment, or None for one that never comes."""
    return None if until is None or until >= NEVER else until
