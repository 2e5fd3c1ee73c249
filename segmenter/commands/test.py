"""`segmenter test`: what a rulebook makes of a file of events, and whether that is what its author expects."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segmenter.commands.shared import AsJson, ExitCode, progress_of, say, say_json, say_table, settings_from

if TYPE_CHECKING:
    from segmenter.domain.past import ToldChange
    from segmenter.wiring.kit import Outcome, Played

# Whoever wants more names one, or asks for --json.
_CUSTOMERS_SHOWN = 20


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        "test",
        short_help="Play events under a virtual clock, and check what is expected.",
        epilog="Example: segmenter test examples/rulebooks/shop.yaml --events examples/rulebooks/shop.jsonl",
    )(play_events)


def play_events(
    rulebook: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="RULEBOOK", help="In YAML.")],
    events: Annotated[str, typer.Option(metavar="FILE", help="JSON Lines, .gz too; - is standard input.")],
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Show this customer only.")] = None,
    expect: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Expectations; otherwise NAME.expect.yaml beside NAME.yaml."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="INSTANT", help="Let time pass up to this instant.")] = None,
    json: AsJson = False,
) -> None:
    """Play events in order of time and print each customer's timeline: when, by which cause, what moved, and why.

    Ends with 1 when an expectation is not met or a line is no event, with 2 for files that cannot be used.
    """
    from segmenter.wiring.kit import expectations_beside, play
    from segmenter.wiring.simulation import instant_in

    settings_from(None)
    with progress_of("playing") as progress:
        end = None if until is None else instant_in(until)
        played = play(rulebook, events, expectations_beside(rulebook, expect), end, progress)
    if json:
        say_json(_as_json(played, customer))
    else:
        _show(played, customer)
    if played.has_failed:
        raise typer.Exit(ExitCode.FAULTS)


def _show(played: "Played", customer: str | None) -> None:
    from segmenter.domain.instants import rfc3339

    shown = [one for one in sorted(played.told) if customer in (None, one)]
    for one in shown[:_CUSTOMERS_SHOWN]:
        say(one)
        rows = [_row(told) for told in played.told[one]]
        say_table(("when", "cause", "what moved", "why"), rows, wide=("cause", "what moved", "why"))
    if len(shown) > _CUSTOMERS_SHOWN:
        say(f"and {len(shown) - _CUSTOMERS_SHOWN} more; --customer ID shows one, --json all")
    if customer is not None and not shown:
        say(f"nothing was told of {customer}")
    for sentence in played.rejected:
        say(f"rejected: {sentence}")
    for outcome in played.outcomes:
        if not outcome.is_met:
            _show_failure(outcome)
    met = sum(1 for outcome in played.outcomes if outcome.is_met)
    expected = f", {met} of {len(played.outcomes)} expectations met" if played.outcomes else ""
    say(f"{played.events} events, {len(played.told)} customers moved, up to {rfc3339(played.until)}{expected}")


def _row(told: "ToldChange") -> tuple[str, str, str, str]:
    from segmenter.domain.instants import rfc3339

    cause = told.cause.kind if told.cause.type is None else f"{told.cause.kind} {told.cause.type}"
    moves = ", ".join(f"{c.dimension} {c.before or 'none'} → {c.after or 'none'}" for c in told.changes)
    why = "; ".join(f"{r.condition}: {r.actual}, asked {r.threshold}" for r in told.reasons)
    return rfc3339(told.effective_at), cause, moves, why


def _show_failure(outcome: "Outcome") -> None:
    say(f"{outcome.place}: {_when(outcome)}expected {outcome.expected}, found {outcome.found}")
    for line in outcome.why:
        say(f"   {line}")


def _when(outcome: "Outcome") -> str:
    from segmenter.domain.instants import rfc3339

    return f"{outcome.customer}{'' if outcome.at is None else f' at {rfc3339(outcome.at)}'}: "


def _as_json(played: "Played", customer: str | None) -> Mapping[str, object]:
    from segmenter.domain.instants import rfc3339

    return {
        "events": played.events,
        "until": rfc3339(played.until),
        "rejected": played.rejected,
        "customers": list(_timelines(played, customer)),
        "expectations": [
            {
                "place": outcome.place,
                "customer_id": outcome.customer,
                "at": None if outcome.at is None else rfc3339(outcome.at),
                "expected": outcome.expected,
                "found": outcome.found,
                "is_met": outcome.is_met,
                "why": list(outcome.why),
            }
            for outcome in played.outcomes
        ],
    }


def _timelines(played: "Played", customer: str | None) -> Iterator[Mapping[str, object]]:
    from segmenter.wiring.past import told_json

    for one, told in sorted(played.told.items()):
        if customer in (None, one):
            yield {"customer_id": one, "timeline": [told_json(change) for change in told]}
