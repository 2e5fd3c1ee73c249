"""`segmenter rulebook apply|diff|history|rollback|status` and `segmenter hold`, on a real Redis."""

import asyncio
import json
import uuid
from pathlib import Path

import pytest

from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.ports import Commit, LaneNotes, Refused, Token, Walk
from tests.bench.process import free_ports
from tests.cli.running import RunCommand

FIRST = "rulebook: 1\n"
VIP = """rulebook: 1
lifecycle: {inactive_after: 90d}
segments:
  vip: {title: Best, when: {measure: orders, at_least: 3}}
"""
STRICT = VIP.replace("at_least: 3", "at_least: 5").replace("Best", "The best")


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    # Nobody listens there: the mirror fails at once, and what is in Redis holds all the same.
    return {
        "SEGMENTER_REDIS_URL": redis_url,
        "SEGMENTER_NAMESPACE": f"r{uuid.uuid4().hex[:8]}",
        "SEGMENTER_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_ports(1)[0]}",
        "SEGMENTER_PARTITIONS": "2",
    }


@pytest.fixture
def vip(tmp_path: Path) -> Path:
    file = tmp_path / "vip.yaml"
    file.write_text(VIP)
    return file


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    file = tmp_path / "strict.yaml"
    file.write_text(STRICT)
    return file


def keep(environment: dict[str, str], notes: LaneNotes) -> None:
    """Let lane 0 be stored with these notes."""

    async def store() -> None:
        client = connect(environment["SEGMENTER_REDIS_URL"])
        lanes = RedisLaneStore(client, environment["SEGMENTER_NAMESPACE"])
        token = Token(1, "test")
        state = await lanes.acquire(0, token, 2)
        assert not isinstance(state, Refused)
        sizes = {("waiting", "custom.vip"): 7} if not state.sizes else {}
        await lanes.commit(Commit(lane=0, token=token, version=state.version, notes=notes, sizes=sizes))
        await client.aclose()

    asyncio.run(store())


def test_an_applied_rulebook_is_the_next_revision_and_says_what_it_changes(
    segmenter: RunCommand, environment: dict[str, str], vip: Path
) -> None:
    ran = segmenter("rulebook", "apply", str(vip), "--comment", "three", **environment)

    assert ran.code == 3  # its mirror is not there
    assert "segment vip is new\nlifecycle.inactive_after: 180d → 90d\nrevision 2 is in force" in ran.out
    assert "it is not on its topic: Kafka at" in ran.out
    history = json.loads(segmenter("rulebook", "history", "--json").out)["revisions"]
    assert [(each["revision"], each["comment"]) for each in history] == [(2, "three"), (1, "")]
    assert "the default rules" in segmenter("rulebook", "history").out


def test_what_says_the_same_is_refused(
    segmenter: RunCommand, environment: dict[str, str], vip: Path, tmp_path: Path
) -> None:
    segmenter("rulebook", "apply", str(vip), **environment)
    same = tmp_path / "same.yaml"
    same.write_text("# another comment\n" + VIP)

    ran = segmenter("rulebook", "apply", str(same))

    assert ran.code == 2
    assert ran.err == f"{same}: says the same as revision 2, which is in force; nothing to apply\n"


