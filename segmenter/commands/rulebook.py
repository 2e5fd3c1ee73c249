"""`segmenter rulebook check`: read a rulebook as a worker would, and tell every fault."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from segmenter.commands.shared import AsJson, ConfigFile, ExitCode, say, say_json, say_table, settings_from
from segmenter.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Check rulebooks.", epilog="Example: segmenter rulebook check my.yaml")


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
