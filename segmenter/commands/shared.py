"""What commands share: common options, exit codes, and how results and progress are shown.

Everything heavy is imported where it is used, so that `--help` answers at once.
"""

import dataclasses
import functools
import inspect
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, get_type_hints

import typer

if TYPE_CHECKING:
    from segmenter.settings import Settings

log = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """What a command ends with; docs/cli.md explains them."""

    DONE = 0
    FAULTS = 1
    WRONG_USE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.toml", help="Settings from this file; SEGMENTER_* variables win over it."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def spread(name: str, options: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command take options together, as one value: typer shows and reads each field of the dataclass."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        hints = get_type_hints(options, include_extras=True)
        more = [
            inspect.Parameter(
                one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name]
            )
            for one in dataclasses.fields(options)
        ]

        @functools.wraps(command)
        def run(**given: object) -> None:
            found = {one.name: given.pop(one.name) for one in more}
            command(**given, **{name: options(**found)})

        spread_out = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for place in signature.parameters.values()
            for parameter in (more if place.name == name else [place])
        ]
        run.__signature__ = signature.replace(parameters=spread_out)  # type: ignore[attr-defined]
        return run

    return decorate


def settings_from(config: Path | None, *, is_service: bool = False) -> "Settings":
    """Read the settings and send log lines where they say.

    Only a service logs its settings and lets its libraries log: a command tells in a sentence what went wrong.
    """
    from segmenter.logs import set_up_logging
    from segmenter.settings_reader import read_settings, written_settings

    settings = read_settings(config)
    vendors = logging.WARNING if is_service else logging.CRITICAL
    set_up_logging(settings.log_level, settings.log_format, vendors=vendors)
    if is_service:
        log.info("settings_read", extra=written_settings(settings))
    return settings


def say(line: str) -> None:
    """Print one line of a result."""
    typer.echo(line)


def say_json(result: object) -> None:
    """Print a result, or one of a stream of results, as one line of JSON."""
    typer.echo(json.dumps(result, ensure_ascii=False))


def say_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, wide: Sequence[str] = ()) -> None:
    """Print a table; off a terminal no column is cut. Columns in `wide` fold, the others keep their width."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column not in wide, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 10_000, markup=False, highlight=False)
    console.print(table)


@contextmanager
def progress_of(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Give a function that is told how much is done, and of how much; it draws a bar when a terminal is there."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
