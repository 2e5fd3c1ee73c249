"""`segmenter rejected`: what was put aside, and why."""

from typing import Annotated

import typer

from segmenter.commands.shared import AsJson, ConfigFile, say, say_json, say_table, settings_from

app = typer.Typer(
    no_args_is_help=True, help="List bad input that was put aside.", epilog="Example: segmenter rejected list"
)


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.add_typer(app, name="rejected")


@app.command(
    "list",
    short_help="List the newest records put aside.",
    epilog="Example: segmenter rejected list --reason no_customer --limit 5",
)
def list_rejected(
    reason: Annotated[str | None, typer.Option(help="Only what was put aside for this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many of the newest.")] = 20,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """List the newest records that were put aside, newest first: why, where from, and how they begin.

    With --json, one object a record with its whole original. Ends with 3 when Kafka does not answer.
    """
    from segmenter.wiring.kafka import list_rejected as newest_rejected

    settings = settings_from(config)
    found = newest_rejected(settings, reason=reason, limit=limit)
    if json:
        for record in found:
            say_json(record.as_json())
        return
    if not found:
        say("nothing was rejected" if reason is None else f"nothing was rejected for {reason}")
        return
    say_table(
        ("rejected at", "reason", "place", "detail", "original"),
        [(r.rejected_at, r.reason, r.place, r.detail, r.beginning) for r in found],
        wide=("detail", "original"),
    )
