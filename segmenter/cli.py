"""The command `segmenter`: which commands there are, and what users see when one fails."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from segmenter import __version__
from segmenter.commands import (
    aside,
    audit,
    customer,
    demo,
    doctor,
    hold,
    positions,
    publish,
    rejected,
    rulebook,
    schemas,
    simulate,
    sources,
    test,
    topics,
    worker,
)
from segmenter.commands.shared import ExitCode
from segmenter.errors import ConfigurationError, SegmenterError, TransientError

log = logging.getLogger(__name__)

# Plain help: drawing boxes would double the time until it stands there.
app = typer.Typer(
    name="segmenter",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Example: segmenter demo",
    help="Customer segments that move to the second, exactly once, with the reason.",
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Customer segments that move to the second, exactly once, with the reason."""


_COMMANDS = (
    *(demo, worker, topics, publish, simulate, test, customer, sources, positions, aside),
    *(rulebook, hold, schemas, rejected, audit, doctor),
)
for module in _COMMANDS:
    module.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; what fails is told in sentences and by the exit code, never by a traceback."""
    try:
        app(args=arguments)
    except asyncio.CancelledError:
        _fail("interrupted", ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the top of the process: a user gets a sentence
        _fail(*failure_of(error))


def failure_of(error: Exception) -> tuple[str, ExitCode]:
    """Return what a user is told of an error, and the exit code.

    Where tasks that ran together failed together, what went wrong first counts.
    """
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    match error:
        case ConfigurationError():
            return "\n".join(error.faults), ExitCode.WRONG_USE
        case BrokenPipeError():
            return "", ExitCode.FAULTS
        case TransientError() | ConnectionError():
            return str(error), ExitCode.UNREACHABLE
        case SegmenterError():
            return str(error), ExitCode.FAULTS
        case _:
            sentence = f"unexpected {type(error).__name__}: {error}; SEGMENTER_LOG_LEVEL=debug shows where"
            return sentence, ExitCode.FAULTS


def _fail(sentences: str, code: ExitCode) -> None:
    log.debug("command_failed", exc_info=True)
    if sentences:
        typer.echo(sentences, err=True)
    sys.exit(code)
