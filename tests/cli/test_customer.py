import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from segmenter.adapters.home import home_of
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.instants import DAY
from segmenter.domain.ledger import Ledger, LooseRefund, Order, Totals
from segmenter.domain.profile import Profile, Standing
from segmenter.errors import ConfigurationError
from segmenter.ports import Commit, LaneNotes, LaneState, LaneStore, ProfileWrite, Stored, Token
from segmenter.wiring.customers import Found, found_in, view_of
from segmenter.wiring.puts import names_of
from tests.bench.process import free_ports
from tests.cli.running import Ran, RunCommand
from tests.domain.profiles import profile_of

PARTITIONS = 4
NEW_YEAR = 20_454 * DAY
OWNER = Token(1, "test")


def buyer(identity: str) -> Profile:
    """A repeat buyer in class A, of whom consumers still believe B."""
    return profile_of(
        identity,
        sequence=3,
        settled_at=NEW_YEAR,
        first_seen_at=NEW_YEAR - 40 * DAY,
        last_seen_at=NEW_YEAR,
        ledger=Ledger(
            orders={1: Order(placed_at=NEW_YEAR, gross=86_100), 2: Order(paid_at=NEW_YEAR, waiting_since=NEW_YEAR)},
            loose_refunds={3: LooseRefund(NEW_YEAR, 100)},
        ),
        totals=Totals(orders=1, last_order_at=NEW_YEAR, first_order_at=NEW_YEAR, net=86_000, window_net=86_000),
        present={"lifecycle": Standing("repeat", NEW_YEAR), "value": Standing("A", NEW_YEAR)},
        unannounced={"value": "B"},
        wake_at=NEW_YEAR + 180 * DAY,
    )


async def store_in(store: LaneStore, identity: str, lane: int) -> None:
    acquired = await store.acquire(lane, OWNER, PARTITIONS)
    assert isinstance(acquired, LaneState)
    write = ProfileWrite(customer=identity, profile=buyer(identity))
    notes = LaneNotes(watermark=NEW_YEAR, is_live=True)
    commit = Commit(lane=lane, token=OWNER, version=acquired.version, notes=notes, profiles=[write])
    assert isinstance(await store.commit(commit), Stored)


@pytest.mark.parametrize(
    ("identity", "home_id"),
    [
        ("c-42", "c-42"),
        ("shop-1/c-42", "c-42"),
        ("a/b/c", "b/c"),
        ("a/b/c", "a/b/c"),
        ("anon:x-9", "x-9"),
        ("anon:shop-1/x-9", "x-9"),
    ],
)
async def test_a_customer_is_found_at_home_which_the_shop_does_not_decide(identity: str, home_id: str) -> None:
    store = MemoryStore(PARTITIONS).lanes
    home = home_of(home_id, PARTITIONS)
    await store_in(store, identity, home)

    found = await found_in(store, PARTITIONS, identity)

    assert isinstance(found, Found)
    assert (found.profile.customer, found.lane.lane) == (identity, home)


async def test_another_partition_count_than_the_stored_one_is_refused() -> None:
    store = MemoryStore(PARTITIONS).lanes
    await store_in(store, "c-42", 0)

    with pytest.raises(ConfigurationError) as refused:
        await found_in(store, 2 * PARTITIONS, "c-42")

    assert refused.value.faults == (
        "SEGMENTER_PARTITIONS: found 8, but the lanes are stored as 4; write SEGMENTER_PARTITIONS=4",
    )


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ((), ["repeat", "B"]),
        (("value",), ["repeat", "B, the move is held"]),
        (("all",), ["repeat", "B, the move is held"]),
        (("custom.vip",), ["repeat", "B"]),
    ],
)
async def test_a_move_that_is_held_back_is_shown_so(held: tuple[str, ...], told: list[str]) -> None:
    store = MemoryStore(PARTITIONS).lanes
    await store_in(store, "c-42", home_of("c-42", PARTITIONS))
    found = await found_in(store, PARTITIONS, "c-42")
    assert isinstance(found, Found)

    view = view_of(replace(found, lane=replace(found.lane, notes=LaneNotes(held=held))), "EUR")

    assert [segment.told for segment in view.segments] == told


