"""What an applied rulebook does to stored customers, on real servers: as previewed, and held where too many leave."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from segmenter.domain.conditions import OUT, is_declared
from segmenter.domain.instants import MILLISECOND, SECOND, Instant, instant_of, rfc3339
from segmenter.domain.profile import Profile
from segmenter.domain.walking import END_OF_WALK
from segmenter.engine.audit import Doubt
from segmenter.ports import Commit, Hold, Refused, Token, Walk
from segmenter.settings import Settings
from segmenter.wiring.audit import AuditOptions, audit
from segmenter.wiring.holds import give_order, list_holds
from segmenter.wiring.preview import preview
from segmenter.wiring.revisions import apply_file
from segmenter.wiring.rules import rulebook_in
from tests.bench.topics import create_topics
from tests.integration.checker import Told, check_numbers, check_sequences, hear
from tests.integration.conftest import SiteMaker
from tests.integration.test_rulebook_life import mirrored
from tests.integration.workload import Lanes, Shop, Site, until_ready, until_shared
from tests.oracle.jsonl import JsonEvent
from tests.oracle.uk import uk_events

UK_END = instant_of(datetime(2011, 12, 10, tzinfo=UTC))
UK_RULES = (
    "currency: GBP\nlifecycle: {inactive_after: 90d}\nvalue: {window: all, band: 0, dwell: 0s, min_ranked: 1}\n"
)
UK_PLANNED = """rulebook: 1
currency: GBP
lifecycle: {inactive_after: 120d}
value: {window: 365d, a: 0.7, b: 0.9, band: 0, dwell: 0s, min_ranked: 1}
rfm:
  window: all
  recency: [14d, 33d, 72d, 180d]
  frequency: [1, 2, 3, 6]
  monetary: ["250.106", "489.724", "941.942", "2057.914"]
  groups:
    champions: {r: ">=4", f: ">=4", m: ">=4"}
    at_risk: {any: [{r: "<=2", f: ">=3"}, {r: "<=2", m: ">=4"}]}
storm: off
segments:
  best_gone_quiet: {when: {all: [{in: {value: [A]}}, {absent: order, for: 60d}]}}
  regulars: {when: {measure: orders, within: 180d, at_least: 3}}
  regulars_who_return: {when: {all: [{segment: regulars}, {measure: refund_rate, more_than: 0.05}]}}
  big_baskets: {when: {measure: average_order, at_least: 500}, announce: all}
"""
SETTINGS = {"allowed_lateness": "1s", "announce_from": "2005-01-01T00:00:00Z"}
QUIET = "lifecycle: {inactive_after: 10d}\nvalue: {min_ranked: 1000000, dwell: 0}\n"
STORM = "storm: {leave_share: 0.2, within: 10m, at_least: 20}\n"
BUYERS = 600


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of an edit that was announced and held: who left the segment, and what waited to be told."""

    leaving: frozenset[str]
    waiting: int


def settings_of(site: Site) -> Settings:
    return Settings.model_validate(site._worker_settings())


def written(directory: Path, text: str) -> Path:
    file = directory / f"applied-{abs(hash(text))}.yaml"
    file.write_text(text)
    return file


async def apply(site: Site, lanes: Lanes, file: Path, *, is_announced: bool = False) -> int:
    """Apply a rulebook, and return its number when every lane is done with it."""
    applied = await asyncio.to_thread(apply_file, settings_of(site), file, is_announced=is_announced, comment="")
    number = applied.revision.number
    await lanes.until(lambda states: all(s.notes.revision == number and s.notes.walk is None for s in states), 120)
    return number


@pytest.mark.timeout(600)
async def test_preview_equals_what_apply_then_does_to_every_customer_of_the_uk_shop(
    make_site: SiteMaker, tmp_path: Path
) -> None:
    events = uk_events(with_refunds=True)
    customers = list(dict.fromkeys(event["customer_id"] for event in events))
    site, file, moves = make_site(UK_RULES), written(tmp_path, UK_PLANNED), tmp_path / "moves.jsonl"
    await site.make_topics()
    site.clock.show(UK_END)
    async with Shop(site) as shop:
        await shop.send(events)
    workers = [site.start_worker(), site.start_worker()]
    async with site.lanes() as lanes:
        until_ready(workers)
        await until_shared(lanes, 2)
        await lanes.until_at_rest(UK_END, 120)
        before = await lanes.profiles(customers)
        planned = rulebook_in(file, settings_of(site)).rulebook
        foreseen = await asyncio.to_thread(preview, settings_of(site), planned, 1, moves, lambda _done, _of: None)
        await apply(site, lanes, file)
        await lanes.until_at_rest(UK_END, 120)
        after = await lanes.profiles(customers)
        waiting = [state.sizes for state in await lanes.states()]

    expected = {(m["customer_id"], m["dimension"], m["before"], m["after"]) for m in lines_of(moves)}
    assert expected == moves_between(before, after)
    sizes = Counter(place for profile in after.values() for place in standing_of(profile).items())
    assert {(s["dimension"], s["segment"]): s["then"] for s in foreseen.segments() if s["then"]} == sizes
    assert all(sizes[f"custom.{name}", "in"] > 20 for name in ("best_gone_quiet", "regulars_who_return"))
    assert len(expected) > len(customers) / 2
    assert sum(count for each in waiting for (kind, _), count in each.items() if kind == "waiting") == 0


