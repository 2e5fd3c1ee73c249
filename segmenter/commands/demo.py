"""`segmenter demo`: a shop, a Kafka, a Redis and a worker on this machine, and what moves."""

from typing import Annotated

import typer

from segmenter.commands.shared import AsJson


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        short_help="Watch a simulated shop, on this machine alone.",
        epilog="Example: segmenter demo --seconds 60 --json",
    )(demo)


def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so many seconds.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another shop.")] = 1,
    customers: Annotated[int, typer.Option(min=100, max=100_000, help="How many the shop has.")] = 2_000,
    json: AsJson = False,
) -> None:
    """Show a simulated shop's customers move between segments: a year of history, then live traffic.

    Brings its own Kafka and Redis, needs no settings, leaves nothing behind, and ends on Ctrl-C. With --json, or
    without a terminal, it prints one JSON object a second.
    """
    from segmenter.wiring.demo import DemoOptions, run_demo

    run_demo(DemoOptions(seconds=seconds, seed=seed, customers=customers, is_json=json))
