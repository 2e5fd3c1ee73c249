import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from segmenter.adapters.home import home_of
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.profile import Profile
from segmenter.ports import Commit, LaneNotes, LaneState, ProfileWrite, Stored, Token
from tests.bench.process import free_ports
from tests.cli.running import RunCommand
from tests.domain.shopper import after, at, placed

PARTITIONS = 4
# More than one lane begins with, so that buckets are added.
CUSTOMERS = 3_000
OWNER = Token(1, "test")
NOTES = LaneNotes(watermark=at(5), is_live=True)
PLANNED = """
rulebook: 1
lifecycle: {inactive_after: 3d}
segments:
  buyers: {title: All who bought, state: draft, when: {measure: orders, at_least: 1}}
  nobody: {when: {measure: orders, at_least: 99}}
  clickers: {when: {measure: clicks, within: 30d, at_least: 1}}
"""


def buyer(identity: str) -> Profile:
    profile = after(placed(amount="10.00"))
    profile.customer = identity
    return profile


@pytest.fixture
def environment(redis_url: str) -> Mapping[str, str]:
    """A Redis with stored buyers, who are new by the default rulebook."""

    async def fill() -> None:
        client = connect(redis_url)
        store = RedisLaneStore(client, "seg")
        names = [f"c-{number}" for number in range(CUSTOMERS)]
        for lane in range(PARTITIONS):
            acquired = await store.acquire(lane, OWNER, PARTITIONS)
            assert isinstance(acquired, LaneState)
            version = acquired.version
            mine = [name for name in names if home_of(name, PARTITIONS) == lane]
            for first in range(0, len(mine), 500):
                writes = [ProfileWrite(customer=name, profile=buyer(name)) for name in mine[first : first + 500]]
                commit = Commit(lane=lane, token=OWNER, version=version, notes=NOTES, profiles=writes)
                stored = await store.commit(commit)
                assert isinstance(stored, Stored)
                version = stored.version
        await client.aclose()

    asyncio.run(fill())
    return {"SEGMENTER_REDIS_URL": redis_url, "SEGMENTER_PARTITIONS": str(PARTITIONS)}


def test_a_preview_counts_everybody_once_and_says_who_would_move_and_why(
    segmenter: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    rules, moves = tmp_path / "planned.yaml", tmp_path / "moves.jsonl"
    rules.write_text(PLANNED)

    ran = segmenter(
        "rulebook", "preview", str(rules), "--sample", "2", "--moves", str(moves), "--json", **environment
    )

    told = json.loads(ran.out)
    sizes = {(s["dimension"], s["segment"]): (s["now"], s["then"]) for s in told["segments"]}
    assert (ran.code, told["customers"], told["unreadable"]) == (0, CUSTOMERS, 0)
    assert sizes == {
        ("custom.buyers", "in"): (0, CUSTOMERS),
        ("custom.clickers", "in"): (0, 0),
        ("custom.nobody", "in"): (0, 0),
        ("lifecycle", "new"): (CUSTOMERS, 0),
        ("lifecycle", "inactive"): (0, CUSTOMERS),
    }
    assert told["moves"] == [
        {"dimension": "custom.buyers", "before": "out", "after": "in", "customers": CUSTOMERS},
        {"dimension": "lifecycle", "before": "new", "after": "inactive", "customers": CUSTOMERS},
    ]
    assert told["overlap"] == [
        {"segment": "custom.buyers", "with": "lifecycle.inactive", "customers": CUSTOMERS, "share": 1.0}
    ]
    assert [len(sample) for sample in told["samples"].values()] == [2, 2]
    assert {mover["why"] for mover in told["movers"]} == {
        "orders: 1, asked >= 1",
        "silence since the last order: 5d, asked >= 3d",
    }
    assert told["notes"] == ["clickers: clicks is not counted by the rules that hold, and begins with this one"]
    written = [json.loads(line) for line in moves.read_text().splitlines()]
    assert len({move["customer_id"] for move in written}) == CUSTOMERS
    assert len(written) == 2 * CUSTOMERS


def test_the_table_shows_sizes_movers_and_overlap(
    segmenter: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    rules = tmp_path / "planned.yaml"
    rules.write_text(PLANNED)

    ran = segmenter("rulebook", "preview", str(rules), **environment)

    assert ran.code == 0
    assert ran.out.startswith(f"{CUSTOMERS} customers, nothing was changed\n")
    assert "orders: 1, asked >= 1" in ran.out
    assert "draft" in ran.out


def test_a_preview_begins_at_the_rulebook_that_was_applied(
    segmenter: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    applied, planned = tmp_path / "applied.yaml", tmp_path / "planned.yaml"
    applied.write_text("rulebook: 1\nsegments:\n  clickers: {when: {measure: clicks, within: 30d, at_least: 1}}\n")
    planned.write_text(PLANNED)
    away = f"127.0.0.1:{free_ports(1)[0]}"
    segmenter("rulebook", "apply", str(applied), SEGMENTER_KAFKA_BOOTSTRAP=away, **environment)

    ran = segmenter("rulebook", "preview", str(planned), "--json", **environment)

    assert ran.code == 0
    assert json.loads(ran.out)["notes"] == []


def test_a_system_without_lanes_is_told(segmenter: RunCommand, redis_url: str, tmp_path: Path) -> None:
    rules = tmp_path / "planned.yaml"
    rules.write_text(PLANNED)

    ran = segmenter("rulebook", "preview", str(rules), SEGMENTER_REDIS_URL=redis_url)

    assert (ran.code, ran.err) == (2, "no lane is stored in namespace seg; start a worker\n")
