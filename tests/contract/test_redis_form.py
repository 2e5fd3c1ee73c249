"""The stored form: what an earlier release wrote is read and written on by this one."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from segmenter.adapters.redis_board import RedisBoard
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.profile import Profile
from segmenter.domain.value import histogram
from segmenter.ports import Due, Output, Range
from tests.contract.lane_sample import (
    NAMESPACE,
    NOTES,
    PAGES,
    comparable,
    dumped,
    restore,
    sample_profiles,
    write_sample,
)
from tests.contract.stores import OURS, Owner

DUMPS = sorted((Path(__file__).parents[1] / "data").glob("lane_state_*.json.gz"))


@pytest.fixture(params=DUMPS, ids=lambda path: path.name)
def kept(request: pytest.FixtureRequest) -> Path:
    """The dump of a lane that a release has left."""
    path: Path = request.param
    return path


@pytest.fixture
def profiles(kept: Path) -> list[Profile]:
    """Who is in that lane."""
    return sample_profiles(int(kept.name.removeprefix("lane_state_").split(".")[0]))


@pytest.fixture
def dump(kept: Path) -> bytes:
    """What is in that lane."""
    return kept.read_bytes()


@pytest.fixture
async def client(dump: bytes, redis_url: str) -> AsyncIterator[Redis]:
    """A Redis that holds what a release has left."""
    async with connect(redis_url) as client:
        await restore(client, dump)
        yield client


async def test_a_kept_lane_is_read(client: Redis, profiles: list[Profile]) -> None:
    lanes = RedisLaneStore(client, NAMESPACE)

    token, state = await lanes.state(0)

    assert token == OURS
    assert (state.version, state.notes) == (1, NOTES)
    assert state.positions == {"orders/0": 42, "segmenter.rekeyed/0": 2**60}
    assert (state.taken, state.markers) == ({"clicks/3@a1": 99}, {"clicks/3": NOTES.watermark})
    assert state.next_seq == {Output.CHANGES: 3, Output.MEMBERSHIPS: 3, Output.REJECTED: 1}
    assert state.sizes == {("lifecycle", "new"): 8, ("value", "B"): 8}
    assert await lanes.load(0, [profile.customer for profile in profiles]) == profiles
    assert await lanes.outbox(0, 0, 9) == list(PAGES)
    assert await lanes.held(0, 9) == ["käufer"]


async def test_a_kept_lane_is_in_order(client: Redis, profiles: list[Profile]) -> None:
    lanes, board = RedisLaneStore(client, NAMESPACE), RedisBoard(client, NAMESPACE, 1)
    wakes = sorted((profile.wake_at, profile.customer) for profile in profiles if profile.wake_at is not None)
    revenues = sorted(
        (revenue, profile.customer) for profile in profiles if (revenue := profile.ranked_revenue) is not None
    )
    fine = histogram(revenue for revenue, _ in revenues if revenue > 0)

    assert await lanes.due(0, 2**53, 99) == [Due(at, customer) for at, customer in wakes]
    assert await lanes.ranked(0, 0, 2**53, None, 99) == revenues
    factors = sorted(await board.coarse(0))
    assert await board.fine(0, factors) == {bucket: Range(*counted) for bucket, counted in fine.items()}


async def test_a_kept_lane_is_written_on(client: Redis, profiles: list[Profile]) -> None:
    owner = await Owner(lanes=RedisLaneStore(client, NAMESPACE)).acquire()
    owner.known = {profile.customer: profile for profile in profiles}
    forgotten = [*owner.known]

    commit = owner.commit_of(forget=forgotten)
    await owner.store(replace(commit, positions={"orders/0": (42, 50)}, release=("käufer",)))

    assert await owner.lanes.next_due(0) is None
    assert await owner.lanes.ranked(0, 0, 2**53, None, 9) == []
    assert await owner.lanes.held(0, 9) == []


async def test_the_newest_kept_form_is_the_one_we_write(redis_url: str) -> None:
    """When this fails, the form has changed: keep the old dump, add one of the new form, read both."""
    async with connect(redis_url) as client:
        await write_sample(await Owner(lanes=RedisLaneStore(client, NAMESPACE)).acquire())

        written = await dumped(client, NAMESPACE)

    assert comparable(written) == comparable(DUMPS[-1].read_bytes())
