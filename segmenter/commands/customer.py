"""`segmenter customer`: where one customer stands, and since when."""

from typing import Annotated

import typer

from segmenter.commands.shared import AsJson, ConfigFile, ExitCode, say, say_json, say_table, settings_from


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(short_help="Show where one customer stands.", epilog="Example: segmenter customer c-42")(customer)


def customer(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="The customer's id; shop/ID where events name a shop.")
    ],
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Show a customer's segments, numbers and next deadline, as stored at this moment.

    Ends with 1 when nobody is known by this id, and with 3 when Redis does not answer.
    """
    from segmenter.wiring.customers import find_customer, view_of
    from segmenter.wiring.rules import rulebook_of

    settings = settings_from(config)
    currency = rulebook_of(settings).currency
    found = find_customer(settings, identity)
    if found is None:
        typer.echo(f"nobody is known as {identity} in namespace {settings.namespace}", err=True)
        raise typer.Exit(ExitCode.FAULTS)
    view = view_of(found, currency)
    if json:
        say_json(view.as_json())
        return
    say(view.customer_id)
    say_table(
        ("dimension", "segment", "since", "announced"),
        [(s.dimension, s.segment, s.since, s.announced or "-") for s in view.segments],
    )
    say_table(("fact", "value"), [(name, "-" if fact is None else str(fact)) for name, fact in view.facts.items()])
