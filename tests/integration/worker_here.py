"""A worker in this process, whose numbers the test can read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from segmenter.observability import Metrics
from segmenter.settings import Settings
from segmenter.wiring.rules import rulebook_of
from segmenter.wiring.worker import Circumstances, work
from tests.integration.workload import Site


@asynccontextmanager
async def worker_here(site: Site) -> AsyncIterator[Metrics]:
    """Run a worker of this installation until the end of the context."""
    settings, metrics, stop = Settings.model_validate(site._worker_settings()), Metrics(), asyncio.Event()
    circumstances = Circumstances(clock=site.clock, metrics=metrics, rulebook=rulebook_of(settings))
    worker = asyncio.create_task(work(settings, circumstances, stop), name="worker")
    try:
        yield metrics
    finally:
        stop.set()
        await worker


def count_of(metrics: Metrics, name: str, **labels: str) -> float:
    """Return a number of the metrics page."""
    return metrics.registry.get_sample_value(name, labels) or 0.0
