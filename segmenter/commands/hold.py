"""`segmenter hold` and `segmenter release`: what is not told now, and to tell it or let it fall."""

from typing import Annotated, TypeAlias

import typer

from segmenter.commands.shared import AsJson, ConfigFile, ExitCode, say, say_json, say_table, settings_from

app = typer.Typer(
    no_args_is_help=True,
    help="Show, release or drop moves that are held back.",
    epilog="Example: segmenter hold list",
)

Because: TypeAlias = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why, for whoever looks.")]
Segment: TypeAlias = Annotated[
    str, typer.Argument(metavar="SEGMENT", help="A declared segment, a dimension such as lifecycle, or all.")
]


def register(parent: typer.Typer) -> None:
    """Add the commands to their parent."""
    parent.add_typer(app, name="hold")
    parent.command("release", short_help="Tell what was held.", epilog="Example: segmenter release all")(release)


@app.command("list", short_help="Show what is held.", epilog="Example: segmenter hold list --json")
def list_held(config: ConfigFile = None, json: AsJson = False) -> None:
    """Show which moves are held: since when, by whom, how many customers wait, and lanes that have not come there.

    Ends with 1 while anything is held.
    """
    from segmenter.ports import Hold
    from segmenter.wiring import holds

    views = holds.list_holds(settings_from(config))
    if json:
        say_json({"holds": [view.as_json() for view in views]})
    elif views:
        columns = ("dimension", "state", "since", "by", "customers waiting", "lanes behind", "why")
        say_table(columns, [view.as_row() for view in views], wide=("why",))
    else:
        say("nothing is held")
    if any(view.state is Hold.HELD for view in views):
        raise typer.Exit(ExitCode.FAULTS)


@app.command("all", short_help="Tell nothing of anybody: the red button.", epilog="Example: segmenter hold all")
def hold_all(because: Because = "", config: ConfigFile = None, json: AsJson = False) -> None:
    """Tell no change of anybody, from within 2 s on, until `segmenter release all`. Events go on being taken in."""
    from segmenter.domain.holding import EVERYTHING_HELD

    _order(EVERYTHING_HELD, "held", because, config, json=json)


@app.command("segment", short_help="Hold one segment.", epilog="Example: segmenter hold segment custom.vip")
def hold_segment(segment: Segment, because: Because = "", config: ConfigFile = None, json: AsJson = False) -> None:
    """Hold the moves of one declared segment, or of a dimension. Ends with 2 for one that there is not."""
    _order(segment, "held", because, config, json=json)


@app.command("release", short_help="Tell what was held.", epilog="Example: segmenter hold release vip")
def release(segment: Segment, because: Because = "", config: ConfigFile = None, json: AsJson = False) -> None:
    """Let go of held moves: each customer who is not where he was told to be gets one change-set.

    Ends with 2 for what is not held.
    """
    _order(segment, "released", because, config, json=json)


@app.command("drop", short_help="Let what was held fall.", epilog="Example: segmenter hold drop vip")
def drop(segment: Segment, because: Because = "", config: ConfigFile = None, json: AsJson = False) -> None:
    """Let go of held moves without telling them: they count as told. Ends with 2 for what is not held."""
    _order(segment, "dropped", because, config, json=json)


def _order(segment: str, word: str, because: str, config: ConfigFile, *, json: bool) -> None:
    from segmenter.ports import Hold
    from segmenter.wiring import holds

    order = holds.give_order(settings_from(config), segment, Hold(word), because)
    if json:
        say_json({"dimension": order.dimension, "state": order.hold, "number": order.number})
    else:
        say(f"moves in {order.dimension} are {order.hold}; `segmenter hold list` shows how far the lanes are")
