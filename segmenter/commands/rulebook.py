"""`segmenter rulebook`: check a rulebook and preview it, put it in force, compare revisions and go back to one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

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
    from segmenter.domain.rulebook import Rulebook
    from segmenter.settings import Settings
    from segmenter.wiring.preview import Preview
    from segmenter.wiring.revisions import Applied

app = typer.Typer(
    no_args_is_help=True,
    help="Check and preview rulebooks, apply them, and go back.",
    epilog="Example: segmenter rulebook check my.yaml",
)

Announced: TypeAlias = Annotated[
    bool, typer.Option("--announce", help="Tell the moves that the rules lead to by themselves, marked as backfill.")
]
Comment: TypeAlias = Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why, for the history.")]


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
    short_help="Put a rulebook in force on all workers.",
    epilog='Example: segmenter rulebook apply my.yaml --comment "vip from 500 EUR"',
)
def apply(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="A rulebook in YAML.")],
    announce: Announced = False,
    comment: Comment = "",
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Put a rulebook in force as the next revision, on all workers, and bring all stored customers under it.

    Silent unless --announce says otherwise. Ends with 2 when the file has faults, says the same as what is in force,
    or changes the currency, and with 3 when Redis does not answer.
    """
    from segmenter.wiring import revisions

    _say_applied(revisions.apply_file(settings_from(config), file, is_announced=announce, comment=comment), json=json)


@app.command(
    short_help="Put an older revision in force again.", epilog="Example: segmenter rulebook rollback 3 --announce"
)
def rollback(
    revision: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="Its number in the history.")],
    announce: Announced = False,
    comment: Comment = "",
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Put the text of an older revision in force again, as a new revision. Ends as `apply` does."""
    from segmenter.wiring import revisions

    applied = revisions.roll_back(settings_from(config), revision, is_announced=announce, comment=comment)
    _say_applied(applied, json=json)


def _say_applied(applied: "Applied", *, json: bool) -> None:
    from segmenter.wiring.revisions import json_of

    if json:
        result = {**json_of(applied.revision), "difference": applied.difference.as_json()}
        say_json({**result, "mirror_fault": applied.mirror_fault})
    else:
        for sentence in applied.difference.as_sentences():
            say(sentence)
        say(
            f"revision {applied.revision.number} is in force; `segmenter rulebook status` shows how far the lanes are"
        )
        if applied.mirror_fault:
            say(f"it is not on its topic: {applied.mirror_fault}")
    if applied.mirror_fault:
        raise typer.Exit(ExitCode.UNREACHABLE)


@app.command(short_help="Tell in what two rulebooks differ.", epilog="Example: segmenter rulebook diff my.yaml")
def diff(
    before: Annotated[str | None, typer.Argument(metavar="[FILE|REVISION]", help="A file, or a revision.")] = None,
    after: Annotated[str | None, typer.Argument(metavar="[FILE|REVISION]", help="Another one.")] = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Tell in what the second rulebook is not the first; a single one is compared with what is in force.

    Without any, what is in force is compared with the revision before it.
    """
    from segmenter.wiring import revisions

    difference = revisions.compare(settings_from(config), before, after)
    if json:
        say_json(difference.as_json())
    else:
        say("\n".join(difference.as_sentences()))


@app.command(short_help="List the revisions.", epilog="Example: segmenter rulebook history --json")
def history(config: ConfigFile = None, json: AsJson = False) -> None:
    """List the revisions that were in force, newest first: when, by whom, told or silent, and why."""
    from segmenter.wiring import revisions

    kept = revisions.list_revisions(settings_from(config))
    if json:
        say_json({"revisions": [revisions.json_of(revision) for revision in kept]})
    elif kept:
        columns = ("revision", "at", "by", "moves", "digest", "comment")
        say_table(columns, [revisions.row_of(revision) for revision in kept], wide=("comment",))
    else:
        say("no rulebook was ever applied: each worker decides by SEGMENTER_RULEBOOK, or by the default rules")


@app.command(short_help="Show how far the lanes are.", epilog="Example: segmenter rulebook status")
def status(config: ConfigFile = None, json: AsJson = False) -> None:
    """Show the revision in force, by which one each lane decides, and how much of its pass over customers is done.

    Ends with 1 while a lane is on its way.
    """
    from segmenter.wiring import revisions

    found = revisions.status_of(settings_from(config))
    if json:
        lanes = [
            {"lane": lane.lane, "revision": lane.revision, "share_done": lane.share_done, "held": list(lane.held)}
            for lane in found.lanes
        ]
        active = None if found.active is None else revisions.json_of(found.active)
        say_json({"in_force": active, "is_done": found.is_done, "lanes": lanes})
    else:
        say("no rulebook was ever applied" if found.active is None else f"revision {found.active.number} is in force")
        rows = [
            (str(lane.lane), str(lane.revision), f"{lane.share_done:.1%}", ", ".join(lane.held))
            for lane in found.lanes
        ]
        if rows:
            say_table(("lane", "revision", "customers done", "held"), rows)
        else:
            say("no lane is stored yet; start a worker")
    if not found.is_done:
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
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Show this one, condition by condition.")] = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Show how large every segment is and would be, who would move and why, and how segments overlap.

    Reads the profiles of the running system and changes nothing. Drafts are shown as if they were live.
    """
    from segmenter.wiring.preview import preview as previewed
    from segmenter.wiring.rules import rulebook_in

    settings = settings_from(config)
    planned = rulebook_in(file, settings).rulebook
    if customer is not None:
        _show_customer(settings, planned, customer, json=json)
        return
    with progress_of("looking at customers") as progress:
        found = previewed(settings, planned, sample, moves, progress)
    if json:
        say_json(found.as_json())
    else:
        _show(found)


def _show_customer(settings: "Settings", planned: "Rulebook", identity: str, *, json: bool) -> None:
    from segmenter.wiring.customers import Unknown
    from segmenter.wiring.preview_customer import accounts_by
    from segmenter.wiring.why import account_json, account_lines

    accounts = accounts_by(settings, planned, identity)
    if isinstance(accounts, Unknown):
        typer.echo(accounts.sentence(identity, settings.namespace), err=True)
        raise typer.Exit(ExitCode.FAULTS)
    if json:
        say_json({"customer_id": identity, "segments": [account_json(found, found.why()) for found in accounts]})
        return
    for account in accounts:
        for line in account_lines(account, account.why()):
            say(line)


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
