"""Who owns a lane, and what he may do with it."""

from dataclasses import replace

import pytest

from segmenter.domain.instants import SECOND
from segmenter.ports import LaneState, Output, RefusalKind, Refused, Stored, Token
from tests.contract.stores import OURS, PARTITIONS, Owner, Stores, profile

NEWER = Token(8, "theirs")


async def test_a_new_lane_begins_with_nothing(stores: Stores) -> None:
    before, _ = await stores.lanes.state(1)

    state = await stores.lanes.acquire(1, OURS, PARTITIONS)

    expected = LaneState(
        lane=1, partitions=PARTITIONS, next_seq=dict.fromkeys(Output, 1), published=dict.fromkeys(Output, 0)
    )
    assert (before, state) == (None, expected)
    assert await stores.lanes.state(1) == (OURS, state)


async def test_a_higher_generation_takes_the_lane(stores: Stores, owner: Owner) -> None:
    await owner.write(profile("c"))

    state = await stores.lanes.acquire(0, NEWER, PARTITIONS)

    assert isinstance(state, LaneState)
    assert state.version == 1
    assert (await stores.lanes.state(0))[0] == NEWER


async def test_another_process_of_the_same_generation_takes_the_lane(stores: Stores, owner: Owner) -> None:
    twin = Token(OURS.generation, "twin")

    assert isinstance(await stores.lanes.acquire(0, twin, PARTITIONS), LaneState)

    assert not await stores.lanes.heartbeat(0, owner.token)
    assert await stores.lanes.heartbeat(0, twin)


async def test_a_lower_generation_is_refused_while_the_owner_lives(stores: Stores, owner: Owner) -> None:
    await stores.silence(0, 590)

    refused = await stores.lanes.acquire(0, Token(6, "late"), PARTITIONS)

    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.NEWER_TOKEN
    assert "7:ours" in refused.detail
    assert "6:late" in refused.detail


async def test_a_lower_generation_takes_the_lane_of_an_owner_silent_for_over_ten_minutes(
    stores: Stores, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    await stores.silence(0, 620)

    state = await stores.lanes.acquire(0, Token(6, "late"), PARTITIONS)

    assert isinstance(state, LaneState)
    assert "lane_taken_from_silent_owner" in caplog.messages


async def test_a_heartbeat_keeps_the_lane(stores: Stores, owner: Owner) -> None:
    await stores.silence(0, 620)
    assert await stores.lanes.heartbeat(0, OURS)

    assert isinstance(await stores.lanes.acquire(0, Token(6, "late"), PARTITIONS), Refused)


async def test_another_partition_count_is_refused(stores: Stores, owner: Owner) -> None:
    refused = await stores.lanes.acquire(0, NEWER, PARTITIONS + 1)

    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.PARTITIONS
    assert (await stores.lanes.state(0))[0] == OURS


async def test_acquiring_twice_is_acquiring(stores: Stores, owner: Owner) -> None:
    await owner.write(profile("c"))

    state = await stores.lanes.acquire(0, OURS, PARTITIONS)

    assert isinstance(state, LaneState)
    assert state.version == 1


async def test_renewing_puts_the_new_token_in_place(stores: Stores, owner: Owner) -> None:
    await owner.write(profile("c"))

    renewed = await stores.lanes.renew(0, OURS, NEWER, 1)

    assert renewed
    assert (await stores.lanes.state(0))[0] == NEWER
    assert await stores.lanes.commit(replace(owner.commit_of(), token=NEWER)) == Stored(2)


async def test_renewing_twice_is_renewing(stores: Stores, owner: Owner) -> None:
    assert await stores.lanes.renew(0, OURS, NEWER, 0)
    assert await stores.lanes.renew(0, OURS, NEWER, 0)


async def test_renewing_fails_when_the_lane_has_moved_on(stores: Stores, owner: Owner) -> None:
    await owner.write(profile("c"))

    assert not await stores.lanes.renew(0, OURS, NEWER, 0)
    assert not await stores.lanes.renew(0, Token(7, "other"), NEWER, 1)
    assert (await stores.lanes.state(0))[0] == OURS


async def test_a_heartbeat_of_an_unknown_lane_is_not_ours(stores: Stores) -> None:
    assert not await stores.lanes.heartbeat(3, OURS)
    assert not await stores.lanes.renew(3, OURS, NEWER, 0)


async def test_tasks_remember_their_positions(stores: Stores) -> None:
    await stores.tasks.advance("orders/3", 2**60 + 1)
    await stores.tasks.advance("orders/4", 5)

    assert await stores.tasks.position("orders/3") == 2**60 + 1
    assert await stores.tasks.position("orders/4") == 5
    assert await stores.tasks.position("orders/5") is None


async def test_a_lane_that_was_given_up_is_free_for_anybody_at_once(stores: Stores, owner: Owner) -> None:
    alive = await stores.lanes.silence(0)

    given_up = await stores.lanes.release(0, OURS)
    silence = await stores.lanes.silence(0)
    taken = await stores.lanes.acquire(0, Token(OURS.generation - 1, "lower"), PARTITIONS)

    assert alive is not None
    assert alive < 5 * SECOND
    assert (given_up, silence) == (True, None)
    assert isinstance(taken, LaneState)


async def test_only_the_owner_gives_a_lane_up(stores: Stores, owner: Owner) -> None:
    given_up = await stores.lanes.release(0, Token(OURS.generation, "another"))

    assert given_up is False
    assert await stores.lanes.silence(0) is not None
    assert await stores.lanes.silence(3) is None


async def test_the_silence_of_an_owner_is_told(stores: Stores, owner: Owner) -> None:
    await stores.silence(0, 400)

    silence = await stores.lanes.silence(0)

    assert silence is not None
    assert 399 * SECOND <= silence <= 410 * SECOND


async def test_a_task_is_put_elsewhere_with_its_incarnation(stores: Stores) -> None:
    await stores.tasks.advance("orders/3", 70)
    before = await stores.tasks.incarnation("orders/3"), await stores.tasks.positions()

    await stores.tasks.put("orders/3", 7, 2)

    assert before == (0, {"orders/3": 70})
    assert await stores.tasks.positions() == {"orders/3": 7}
    assert (await stores.tasks.position("orders/3"), await stores.tasks.incarnation("orders/3")) == (7, 2)
