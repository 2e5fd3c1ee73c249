"""`segmenter doctor`: is this installation well, and if not, what to do."""

from typing import TYPE_CHECKING, Annotated

import typer

from segmenter.commands.shared import AsJson, ConfigFile, ExitCode, say, say_json, say_table, settings_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmenter.adapters.findings import Finding


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        short_help="Check settings, Kafka, Redis and workers.", epilog="Example: segmenter doctor --probe-fence"
    )(doctor)


def doctor(
    probe_fence: Annotated[
        bool,
        typer.Option(
            "--probe-fence",
            help="Also try whether the brokers shut out a displaced owner, on a topic made for it and deleted.",
        ),
    ] = False,
    topic: Annotated[
        str | None,
        typer.Option(
            help="Try it on partition 0 of this topic instead, which nobody may read; it keeps a few records."
        ),
    ] = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Check an installation from end to end: what is wrong, and how to put it right.

    Looks at settings, rulebook, brokers, topics, Redis with its memory and persistence, clocks, the consumer group,
    and who owns the lanes. Ends with 1 when something has to be put right, and with 3 when Kafka or Redis does not
    answer; warnings alone end with 0.
    """
    from segmenter.adapters.findings import Mark
    from segmenter.wiring.doctor import examine

    findings = examine(settings_from(config), with_fence=probe_fence or topic is not None, topic=topic)
    marks = {finding.mark for finding in findings}
    if json:
        say_json({"is_well": marks <= {Mark.OK, Mark.WARNING}, "findings": [f.as_json() for f in findings]})
    else:
        _show(findings)
    if Mark.AWAY in marks:
        raise typer.Exit(ExitCode.UNREACHABLE)
    if Mark.FAULT in marks:
        raise typer.Exit(ExitCode.FAULTS)


def _show(findings: "Sequence[Finding]") -> None:
    say_table(
        ("what", "is", "found", "to do"),
        [(f.subject, f.mark, f.found, f.fix) for f in findings],
        wide=("found", "to do"),
    )
    troubles = sum(1 for f in findings if f.mark != "ok")
    say("all is well" if not troubles else f"{troubles} of {len(findings)} want attention")
