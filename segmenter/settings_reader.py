"""Reading the settings: environment over a TOML file over the defaults, with every fault told at once."""

import json
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias, cast

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from segmenter.errors import ConfigurationError
from segmenter.settings import Settings, Topics, misfits_of
from segmenter.settings_types import Name, expectation_of, shown_value, without_credentials

PREFIX = "SEGMENTER_"
# Read by the test suite alone: a machine that sets it runs commands too.
NO_SETTINGS = frozenset({"SEGMENTER_REQUIRE_KAFKA"})
DELIMITER = "__"

Tree: TypeAlias = dict[str, object]


def read_settings(config: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this process; `environment` None is that of the process.

    Raises ConfigurationError with one line for each fault there is: unknown names, values that cannot be
    read, values that do not fit together.
    """
    sources = _Sources(config, os.environ if environment is None else environment)
    faults = sources.unknown()
    values = sources.values()
    try:
        settings = _made_of(values)
    except ValidationError as error:
        found_by_name = {_known(fault["loc"]): fault["input"] for fault in error.errors()}
        faults += [sources.fault_of(name, found) for name, found in found_by_name.items()]
        values = {name: value for name, value in values.items() if name not in found_by_name}
        settings = _made_of(values)
        misfits = [misfit for misfit in misfits_of(settings) if not set(misfit.names) & found_by_name.keys()]
    else:
        misfits = misfits_of(settings)
    faults += [misfit.sentence(sources.place_of) for misfit in misfits]
    if faults:
        raise ConfigurationError(faults)
    return settings


def _made_of(values: Mapping[Name, object]) -> Settings:
    """Return the settings with these values and the defaults of all others."""
    tree: Tree = {"topics": Topics().model_dump()}
    for (*sections, last), value in values.items():
        branch = tree
        for section in sections:
            branch = cast(Tree, branch.setdefault(section, {}))
        branch[last] = value
    return Settings.model_validate(tree)


def _known(location: tuple[int | str, ...]) -> Name:
    """Return the setting that pydantic found a fault in: a union adds its members to the path."""
    path = tuple(str(part) for part in location)
    return next(name for name, _ in settings_of() if path[: len(name)] == name)


def settings_of(model: type[BaseModel] = Settings, above: Name = ()) -> Iterator[tuple[Name, FieldInfo]]:
    """Give every single setting with its path, sections opened, in the order of declaration."""
    for name, field in model.model_fields.items():
        section = _section_of(field)
        if section is None:
            yield (*above, name), field
        else:
            yield from settings_of(section, (*above, name))


def written_settings(settings: Settings) -> dict[str, str]:
    """Return every setting with its value as text, without secrets: for the log line of a start."""
    return {".".join(name): shown_value(value_of(settings, name)) for name, _ in settings_of()}


def value_of(settings: Settings, name: Name) -> object:
    """Return the value of a setting."""
    value: object = settings
    for part in name:
        value = getattr(value, part)
    return value


def variable_of(name: Name) -> str:
    """Return the environment variable of a setting: `SEGMENTER_TOPICS__ORDERS__KEYED`."""
    return PREFIX + DELIMITER.join(name).upper()


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


class _Sources:
    """What the file and the environment say, and how to tell a user about it."""

    def __init__(self, config: Path | None, environment: Mapping[str, str]) -> None:
        self._field_by_name = dict(settings_of())
        self._config = config
        self._in_file = {} if config is None else dict(_leaves(_read_file(config), self._field_by_name.keys()))
        # Compose and Kubernetes templates set variables they have nothing for to "".
        self._in_environment = {
            v: text for v, text in environment.items() if v.startswith(PREFIX) and text and v not in NO_SETTINGS
        }

    def values(self) -> dict[Name, object]:
        """Return what is set by known names, the environment winning."""
        values: dict[Name, object] = {name: v for name, v in self._in_file.items() if name in self._field_by_name}
        for name in self._field_by_name:
            if (text := self._in_environment.get(variable_of(name))) is not None:
                values[name] = text
        return values

    def unknown(self) -> list[str]:
        """Return a fault for each name there is no setting for."""
        variables = {variable_of(name): name for name in self._field_by_name}
        keys = {".".join(name): name for name in self._field_by_name}
        return [
            *(_unknown(name, variables) for name in self._in_environment if name not in variables),
            *(
                f"{self._config}: {_unknown('.'.join(name), keys)}"
                for name in self._in_file
                if ".".join(name) not in keys
            ),
        ]

    def fault_of(self, name: Name, found: object) -> str:
        """Return the fault of a value that cannot be read."""
        expected = expectation_of(self._field_by_name[name])
        default = value_of(Settings(), name)
        example = expected.example if default is None else shown_value(default)
        fix = f"write {self._assignment(name, example)}, {'for example' if default is None else 'the default'}"
        return f"{self.place_of(name)}: found {_found(name, found)}, expected {expected.form}; {fix}"

    def place_of(self, name: Name) -> str:
        """Return where a setting was set, or could be."""
        if variable_of(name) not in self._in_environment and name in self._in_file:
            return f"{'.'.join(name)} in {self._config}"
        return variable_of(name)

    def _assignment(self, name: Name, example: str) -> str:
        if self.place_of(name) == variable_of(name):
            return f"{variable_of(name)}={example}"
        return f"{name[-1]} = {example if example.isdigit() or example in {'true', 'false'} else json.dumps(example)}"


def _found(name: Name, value: object) -> str:
    if isinstance(value, dict | list):
        return "a section" if isinstance(value, dict) else "a list"
    shown = shown_value(value)
    return repr(without_credentials(shown) if name == ("redis_url",) else shown)


def _unknown(name: str, known: Collection[str]) -> str:
    inside = [longer for longer in known if longer.startswith((f"{name}.", f"{name}{DELIMITER}"))]
    if inside:
        return f"{name}: is a section, not a setting; set {inside[0]}, for example"
    bare = {longer.removeprefix(PREFIX): longer for longer in known}
    if close := get_close_matches(name.removeprefix(PREFIX), bare, n=1):
        return f"{name}: no such setting; did you mean {bare[close[0]]}?"
    return f"{name}: no such setting; remove it, docs/settings.md lists all there are"


def _read_file(path: Path) -> Tree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fault = f"{path}: cannot be read ({error.strerror}); name an existing file with --config"
        raise ConfigurationError([fault]) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"{path}: is not TOML: {error}"]) from None


def _leaves(tree: Mapping[str, object], known: Collection[Name], above: Name = ()) -> Iterator[tuple[Name, object]]:
    """Give every value of a file with its path; a known setting is a leaf whatever it holds."""
    for key, value in tree.items():
        name = (*above, key)
        if isinstance(value, dict) and name not in known:
            yield from _leaves(value, known, name)
        else:
            yield name, value
