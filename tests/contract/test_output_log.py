"""What every output log keeps: order, numbers, and one writer a lane."""

from collections.abc import AsyncIterator, Callable

import pytest

from segmenter.adapters.kafka_log import KafkaOutputLog
from segmenter.adapters.memory_log import MemoryOutputLog
from segmenter.errors import FencedError
from segmenter.ports import LaneLog, OutboxEntry, Output, OutputLog
from tests.contract.lane_entries import PARTITIONS, entries, numbers
from tests.contract.simulated import simulated_cluster

CHANGES, MEMBERSHIPS, REJECTED = Output.CHANGES, Output.MEMBERSHIPS, Output.REJECTED


@pytest.fixture(params=["memory", "simulated", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest, unique: Callable[[str], str]) -> AsyncIterator[OutputLog]:
    if request.param == "memory":
        yield MemoryOutputLog()
        return
    if request.param == "simulated":
        async with KafkaOutputLog(
            simulated_cluster(), "app", {output: output.value for output in Output}
        ) as simulated:
            yield simulated
        return
    topics = {output: unique(output.value) for output in Output}
    bootstrap = request.getfixturevalue("kafka").bootstrap
    await request.getfixturevalue("make_topics")(dict.fromkeys(topics.values(), PARTITIONS))
    async with KafkaOutputLog(bootstrap, unique("app"), topics) as kafka_log:
        yield kafka_log


@pytest.fixture
async def owners(log: OutputLog) -> AsyncIterator[Callable[..., object]]:
    """Take lane 1 (or another) over: `await owners()`; all are closed at the end."""
    taken: list[LaneLog] = []

    async def take_over(lane: int = 1) -> LaneLog:
        lane_log = await log.take_over(lane)
        taken.append(lane_log)
        await lane_log.tails()
        await lane_log.open()
        return lane_log

    yield take_over
    for lane_log in taken:
        await lane_log.close()


async def test_a_lane_that_was_never_written_has_no_tails(log: OutputLog) -> None:
    owner = await log.take_over(1)

    tails = await owner.tails()

    assert tails == {}
    await owner.close()


async def test_records_are_in_the_log_in_order_and_carry_their_number_and_writer(owners, log: OutputLog) -> None:
    owner = await owners()

    await owner.send(entries(CHANGES, 1, 700) + entries(MEMBERSHIPS, 1, 3) + entries(CHANGES, 701, 800))

    reader = await owners()
    changes = await reader.beyond(CHANGES, 0)
    assert numbers(changes) == list(range(1, 801))
    assert (changes[0].key, changes[0].value) == (b"c-1", b"{}")
    expected = {"lane_seq": b"1", "lane_pid": b"%d" % owner.producer_id, "ce_id": b"1"}
    assert dict(changes[0].headers) == expected
    assert numbers(await reader.beyond(MEMBERSHIPS, 0)) == [1, 2, 3]


async def test_tails_tell_the_highest_number_of_each_output_and_who_wrote_it(owners) -> None:
    owner = await owners()
    await owner.send(entries(CHANGES, 1, 5) + entries(REJECTED, 1, 2))

    successor = await owners()
    tails = await successor.tails()

    assert {output: tail.lane_seq for output, tail in tails.items()} == {CHANGES: 5, REJECTED: 2}
    assert {tail.producer_id for tail in tails.values()} == {successor.producer_id}


async def test_only_what_is_beyond_a_number_is_returned(owners) -> None:
    owner = await owners()
    for first in range(1, 2_001, 400):
        await owner.send(entries(CHANGES, first, first + 399))

    successor = await owners()

    assert numbers(await successor.beyond(CHANGES, 1_950)) == list(range(1_951, 2_001))
    assert await successor.beyond(CHANGES, 2_000) == []


async def test_an_older_owner_is_refused_though_it_never_wrote(owners) -> None:
    older = await owners()
    newer = await owners()

    with pytest.raises(FencedError):
        await older.send(entries(CHANGES, 1, 10))

    await newer.send(entries(CHANGES, 1, 1))
    assert numbers(await (await owners()).beyond(CHANGES, 0)) == [1]


async def test_an_older_owner_is_refused_on_every_output_it_wrote(owners) -> None:
    older = await owners()
    await older.send([entry for output in Output for entry in entries(output, 1, 2)])
    newer = await owners()

    for output in Output:
        with pytest.raises(FencedError):
            await older.send(entries(output, 3, 3))

    await newer.send(entries(CHANGES, 3, 4))
    assert numbers(await (await owners()).beyond(CHANGES, 0)) == [1, 2, 3, 4]


async def test_lanes_do_not_disturb_each_other(owners) -> None:
    one, two = await owners(1), await owners(2)

    await one.send(entries(CHANGES, 1, 3))
    await two.send(entries(CHANGES, 1, 2))

    assert (await (await owners(1)).tails())[CHANGES].lane_seq == 3
    assert (await (await owners(2)).tails())[CHANGES].lane_seq == 2


async def test_a_tombstone_stays_one(owners) -> None:
    owner = await owners()

    await owner.send([OutboxEntry(output=MEMBERSHIPS, lane_seq=1, key=b"c-1", value=None)])

    [record] = await (await owners()).beyond(MEMBERSHIPS, 0)
    assert (record.key, record.value) == (b"c-1", None)


async def test_many_takeovers_without_a_record_do_not_hide_the_tail(owners, log: OutputLog) -> None:
    owner = await owners()
    await owner.send(entries(CHANGES, 1, 3))
    for _ in range(20):
        await (await log.take_over(1)).close()

    assert (await (await owners()).tails())[CHANGES].lane_seq == 3


async def test_a_lane_that_was_prepared_and_given_up_leaves_nothing_behind(owners, log: OutputLog) -> None:
    given_up = await log.take_over(1)
    given_up.prepare()
    await given_up.close()

    owner = await owners()
    await owner.send(entries(CHANGES, 1, 1))

    assert (await (await owners()).tails())[CHANGES].lane_seq == 1
