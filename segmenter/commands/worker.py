"""`segmenter worker`: the product itself."""

import gc

import typer

from segmenter.commands.shared import ConfigFile, settings_from


def register(parent: typer.Typer) -> None:
    """Add the command to its parent."""
    parent.command(
        short_help="Run a worker: events in, changes out.", epilog="Example: segmenter worker --config segmenter.toml"
    )(worker)


def worker(config: ConfigFile = None) -> None:
    """Read events from Kafka, keep profiles in Redis, publish every change; until it is stopped.

    Start as many as you like, on one machine or many: they share the lanes out among themselves. What to read,
    where and how is said by the settings, all of them listed in docs/settings.md. Health and metrics are on
    http://127.0.0.1:8080 (SEGMENTER_WEB_BIND): /health/live, /health/ready and /metrics.
    """
    settings = settings_from(config, is_service=True)
    # Half a second of work on a small machine: whoever has a wrong setting is told before it. Modules leave no
    # garbage worth looking for, so that begins when they are there.
    gc.disable()
    from segmenter.wiring.worker import run_worker

    run_worker(settings)
