"""`segmenter audit`: is what is stored what follows from the log?"""

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
    from segmenter.wiring.audit import AuditReport

_SHOWN = 200


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        short_help="Rebuild profiles from the log and compare.", epilog="Example: segmenter audit --customers 1000"
    )(audit)


def audit(
    customers: Annotated[
        int, typer.Option(min=1, help="Look at about so many, drawn by hash; whole buckets of customers are drawn.")
    ] = 1_000,
    is_all: Annotated[bool, typer.Option("--all", help="Look at everybody, and at all that lanes count.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed draws others; the same one the same.")] = 1,
    at_once: Annotated[
        int,
        typer.Option(
            min=1_000, help="Customers rebuilt in one pass over the log: more need memory, fewer more passes."
        ),
    ] = 100_000,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Rebuild profiles from the input topics, up to where the lanes have read them, and compare with what is stored.

    Also holds deadlines, ranks and who is held against the profiles, and with --all everything that lanes count.
    Workers may go on working. Lanes are worked off one after the other in passes over their partitions of the log,
    each for --at-once customers, which takes about 1 KB of memory a customer. Customers whose history began before
    the log does are counted as not auditable. Ends with 1 when there are differences, with 3 when Kafka or Redis
    does not answer.
    """
    from segmenter.wiring.audit import AuditOptions
    from segmenter.wiring.audit import audit as run

    settings = settings_from(config)
    options = AuditOptions(customers=None if is_all else customers, seed=seed, customers_at_once=at_once)
    with progress_of("reading") as progress:
        report = run(settings, options, progress)
    if json:
        say_json(report.as_json())
    else:
        _show(report)
    if report.differences:
        raise typer.Exit(ExitCode.FAULTS)


def _show(report: "AuditReport") -> None:
    if report.shown:
        say_table(
            ("lane", "customer", "field", "stored", "rebuilt"),
            [
                (str(d.lane), d.customer or "(all)", d.field, _written(d.live), _written(d.rebuilt))
                for d in report.shown[:_SHOWN]
            ],
            wide=("stored", "rebuilt"),
        )
    if report.differences > _SHOWN:
        say(f"and {report.differences - _SHOWN} more; --json shows up to 10,000")
    doubts = ", ".join(f"{count} {reason}" for reason, count in sorted(report.not_auditable.items()))
    say(f"{report.customers} customers, {report.differences} differences, not auditable: {doubts or 'none'}")
    if report.lanes_not_counted:
        lanes = ", ".join(map(str, report.lanes_not_counted))
        say(f"lanes {lanes} were written all the time: what they count was not compared; try again when it is calmer")
    say(f"{report.records} records in {report.passes} passes, {report.seconds:.1f} s")


def _written(value: "str | int | float | bool | None") -> str:
    return "-" if value is None else str(value)
