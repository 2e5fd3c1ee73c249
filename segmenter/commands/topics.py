"""`segmenter topics`: create the topics on Kafka, or check that they are as they must be."""

import typer

app = typer.Typer(
    no_args_is_help=True, help="Create or check the topics on Kafka.", epilog="Example: segmenter topics create"
)


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.add_typer(app, name="topics")
