"""`segmenter aside`: the customers whom our own code cannot bear at present."""

import typer

from segmenter.commands.shared import AsJson, ConfigFile, ExitCode, say, say_json, say_table, settings_from


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        short_help="List customers whom the code could not bear.", epilog="Example: segmenter aside --json"
    )(aside)


def aside(config: ConfigFile = None, json: AsJson = False) -> None:
    """List the customers who were put aside: our own code raised for them, so neither time nor peers move them.

    Nothing of theirs is lost, and everybody else goes on. Each worker that takes their lane tries them once more, so
    they come back by an update that helps. Ends with 1 when there are any, and with 3 when Redis does not answer.
    """
    from segmenter.wiring.asides import list_asides

    views = list_asides(settings_from(config))
    if json:
        say_json({"aside": [view.as_json() for view in views]})
    elif views:
        say_table(("customer", "lane", "since", "error"), [view.as_row() for view in views])
    else:
        say("nobody is put aside")
    if views:
        raise typer.Exit(ExitCode.FAULTS)
