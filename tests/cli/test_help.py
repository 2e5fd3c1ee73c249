import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from segmenter import __version__
from segmenter.cli import app, failure_of
from segmenter.commands.shared import ExitCode
from segmenter.errors import ConfigurationError, InvariantError, TransientError
from tests.bench.process import heed_interrupts
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


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_the_short_option_shows_the_help_too(segmenter: RunCommand, path: tuple[str, ...]) -> None:
    assert segmenter(*path, "-h").out == segmenter(*path, "--help").out


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_no_help_is_cut_off(segmenter: RunCommand, path: tuple[str, ...]) -> None:
    cut = [line for line in segmenter(*path, "--help").out.splitlines() if line.endswith("...")]

    assert not [line for line in cut if not line.startswith("Usage:")]


@pytest.mark.parametrize("path", [path for path in PATHS if path], ids=" ".join)
def test_every_command_stands_in_the_table_of_the_documentation(path: tuple[str, ...]) -> None:
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("| `segmenter ")]

    assert any(f"`segmenter {' '.join(path)}" in line for line in table)


def test_there_is_every_command() -> None:
    assert {path for path in PATHS if path} == {
        ("demo",),
        ("worker",),
        ("publish",),
        ("simulate",),
        ("test",),
        ("customer",),
        ("topics",),
        ("topics", "create"),
        ("topics", "check"),
        ("rulebook",),
        ("rulebook", "check"),
        ("rulebook", "apply"),
        ("rulebook", "diff"),
        ("rulebook", "history"),
        ("rulebook", "rollback"),
        ("rulebook", "status"),
        ("hold",),
        ("hold", "all"),
        ("hold", "drop"),
        ("hold", "list"),
        ("hold", "release"),
        ("hold", "segment"),
        ("release",),
        ("rulebook", "preview"),
        ("schemas",),
        ("schemas", "write"),
        ("schemas", "check"),
        ("rejected",),
        ("rejected", "list"),
        ("audit",),
        ("doctor",),
        ("positions",),
        ("positions", "show"),
        ("positions", "set"),
        ("positions", "adopt"),
        ("aside",),
        ("sources",),
        ("sources", "list"),
        ("sources", "resume"),
    }


@pytest.mark.parametrize("path", [path for path in PATHS if path], ids=" ".join)
def test_the_documentation_has_every_command(path: tuple[str, ...]) -> None:
    assert f"segmenter {' '.join(path)}" in PAGE.read_text()


def test_help_answers_at_once() -> None:
    # Processor time: the machine may be busy with other tests.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "segmenter", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.4


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


def test_of_several_tasks_that_failed_together_the_first_cause_is_told() -> None:
    inner = ExceptionGroup("tasks", [ConfigurationError(["one", "two"]), TransientError("away")])

    assert failure_of(ExceptionGroup("tasks", [inner])) == ("one\ntwo", ExitCode.WRONG_USE)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TransientError("away"), ExitCode.UNREACHABLE),
        (ConnectionRefusedError("away"), ExitCode.UNREACHABLE),
        (BrokenPipeError(), ExitCode.FAULTS),
        (InvariantError("never"), ExitCode.FAULTS),
        (ValueError("odd"), ExitCode.FAULTS),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(error: Exception, code: ExitCode) -> None:
    assert failure_of(error)[1] is code


def test_ctrl_c_ends_with_130_and_no_traceback() -> None:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("SEGMENTER_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "segmenter", "simulate", "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean,
        preexec_fn=heed_interrupts,
    )
    assert process.stdin is not None
    # More than a pipe holds: when it is written, the command is at work.
    event = b'{"type":"click","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z","kind":"v"}\n'
    process.stdin.write(event * 20_000)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert err == b""
