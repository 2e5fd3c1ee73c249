"""`segmenter sources`: when each input topic spoke last, and whether time waits for it."""

from typing import Annotated

import typer

from segmenter.commands.shared import AsJson, ConfigFile, ExitCode, say, say_json, say_table, settings_from

app = typer.Typer(
    no_args_is_help=True,
    help="Show which input topics have fallen silent, or wait no more for one.",
    epilog="Example: segmenter sources list",
)


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.add_typer(app, name="sources", short_help="Show or resume input topics that fell silent.")


@app.command("list", short_help="Show when each topic spoke last.", epilog="Example: segmenter sources list --json")
def list_sources(config: ConfigFile = None, json: AsJson = False) -> None:
    """Show each input topic: its newest event, its longest silence in four weeks, and how long it may be silent.

    Ends with 1 when one is silent for longer, so that time is held for it, and with 3 when Redis does not answer.
    """
    from segmenter.wiring import sources

    views = sources.list_sources(settings_from(config))
    if json:
        say_json({"sources": [view.as_json() for view in views]})
    else:
        columns = ("topic", "state", "newest event", "silent for", "longest gap", "may be silent for")
        say_table(columns, [view.as_row() for view in views])
    if any(view.state is sources.SourceState.SILENT for view in views):
        raise typer.Exit(ExitCode.FAULTS)


@app.command(
    "resume", short_help="Wait no more for a silent topic.", epilog="Example: segmenter sources resume support"
)
def resume_source(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic that is truly silent.")],
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Wait no more for a topic until it speaks again: say so only where nothing is kept back behind it.

    Leaves out its partitions that have made no progress for an hour as well. Workers hear of it within 5 s. Ends
    with 1 when the topic never spoke, so that nobody waits for it, and with 3 when Redis does not answer.
    """
    from segmenter.wiring import sources

    is_resumed = sources.resume_source(settings_from(config), topic)
    if json:
        say_json({"topic": topic, "resumed": is_resumed})
    elif is_resumed:
        say(f"time goes on without {topic} until it speaks again")
    else:
        say(f"{topic} never spoke, so nobody waits for it")
    if not is_resumed:
        raise typer.Exit(ExitCode.FAULTS)
