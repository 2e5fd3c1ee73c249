import json
from collections.abc import Callable, Mapping

import pytest

from segmenter.adapters.keys import LaneKeys, audit_key
from tests.bench.kafka import KafkaCluster
from tests.bench.process import free_ports
from tests.bench.redis import RedisServer
from tests.cli.running import RunCommand


@pytest.fixture
def environment(kafka: KafkaCluster, redis_url: str, unique: Callable[[str], str]) -> dict[str, str]:
    """Settings that name the shared servers, and topics of this test's own."""
    roles = ("orders", "clicks", "support", "customers", "rekeyed", "changes", "memberships", "rejected")
    names = {f"SEGMENTER_TOPICS__{role.upper()}__NAME": unique(role) for role in roles}
    servers = {"SEGMENTER_KAFKA_BOOTSTRAP": kafka.bootstrap, "SEGMENTER_REDIS_URL": redis_url}
    return {**servers, **names, "SEGMENTER_PARTITIONS": "4"}


def test_an_installation_without_lanes_has_no_differences(
    segmenter: RunCommand, environment: Mapping[str, str], redis_server: RedisServer, redis_url: str
) -> None:
    segmenter("topics", "create", **environment)

    ran = segmenter("audit", "--all", "--json")

    assert ran.code == 0
    assert {name: json.loads(ran.out)[name] for name in ("customers", "differences")} == {
        "customers": 0,
        "differences": 0,
    }
    with redis_server.client(redis_url) as client:
        assert client.hget(audit_key("seg"), "differences") == b"0"


def test_a_lane_that_counts_whom_it_has_not_ends_with_1(
    segmenter: RunCommand, environment: Mapping[str, str], redis_server: RedisServer, redis_url: str
) -> None:
    segmenter("topics", "create", **environment)
    with redis_server.client(redis_url) as client:
        client.hset(LaneKeys("seg", 2).lane, mapping={"partitions": 4, "buckets": 64, "customers": 1})

    ran = segmenter("audit", "--all")

    assert ran.code == 1
    assert "0 customers, 1 differences, not auditable: none" in ran.out


def test_lanes_of_another_count_are_wrong_use(
    segmenter: RunCommand, environment: Mapping[str, str], redis_server: RedisServer, redis_url: str
) -> None:
    with redis_server.client(redis_url) as client:
        client.hset(LaneKeys("seg", 0).lane, mapping={"partitions": 16})

    ran = segmenter("audit", **environment)

    assert ran.code == 2
    assert "write SEGMENTER_PARTITIONS=16" in ran.err


@pytest.mark.parametrize("away", ["SEGMENTER_KAFKA_BOOTSTRAP", "SEGMENTER_REDIS_URL"])
def test_a_server_that_is_away_is_told_with_its_setting(
    segmenter: RunCommand, environment: dict[str, str], away: str
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    nowhere = address if "KAFKA" in away else f"redis://{address}/0"

    ran = segmenter("audit", **environment | {away: nowhere})

    assert ran.code == 3
    assert away in ran.err
