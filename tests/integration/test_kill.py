"""A worker is killed in the midst of its work, again and again: every change is told once, and none is missing."""

import asyncio
from pathlib import Path

from segmenter.domain.instants import SECOND
from tests.integration.busy_shop import BRANCH, busy_shop, sell
from tests.integration.checker import by_sequence, check, differences, expected_changes, hear
from tests.integration.conftest import SiteMaker
from tests.integration.workload import Shop, at_of, until_ready, until_shared

# Classes move silently: when a boundary reaches a lane is not the same in two runs.
RULES = "lifecycle: {inactive_after: 6s}\nvalue: {min_ranked: 1000000}\n"
SETTINGS = {"allowed_lateness": "5s", "announce_from": "2020-01-01T00:00:00Z"}
KILLS = 3
LOAD_S = 42


async def test_three_kills_under_load_leave_every_change_told_exactly_once(
    make_site: SiteMaker, tmp_path: Path
) -> None:
    site = make_site(RULES, settings=SETTINGS, **BRANCH)
    await site.make_topics()
    workers = [site.start_worker(), site.start_worker()]
    async with site.lanes() as lanes, Shop(site) as shop:
        until_ready(workers)
        await until_shared(lanes, 2)
        events = busy_shop(2_500, site.clock.now(), LOAD_S)
        selling = asyncio.create_task(sell(shop, events, site.clock.now))
        for turn in range(KILLS):
            await asyncio.sleep(4)
            workers[turn % 2].kill()
            workers[turn % 2] = site.start_worker()
            await asyncio.sleep(LOAD_S / KILLS - 6)
        await selling
        rest_at = at_of(events[-1]) + 10 * SECOND
        await lanes.until_settled(rest_at, 60)
        assert len(set(await lanes.owners())) == 2

    heard = await hear(site.bootstrap, site.outputs())
    check(heard)
    expected = await expected_changes(events, site.rulebook, rest_at, tmp_path)
    found = by_sequence(heard.changes)
    assert differences(expected, found) == []
    assert len(expected) > 10_000
    assert heard.rejected == []
