"""`segmenter aside`: who is put aside, and why."""

import asyncio
import json
import uuid

import pytest

from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.ports import Aside, Commit, LaneNotes, LaneState, Token
from tests.cli.running import RunCommand

ERROR = "unexpected KeyError at domain/step:70"


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    namespace = f"s{uuid.uuid4().hex[:8]}"
    return {"SEGMENTER_REDIS_URL": redis_url, "SEGMENTER_NAMESPACE": namespace, "SEGMENTER_PARTITIONS": "4"}


def put_aside(environment: dict[str, str], lane: int, *customers: str) -> None:
    """Let a lane have put these customers aside."""

    async def store() -> None:
        client = connect(environment["SEGMENTER_REDIS_URL"])
        lanes, token = RedisLaneStore(client, environment["SEGMENTER_NAMESPACE"]), Token(1, "worker")
        state = await lanes.acquire(lane, token, 4)
        assert isinstance(state, LaneState)
        notes = LaneNotes(aside=dict.fromkeys(customers, Aside(error=ERROR, since=1_767_225_600_000_000)))
        await lanes.commit(Commit(lane=lane, token=token, version=state.version, notes=notes))
        await client.aclose()

    asyncio.run(store())


def test_everybody_who_is_put_aside_is_named_with_the_error(
    segmenter: RunCommand, environment: dict[str, str]
) -> None:
    put_aside(environment, 1, "c-9", "c-7")
    put_aside(environment, 3, "c-8")

    ran = segmenter("aside", "--json", **environment)
    table = segmenter("aside")

    found = json.loads(ran.out)["aside"]
    assert [(each["customer_id"], each["lane"]) for each in found] == [("c-7", 1), ("c-9", 1), ("c-8", 3)]
    assert found[0] == {"customer_id": "c-7", "lane": 1, "since": "2026-01-01T00:00:00.000Z", "error": ERROR}
    assert (ran.code, table.code) == (1, 1)
    assert all(text in table.out for text in ("c-7", "c-8", "c-9", ERROR))


def test_nobody_is_put_aside(segmenter: RunCommand, environment: dict[str, str]) -> None:
    put_aside(environment, 1)

    ran = segmenter("aside", **environment)

    assert (ran.code, ran.out.strip()) == (0, "nobody is put aside")
