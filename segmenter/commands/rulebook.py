"""`segmenter rulebook`: tell every fault of a rulebook, and what it would make of everybody."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segmenter.commands.shared import (
    AsJson,
    ConfigFile,
    ExitCode,
    progress_of,
    say,
    say_json,
    say_table,
    settings_from,
)
from segmenter.errors import ConfigurationError

if TYPE_CHECKING:
    from segmenter.wiring.preview import Preview

app = typer.Typer(
    no_args_is_help=True,
    help="Check rulebooks, and see whom they would move.",
    epilog="Example: segmenter rulebook check my.yaml",
)


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.add_typer(app, name="rulebook")


@app.command(
    short_help="Tell every fault of a rulebook, or show its rules.",
    epilog="Example: segmenter rulebook check examples/rulebooks/default.yaml",
)
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="A rulebook in YAML.")],
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Tell every fault of a rulebook with its line, or show the rules it sets and what is most likely not meant so.

    Ends with 1 when there are faults; warnings are no faults.
    """
    from segmenter.wiring.rules import rulebook_in
    from segmenter.wiring.written_rules import written_rules

    settings = settings_from(config)
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rules: Mapping[str, str] = {}
    try:
        checked = rulebook_in(file, settings)
        rules, warnings = written_rules(checked.rulebook), checked.warnings
    except ConfigurationError as error:
        faults = error.faults
    if json:
        say_json({"file": str(file), "faults": list(faults), "warnings": list(warnings), "rules": dict(rules)})
    elif faults:
        for fault in faults:
            say(fault)
    else:
        say_table(("rule", "value"), list(rules.items()))
        say("ok")
        for warning in warnings:
            say(f"warning: {warning}")
    if faults:
        raise typer.Exit(ExitCode.FAULTS)


@app.command(
    short_help="Show what a rulebook would make of everybody who is stored.",
    epilog="Example: segmenter rulebook preview my.yaml --sample 20 --moves moves.jsonl",
)
def preview(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="A rulebook in YAML.")],
    sample: Annotated[int, typer.Option(min=0, max=1_000, help="So many customers of each segment and move.")] = 5,
    moves: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every move here, one JSON object a line.")
    ] = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Show how large every segment is and would be, who would move and why, and how segments overlap.

    Reads the profiles of the running system and changes nothing. Drafts are shown as if they were live.
    """
    from segmenter.wiring.preview import preview as previewed
    from segmenter.wiring.rules import rulebook_in, rulebook_of

    settings = settings_from(config)
    planned = rulebook_in(file, settings).rulebook
    with progress_of("looking at customers") as progress:
        found = previewed(settings, rulebook_of(settings), planned, sample, moves, progress)
    if json:
        say_json(found.as_json())
    else:
        _show(found)


def _show(found: "Preview") -> None:
    say(f"{found.survey.customers} customers, nothing was changed")
    say_table(
        ("segment", "state", "now", "then", "enters", "leaves"),
        [
            (f"{s['dimension']} {s['segment']}", str(s["state"] or "-"), *(str(s[n]) for n in _COUNTS))
            for s in found.segments()
        ],
    )
    movers = [mover for _, kept in sorted(found.survey.movers.items()) for mover in kept]
    say_table(
        ("who would move", "dimension", "before", "after", "why"),
        [(m.customer, m.dimension, m.before or "none", m.after or "none", m.why) for m in movers],
        wide=("why",),
    )
    say_table(
        ("segment", "also in", "customers", "share"),
        [tuple(str(o[name]) for name in ("segment", "with", "customers", "share")) for o in found.overlap()],
    )
    for note in found.notes:
        say(f"note: {note}")
    if found.survey.unreadable:
        say(f"note: {found.survey.unreadable} profiles cannot be read; `segmenter audit` names them")


_COUNTS = ("now", "then", "enters", "leaves")
