"""Reading YAML by hand: every value keeps its line and column, and every fault is collected, not just the first."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Protocol

import yaml

from segmenter.errors import ConfigurationError

MAX_BYTES = 1024 * 1024
# Deeper than any rulebook that a person can read; the parser itself recurses.
MAX_DEPTH = 50


class _Mark(Protocol):
    line: int
    column: int


@dataclass(slots=True)
class Faults:
    """What is wrong with one file, in the order in which it was found."""

    file: str
    found: list[tuple[int, int, str, str]] = field(default_factory=list)
    """Line and column, from 1, path and sentence of each."""

    def add(self, node: yaml.Node, path: str, sentence: str) -> None:
        """Note a fault of the value at `path`."""
        mark = node.start_mark
        self.found.append((mark.line + 1, mark.column + 1, path, sentence))

    def are_at(self, path: str) -> bool:
        """Tell whether the value at `path` has one."""
        return any(path == faulty for _, _, faulty, _ in self.found)

    def sentences(self) -> list[str]:
        """Return the faults by their place, as `file:line:column: path: sentence`."""
        return [
            f"{self.file}:{line}:{column}: {path}: {sentence}" for line, column, path, sentence in sorted(self.found)
        ]


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of the file: its entries by name, and the node to blame for what is missing."""

    path: str
    node: yaml.Node
    entries: Mapping[str, yaml.Node]

    def path_of(self, name: str) -> str:
        """Return the full path of an entry."""
        return f"{self.path}.{name}" if self.path else name

    @property
    def has_strange_names(self) -> bool:
        """Tell whether a name was a fault: what seems to be missing is most likely behind it."""
        return isinstance(self.node, yaml.MappingNode) and len(self.node.value) > len(self.entries)


def composed(text: bytes, file: str) -> yaml.Node:
    """Return the root of a document.

    Raises ConfigurationError for what is no YAML, is empty, larger than 1 MiB or deeper than 50 levels, and
    for aliases: a few lines of them unfold to gigabytes.
    """
    if len(text) > MAX_BYTES:
        raise ConfigurationError([f"{file}: is {len(text)} bytes, expected at most {MAX_BYTES}; split it up"])
    try:
        decoded = text.decode("utf-8")
        _refuse_traps(decoded, file)
        node = yaml.compose(decoded, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{file}: is not UTF-8 at byte {error.start}; save it as UTF-8"]) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigurationError([_yaml_fault(error, file)]) from None
    except yaml.YAMLError as error:
        raise ConfigurationError([f"{file}: is not YAML: {' '.join(str(error).split())}"]) from None
    if node is None:
        raise ConfigurationError([f"{file}:1:1: is empty, expected at least `rulebook: 1`"])
    return node


def section_of(node: yaml.Node, path: str, known: Collection[str], faults: Faults) -> Section:
    """Return a mapping whose names are all known; each other one, and each repeated one, is a fault."""
    entries: dict[str, yaml.Node] = {}
    if not isinstance(node, yaml.MappingNode):
        names = ", ".join(known)
        faults.add(node, path or "rulebook", f"found {found_in(node)}, expected a section with {names}")
        return Section(path, node, entries)
    section = Section(path, node, entries)
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else found_in(key)
        if name in entries:
            faults.add(key, section.path_of(name), "is there twice; remove one of them")
        elif name not in known:
            faults.add(key, section.path_of(name), _unknown(name, known))
        else:
            entries[name] = value
    return section


def open_section_of(node: yaml.Node, path: str, content: str, faults: Faults) -> Section:
    """Return a mapping whose names are the author's own; `content` is what a fault says it has."""
    names = (
        [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)] if is_section(node) else [content]
    )
    return section_of(node, path, names, faults)


def is_section(node: yaml.Node) -> bool:
    """Tell whether a node is a mapping."""
    return isinstance(node, yaml.MappingNode)


def scalar_of(node: yaml.Node) -> str | None:
    """Return the text of a single value as it is written; None for a list, a section, or nothing at all."""
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        return None
    text: str = node.value
    return text


def found_in(node: yaml.Node) -> str:
    """Return what stands there, for a sentence that begins with "found"."""
    if isinstance(node, yaml.MappingNode):
        return "a section"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    text = scalar_of(node)
    return "nothing" if text is None else repr(text if len(text) <= 60 else f"{text[:57]}...")


def _unknown(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"
    return f"no such name; {hint}"


def _refuse_traps(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            fault = f"found the alias *{event.anchor}; write the value out, aliases are not read"
            raise ConfigurationError([f"{_place(event.start_mark, file)}: {fault}"])
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            fault = f"is nested deeper than {MAX_DEPTH} levels; flatten it"
            raise ConfigurationError([f"{_place(event.start_mark, file)}: {fault}"])


def _yaml_fault(error: yaml.MarkedYAMLError, file: str) -> str:
    context = "" if error.context is None else f" ({error.context})"
    return f"{_place(error.problem_mark or error.context_mark, file)}: is not YAML: {error.problem}{context}"


def _place(mark: _Mark | None, file: str) -> str:
    return file if mark is None else f"{file}:{mark.line + 1}:{mark.column + 1}"
