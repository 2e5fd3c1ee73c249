import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from segmenter import __version__
from segmenter.cli import app
from tests.cli.running import RunCommand

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def paths_of(group: typer.Typer, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the path of every group and command."""
    yield above
    for command in group.registered_commands:
        yield (*above, command.name or getattr(command.callback, "__name__", ""))
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from paths_of(inner.typer_instance, (*above, str(inner.name)))


PATHS = list(paths_of(app))


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_help_has_an_example(segmenter: RunCommand, path: tuple[str, ...]) -> None:
    ran = segmenter(*path, "--help")

    assert ran.code == 0
    assert f"Example: segmenter {' '.join(path)}".rstrip() in " ".join(ran.out.split())


def test_there_is_every_command() -> None:
    assert {path for path in PATHS if path} == {
        ("demo",),
        ("worker",),
        ("publish",),
        ("simulate",),
        ("customer",),
        ("topics",),
        ("topics", "create"),
        ("topics", "check"),
        ("rulebook",),
        ("rulebook", "check"),
        ("schemas",),
        ("schemas", "write"),
        ("schemas", "check"),
        ("rejected",),
        ("rejected", "list"),
    }


@pytest.mark.parametrize("path", [path for path in PATHS if path], ids=" ".join)
def test_the_documentation_has_every_command(path: tuple[str, ...]) -> None:
    assert f"segmenter {' '.join(path)}" in PAGE.read_text()


def test_help_answers_at_once() -> None:
    # Best of five: the machine may be busy with other tests.
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "segmenter", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)

    assert min(seconds) < 0.4


def test_help_loads_nothing_heavy() -> None:
    check = (
        "import sys, segmenter.cli; "
        "print([m for m in ('pydantic', 'aiokafka', 'redis', 'faust', 'rich', 'yaml') if m in sys.modules])"
    )

    ran = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)

    assert ran.stdout.strip() == "[]"


def test_the_version_is_told(segmenter: RunCommand) -> None:
    assert segmenter("--version").out == f"{__version__}\n"


def test_a_command_that_there_is_not_is_wrong_use_with_the_nearest(segmenter: RunCommand) -> None:
    ran = segmenter("custmer")

    assert ran.code == 2
    assert "Did you mean 'customer'?" in ran.err


@pytest.mark.parametrize("command", [("worker",), ("publish", "-"), ("customer", "c-1"), ("topics", "check")])
def test_wrong_settings_end_every_command_with_2_and_all_faults(
    segmenter: RunCommand, command: tuple[str, ...]
) -> None:
    ran = segmenter(*command, SEGMENTER_PARTITIONS="0", SEGMENTER_QQQQ="1")

    assert ran.code == 2
    assert [line.partition(":")[0] for line in ran.err.splitlines()] == ["SEGMENTER_QQQQ", "SEGMENTER_PARTITIONS"]
    assert "Traceback" not in ran.err
