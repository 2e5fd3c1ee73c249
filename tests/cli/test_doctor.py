import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from segmenter.adapters.keys import LaneKeys
from segmenter.embedded.kafka import EmbeddedKafka
from tests.bench.kafka import KafkaCluster
from tests.bench.process import free_ports
from tests.bench.redis import RedisServer
from tests.cli.running import RunCommand

PARTITIONS = 4
ROLES = ("orders", "clicks", "support", "customers", "rekeyed", "changes", "memberships", "rejected", "rulebook")
Found = Mapping[str, Mapping[str, str]]


@pytest.fixture
def environment(kafka: KafkaCluster, redis_url: str, unique: Callable[[str], str]) -> dict[str, str]:
    """Settings that name the shared servers, and all else of this test's own."""
    names = {f"SEGMENTER_TOPICS__{role.upper()}__NAME": unique(role) for role in ROLES}
    return {
        "SEGMENTER_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "SEGMENTER_REDIS_URL": redis_url,
        "SEGMENTER_APP_ID": unique("app"),
        "SEGMENTER_PARTITIONS": str(PARTITIONS),
        **names,
    }


@pytest.fixture
def away() -> dict[str, str]:
    """Settings that name servers which are not there."""
    kafka, redis = free_ports(2)
    return {
        "SEGMENTER_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka}",
        "SEGMENTER_REDIS_URL": f"redis://127.0.0.1:{redis}/0",
    }


@pytest.fixture
def broker() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as opened:
        opened.create_topic("probe", 1)
        yield opened


def found_in(out: str) -> Found:
    """Return the findings by subject; the last one of each."""
    told: dict[str, Any] = json.loads(out)
    return {finding["subject"]: finding for finding in told["findings"]}


def test_a_sound_installation_without_workers_ends_well(
    segmenter: RunCommand, environment: Mapping[str, str]
) -> None:
    segmenter("topics", "create", **environment)

    ran = segmenter("doctor", "--json")

    found = found_in(ran.out)
    assert ran.code == 0
    assert json.loads(ran.out)["is_well"]
    well = {subject for subject, finding in found.items() if finding["mark"] == "ok"}
    assert well == {"settings", "rulebook", "kafka", "topics", "redis server", "redis memory", "clock"}
    assert found["lanes"]["mark"] == "warning"
    assert found["redis persistence"]["found"].startswith("neither append-only file nor snapshots")
    assert all(finding["fix"] for finding in found.values() if finding["mark"] != "ok")


def test_missing_topics_are_faults_with_their_fix(segmenter: RunCommand, environment: Mapping[str, str]) -> None:
    ran = segmenter("doctor", "--json", **environment)

    faults = [finding for finding in json.loads(ran.out)["findings"] if finding["mark"] == "fault"]
    assert ran.code == 1
    assert len(faults) == len(ROLES)
    assert {finding["fix"] for finding in faults} == {"create it with `segmenter topics create`"}


def test_people_are_told_in_a_table(segmenter: RunCommand, environment: Mapping[str, str]) -> None:
    segmenter("topics", "create", **environment)

    ran = segmenter("doctor")

    assert "maxmemory-policy noeviction" in ran.out
    assert ran.out.splitlines()[-1].endswith("want attention")


def test_servers_that_are_away_are_told_both(segmenter: RunCommand, away: Mapping[str, str]) -> None:
    ran = segmenter("doctor", "--json", **away)

    found = found_in(ran.out)
    assert ran.code == 3
    assert found["kafka"]["mark"] == found["redis"]["mark"] == "away"
    assert "SEGMENTER_KAFKA_BOOTSTRAP" in found["kafka"]["found"]
    assert "SEGMENTER_REDIS_URL" in found["redis"]["found"]


