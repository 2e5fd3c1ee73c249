"""A small slice of the fuzzing, another one each day; `make fuzz N=1000000` is all of it."""

import os
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from segmenter.adapters.redis_client import connect
from tests.fuzz.path import pass_through
from tests.fuzz.scripts import torment

SEED = int(os.environ.get("FUZZ_SEED", int(time.time() // 86_400)))


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


async def test_every_hostile_record_is_worked_off_or_put_aside_with_a_reason() -> None:
    passed = await pass_through(SEED, 4_000)

    assert passed.worked_off.total() == passed.records == 4_000, f"FUZZ_SEED={SEED}"
    assert passed.worked_off["rejected"] == passed.rejected.total()
    assert passed.unexplained == 0
    assert min(passed.worked_off["accepted"], passed.rejected.total(), passed.changes) > 100
    assert len(passed.rejected) >= 8


async def test_a_script_that_refuses_writes_nothing(client: Redis) -> None:
    outcomes = await torment(client, SEED, 600)

    assert {name.partition(" ")[2] for name in outcomes} == {"done", "refused", "failed"}, f"FUZZ_SEED={SEED}"
