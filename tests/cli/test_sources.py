"""`segmenter sources`: which topics are silent, and to wait no more for one."""

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_sources import RedisSourceBoard
from segmenter.domain.instants import DAY, HOUR, SECOND, Instant
from segmenter.ports import Heard
from tests.bench.process import free_ports
from tests.cli.running import RunCommand


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    return {
        "SEGMENTER_REDIS_URL": redis_url,
        "SEGMENTER_NAMESPACE": f"s{uuid.uuid4().hex[:8]}",
        "SEGMENTER_TOPICS__CLICKS__MAX_SILENCE": "30d",
        "SEGMENTER_TOPICS__CUSTOMERS__MAX_SILENCE": "off",
    }


def speak(environment: Mapping[str, str], topic: str, *at: Instant) -> None:
    """Let a topic have had events at these times."""

    async def tell() -> None:
        client = connect(environment["SEGMENTER_REDIS_URL"])
        board = RedisSourceBoard(client, environment["SEGMENTER_NAMESPACE"])
        await board.hear({topic: Heard(last_at=max(at), hours={each // HOUR for each in at})})
        await client.aclose()

    asyncio.run(tell())


def by_topic(out: str) -> dict[str, dict[str, Any]]:
    return {source["topic"]: source for source in json.loads(out)["sources"]}


def test_each_topic_is_shown_with_what_is_known_of_it(segmenter: RunCommand, environment: dict[str, str]) -> None:
    now = time.time_ns() // 1_000 // SECOND * SECOND
    speak(environment, "orders", now - 12 * DAY, now - 10 * DAY)
    speak(environment, "clicks", now - 20 * DAY)
    speak(environment, "customers", now - 900 * DAY)

    ran = segmenter("sources", "list", "--json", **environment)
    table = segmenter("sources", "list")

    found = by_topic(ran.out)
    assert {name: source["state"] for name, source in found.items()} == {
        "orders": "silent",
        "clicks": "speaks",
        "support": "never spoke",
        "customers": "not watched",
    }
    assert (found["orders"]["longest_gap_s"], found["orders"]["max_silence_s"]) == (48 * 3600, 8 * 86_400)
    assert (found["orders"]["is_learned"], found["clicks"]["is_learned"]) == (True, False)
    assert found["orders"]["silent_for_s"] == pytest.approx(10 * 86_400, abs=600)
    assert ran.code == table.code == 1
    assert "8d (learned)" in table.out


def test_a_topic_that_is_resumed_is_no_fault_any_more(segmenter: RunCommand, environment: dict[str, str]) -> None:
    speak(environment, "orders", time.time_ns() // 1_000 - 10 * DAY)

    resumed = segmenter("sources", "resume", "orders", "--json", **environment)
    ran = segmenter("sources", "list", "--json")

    assert (resumed.code, json.loads(resumed.out)) == (0, {"topic": "orders", "resumed": True})
    assert (ran.code, by_topic(ran.out)["orders"]["state"]) == (0, "resumed")


def test_a_topic_that_never_spoke_need_not_be_resumed(segmenter: RunCommand, environment: dict[str, str]) -> None:
    ran = segmenter("sources", "resume", "support", **environment)

    assert ran.code == 1
    assert "support never spoke" in ran.out


def test_a_topic_that_is_not_read_is_told_with_the_one_that_may_be_meant(
    segmenter: RunCommand, environment: dict[str, str]
) -> None:
    ran = segmenter("sources", "resume", "order", **environment)

    assert (ran.code, ran.err.strip()) == (2, "topic 'order' is not read; did you mean orders?")


def test_a_redis_that_does_not_answer_is_told(segmenter: RunCommand) -> None:
    [port] = free_ports(1)

    ran = segmenter("sources", "list", SEGMENTER_REDIS_URL=f"redis://127.0.0.1:{port}/0")

    assert ran.code == 3
    assert f"127.0.0.1:{port}" in ran.err


@pytest.mark.parametrize("written", ["0s", "400d", "sometimes", "-1h"])
def test_a_max_silence_that_cannot_be_is_refused(segmenter: RunCommand, written: str) -> None:
    ran = segmenter("sources", "list", SEGMENTER_TOPICS__ORDERS__MAX_SILENCE=written)

    assert ran.code == 2
    assert "`learned`, `off`, or a duration" in ran.err
