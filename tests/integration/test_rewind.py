"""Redis is put back to an older dump in mid-run: no sequence is lost or given twice, and the end is the same."""

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta

import pytest

from segmenter.domain.instants import SECOND
from tests.bench.redis import RedisServer
from tests.integration.busy_shop import BRANCH, busy_shop, sell
from tests.integration.checker import against_model, check, check_at_rest, hear
from tests.integration.conftest import SiteMaker
from tests.integration.workload import Shop, at_of, until_ready, until_shared
from tests.oracle.model import Terms

RULES = "lifecycle: {inactive_after: 6s}\nvalue: {window: all, band: 0, dwell: 0s, min_ranked: 50}\n"
SETTINGS = {"announce_from": "2020-01-01T00:00:00Z"}
MODEL = Terms(inactive_after=timedelta(seconds=6), window=None)
# How old the dump is when it comes back. What is lost must be longer than a round of the leader, or a kill.
AGE_S = float(os.environ.get("REWIND_AGE_S", "6"))


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def test_a_dump_put_back_twice_in_mid_run_costs_no_sequence_and_no_event(
    make_site: SiteMaker, redis: RedisServer
) -> None:
    site = make_site(RULES, redis_url=redis.url, settings=SETTINGS, **BRANCH)
    await site.make_topics()
    workers = [site.start_worker(), site.start_worker()]
    async with site.lanes() as lanes, Shop(site) as shop:
        until_ready(workers)
        await until_shared(lanes, 2)
        events = busy_shop(2_000, site.clock.now(), 3 * AGE_S + 6)
        selling = asyncio.create_task(sell(shop, events, site.clock.now))
        await asyncio.sleep(4)
        dump = await asyncio.to_thread(redis.dump)
        await asyncio.sleep(AGE_S)
        await asyncio.to_thread(redis.restore, dump)
        await asyncio.sleep(AGE_S)
        # The second time a worker dies with it: half of the lanes are found put back by one who never had them.
        workers[0].kill()
        await asyncio.to_thread(redis.restore, dump)
        site.start_worker()
        await selling
        await lanes.until_at_rest(at_of(events[-1]) + 10 * SECOND, 60)
        profiles = await lanes.profiles({event["customer_id"] for event in events})
        site.stop_workers()

    heard = await hear(site.bootstrap, site.outputs())
    check(heard)
    check_at_rest(heard, profiles)
    assert against_model(events, profiles, MODEL) == []
    assert heard.rejected == []
