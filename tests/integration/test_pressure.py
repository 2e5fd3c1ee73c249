"""Servers that are full, gone, or refuse to take records: the worker waits, says so, goes on, and loses nothing.

Outages of 8 to 12 s stand here for ten minutes: they are longer than every time-out but those of the longest pauses.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from segmenter.domain.instants import SECOND
from segmenter.observability import Metrics
from segmenter.ports import Output
from tests.bench.kafka import KafkaCluster
from tests.bench.redis import RedisServer
from tests.bench.topics import create_topics
from tests.integration.checker import check, hear
from tests.integration.conftest import SiteMaker
from tests.integration.till import Till
from tests.integration.worker_here import count_of, worker_here
from tests.integration.workload import Shop, Site

pytestmark = pytest.mark.kafka
RULES = "lifecycle: {inactive_after: 90d}\nvalue: {min_ranked: 1000000}\n"
SETTINGS = {"announce_from": "2020-01-01T00:00:00Z"}
LANES = 4
PATIENCE_S = 60


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def own_kafka(kafka: KafkaCluster) -> Iterator[KafkaCluster]:
    """A broker that may be killed; the shared one only tells whether there can be any."""
    with KafkaCluster() as cluster:
        yield cluster


@asynccontextmanager
async def selling(site: Site) -> AsyncIterator[tuple[Till, Metrics]]:
    """Give a till and the numbers of a worker that has told its first hundred sales."""
    await site.make_topics()
    async with worker_here(site) as metrics, Shop(site) as shop:
        till = Till(site, shop)
        await till.sell(100)
        await until(lambda: told(metrics) == 100)
        yield till, metrics


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_true():  # noqa: ASYNC110  # numbers of a worker tell no event
            await asyncio.sleep(0.1)


def told(metrics: Metrics) -> float:
    """Return how many changes brokers have acknowledged."""
    return count_of(metrics, "segmenter_end_to_end_seconds_count")


def waiting(metrics: Metrics) -> float:
    """Return how many lanes wait for a server."""
    return sum(count_of(metrics, "segmenter_lanes", state=state) for state in ("paused", "full", "takeover"))


async def check_all_told(site: Site, till: Till) -> None:
    """Check that every sale was told once, in order, and nothing was put aside."""
    heard = await hear(site.bootstrap, site.outputs())
    check(heard)
    assert sorted(change["customer_id"] for change in heard.changes) == sorted(till.sold)
    assert heard.rejected == []


def site_of(make_site: SiteMaker, **servers: Any) -> Site:
    return make_site(RULES, settings=SETTINGS | servers.pop("settings", {}), partitions=LANES, **servers)


async def test_a_full_redis_is_waited_for_without_taking_lanes_over_again_and_again(
    make_site: SiteMaker, own_redis: RedisServer
) -> None:
    site = site_of(make_site, redis_url=own_redis.url)
    async with selling(site) as (till, metrics):
        taken, dealt = takeovers(metrics), count_of(metrics, "segmenter_rebalances_total")
        configure(own_redis, "maxmemory", "1mb")

        await till.sell(300)
        await until(lambda: waiting(metrics) == LANES)
        await asyncio.sleep(8)
        refused = count_of(metrics, "segmenter_refusals_total", kind="full")
        taken_meanwhile = takeovers(metrics) - taken
        configure(own_redis, "maxmemory", "0")
        await until(lambda: told(metrics) == 400 and not waiting(metrics))
        dealt_meanwhile = count_of(metrics, "segmenter_rebalances_total") - dealt

    await check_all_told(site, till)
    assert taken_meanwhile == 0
    # With pauses that double from 0.5 s there are five tries a lane in 8 s, and some before; not ten a second.
    assert LANES <= refused <= 10 * LANES
    assert dealt_meanwhile == 0


def takeovers(metrics: Metrics) -> float:
    return sum(
        count_of(metrics, "segmenter_takeovers_total", outcome=outcome)
        for outcome in ("done", "lost", "timed_out", "failed")
    )


def configure(redis: RedisServer, name: str, value: str) -> None:
    with redis.client() as client:
        client.config_set(name, value)


@pytest.mark.parametrize("how", ["frozen", "dead"])
async def test_a_redis_that_is_gone_is_waited_for(make_site: SiteMaker, own_redis: RedisServer, how: str) -> None:
    site = site_of(make_site, redis_url=own_redis.url)
    async with selling(site) as (till, metrics):
        dealt = count_of(metrics, "segmenter_rebalances_total")
        dump = await asyncio.to_thread(own_redis.dump)
        if how == "dead":
            own_redis.kill()
        else:
            own_redis.pause()

        await till.sell(300)
        await until(lambda: waiting(metrics) == LANES)
        await asyncio.sleep(4)
        told_meanwhile = told(metrics)
        if how == "dead":
            await asyncio.to_thread(own_redis.restore, dump)
        else:
            own_redis.resume()
        await until(lambda: told(metrics) == 400 and not waiting(metrics))
        dealt_meanwhile = count_of(metrics, "segmenter_rebalances_total") - dealt

    await check_all_told(site, till)
    assert told_meanwhile == 100
    assert dealt_meanwhile == 0


async def test_a_kafka_that_is_gone_is_waited_for(make_site: SiteMaker, own_kafka: KafkaCluster) -> None:
    site = site_of(make_site, bootstrap=own_kafka.bootstrap)
    async with selling(site) as (till, metrics):
        commits = count_of(metrics, "segmenter_commits_total")
        own_kafka.kill()
        await asyncio.sleep(10)
        held = site.clock.now() - await watermark(site)
        await asyncio.to_thread(own_kafka.restart)
        await till.sell(300)
        await until(lambda: told(metrics) == 400)

        assert count_of(metrics, "segmenter_commits_total") > commits
    await check_all_told(site, till)
    # Cut off from Kafka it has aged nobody.
    assert held > 8 * SECOND


async def watermark(site: Site) -> int:
    async with site.lanes() as lanes:
        return max(state.notes.watermark for state in await lanes.states())


async def gone(site: Site, is_gone: bool) -> None:
    """Delete the topic of changes, or make it anew."""
    topic = site.outputs()[Output.CHANGES]
    if not is_gone:
        await create_topics(site.bootstrap, {topic: LANES})
        return
    async with admin_of(site) as admin:
        await admin.delete_topics([topic])


@asynccontextmanager
async def admin_of(site: Site) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=site.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def test_an_output_topic_that_is_gone_stops_intake_at_the_bound_of_the_outbox(
    make_site: SiteMaker, own_kafka: KafkaCluster
) -> None:
    most, batch, sold = 1_000, 200, 12_000
    settings = {"outbox_entries": most, "batch_size": batch}
    site = site_of(make_site, bootstrap=own_kafka.bootstrap, settings=settings)
    async with selling(site) as (till, metrics):
        before = await hear(site.bootstrap, site.outputs())
        dealt = count_of(metrics, "segmenter_rebalances_total")
        await gone(site, True)
        await till.sell(sold)
        await until(lambda: waiting(metrics) == LANES)
        deepest = await deepest_of(metrics, 4)

        await gone(site, False)
        # Every sale writes a change and a membership.
        await until(lambda: told(metrics) >= 100 + sold)
        dealt_meanwhile = count_of(metrics, "segmenter_rebalances_total") - dealt
        await until(lambda: not waiting(metrics))

    heard = await hear(site.bootstrap, site.outputs())
    known = {change["change_id"]: change for change in (*before.changes, *heard.changes)}
    assert sorted(change["customer_id"] for change in known.values()) == sorted(till.sold)
    assert json.loads(heard.records[Output.MEMBERSHIPS][-1].value)
    # One commit more than the bound: it is looked at after each.
    assert most <= deepest <= most + 2 * batch
    assert dealt_meanwhile == 0


async def deepest_of(metrics: Metrics, seconds: float) -> float:
    """Return how full the fullest outbox was in this time."""
    deepest = 0.0
    for _ in range(int(seconds * 10)):
        depths = [count_of(metrics, "segmenter_outbox_entries", partition=str(lane)) for lane in range(LANES)]
        deepest = max(deepest, *depths)
        await asyncio.sleep(0.1)
    return deepest