def lines_of(file: Path) -> Iterable[dict[str, Any]]:
    return map(json.loads, file.read_text().splitlines())


def standing_of(profile: Profile | None) -> dict[str, str]:
    """Return where a customer is; out of a declared segment is nowhere."""
    assert profile is not None
    present = {dimension: standing.segment for dimension, standing in profile.present.items()}
    return {d: segment for d, segment in present.items() if segment != OUT or not is_declared(d)}


def moves_between(
    before: Mapping[str, Profile | None], after: Mapping[str, Profile | None]
) -> set[tuple[str, str, str | None, str | None]]:
    moved = set()
    for customer, profile in before.items():
        old, new = standing_of(profile), standing_of(after[customer])
        for dimension in old.keys() | new.keys():
            outside = OUT if is_declared(dimension) else None
            places = old.get(dimension, outside), new.get(dimension, outside)
            if places[0] != places[1]:
                moved.add((customer, dimension, *places))
    return moved


def buying(customer: str, at: Instant, number: int) -> JsonEvent:
    return {
        "event_id": f"e-{customer}-{number}",
        "type": "order.placed",
        "customer_id": customer,
        "occurred_at": rfc3339(at),
        "order_id": f"o-{customer}-{number}",
        "amount": "10.00",
        "currency": "EUR",
    }


def often(orders: int) -> str:
    segment = f"segments:\n  often: {{when: {{measure: orders, at_least: {orders}}}}}\n"
    return f"rulebook: 1\n{QUIET}{STORM}{segment}"


@pytest.mark.parametrize("way", [Hold.RELEASED, Hold.DROPPED])
async def test_an_edit_that_would_throw_out_two_fifths_is_held_and_ends_in_the_right_state(
    make_site: SiteMaker, tmp_path: Path, way: Hold
) -> None:
    site = make_site(QUIET, settings=SETTINGS, partitions=4)
    await site.make_topics()
    workers = [site.start_worker(), site.start_worker()]
    async with site.lanes() as lanes, Shop(site) as shop:
        until_ready(workers)
        await until_shared(lanes, 2)
        customers = await _everybody_bought(site, lanes, shop)
        found = await _edit_that_is_held(site, lanes, tmp_path)
        await asyncio.to_thread(give_order, settings_of(site), "often", way, "seen")
        await lanes.until(lambda states: all(s.notes.walk is None and not s.notes.held for s in states), 60)
        again = sorted(found.leaving)[:20]
        at = site.clock.now()
        await shop.send([buying(customer, at, 9) for customer in again])
        await lanes.until_settled(at, 60)
        profiles = await lanes.profiles(customers)
        left = await asyncio.to_thread(list_holds, settings_of(site))
    site.stop_workers()

    heard = await hear(site.bootstrap, site.outputs())
    for output, records in heard.records.items():
        check_numbers(output, records)
    out = {c["customer_id"]: c["cause"]["kind"] for c in heard.changes if ("in", "out") in _moves(c)}
    assert len([c for c in heard.changes if ("in", "out") in _moves(c)]) == len(out)
    if way is Hold.RELEASED:
        assert out.keys() == found.leaving
        assert Counter(out.values())["manual"] == found.waiting
        check_sequences(change for change in heard.changes if change["rulebook_revision"] == 1)
    else:
        assert len(out) == len(found.leaving) - found.waiting
        assert set(out.values()) == {"definition"}
    assert left == []
    assert {c["customer_id"] for c in heard.changes if ("out", "in") in _moves(c)} == set(again)
    for customer, profile in profiles.items():
        assert profile is not None
        assert profile.unannounced.keys() <= {"value"}, customer
        is_in = customer not in found.leaving or customer in again
        assert heard.memberships[customer]["segments"]["custom.often"] == ("in" if is_in else "out"), customer


