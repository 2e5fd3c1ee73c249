"""In what two rulebooks differ, in words: segments added, removed and changed, and rules changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segmenter.domain.conditions import Definition
from segmenter.domain.instants import span_text
from segmenter.domain.rulebook import Rulebook
from segmenter.wiring.written_rules import written_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One rule, or one part of a segment, before and after; None: it is not there."""

    name: str
    before: str | None
    after: str | None

    def as_json(self) -> dict[str, object]:
        """Return it as one JSON object."""
        return {"name": self.name, "before": self.before, "after": self.after}

    def as_sentence(self) -> str:
        """Return it in words."""
        if self.before is None:
            return f"{self.name} is new: {self.after}"
        return f"{self.name} is gone" if self.after is None else f"{self.name}: {self.before} → {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What an edit of a rulebook comes to."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[Changed, ...]]
    """By segment."""
    rules: tuple[Changed, ...]

    @property
    def is_empty(self) -> bool:
        """Tell whether both say the same."""
        return not (self.added or self.removed or self.changed or self.rules)

    def as_json(self) -> dict[str, object]:
        """Return it as one JSON object."""
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": {name: [part.as_json() for part in parts] for name, parts in self.changed.items()},
            "rules": [rule.as_json() for rule in self.rules],
        }

    def as_sentences(self) -> list[str]:
        """Return it in words, a line each."""
        if self.is_empty:
            return ["both say the same"]
        return [
            *(f"segment {name} is new" for name in self.added),
            *(f"segment {name} is gone" for name in self.removed),
            *(f"segment {name}: {part.as_sentence()}" for name, parts in self.changed.items() for part in parts),
            *(rule.as_sentence() for rule in self.rules),
        ]


@dataclass(frozen=True, slots=True)
class Written:
    """A rulebook, and its conditions as they are written, by path."""

    rulebook: Rulebook
    conditions: Mapping[str, str]


def difference_between(before: Written, after: Written) -> Difference:
    """Return in what the second rulebook is not the first."""
    old, new = _by_name(before.rulebook.segments), _by_name(after.rulebook.segments)
    changed = {
        name: _changes(_parts(old[name], new[name], before), _parts(new[name], old[name], after))
        for name in sorted(old.keys() & new.keys())
    }
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed={name: parts for name, parts in changed.items() if parts},
        rules=_changes(_rules_of(before), _rules_of(after)),
    )


def _by_name(segments: Iterable[Definition]) -> dict[str, Definition]:
    return {definition.name: definition for definition in segments}


def _parts(one: Definition, other: Definition, written: Written) -> dict[str, str]:
    """Return the parts of a definition; conditions only as far as they mean another thing."""
    parts = {
        "title": one.title,
        "state": one.state.value,
        "announce": one.announce.value,
        "stay_at_least": span_text(one.stay_at_least),
        "cooldown": span_text(one.cooldown),
        "storm": "as the rulebook says" if one.storm is None else str(one.storm.leave_share),
    }
    for name in ("when", "leave_when"):
        condition = getattr(one, name)
        if condition is not None:
            is_equal = condition == getattr(other, name)
            parts[name] = "as before" if is_equal else written.conditions[f"segments.{one.name}.{name}"]
    return parts


def _rules_of(written: Written) -> dict[str, str]:
    rules = {name: text for name, text in written_rules(written.rulebook).items() if not name.startswith("segments.")}
    return {**rules, **{path: text for path, text in written.conditions.items() if path.startswith("rfm.groups.")}}


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Changed, ...]:
    names = [*before, *(name for name in after if name not in before)]
    return tuple(
        Changed(name=name, before=before.get(name), after=after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )
