"""`segmenter topics`: create the topics on Kafka, or check that they are as they must be."""

import typer

from segmenter.commands.shared import AsJson, ConfigFile, ExitCode, say, say_json, say_table, settings_from

app = typer.Typer(
    no_args_is_help=True, help="Create or check the topics on Kafka.", epilog="Example: segmenter topics create"
)


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.add_typer(app, name="topics")


@app.command("create", short_help="Create what is missing.", epilog="Example: segmenter topics create")
def create_topics(config: ConfigFile = None, json: AsJson = False) -> None:
    """Create the topics that are missing, with SEGMENTER_PARTITIONS partitions; leave the others as they are.

    Ends with 1 when one that is there is not as it must be, and with 3 when Kafka does not answer.
    """
    from segmenter.wiring import kafka

    results = kafka.create_topics(settings_from(config))
    if json:
        say_json({"topics": [{"topic": r.name, "is_new": r.is_new, "faults": list(r.faults)} for r in results]})
    else:
        say_table(
            ("topic", "was", "faults"),
            [(r.name, "created" if r.is_new else "there", "; ".join(r.faults)) for r in results],
            wide=("faults",),
        )
    if any(result.faults for result in results):
        raise typer.Exit(ExitCode.FAULTS)


@app.command("check", short_help="Tell what is wrong with them.", epilog="Example: segmenter topics check --json")
def check_topics(config: ConfigFile = None, json: AsJson = False) -> None:
    """Tell what is wrong with the topics, and with brokers that would forget too soon who owns a lane.

    Ends with 1 when something is, and with 3 when Kafka does not answer.
    """
    from segmenter.wiring import kafka

    settings = settings_from(config)
    faults = kafka.check_topics(settings)
    if json:
        say_json({"faults": faults})
    elif faults:
        say("\n".join(faults))
    else:
        say(f"the topics on {settings.kafka_bootstrap} are as they must be")
    if faults:
        raise typer.Exit(ExitCode.FAULTS)
