"""Frozen workers, a Redis that does not answer, a broker that dies: each change is told once, and none is missing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from segmenter.domain.instants import SECOND
from tests.bench.kafka import KafkaCluster
from tests.bench.redis import RedisServer
from tests.integration.busy_shop import BRANCH, busy_shop, sell
from tests.integration.checker import by_sequence, check, differences, expected_changes, hear
from tests.integration.conftest import SiteMaker
from tests.integration.workload import Shop, at_of, until_ready, until_shared

# Classes move silently: when a boundary reaches a lane is not the same in two runs.
RULES = "lifecycle: {inactive_after: 6s}\nvalue: {min_ranked: 1000000}\n"
SETTINGS = {"allowed_lateness": "5s", "announce_from": "2020-01-01T00:00:00Z"}
FIRST_S, SECOND_S = 26, 8


@pytest.fixture
def own_kafka(kafka: KafkaCluster) -> Iterator[KafkaCluster]:
    """A broker that may be killed; the shared one only tells whether there can be any."""
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def test_every_change_is_told_exactly_once_whoever_freezes_or_dies(
    make_site: SiteMaker, own_kafka: KafkaCluster, own_redis: RedisServer, tmp_path: Path
) -> None:
    site = make_site(RULES, bootstrap=own_kafka.bootstrap, redis_url=own_redis.url, settings=SETTINGS, **BRANCH)
    await site.make_topics()
    frozen, other = workers = [site.start_worker(), site.start_worker()]
    async with site.lanes() as lanes, Shop(site) as shop:
        until_ready(workers)
        await until_shared(lanes, 2)
        events = busy_shop(1_500, site.clock.now(), FIRST_S)
        selling = asyncio.create_task(sell(shop, events, site.clock.now))

        # Frozen for longer than the session: its lanes are given away, and it wakes believing they are its own.
        await asyncio.sleep(3)
        frozen.pause()
        await asyncio.sleep(10)
        frozen.resume()
        await asyncio.sleep(5)
        own_redis.pause()
        await asyncio.sleep(4)
        own_redis.resume()
        await selling

        # The broker dies with the last of it unread, while nobody sells, and comes back.
        own_kafka.kill()
        await asyncio.sleep(2)
        await asyncio.to_thread(own_kafka.restart)
        later = busy_shop(500, site.clock.now(), SECOND_S, seed=8)
        await sell(shop, later, site.clock.now)
        rest_at = at_of(later[-1]) + 10 * SECOND
        await lanes.until_settled(rest_at, 90)
        site.stop_workers()

    heard = await hear(site.bootstrap, site.outputs())
    check(heard)
    expected = await expected_changes([*events, *later], site.rulebook, rest_at, tmp_path)
    assert differences(expected, by_sequence(heard.changes)) == []
    assert heard.rejected == []
    assert (frozen.exit_code, other.exit_code) == (0, 0)