@pytest.fixture
def environment(redis_url: str) -> Mapping[str, str]:
    async def fill() -> None:
        client = connect(redis_url)
        await store_in(RedisLaneStore(client, "seg"), "c-42", home_of("c-42", PARTITIONS))
        await client.aclose()

    asyncio.run(fill())
    return {"SEGMENTER_REDIS_URL": redis_url, "SEGMENTER_PARTITIONS": str(PARTITIONS)}


def test_the_command_tells_where_a_customer_stands_and_why_he_will_move(
    segmenter: RunCommand, environment: Mapping[str, str]
) -> None:
    ran = segmenter("customer", "c-42", "--json", **environment)

    assert ran.code == 0
    assert json.loads(ran.out) == {
        "customer_id": "c-42",
        "segments": [
            {
                "dimension": "lifecycle",
                "segment": "repeat",
                "since": "2026-01-01T00:00:00.000Z",
                "announced": "repeat",
            },
            {"dimension": "value", "segment": "A", "since": "2026-01-01T00:00:00.000Z", "announced": "B"},
        ],
        "by_hand": [],
        "orders": 1,
        "net_revenue": "860.00",
        "value_revenue": "860.00",
        "currency": "EUR",
        "over_refund": "0.00",
        "first_order_at": "2026-01-01T00:00:00.000Z",
        "last_order_at": "2026-01-01T00:00:00.000Z",
        "first_seen_at": "2025-11-22T00:00:00.000Z",
        "last_seen_at": "2026-01-01T00:00:00.000Z",
        "orders_kept": 1,
        "orders_awaited": 1,
        "orders_folded": 0,
        "refunds_without_order": 1,
        "life": 1,
        "sequence": 3,
        "next_change_at": "2026-06-30T00:00:00.000Z",
        "settled_at": "2026-01-01T00:00:00.000Z",
        "is_held": False,
        "is_excluded": False,
        "lane": home_of("c-42", PARTITIONS),
        "lane_watermark": "2026-01-01T00:00:00.000Z",
        "lane_is_live": True,
        "next_moves": [
            {
                "dimension": "lifecycle",
                "before": "repeat",
                "after": "inactive",
                "at": "2026-06-30T00:00:00.000Z",
                "unless": ["an order"],
            }
        ],
        "within_reach": [],
    }


def test_the_table_says_the_same(segmenter: RunCommand, environment: Mapping[str, str]) -> None:
    ran = segmenter("customer", "c-42", **environment)

    assert ran.code == 0
    assert "860.00" in ran.out
    assert "lifecycle: inactive on 2026-06-30T00:00:00.000Z unless an order" in ran.out


def test_nobody_by_that_id_ends_with_1(segmenter: RunCommand, environment: Mapping[str, str]) -> None:
    same_lane = next(i for n in range(99) if home_of(i := f"x-{n}", PARTITIONS) == home_of("c-42", PARTITIONS))

    ran = segmenter("customer", same_lane, **environment)

    assert ran == Ran(1, "", f"nobody is known as {same_lane} in namespace seg\n")


def test_a_lane_that_nobody_has_stored_is_named(segmenter: RunCommand, environment: Mapping[str, str]) -> None:
    lane = home_of("c-43", PARTITIONS)

    ran = segmenter("customer", "c-43", **environment)

    where = f"lane {lane}, where he would be at home, is not stored yet; is a worker running?"
    assert ran == Ran(1, "", f"nobody is known as c-43 in namespace seg: {where}\n")