def test_a_faulty_rulebook_is_told_beside_all_else(
    segmenter: RunCommand, away: Mapping[str, str], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rulebook: 1\ncurrency: EURO\n")

    found = found_in(segmenter("doctor", "--json", SEGMENTER_RULEBOOK=str(rules), **away).out)

    assert found["rulebook"]["mark"] == "fault"
    assert "EURO" in found["rulebook"]["found"]


def test_a_file_that_is_not_what_was_applied_is_a_warning(
    segmenter: RunCommand, away: Mapping[str, str], redis_url: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rulebook: 1\nlifecycle: {inactive_after: 90d}\n")
    settings = {**away, "SEGMENTER_REDIS_URL": redis_url, "SEGMENTER_RULEBOOK": str(rules)}
    before = found_in(segmenter("doctor", "--json", **settings).out)
    segmenter("rulebook", "apply", str(rules), **{**settings, "SEGMENTER_RULEBOOK": ""})

    same = found_in(segmenter("doctor", "--json", **settings).out)
    rules.write_text("rulebook: 1\nlifecycle: {inactive_after: 91d}\n")
    other = found_in(segmenter("doctor", "--json", **settings).out)

    assert "rulebook in force" not in before
    assert (same["rulebook in force"]["mark"], same["rulebook in force"]["found"]) == ("ok", "revision 2 can be used")
    assert other["rulebook in force"]["mark"] == "warning"


@pytest.fixture
def owned(
    segmenter: RunCommand, away: dict[str, str], redis_server: RedisServer, redis_url: str
) -> Callable[..., Found]:
    """Examine a Redis with two lanes of one owner, in this state beside what is usual."""

    def examine(**state: str | int) -> Found:
        now = int(time.time())
        usual = {"token": "3:abcdef123-1", "heartbeat": now, "partitions": 2, "live": "1", "watermark": now * 10**6}
        with redis_server.client(redis_url) as client:
            for lane in (0, 1):
                client.hset(LaneKeys("seg", lane).lane, mapping=usual | state)
        named = {"SEGMENTER_REDIS_URL": redis_url, "SEGMENTER_PARTITIONS": "2"}
        return found_in(segmenter("doctor", "--json", **away | named).out)

    return examine


@pytest.mark.parametrize(("age_s", "mark"), [(5, "ok"), (200, "warning"), (1_000, "warning")])
def test_an_owner_is_as_well_as_his_heartbeat(owned: Callable[..., Found], age_s: int, mark: str) -> None:
    owner = owned(heartbeat=int(time.time()) - age_s)["worker abcdef12"]

    assert owner["mark"] == mark
    assert owner["found"].startswith("lanes 0-1: 2 of 2 live")


def test_an_owner_whose_lanes_are_behind_is_warned_of(owned: Callable[..., Found]) -> None:
    assert owned(live="0")["worker abcdef12"]["mark"] == "warning"


def test_lanes_of_another_count_are_a_fault(
    segmenter: RunCommand, away: dict[str, str], redis_server: RedisServer, redis_url: str
) -> None:
    with redis_server.client(redis_url) as client:
        client.hset(LaneKeys("seg", 0).lane, mapping={"token": "3:a-1", "partitions": 16})

    found = found_in(segmenter("doctor", "--json", **away | {"SEGMENTER_REDIS_URL": redis_url}).out)

    assert found["lanes"]["mark"] == "fault"
    assert found["lanes"]["fix"] == "write SEGMENTER_PARTITIONS=16"


@pytest.mark.parametrize(
    ("options", "mark", "words"),
    [
        (("--appendonly", "yes"), "ok", "append-only file"),
        (("--save", "60 1"), "warning", "snapshots only"),
    ],
)
def test_how_redis_persists_is_told(
    segmenter: RunCommand, away: dict[str, str], options: tuple[str, ...], mark: str, words: str
) -> None:
    with RedisServer(*options) as server:
        found = found_in(segmenter("doctor", "--json", **away | {"SEGMENTER_REDIS_URL": server.url}).out)

    assert found["redis persistence"]["mark"] == mark
    assert words in found["redis persistence"]["found"]


def test_a_redis_that_evicts_or_is_nearly_full_is_told(segmenter: RunCommand, away: dict[str, str]) -> None:
    with RedisServer("--maxmemory-policy", "allkeys-lru") as server, server.client() as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 20_000)
        ran = segmenter("doctor", "--json", **away | {"SEGMENTER_REDIS_URL": server.url})

    found = found_in(ran.out)
    assert found["redis server"]["mark"] == "fault"
    assert "allkeys-lru" in found["redis server"]["found"]
    assert found["redis memory"]["mark"] == "warning"


def test_a_replica_is_a_fault(segmenter: RunCommand, away: dict[str, str]) -> None:
    with RedisServer("--replicaof", "127.0.0.1", "1") as server:
        found = found_in(segmenter("doctor", "--json", **away | {"SEGMENTER_REDIS_URL": server.url}).out)

    assert found["redis role"]["mark"] == "fault"


def test_apache_kafka_honours_the_fence(
    segmenter: RunCommand, environment: Mapping[str, str], unique: Callable[[str], str]
) -> None:
    segmenter("topics", "create", **environment)

    ran = segmenter("doctor", "--probe-fence", "--json")

    found = found_in(ran.out)
    assert ran.code == 0
    scenes = {subject: finding for subject, finding in found.items() if subject.startswith("fence")}
    assert scenes.keys() == {"fence: displaced", "fence: silent", "fence: stalled"}
    assert {finding["mark"] for finding in scenes.values()} == {"ok"}
    assert "refused" in scenes["fence: displaced"]["found"]


def test_the_probe_leaves_no_topic_behind(
    kafka: KafkaCluster, segmenter: RunCommand, environment: Mapping[str, str]
) -> None:
    segmenter("topics", "create", **environment)
    segmenter("doctor", "--probe-fence")

    assert not [name for name in topics_of(kafka) if "-probe-" in name and environment["SEGMENTER_APP_ID"] in name]


def test_a_broker_without_fences_is_found_out(
    segmenter: RunCommand, away: dict[str, str], broker: EmbeddedKafka
) -> None:
    named = away | {"SEGMENTER_KAFKA_BOOTSTRAP": broker.bootstrap}

    ran = segmenter("doctor", "--topic", "probe", "--json", **named)

    scenes = [finding for subject, finding in found_in(ran.out).items() if subject.startswith("fence")]
    assert ran.code != 0
    assert len(scenes) == 3
    assert {finding["mark"] for finding in scenes} == {"fault"}
    assert all("knows no fences" in finding["found"] for finding in scenes)


def test_a_broker_that_makes_no_topics_wants_one_named(
    segmenter: RunCommand, away: dict[str, str], broker: EmbeddedKafka
) -> None:
    ran = segmenter("doctor", "--probe-fence", "--json", **away | {"SEGMENTER_KAFKA_BOOTSTRAP": broker.bootstrap})

    fence = found_in(ran.out)["fence"]
    assert fence["mark"] == "fault"
    assert "--topic" in fence["fix"]


def topics_of(kafka: KafkaCluster) -> list[str]:
    """Return the names of all topics."""
    from confluent_kafka.admin import AdminClient

    return list(AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics)