def _moves(change: Told) -> list[tuple[str | None, str | None]]:
    return [(move["before"], move["after"]) for move in change["changes"] if move["dimension"] == "custom.often"]


async def _everybody_bought(site: Site, lanes: Lanes, shop: Shop) -> list[str]:
    """Let everybody buy three times, but two of five only twice."""
    at = site.clock.now()
    customers = [f"c-{number}" for number in range(BUYERS)]
    orders = [(c, turn) for n, c in enumerate(customers) for turn in range(2 if n % 5 < 2 else 3)]
    await shop.send([buying(customer, at + turn * MILLISECOND, turn) for customer, turn in orders])
    await lanes.until_settled(at + SECOND, 60)
    return customers


async def _edit_that_is_held(site: Site, lanes: Lanes, directory: Path) -> Applied:
    """Declare a segment of those who bought twice, and ask for three times: two fifths would leave, told to all."""
    await apply(site, lanes, written(directory, often(2)))
    assert sum(state.sizes["custom.often", "in"] for state in await lanes.states()) == BUYERS
    await apply(site, lanes, written(directory, often(3)), is_announced=True)
    await lanes.until(lambda states: all(state.notes.held == ("custom.often",) for state in states), 30)
    leaving = frozenset(f"c-{number}" for number in range(BUYERS) if number % 5 < 2)
    [view] = await asyncio.to_thread(list_holds, settings_of(site))
    assert (view.dimension, view.state, view.by) == ("custom.often", Hold.HELD, "storm breaker")
    # A fifth of each lane's part had to be told before it was known for a storm.
    assert len(leaving) / 3 < view.waiting < len(leaving)
    return Applied(leaving, view.waiting)


async def test_an_audit_on_the_way_of_a_rulebook_reports_no_drift(make_site: SiteMaker, tmp_path: Path) -> None:
    site = make_site(QUIET, settings=SETTINGS, partitions=2)
    await site.make_topics()
    worker = site.start_worker()
    async with site.lanes() as lanes, Shop(site) as shop:
        until_ready([worker])
        await until_shared(lanes, 1)
        customers = await _everybody_bought(site, lanes, shop)
        site.stop_workers()
        # Every next deadline is another one by these rules.
        file = written(tmp_path, "rulebook: 1\n" + QUIET.replace("10d", "20d"))
        await asyncio.to_thread(apply_file, settings_of(site), file, is_announced=False, comment="")
        not_adopted = await asyncio.to_thread(audit, settings_of(site), AuditOptions(), lambda _done, _of: None)
        await _walk_half(lanes)
        half_way = await asyncio.to_thread(audit, settings_of(site), AuditOptions(), lambda _done, _of: None)

    assert not_adopted.differences == 0
    assert not_adopted.not_auditable == {Doubt.RULES_ON_THEIR_WAY: len(customers)}
    on_their_way = half_way.not_auditable[Doubt.RULES_ON_THEIR_WAY]
    assert 0.3 * BUYERS < on_their_way < 0.7 * BUYERS
    # The walk is only said to have been half-way: who lies before its place was never looked at, and that is drift.
    assert {difference.field for difference in half_way.shown} == {"wake_at"}
    assert half_way.differences == BUYERS - on_their_way


async def test_what_its_topic_has_missed_comes_with_the_next_revision(make_site: SiteMaker, tmp_path: Path) -> None:
    site = make_site(QUIET)
    settings = settings_of(site)

    first = await asyncio.to_thread(
        apply_file, settings, written(tmp_path, often(2)), is_announced=False, comment="no topic yet"
    )
    await create_topics(site.bootstrap, {site.topic("rulebook"): 1})
    second = await asyncio.to_thread(
        apply_file, settings, written(tmp_path, often(3)), is_announced=False, comment="now there is"
    )

    assert f"topic {site.topic('rulebook')} is not on {site.bootstrap}; create it" in first.mirror_fault
    assert (first.revision.number, second.revision.number, second.mirror_fault) == (2, 3, "")
    assert await mirrored(site) == ["1", "2", "3"]


async def _walk_half(lanes: Lanes) -> None:
    for number in range(lanes.partitions):
        token = Token(10**6, "test")
        taken = await lanes.store.acquire(number, token, lanes.partitions)
        assert not isinstance(taken, Refused), taken
        walk = Walk(at=taken.notes.watermark, cursor=(END_OF_WALK // 2, ""), is_redefining=True)
        notes = replace(taken.notes, revision=2, walk=walk)
        await lanes.store.commit(Commit(lane=number, token=token, version=taken.version, notes=notes))
