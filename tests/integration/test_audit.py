"""The audit, after real traffic with kills: it finds nothing where all is well, and every planted fault."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import Redis

from segmenter.settings import Settings
from segmenter.wiring.audit import AuditOptions, AuditReport, audit
from tests.integration.conftest import SiteMaker
from tests.integration.damage import DAMAGES, Lane, is_suitable
from tests.integration.mixed_shop import COUNTS, OTHERS, mixed_events, send_mixed
from tests.integration.workload import Site, until_ready

CUSTOMERS = 20_000
RULES = "lifecycle: {inactive_after: 20m}\nvalue: {min_ranked: 10, dwell: 1h}\n"
KILLS = 2
EVERYBODY, IN_PASSES = AuditOptions(), AuditOptions(customers_at_once=8_000)


@pytest.fixture
async def site(make_site: SiteMaker, tmp_path: Path) -> AsyncIterator[Site]:
    """An installation that has read the mixed shop's events, with kills meanwhile; its workers have ended."""
    found = make_site(RULES, keyed=OTHERS, counts=COUNTS, partitions=4)
    await found.make_topics()
    workers = [found.start_worker(), found.start_worker()]
    until_ready(workers)
    now = found.clock.now()
    sending = asyncio.create_task(asyncio.to_thread(send_mixed, found, mixed_events(CUSTOMERS, now)))
    for turn in range(KILLS):
        await asyncio.sleep(3)
        workers[turn].kill()
        workers[turn] = found.start_worker()
    await sending
    async with found.lanes() as lanes:
        await lanes.until_at_rest(now, 240)
        yield found


def audited(site: Site, options: AuditOptions = EVERYBODY) -> AuditReport:
    """Audit an installation."""
    settings = Settings.model_validate(site._worker_settings())
    return audit(settings, options, lambda _done, _of: None)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_planted_fault_is_found_and_nothing_where_all_is_well(site: Site) -> None:
    # Workers are still at work.
    sound = await asyncio.to_thread(audited, site)
    assert [difference.as_json() for difference in sound.shown] == []
    assert sound.customers > CUSTOMERS * 0.9
    assert sound.not_auditable.total() == 0
    assert sound.lanes_not_counted == []

    site.stop_workers()
    with Redis.from_url(site.redis_url) as redis:
        planted = plant(redis)
    damaged = await asyncio.to_thread(audited, site, IN_PASSES)
    found = {(difference.customer, difference.field) for difference in damaged.shown}
    assert planted - found == set()
    assert {customer for customer, _ in found} == {customer for customer, _ in planted}
    assert len(planted) == len(DAMAGES)
    assert (sound.passes, damaged.passes > 2, damaged.customers) == (1, True, sound.customers)
    print(f"{sound.customers} customers, {sound.records} records in {sound.seconds:.0f} s, {damaged.passes} passes")


def plant(redis: Redis) -> set[tuple[str | None, str]]:
    """Put each fault into another customer of lane 0."""
    lane = Lane(redis, 0)
    suitable = (profile for profile in lane.profiles() if is_suitable(profile))
    return {damage(lane, next(suitable)) for damage in DAMAGES}
