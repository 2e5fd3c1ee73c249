"""`segmenter publish`: send event files to Kafka."""

from typing import Annotated

import typer

from segmenter.commands.shared import AsJson, ConfigFile, ExitCode, progress_of, say, say_json, settings_from


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        short_help="Send event files to Kafka.",
        epilog="Example: segmenter publish examples/events/first-day.jsonl --rate 100",
    )(publish)


def publish(
    events: Annotated[str, typer.Argument(metavar="EVENTS", help="JSON Lines, .gz too; - is standard input.")],
    topic: Annotated[
        str | None, typer.Option(help="Send all to this topic instead of the one of each event's type.")
    ] = None,
    rate: Annotated[int | None, typer.Option(min=1, help="Records a second at most.")] = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Send events to Kafka as they are, keyed by customer id and stamped with now.

    Lines that are no events are sent too: what becomes of them is the workers' business. Ends with 1 when lines
    were too large for Kafka, and with 3 when Kafka does not answer.
    """
    from segmenter.wiring import kafka

    settings = settings_from(config)
    with progress_of("sending") as progress:
        fed = kafka.publish(settings, events, topic=topic, rate=rate, progress=progress)
    if json:
        say_json({"sent": dict(fed.sent), "too_large": list(fed.too_large), "seconds": round(fed.seconds, 3)})
    else:
        for name, count in fed.sent.items():
            say(f"{count} to {name}")
        if not fed.sent:
            say("nothing to send")
        for line in fed.too_large:
            say(f"line {line} is larger than the 1,000,000 bytes that Kafka takes, and was not sent")
    if fed.too_large:
        raise typer.Exit(ExitCode.FAULTS)
