"""`segmenter simulate`: what would have been published for a file of events."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segmenter.commands.shared import AsJson, progress_of, say, say_json, say_table, settings_from

if TYPE_CHECKING:
    from segmenter.wiring.simulation import SimulationResult


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        short_help="Work off a file of events without any server.",
        epilog="Example: segmenter simulate examples/events/first-day.jsonl --until 2026-07-01T00:00:00Z --changes -",
    )(simulate)


def simulate(
    events: Annotated[str, typer.Argument(metavar="EVENTS", help="JSON Lines, .gz too; - is standard input.")],
    rulebook: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The rules to apply; otherwise those of the settings."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="INSTANT", help="Let time pass up to this instant, and leave out what happens later."),
    ] = None,
    changes: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write every change here; - prints them.")
    ] = None,
    memberships: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write where each customer ends here; - prints them.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Work off a file of events on a virtual clock, with neither Kafka nor Redis, and count what moves.

    The engine is the one of the workers; the lines written are the values that they would have published.
    """
    from segmenter.wiring.simulation import SimulationOptions, instant_in
    from segmenter.wiring.simulation import simulate as run

    settings = settings_from(None)
    options = SimulationOptions(
        events=events,
        rulebook=rulebook,
        until=None if until is None else instant_in(until),
        changes=changes,
        memberships=memberships,
    )
    with progress_of("simulating") as progress:
        result = run(options, settings, progress)
    # What was asked for on standard output is not mixed with a summary.
    if "-" not in {changes, memberships}:
        _show(result, json)


def _show(result: "SimulationResult", json: bool) -> None:
    from segmenter.domain.instants import rfc3339

    if json:
        say_json(result.as_json())
        return
    said = f"{result.events} events, {result.changes} changes, {result.customers} customers"
    # A file without events has no time of its own.
    say(f"{said}, up to {rfc3339(result.until)}" if result.until else said)
    if result.left_out:
        say(f"{result.left_out} later events left out")
    if result.sizes:
        _show_sizes(result)
    for reason, count in sorted(result.rejected.items()):
        say(f"{count} rejected: {reason}; first {result.first_rejected[reason]}")


def _show_sizes(result: "SimulationResult") -> None:
    say_table(
        ("dimension", "segment", "customers"),
        [(dimension, segment, str(count)) for (dimension, segment), count in sorted(result.sizes.items())],
    )