def test_why_not_lists_what_is_missing_condition_by_condition(
    segmenter: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "rulebook: 1\n"
        "segments:\n"
        "  vip: {title: The best, when: {all: [{measure: orders, at_least: 3}, {absent: click, for: 30d}]}}\n"
        "  idea: {state: draft, when: {measure: orders, at_least: 1}}\n"
    )
    rulebook = {**environment, "SEGMENTER_RULEBOOK": str(rules)}

    told = segmenter("customer", "c-42", "--why-not", "vip", "--json", **rulebook)
    shown = segmenter("customer", "c-42", "--why", "lifecycle", "--why-not", "vip")
    misspelt = segmenter("customer", "c-42", "--why", "vipp")
    draft = segmenter("customer", "c-42", "--why-not", "idea")

    account = json.loads(told.out)["why_not"]
    assert (told.code, account["dimension"], account["segment"]) == (0, "custom.vip", "out")
    assert [part["actual"] for part in account["rules"][0]["condition"]["parts"]] == ["1", "40d"]
    assert account["rules"][0]["missing"] == ["orders >= 3: 2 more"]
    assert "custom.vip (The best): out\n" in shown.out
    assert "      missing: orders >= 3: 2 more\n" in shown.out
    assert shown.out.startswith("lifecycle: repeat since 2026-01-01T00:00:00.000Z\n")
    assert misspelt == Ran(2, "", "--why: found 'vipp', which is no segment; did you mean vip?\n")
    assert draft == Ran(2, "", "--why-not: idea is in state draft, in which nobody moves; set it shadow or live\n")


