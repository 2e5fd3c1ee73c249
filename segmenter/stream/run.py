"""A worker's stream from the first check to the last commit."""

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import faust

from segmenter.errors import ConfigurationError
from segmenter.stream.app import build_app
from segmenter.stream.binding import Binding
from segmenter.stream.consumer import BatchConsumer
from segmenter.stream.ownership import NO_GENERATION
from segmenter.stream.partition_counts import count_faults
from segmenter.stream.source_log import KafkaSourceLog

log = logging.getLogger(__name__)


async def run_stream(binding: Binding, stop: asyncio.Event | None = None) -> None:
    """Run until `stop` is set, by default by SIGTERM or SIGINT; then end what is begun and leave the group.

    Raises ConfigurationError for settings and topics that cannot be used, TransientError where Kafka does not
    answer at the start, and whatever ended the engine or the app.
    """
    if stop is None:
        with stopping_on_signals() as signalled:
            await _run(binding, signalled)
    else:
        await _run(binding, stop)


@contextmanager
def stopping_on_signals() -> Iterator[asyncio.Event]:
    """Give an event that the first SIGTERM or SIGINT sets; the second ends the process where it stands."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _run(binding: Binding, stop: asyncio.Event) -> None:
    await _refuse_faults(binding)
    with tempfile.TemporaryDirectory(prefix="segmenter-") as directory:
        await binding.engine.start()
        app = build_app(binding, Path(directory))
        # Ends by itself when the app has stopped; cancelled, it would leave a task of its own behind.
        end = asyncio.create_task(app.wait_until_stopped(), name="app end")
        try:
            await _run_until(app, stop, end)
        finally:
            await _shut_down(app, binding)
            await asyncio.wait([end], timeout=1)


async def _refuse_faults(binding: Binding) -> None:
    settings = binding.settings
    settings.refuse_faults()
    if binding.are_topics_checked:
        return
    counts = await KafkaSourceLog(settings.bootstrap).partition_counts(settings.topics)
    if faults := count_faults(counts, settings):
        raise ConfigurationError(faults)


async def _run_until(app: faust.App, stop: asyncio.Event, end: "asyncio.Task[None]") -> None:
    """Return when `stop` is set; raise what ends the app before that."""
    start = asyncio.create_task(app.start(), name="app start")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait([start, stopping, end], return_when=asyncio.FIRST_COMPLETED)
        if start.done():
            start.result()
            await asyncio.wait([stopping, end], return_when=asyncio.FIRST_COMPLETED)
    finally:
        start.cancel()
        stopping.cancel()
        await asyncio.gather(start, stopping, return_exceptions=True)
    if app.crashed:
        raise app.crash_reason


async def _shut_down(app: faust.App, binding: Binding) -> None:
    """Stop intake, end the poll in flight, drain what is on its way out, show the last positions, leave the group.

    A step that overruns its share of the budget is given up: the others must have theirs.
    """
    consumer: BatchConsumer = app.consumer
    can_show = binding.ownership.generation != NO_GENERATION and not app.crashed
    steps: list[tuple[str, float, Callable[[], Awaitable[None]]]] = [
        ("end the poll in flight", 0.3, consumer.halt),
        ("drain the engine", 0.7, binding.engine.stop),
        ("show positions", 0.8, consumer.mirror.show if can_show else _nothing),
        ("leave the group", 1.0, app.stop),
    ]
    started_at = asyncio.get_running_loop().time()
    for name, share, step in steps:
        try:
            async with asyncio.timeout_at(started_at + share * binding.settings.shutdown_budget_s):
                await step()
        except TimeoutError:
            log.error("shutdown_step_too_slow", extra={"step": name})  # noqa: TRY400  # a trace says no more
        except Exception:
            log.exception("shutdown_step_failed", extra={"step": name})


async def _nothing() -> None:
    """Do nothing: there is nothing to show, or nobody left to show it."""
