"""`segmenter customer`: where one customer stands, why, what comes next, and where he stood before."""

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

if TYPE_CHECKING:
    from segmenter.domain.account import Inquiry
    from segmenter.domain.rulebook import Rulebook
    from segmenter.settings import Settings
    from segmenter.wiring.customers import CustomerView
    from segmenter.wiring.why import Outlook


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        short_help="Show where one customer stands, and why.",
        epilog="Example: segmenter customer c-42 --why-not value",
    )(customer)


def customer(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="The customer's id; shop/ID where events name a shop.")
    ],
    why: Annotated[
        str | None, typer.Option(metavar="SEGMENT", help="Say why he is where he is: lifecycle, value, or a segment.")
    ] = None,
    why_not: Annotated[
        str | None, typer.Option(metavar="SEGMENT", help="Say what keeps him out, and what is missing.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Answer for the past, from the log of changes.")
    ] = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Show a customer's segments, numbers, the next moves and what is within reach, as stored at this moment.

    --why and --why-not show one dimension or declared segment, condition by condition. Ends with 1 when nobody is
    known by this id, with 2 for a segment that there is not, and with 3 when Redis or Kafka does not answer.
    """
    from segmenter.wiring.rules import find_rulebook
    from segmenter.wiring.why import dimension_named, outlook_of

    settings = settings_from(config)
    asked_by_option = {option: text for option, text in (("--why", why), ("--why-not", why_not)) if text is not None}
    if as_of is not None and not asked_by_option:
        # All that was told is in the log: no need of Redis, which may be away.
        _show_past(settings, identity, as_of, None, json=json)
        return
    rulebook = find_rulebook(settings)
    dimensions = {option: dimension_named(text, rulebook, option) for option, text in asked_by_option.items()}
    if as_of is not None:
        _show_past(settings, identity, as_of, next(iter(dimensions.values()), None), json=json)
        return
    view, inquiry = _looked_up(settings, rulebook, identity)
    if dimensions:
        _show_accounts(identity, inquiry, dimensions, json=json)
    else:
        _show_view(view, outlook_of(inquiry), json=json)


def _looked_up(settings: "Settings", rulebook: "Rulebook", identity: str) -> tuple["CustomerView", "Inquiry"]:
    from segmenter.wiring.customers import Unknown, find_customer, view_of
    from segmenter.wiring.why import inquiry_of

    found = find_customer(settings, identity)
    if isinstance(found, Unknown):
        typer.echo(found.sentence(identity, settings.namespace), err=True)
        raise typer.Exit(ExitCode.FAULTS)
    return view_of(found, rulebook.currency), inquiry_of(found, rulebook)


def _show_view(view: "CustomerView", outlook: "Outlook", *, json: bool) -> None:
    if json:
        say_json({**view.as_json(), **outlook.as_json()})
        return
    say(view.customer_id)
    say_table(
        ("dimension", "segment", "since", "announced"),
        [(s.dimension, s.segment, s.since, s.told) for s in view.segments],
    )
    lines = list(outlook.lines())
    say("next, if nothing happens, and what is within reach:" if lines else "time alone moves nothing")
    for line in lines:
        say(f"   {line}")
    say_table(("fact", "value"), [(name, "-" if fact is None else str(fact)) for name, fact in view.facts.items()])


def _show_accounts(identity: str, inquiry: "Inquiry", dimensions: dict[str, str], *, json: bool) -> None:
    from segmenter.domain.instants import rfc3339
    from segmenter.wiring.why import account_json, account_lines

    told: dict[str, object] = {"customer_id": identity, "at": rfc3339(inquiry.now)}
    for option, dimension in dimensions.items():
        account = inquiry.account_of(dimension)
        rules = account.why() if option == "--why" else account.why_not()
        told[option.removeprefix("--").replace("-", "_")] = account_json(account, rules)
        if not json:
            for line in account_lines(account, rules):
                say(line)
    if json:
        say_json(told)


def _show_past(settings: "Settings", identity: str, as_of: str, dimension: str | None, *, json: bool) -> None:
    from segmenter.wiring.past import past_json, past_lines, past_of
    from segmenter.wiring.simulation import instant_in

    at = instant_in(as_of, "--as-of")
    with progress_of("reading the log of changes") as progress:
        past = past_of(settings, identity, at, progress)
    if past is None:
        typer.echo(f"nothing was ever told of {identity}", err=True)
        raise typer.Exit(ExitCode.FAULTS)
    if json:
        say_json(past_json(identity, past, dimension))
        return
    for line in past_lines(identity, past, dimension):
        say(line)
