"""`segmenter schemas`: the contract of our topics, generated from the types."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from segmenter.commands.shared import AsJson, ExitCode, say, say_json

app = typer.Typer(
    no_args_is_help=True,
    help="Write or check the JSON Schemas and the AsyncAPI document.",
    epilog="Example: segmenter schemas check",
)

Folder: TypeAlias = Annotated[Path, typer.Option("--folder", file_okay=False, help="Where the schemas are.")]
_FOLDER = Path("schemas")


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.add_typer(app, name="schemas")


@app.command(epilog="Example: segmenter schemas write --folder schemas")
def write(folder: Folder = _FOLDER, json: AsJson = False) -> None:
    """Write the schemas anew from the types."""
    from segmenter.adapters.schemas import write as write_schemas

    written = [str(path) for path in write_schemas(folder)]
    if json:
        say_json({"written": written})
        return
    say("\n".join(written))


@app.command(epilog="Example: segmenter schemas check")
def check(folder: Folder = _FOLDER, json: AsJson = False) -> None:
    """Tell which schemas are not what the types say. Ends with 1 when there are any."""
    from segmenter.adapters.schemas import drift

    drifted = drift(folder)
    if json:
        say_json({"drifted": drifted})
    elif drifted:
        say("\n".join(drifted))
        say("write them anew with: segmenter schemas write")
    else:
        say(f"{folder}: as the types say")
    if drifted:
        raise typer.Exit(ExitCode.FAULTS)
