import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from segmenter.adapters.audit_result import AuditResult, keep_result, last_result
from segmenter.adapters.redis_client import connect
from segmenter.observability import Metrics
from segmenter.wiring.audit_watch import watch_audit

FOUND = AuditResult(finished_at_s=1_800_000_000, customers=900, differences=3, not_auditable=40, lanes_not_counted=1)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


def shown(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"segmenter_audit_{name}")


async def test_there_is_no_result_before_the_first_audit(client: Redis) -> None:
    assert await last_result(client, "seg") is None


async def test_a_result_takes_the_place_of_the_one_before(client: Redis) -> None:
    await keep_result(client, "seg", FOUND)
    calm = AuditResult(finished_at_s=1_800_000_600, customers=5, differences=0, not_auditable=0, lanes_not_counted=0)

    await keep_result(client, "seg", calm)

    assert await last_result(client, "seg") == calm


async def test_a_worker_shows_what_another_process_has_found(client: Redis) -> None:
    metrics = Metrics()
    watching = asyncio.create_task(watch_audit(client, "seg", metrics, every_s=0.01))
    before = shown(metrics, "differences")

    await keep_result(client, "seg", FOUND)
    async with asyncio.timeout(20):
        while not shown(metrics, "finished_timestamp_seconds"):  # noqa: ASYNC110 - another task shows it
            await asyncio.sleep(0.01)
    watching.cancel()

    assert before == 0
    names = ("differences", "customers", "not_auditable_customers", "finished_timestamp_seconds")
    assert [shown(metrics, name) for name in names] == [3, 900, 40, 1_800_000_000]
