"""The audit, after real traffic with kills: it finds nothing where all is well, and every planted fault."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from redis import Redis

from segmenter.engine.audit import Doubt
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


async def test_who_is_older_than_the_log_is_counted_and_not_compared(make_site: SiteMaker) -> None:
    site = make_site(RULES, keyed=OTHERS, counts=COUNTS, partitions=2)
    await site.make_topics()
    until_ready([site.start_worker()])
    now = site.clock.now()
    await asyncio.to_thread(send_mixed, site, mixed_events(400, now))
    async with site.lanes() as lanes:
        await lanes.until_at_rest(now, 120)
        sample = await asyncio.to_thread(audited, site, AuditOptions(customers=50))
        positions = [state.positions[f"{site.topic('orders')}/0"] for state in (await lanes.states())[:1]]
        await delete_before(site, "orders", 0, positions[0] // 2)

        found = await asyncio.to_thread(audited, site)

    assert (sample.differences, sample.not_auditable.total()) == (0, 0)
    assert 20 < sample.customers < 150
    assert [difference.as_json() for difference in found.shown] == []
    assert set(found.not_auditable) == {Doubt.LOG_BEGINS_LATER}
    # Lane 1 has all its log.
    assert 50 < found.not_auditable.total() < 0.6 * found.customers


async def delete_before(site: Site, role: str, partition: int, offset: int) -> None:
    """Let Kafka forget the beginning of a partition, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=site.bootstrap)
    await admin.start()
    try:
        place = TopicPartition(site.topic(role), partition)
        await admin.delete_records({place: RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()
