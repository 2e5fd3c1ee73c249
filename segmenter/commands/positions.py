"""`segmenter positions`: how far everything is read, and the way out where that cannot be right."""

import sys
from typing import Annotated

import typer

from segmenter.commands.shared import AsJson, ConfigFile, ExitCode, say, say_json, say_table, settings_from

app = typer.Typer(
    no_args_is_help=True,
    help="Show how far each partition is read, or put one elsewhere.",
    epilog="Example: segmenter positions show",
)

WithoutAsking = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.add_typer(app, name="positions")


@app.command(
    "show", short_help="Show how far each partition is read.", epilog="Example: segmenter positions show --json"
)
def show(config: ConfigFile = None, json: AsJson = False) -> None:
    """Show the next offset to read of each partition, what its log holds, and which positions cannot be right.

    Ends with 1 when one cannot be right, and with 3 when Redis or Kafka does not answer.
    """
    from segmenter.wiring.positions import show_positions

    found = show_positions(settings_from(config))
    faults = [*found.faults, *(view.fault for view in found.views if view.fault)]
    if json:
        say_json({"faults": list(found.faults), "positions": [view.as_json() for view in found.views]})
    else:
        numbers = [(view.source, view.stored, view.log_start, view.log_end, view.unread) for view in found.views]
        rows = [tuple("-" if cell is None else str(cell) for cell in row) for row in numbers]
        say_table(("partition", "read up to", "log begins", "log ends", "unread"), rows)
        for fault in faults:
            say(fault)
    if faults:
        raise typer.Exit(ExitCode.FAULTS)


@app.command(
    "set",
    short_help="Put one partition elsewhere.",
    epilog="Example: segmenter positions set orders/3 beginning --yes",
)
def set_one(
    source: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION", help="What is read: orders/3.")],
    to: Annotated[str, typer.Argument(metavar="beginning|end|OFFSET", help="The next offset to read.")],
    yes: WithoutAsking = False,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Put a partition to its beginning, its end, or an offset. What is skipped is lost; what is read again is known.

    Only where no live worker has it in hand: one that has stopped for this position need not be ended, and goes on
    by itself within 5 s. Ends with 2 where a live worker has it, and with 3 when Redis or Kafka does not answer.
    """
    from segmenter.wiring.positions import refuse_unknown, set_position

    settings = settings_from(config)
    refuse_unknown(settings, source, to)
    _ask(f"Read {source} from {to}? What lies between is skipped, or read again.", yes=yes)
    moved = set_position(settings, source, to)
    if json:
        say_json({"source": moved.source, "before": moved.before, "after": moved.after})
    else:
        before = "was never read" if moved.before is None else f"was read up to {moved.before}"
        say(f"{moved.source} {before}; it is read on from {moved.after}")


@app.command(
    "adopt",
    short_help="Take the stored positions for those of this Kafka.",
    epilog="Example: segmenter positions adopt --yes",
)
def adopt(yes: WithoutAsking = False, config: ConfigFile = None, json: AsJson = False) -> None:
    """Take the stored state for that of this Kafka cluster and this application name, after a move or a new name.

    Ends with 2 while a worker lives, and with 3 when Redis or Kafka does not answer.
    """
    from segmenter.wiring.positions import adopt_positions

    settings = settings_from(config)
    _ask(f"Take the positions in namespace {settings.namespace} for those of {settings.kafka_bootstrap}?", yes=yes)
    before = adopt_positions(settings)
    if json:
        say_json({"adopted": bool(before), "faults_before": before})
    else:
        say("adopted; look at them with: segmenter positions show" if before else "nothing was wrong")


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        typer.echo("nobody is there to be asked; say --yes", err=True)
        raise typer.Exit(ExitCode.WRONG_USE)
    if not typer.confirm(question, err=True):
        raise typer.Exit(ExitCode.FAULTS)
