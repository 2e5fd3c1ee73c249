"""A rulebook is applied while events flow, and a worker is killed on the way: all stored customers end under it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from segmenter.adapters.home import home_of
from segmenter.domain.instants import SECOND
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.standing import standing_at
from segmenter.ports import Hold, LaneState
from segmenter.settings import Settings
from segmenter.wiring.holds import give_order, list_holds
from segmenter.wiring.revisions import apply_file, list_revisions, status_of
from segmenter.wiring.rules import rulebook_in_revision
from tests.integration.busy_shop import busy_shop
from tests.integration.checker import Told, check, check_numbers, hear
from tests.integration.conftest import SiteMaker
from tests.integration.workload import Lanes, Shop, Site, at_of, until_ready, until_shared

RULES = "lifecycle: {inactive_after: 6s}\nvalue: {min_ranked: 1000000, dwell: 0}\nstorm: off\n"
APPLIED = """rulebook: 1
lifecycle: {inactive_after: 8s}
value: {min_ranked: 1000000, dwell: 0, window: 20s}
storm: off
segments:
  often: {when: {measure: orders, at_least: 3}}
  lately: {when: {measure: orders, within: 5s, at_least: 1}}
  both: {when: {all: [{segment: often}, {segment: lately}]}}
"""
SETTINGS = {"allowed_lateness": "5s", "announce_from": "2020-01-01T00:00:00Z"}
CUSTOMERS = 2_000
LOAD_S = 24


def settings_of(site: Site) -> Settings:
    return Settings.model_validate(site._worker_settings())


def is_done(states: Any, revision: int) -> bool:
    return all(state.notes.revision == revision and state.notes.walk is None for state in states)


async def test_apply_under_load_with_a_kill_leaves_everybody_under_the_new_rules(
    make_site: SiteMaker, tmp_path: Path
) -> None:
    site = make_site(RULES, settings=SETTINGS, partitions=4)
    await site.make_topics()
    settings, file = settings_of(site), tmp_path / "applied.yaml"
    file.write_text(APPLIED)
    workers = [site.start_worker(), site.start_worker()]
    async with site.lanes() as lanes, Shop(site) as shop:
        until_ready(workers)
        await until_shared(lanes, 2)
        events = busy_shop(CUSTOMERS, site.clock.now(), LOAD_S)
        selling = asyncio.create_task(shop.send_live(events, site.clock.now))
        await asyncio.sleep(LOAD_S / 3)
        applied = await asyncio.to_thread(apply_file, settings, file, is_announced=False, comment="more")
        assert (applied.revision.number, applied.mirror_fault) == (2, "")
        await lanes.until(lambda states: any(state.notes.revision == 2 for state in states), 20)
        workers[0].kill()
        workers[0] = site.start_worker()
        await selling
        await lanes.until(lambda states: is_done(states, 2), 90)
        rest_at = at_of(events[-1]) + 2 * SECOND
        await lanes.until_settled(rest_at, 90)
        site.stop_workers()
        customers = sorted({event["customer_id"] for event in events})
        profiles = await lanes.profiles(customers)
        states = await lanes.states()
        await _check_all(lanes, profiles, states, rulebook_in_revision(applied.revision, settings))

    status = await asyncio.to_thread(status_of, settings)
    assert status.is_done
    assert [kept.number for kept in await asyncio.to_thread(list_revisions, settings)] == [2, 1]
    heard = await hear(site.bootstrap, site.outputs())
    assert heard.rejected == []
    for output, records in heard.records.items():
        check_numbers(output, records)
    _check_told(heard.changes)
    _check_memberships(heard.memberships, profiles)
    assert await mirrored(site) == ["1", "2"]


async def _check_all(
    lanes: Lanes, profiles: dict[str, Profile | None], states: list[LaneState], rulebook: Rulebook
) -> None:
    ranked = {}
    for state in states:
        ranked.update({c: r for r, c in await lanes.store.ranked(state.lane, 0, 2**60, None, 100_000)})
    in_often = 0
    for customer, profile in profiles.items():
        assert profile is not None, customer
        boundary = states[home_of(customer, lanes.partitions)].notes.boundary
        anew = standing_at(profile.settled_at, profile, rulebook, boundary)
        present = {dimension: standing.segment for dimension, standing in profile.present.items()}
        assert present == anew.segments, customer
        assert profile.unannounced.keys() <= {"value"}, customer
        assert ranked.get(customer) == profile.ranked_revenue, customer
        in_often += present.get("custom.often") == "in"
    assert in_often > CUSTOMERS / 4


def _check_told(changes: Iterable[Told]) -> None:
    """Sets are numbered without gaps; by the same revision each begins where the one before ended."""
    by_customer: dict[str, list[Told]] = defaultdict(list)
    for change in changes:
        by_customer[change["customer_id"]].append(change)
    revisions = {change["rulebook_revision"] for told in by_customer.values() for change in told}
    assert revisions == {1, 2}
    for customer, told in by_customer.items():
        assert [change["sequence"] for change in told] == list(range(1, len(told) + 1)), customer
        assert sorted(told, key=lambda change: change["rulebook_revision"]) == told, customer
        standing: dict[tuple[int, str], str | None] = {}
        for change in told:
            for move in change["changes"]:
                place = change["rulebook_revision"], move["dimension"]
                assert move["before"] == standing.get(place, move["before"]), f"{customer}: {move} after {standing}"
                standing[place] = move["after"]


def _check_memberships(memberships: Mapping[str, Told], profiles: Mapping[str, Profile | None]) -> None:
    for customer, profile in profiles.items():
        assert profile is not None, customer
        for dimension, standing in profile.present.items():
            assert memberships[customer]["segments"][dimension] == standing.segment, customer


async def mirrored(site: Site) -> list[str]:
    consumer = AIOKafkaConsumer(bootstrap_servers=site.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(site.topic("rulebook"), 0)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        batches = await consumer.getmany(timeout_ms=5_000)
        return [record.key.decode() for records in batches.values() for record in records]
    finally:
        await consumer.stop()


async def test_the_red_button_silences_two_workers_under_load_and_ends_with_one_set_each(
    make_site: SiteMaker,
) -> None:
    site = make_site("value: {min_ranked: 1000000, dwell: 0}\n", settings=SETTINGS, partitions=4)
    await site.make_topics()
    settings = settings_of(site)
    workers = [site.start_worker(), site.start_worker()]
    async with site.lanes() as lanes, Shop(site) as shop:
        until_ready(workers)
        await until_shared(lanes, 2)
        events = busy_shop(1_000, site.clock.now(), 16)
        selling = asyncio.create_task(shop.send_live(events, site.clock.now))
        await asyncio.sleep(3)
        order = await asyncio.to_thread(give_order, settings, "all", Hold.HELD, "a test")
        await lanes.until(lambda states: all(state.notes.orders >= order.number for state in states), 10)
        numbers = [state.next_seq for state in await lanes.states()]
        workers[0].kill()
        workers[0] = site.start_worker()
        await selling
        rest_at = at_of(events[-1]) + 2 * SECOND
        await lanes.until_settled(rest_at, 90)
        quiet = [state.next_seq for state in await lanes.states()]
        [view] = await asyncio.to_thread(list_holds, settings)
        await asyncio.to_thread(give_order, settings, "all", Hold.RELEASED, "")
        await lanes.until(lambda states: all(s.notes.walk is None and not s.notes.held for s in states), 60)
        await lanes.until_settled(rest_at, 60)
        told = [state.next_seq for state in await lanes.states()]

    assert [each["changes"] for each in quiet] == [each["changes"] for each in numbers]  # type: ignore[index]
    assert view.waiting > 100
    heard = await hear(site.bootstrap, site.outputs())
    check(heard)
    released = sum(after["changes"] - before["changes"] for after, before in zip(told, quiet, strict=True))  # type: ignore[index]
    assert 0 < released <= view.waiting
