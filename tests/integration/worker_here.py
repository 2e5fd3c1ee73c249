"""A worker in this process, whose numbers the test can read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from segmenter.domain.instants import Instant
from segmenter.observability import Metrics
from segmenter.settings import Settings
from segmenter.wiring.rules import rulebook_of
from segmenter.wiring.worker import Circumstances, system_time, work
from tests.integration.workload import Site


@asynccontextmanager
async def worker_here(site: Site, time_of_machine: Callable[[], Instant] = system_time) -> AsyncIterator[Metrics]:
    """Run a worker of this installation until the end of the context, on a machine that shows this time."""
    settings, metrics, stop = Settings.model_validate(site._worker_settings()), Metrics(), asyncio.Event()
    circumstances = Circumstances(
        clock=site.clock, metrics=metrics, rulebook=rulebook_of(settings), system_time=time_of_machine
    )
    worker = asyncio.create_task(work(settings, circumstances, stop), name="worker")
    try:
        yield metrics
    finally:
        stop.set()
        await worker


def count_of(metrics: Metrics, name: str, **labels: str) -> float:
    """Return a number of the metrics page."""
    return metrics.registry.get_sample_value(name, labels) or 0.0
