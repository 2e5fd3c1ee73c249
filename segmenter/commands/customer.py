"""`segmenter customer`: where one customer stands, why, what comes next, and where he stood before."""

from dataclasses import dataclass
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
    spread,
)

if TYPE_CHECKING:
    from segmenter.domain.account import Inquiry
    from segmenter.domain.rulebook import Rulebook
    from segmenter.settings import Settings
    from segmenter.wiring.customers import CustomerView
    from segmenter.wiring.why import Outlook


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked about a customer beside where he stands."""

    why: Annotated[
        str | None, typer.Option(metavar="SEGMENT", help="Say why he is where he is: lifecycle, value, or a segment.")
    ] = None
    why_not: Annotated[
        str | None, typer.Option(metavar="SEGMENT", help="Say what keeps him out, and what is missing.")
    ] = None
    as_of: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Answer for the past, from the log of changes.")
    ] = None

    @property
    def by_option(self) -> dict[str, str]:
        """Return what is asked of one dimension."""
        asked = {"--why": self.why, "--why-not": self.why_not}
        return {option: text for option, text in asked.items() if text is not None}


@dataclass(frozen=True, slots=True)
class ByHand:
    """What is to be done with a customer by hand."""

    put: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="SEGMENT in|out|auto", help="Put him in or out of a declared segment; auto: the rules again."
        ),
    ] = None
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="When a put ends by itself; or a span from now on: 30d.")
    ] = None
    because: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why he is put there, for whoever looks later.")
    ] = None


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        short_help="Show where one customer stands, and why; put him elsewhere.",
        epilog="Example: segmenter customer c-42 --why-not value",
    )(customer)


@spread("asked", Questions)
@spread("by_hand", ByHand)
def customer(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="The customer's id; shop/ID where events name a shop.")
    ],
    asked: Questions,
    by_hand: ByHand,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Show a customer's segments, numbers, the next moves and what is within reach, as stored at this moment.

    --why and --why-not show one dimension or declared segment, condition by condition. --put says by hand that he is
    in or out of a declared segment --until an instant, --because of something; it goes before the rules until then.
    Ends with 1 when nobody is known by this id, with 2 for a segment that there is not, and with 3 when Redis or
    Kafka does not answer.
    """
    from segmenter.wiring.rules import find_rulebook
    from segmenter.wiring.why import dimension_named, outlook_of

    settings = settings_from(config)
    _check_alone(asked, by_hand)
    if asked.as_of is not None and not asked.by_option:
        # All that was told is in the log: no need of Redis, which may be away.
        _show_past(settings, identity, asked.as_of, None, json=json)
        return
    rulebook = find_rulebook(settings)
    if by_hand.put is not None:
        _put(settings, rulebook, identity, by_hand, json=json)
        return
    dimensions = {option: dimension_named(text, rulebook, option) for option, text in asked.by_option.items()}
    if asked.as_of is not None:
        _show_past(settings, identity, asked.as_of, next(iter(dimensions.values()), None), json=json)
        return
    view, inquiry = _looked_up(settings, rulebook, identity)
    if dimensions:
        _show_accounts(identity, inquiry, dimensions, json=json)
    else:
        _show_view(view, outlook_of(inquiry), json=json)


def _check_alone(asked: Questions, by_hand: ByHand) -> None:
    """Refuse what does not go together. Raises ConfigurationError."""
    from segmenter.errors import ConfigurationError

    if by_hand.put is None:
        loose = {"--until": by_hand.until, "--because": by_hand.because}
        faults = [f"{option}: found without --put, which it belongs to" for option, text in loose.items() if text]
    else:
        others = [*asked.by_option, *(["--as-of"] if asked.as_of else [])]
        faults = [f"{option}: found together with --put; ask when it is done" for option in others]
    if faults:
        raise ConfigurationError(faults)


def _put(settings: "Settings", rulebook: "Rulebook", identity: str, by_hand: ByHand, *, json: bool) -> None:
    from segmenter.wiring.puts import PutRequest, order_of, send

    segment, to = by_hand.put or ("", "")
    request = PutRequest(segment=segment, to=to, until=by_hand.until, because=by_hand.because)
    order = order_of(request, rulebook)
    view, _ = _looked_up(settings, rulebook, identity)
    lane = view.facts["lane"]
    assert isinstance(lane, int)  # noqa: S101 - it is the number of his lane
    send(settings, identity, lane, order)
    if json:
        say_json({"customer_id": identity, **order.as_json()})
    else:
        say(order.sentence(identity))


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
    if view.puts:
        rows = [(p.segment, p.to, p.until, p.by or "-", p.because) for p in view.puts]
        say_table(("by hand", "put", "until", "by", "because"), rows, wide=("because",))
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