def test_faults_and_another_currency_are_refused(
    segmenter: RunCommand, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("rulebook: 1\nlifecycle: {inactive_after: soon}\nzzz: 1\n")
    bad = segmenter("rulebook", "apply", str(file), **environment)
    file.write_text("rulebook: 1\ncurrency: GBP\n")
    pounds = segmenter("rulebook", "apply", str(file))

    assert (bad.code, len(bad.err.splitlines())) == (2, 2)
    assert pounds.code == 2
    assert "currency: found GBP, but the revenue that is stored is in EUR" in pounds.err
    assert json.loads(segmenter("rulebook", "history", "--json").out) == {"revisions": []}


def test_differences_are_told_in_words_and_as_json(
    segmenter: RunCommand, environment: dict[str, str], vip: Path, strict: Path
) -> None:
    segmenter("rulebook", "apply", str(vip), **environment)

    against_force = segmenter("rulebook", "diff", str(strict))
    between_files = json.loads(segmenter("rulebook", "diff", str(strict), str(vip), "--json").out)
    with_before = segmenter("rulebook", "diff")
    same = segmenter("rulebook", "diff", "2", str(vip))

    assert "segment vip: title: Best → The best" in against_force.out
    assert "segment vip: when: {measure: orders, at_least: 3} → {measure: orders, at_least: 5}\n" in against_force.out
    assert [part["name"] for part in between_files["changed"]["vip"]] == ["title", "when"]
    assert "segment vip is new" in with_before.out
    assert same.out == "both say the same\n"


def test_a_rollback_is_another_revision_with_the_old_text(
    segmenter: RunCommand, environment: dict[str, str], vip: Path, strict: Path
) -> None:
    segmenter("rulebook", "apply", str(vip), **environment)
    segmenter("rulebook", "apply", str(strict))

    back = json.loads(segmenter("rulebook", "rollback", "2", "--announce", "--json").out)
    unknown = segmenter("rulebook", "rollback", "9")

    assert (back["revision"], back["comment"], back["announced"]) == (4, "back to revision 2", True)
    assert segmenter("rulebook", "diff", "2", "4").out == "both say the same\n"
    assert (unknown.code, unknown.err) == (
        2,
        "revision 9 is not kept; `segmenter rulebook history` shows those that are\n",
    )


def test_status_shows_lanes_on_their_way(segmenter: RunCommand, environment: dict[str, str], vip: Path) -> None:
    segmenter("rulebook", "apply", str(vip), **environment)
    keep(environment, LaneNotes(revision=2, walk=Walk(at=1, cursor=(2**31, "c"), is_redefining=True)))
    going = segmenter("rulebook", "status")
    keep(environment, LaneNotes(revision=2))
    done = json.loads(segmenter("rulebook", "status", "--json").out)

    assert going.code == 1
    assert "revision 2 is in force" in going.out
    assert "50.0%" in going.out
    assert (done["is_done"], done["lanes"]) == (True, [{"lane": 0, "revision": 2, "share_done": 1.0, "held": []}])


def test_without_a_revision_there_is_nothing_to_compare_with(
    segmenter: RunCommand, environment: dict[str, str]
) -> None:
    ran = segmenter("rulebook", "diff", **environment)

    assert (ran.code, ran.err) == (2, "no rulebook was ever applied, so there is none before it; name a file\n")
    assert "no lane is stored yet; start a worker" in segmenter("rulebook", "status").out


def test_what_is_no_segment_is_not_held(segmenter: RunCommand, environment: dict[str, str], vip: Path) -> None:
    segmenter("rulebook", "apply", str(vip), **environment)

    near = segmenter("hold", "segment", "vib")
    far = segmenter("hold", "segment", "custom.nobody")

    assert (near.code, near.err) == (2, "'vib' is no segment of the rulebook in force; did you mean vip?\n")
    assert (far.code, "expected one of vip, all, lifecycle, value, rfm" in far.err) == (2, True)
    assert segmenter("hold", "segment", "value").code == 0


def test_holds_are_ordered_shown_and_let_go(segmenter: RunCommand, environment: dict[str, str], vip: Path) -> None:
    segmenter("rulebook", "apply", str(vip), **environment)
    keep(environment, LaneNotes())
    nothing = segmenter("hold", "list", **environment)
    held = json.loads(segmenter("hold", "segment", "vip", "--because", "odd", "--json").out)
    shown = json.loads(segmenter("hold", "list", "--json").out)["holds"]
    wrong = segmenter("hold", "release", "vipp")
    released = segmenter("release", "vip")
    on_the_way = segmenter("hold", "list")
    keep(environment, LaneNotes(orders=2))

    assert (nothing.code, nothing.out) == (0, "nothing is held\n")
    assert held == {"dimension": "custom.vip", "state": "held", "number": 1}
    assert [(v["dimension"], v["why"], v["waiting"], v["lanes_behind"]) for v in shown] == [
        ("custom.vip", "odd", 7, 1)
    ]
    assert (wrong.code, "'vipp' is not held; held now: custom.vip" in wrong.err) == (2, True)
    assert released.out.startswith("moves in custom.vip are released")
    assert (on_the_way.code, "released" in on_the_way.out) == (0, True)
    assert segmenter("hold", "list").out == "nothing is held\n"


def test_a_storm_is_shown_and_can_be_let_go_before_its_order_is_given(
    segmenter: RunCommand, environment: dict[str, str]
) -> None:
    keep(environment, LaneNotes(held=("custom.vip",)))

    [shown] = json.loads(segmenter("hold", "list", "--json", **environment).out)["holds"]
    dropped = segmenter("hold", "drop", "vip")

    assert (shown["dimension"], shown["by"], shown["waiting"]) == ("custom.vip", "storm breaker", 7)
    assert dropped.out.startswith("moves in custom.vip are dropped")


def test_the_red_button_is_an_order_for_all(segmenter: RunCommand, environment: dict[str, str]) -> None:
    pressed = segmenter("hold", "all", "--because", "twice", **environment)
    listed = segmenter("hold", "list")

    assert pressed.out.startswith("moves in all are held")
    assert listed.code == 1
    assert segmenter("release", "all").code == 0
