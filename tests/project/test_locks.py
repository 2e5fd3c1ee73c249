import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-run.lock"]
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_is_pinned_with_a_hash_and_nothing_names_a_host(lock: str) -> None:
    entries = re.split(r"(?m)^(?=\S)", (ROOT / lock).read_text().strip())

    assert all(not entry or "==" in entry.split("\n")[0] for entry in entries)
    assert all(not entry or "--hash=sha256:" in entry for entry in entries)
    assert "://" not in "".join(entries)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_of_the_project_is_locked(lock: str) -> None:
    wanted = {_plain(requirement) for requirement in _PROJECT["project"]["dependencies"]}

    assert wanted - set(_pins(lock)) == set()


def test_what_runs_in_production_is_what_was_tested() -> None:
    tested = _pins("requirements.lock")

    assert {name: pin for name, pin in _pins("requirements-run.lock").items() if tested.get(name) != pin} == {}


def test_the_tools_of_development_stay_out_of_production() -> None:
    tools = {_plain(requirement) for requirement in _PROJECT["dependency-groups"]["dev"]}

    assert tools & set(_pins("requirements-run.lock")) == set()


def _pins(lock: str) -> dict[str, str]:
    return dict(_PINNED.findall((ROOT / lock).read_text()))


def _plain(requirement: str) -> str:
    return re.split(r"[\[<>=~! ]", requirement)[0].lower().replace("_", "-")