def test_the_rulebook_that_was_applied_answers_and_not_the_file_of_the_settings(
    segmenter: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    applied, planned = tmp_path / "applied.yaml", tmp_path / "planned.yaml"
    text = "rulebook: 1\nsegments:\n  vip: {when: {measure: orders, at_least: 3}}\n"
    applied.write_text(text)
    planned.write_text(text.replace("3", "7"))
    # Nobody listens there: what is in Redis holds all the same.
    away = f"127.0.0.1:{free_ports(1)[0]}"
    segmenter("rulebook", "apply", str(applied), SEGMENTER_KAFKA_BOOTSTRAP=away, **environment)

    in_force = segmenter("customer", "c-42", "--why-not", "vip", SEGMENTER_RULEBOOK=str(planned), **environment)
    instead = segmenter("rulebook", "preview", str(planned), "--customer", "c-42")

    assert "missing: orders >= 3: 2 more\n" in in_force.out
    assert "missing: orders >= 7: 6 more\n" in instead.out


def test_as_of_an_instant_to_come_is_refused(segmenter: RunCommand, environment: Mapping[str, str]) -> None:
    ran = segmenter("customer", "c-42", "--as-of", "2199-01-01T00:00:00Z", **environment)

    assert ran.code == 2
    assert ran.err.startswith("--as-of: 2199-01-01T00:00:00.000Z is still to come")


def test_a_redis_that_is_away_is_told_with_its_address_and_setting_but_no_password(segmenter: RunCommand) -> None:
    port = free_ports(1)[0]

    ran = segmenter("customer", "c-42", SEGMENTER_REDIS_URL=f"redis://user:hunter2@127.0.0.1:{port}/0")

    assert ran.code == 3
    assert ran.err.startswith(f"Redis at redis://127.0.0.1:{port}/0 does not answer; start it, or name another with ")
    assert "SEGMENTER_REDIS_URL" in ran.err
    assert "hunter2" not in ran.err


NO_SEGMENT = "--put: found 'vipp', which is no segment; did you mean vip?"
BY_HAND_FAULTS = [
    (("vipp", "in", "--until", "30d", "--because", "asked for"), [NO_SEGMENT]),
    (
        ("vip", "maybe"),
        [
            "--put: found 'maybe' after vip, expected in, out or auto",
            "--until: is missing; say when it ends by itself, as an instant or as a span such as 30d",
            "--because: is missing; say why, for whoever looks at the customer later",
        ],
    ),
    (
        ("value", "in", "--until", "30d", "--because", "asked for"),
        [
            "--put: value follows from what customers do, and is not set by hand; "
            "declare a segment that asks for it, and put the customer there"
        ],
    ),
    (
        ("idea", "in", "--until", "30d", "--because", "asked for"),
        ["--put: idea is in state draft, in which nobody moves; set it shadow or live"],
    ),
    (
        ("vip", "in", "--until", "soon", "--because", "asked for"),
        [
            "--until: found 'soon', expected an instant with its zone, such as 2026-01-01T00:00:00Z, "
            "or a span from now on, such as 30d"
        ],
    ),
    (
        ("vip", "out", "--until", "2020-01-01T00:00:00Z", "--because", "asked for"),
        ["--until: found '2020-01-01T00:00:00Z', expected a time that is still to come, up to 2200"],
    ),
    (
        ("vip", "in", "--until", "2201-01-01T00:00:00Z", "--because", "asked for"),
        ["--until: found '2201-01-01T00:00:00Z', expected a time that is still to come, up to 2200"],
    ),
    (
        ("vip", "auto", "--until", "30d"),
        ["--until: found together with auto, which ends a put at once; leave it out"],
    ),
    (
        ("vip", "in", "--until", "30d", "--because", "x" * 1025),
        ["--because: found 1025 bytes, expected at most 1024"],
    ),
    (
        ("vip", "auto", "--why", "vip", "--as-of", "2026-01-01T00:00:00Z"),
        [
            "--why: found together with --put; ask when it is done",
            "--as-of: found together with --put; ask when it is done",
        ],
    ),
]


@pytest.fixture
def vip_rules(environment: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "rulebook: 1\nsegments:\n"
        "  vip: {when: {measure: orders, at_least: 3}}\n"
        "  idea: {state: draft, when: {measure: orders, at_least: 1}}\n"
    )
    return {**environment, "SEGMENTER_RULEBOOK": str(rules)}


@pytest.mark.parametrize(("arguments", "faults"), BY_HAND_FAULTS)
def test_what_cannot_be_done_by_hand_is_told_with_all_its_faults(
    segmenter: RunCommand, vip_rules: Mapping[str, str], arguments: tuple[str, ...], faults: list[str]
) -> None:
    ran = segmenter("customer", "c-42", "--put", *arguments, **vip_rules)

    assert ran == Ran(2, "", "".join(f"{fault}\n" for fault in faults))


def test_nobody_is_put_anywhere_who_is_not_known(segmenter: RunCommand, vip_rules: Mapping[str, str]) -> None:
    ran = segmenter("customer", "c-43", "--put", "vip", "in", "--until", "30d", "--because", "a slip", **vip_rules)

    assert ran.code == 1
    assert ran.err.startswith("nobody is known as c-43")


def test_an_end_without_a_put_belongs_to_nothing(segmenter: RunCommand, vip_rules: Mapping[str, str]) -> None:
    ran = segmenter("customer", "c-42", "--until", "30d", **vip_rules)

    assert ran == Ran(2, "", "--until: found without --put, which it belongs to\n")


@pytest.mark.parametrize(
    ("identity", "home_id", "names"),
    [
        ("c-42", "c-42", {"customer_id": "c-42"}),
        ("shop-1/c-42", "c-42", {"shop": "shop-1", "customer_id": "c-42"}),
        ("a/b/c", "a/b/c", {"customer_id": "a/b/c"}),
        ("a/b/c", "b/c", {"shop": "a", "customer_id": "b/c"}),
    ],
)
def test_the_home_of_a_customer_tells_what_of_his_identity_is_the_shop(
    identity: str, home_id: str, names: Mapping[str, str]
) -> None:
    many = 1_000_003

    assert names_of(identity, home_of(home_id, many), many) == names
