"""Why a customer is where he is, in words and as JSON: accounts, the next moves, and what is within reach."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from segmenter.domain.account import Account, Inquiry, dimensions_in
from segmenter.domain.account_rule import RuleAccount
from segmenter.domain.conditions import CUSTOM_PREFIX
from segmenter.domain.explanation import Explained
from segmenter.domain.instants import Instant, rfc3339
from segmenter.domain.outlook import Step, Turn, steps_within_reach, turns_ahead
from segmenter.domain.rulebook import Rulebook
from segmenter.errors import ConfigurationError
from segmenter.wiring.customers import Found

_INDENT = "   "


def inquiry_of(found: Found, rulebook: Rulebook) -> Inquiry:
    """Return what answers questions about a stored customer, as of where his lane has come to."""
    notes = found.lane.notes
    return Inquiry(found.profile, notes.watermark, rulebook, notes.boundary)


def dimension_named(text: str, rulebook: Rulebook, option: str) -> str:
    """Return the full name of a dimension or a declared segment; `vip` stands for `custom.vip`.

    Raises ConfigurationError with the nearest name, or with the state of one in which nobody moves.
    """
    full_names = dimensions_in(rulebook)
    if text in full_names:
        return text
    named = {definition.name: definition for definition in rulebook.segments}
    definition = named.get(text.removeprefix(CUSTOM_PREFIX))
    if definition is None:
        names = [*(name for name in full_names if "." not in name), *named]
        close = get_close_matches(text, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(names)}"
        raise ConfigurationError([f"{option}: found {text!r}, which is no segment; {hint}"])
    if not definition.is_evaluated:
        fault = f"{option}: {text} is in state {definition.state}, in which nobody moves; set it shadow or live"
        raise ConfigurationError([fault])
    return definition.dimension


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What comes next for a customer."""

    turns: tuple[Turn, ...]
    steps: tuple[Step, ...]

    def as_json(self) -> Mapping[str, object]:
        """Return it as two lists."""
        return {
            "next_moves": [
                {
                    "dimension": turn.dimension,
                    "before": turn.before,
                    "after": turn.after,
                    "at": rfc3339(turn.at),
                    "unless": list(turn.unless),
                }
                for turn in self.turns
            ],
            "within_reach": [
                {"dimension": step.dimension, "segment": step.segment, "missing": step.missing} for step in self.steps
            ],
        }

    def lines(self) -> Iterator[str]:
        """Return it as sentences."""
        for turn in self.turns:
            unless = f" unless {' or '.join(turn.unless)}" if turn.unless else ""
            yield f"{turn.dimension}: {turn.after or 'none'} on {rfc3339(turn.at)}{unless}"
        for step in self.steps:
            yield f"{step.dimension}: {step.missing} to {step.segment}"


def outlook_of(inquiry: Inquiry) -> Outlook:
    """Return the next moves by time alone, and what is within reach of a customer."""
    return Outlook(turns=turns_ahead(inquiry), steps=steps_within_reach(inquiry))


def account_json(account: Account, rules: Sequence[RuleAccount]) -> Mapping[str, object]:
    """Return an account with some of its rules as one JSON object."""
    return {
        "dimension": account.dimension,
        "title": account.title,
        "segment": account.segment,
        "since": _written(account.since),
        "rules": [_rule_json(rule) for rule in rules],
        "notes": list(account.notes),
    }


def _rule_json(rule: RuleAccount) -> Mapping[str, object]:
    return {
        "segment": rule.segment,
        "holds": rule.tree.holds,
        "missing": list(rule.missing),
        "condition": explained_json(rule.tree),
    }


def explained_json(tree: Explained) -> Mapping[str, object]:
    """Return a condition with everything below it as JSON."""
    return {
        "condition": tree.condition,
        "holds": tree.holds,
        "actual": tree.actual,
        "threshold": tree.threshold,
        "until": _written(tree.until),
        "missing": tree.missing,
        "parts": [explained_json(part) for part in tree.parts],
    }


def account_lines(account: Account, rules: Iterable[RuleAccount]) -> Iterator[str]:
    """Return an account with some of its rules as lines of text, a tree each."""
    title = f" ({account.title})" if account.title else ""
    since = "" if account.since is None else f" since {rfc3339(account.since)}"
    yield f"{account.dimension}{title}: {account.segment or 'none'}{since}"
    for rule in rules:
        yield f"{_INDENT}{rule.segment}, {'holds' if rule.tree.holds else 'does not hold'}:"
        yield from explained_lines(rule.tree, 2)
        if rule.missing:
            yield f"{_INDENT * 2}missing: {'; '.join(rule.missing)}"
    for note in account.notes:
        yield f"{_INDENT}note: {note}"


def explained_lines(tree: Explained, depth: int) -> Iterator[str]:
    """Return a condition and what is below it, a line each: whether it holds, found, asked, until when."""
    mark = "yes" if tree.holds else "no "
    compared = "" if tree.parts else f": {tree.actual}, asked {tree.threshold}"
    until = "" if tree.until is None else f", until {rfc3339(tree.until)}"
    missing = f", missing {tree.missing}" if tree.missing and not tree.holds else ""
    yield f"{_INDENT * depth}{mark} {tree.condition}{compared}{until}{missing}"
    for part in tree.parts:
        yield from explained_lines(part, depth + 1)


def _written(at: Instant | None) -> str | None:
    return None if at is None else rfc3339(at)
