"""A store that is put back: the log is ahead, its records are facts, and no sequence is lost or given twice."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from segmenter.adapters.memory import Snapshot
from segmenter.domain.instants import DAY, MINUTE, SECOND
from segmenter.domain.rulebook import LifecycleRule, Rulebook, ValueRule
from segmenter.domain.value import Boundary
from segmenter.engine.leader import Leader
from segmenter.engine.recovery import CLASSED_AFTER
from segmenter.engine.terms import Terms
from segmenter.errors import TransientError
from segmenter.ports import GlobalBoard, Output, Token
from tests.engine.lane_bench import LANE, LaneBench, click, order
from tests.integration.checker import check_sequences

START = 20_000 * DAY
PATIENCE = CLASSED_AFTER + 2 * SECOND
TERMS = Terms(
    rulebook=Rulebook(
        lifecycle=LifecycleRule(inactive_after=10 * MINUTE),
        value=ValueRule(window=None, band=Decimal(0), dwell=0, min_ranked=1_000),
    ),
    partitions=1,
    direct=frozenset({"orders", "clicks"}),
    announce_from=START - DAY,
)


@pytest.fixture
async def bench() -> AsyncIterator[LaneBench]:
    bench = LaneBench(TERMS, START)
    await bench.take()
    yield bench
    await bench.let_go()
    check(bench)


def check(bench: LaneBench) -> None:
    """Check what holds whatever happened."""
    for output in Output:
        numbers = [record.lane_seq for record in bench.logged(output)]
        assert numbers == list(range(1, len(numbers) + 1)), output
    check_sequences(bench.told())


async def pass_time(bench: LaneBench, span: int) -> None:
    bench.now += span
    await bench.poll()


async def rewind(bench: LaneBench, snapshot: Snapshot) -> None:
    bench.store.restore(snapshot)
    bench.now += SECOND
    await bench.until_recovered()


async def held(bench: LaneBench) -> list[str]:
    return await bench.store.lanes.held(LANE, 100)


async def test_what_the_log_has_told_is_not_told_again(bench: LaneBench) -> None:
    bench.broker.put("orders", order("anna", 1, START))
    await pass_time(bench, SECOND)
    before = bench.store.snapshot()
    bench.broker.put("orders", order("anna", 2, bench.now))
    bench.broker.put("orders", order("bert", 1, bench.now))
    await pass_time(bench, SECOND)
    assert bench.moves("anna") == [None, "new", "repeat"]

    await rewind(bench, before)
    await pass_time(bench, PATIENCE)

    assert bench.moves("anna") == [None, "new", "repeat"]
    assert bench.moves("bert") == [None, "new"]
    assert await held(bench) == []
    (profile,) = await bench.store.lanes.load(LANE, ["anna"])
    assert profile is not None
    assert (profile.totals.orders, profile.sequence, profile.is_held, profile.unannounced) == (2, 2, False, {})


async def test_a_customer_is_silent_until_the_lane_has_come_where_the_log_was(bench: LaneBench) -> None:
    await bench.poll()
    before = bench.store.snapshot()
    for number in range(1, 4):
        bench.broker.put("orders", order("anna", number, bench.now))
        await pass_time(bench, SECOND)
    told = len(bench.told())

    await rewind(bench, before)
    bench.now += PATIENCE
    for _ in range(2):
        await bench.poll({"orders": 1})
        assert await held(bench) == ["anna"]
    await bench.poll({"orders": 1})

    assert await held(bench) == []
    assert len(bench.told()) == told


async def test_what_differs_is_told_once_as_recovery(bench: LaneBench) -> None:
    bench.broker.put("orders", order("anna", 1, START))
    await pass_time(bench, SECOND)
    before = bench.store.snapshot()
    bench.broker.put("orders", order("anna", 2, bench.now))
    await pass_time(bench, SECOND)
    await rewind(bench, before)

    # A late fact comes while she is held: the record of her second order is taken back before she may speak.
    cancelled = {**order("anna", 2, bench.now), "type": "order.cancelled", "event_id": "x"}
    del cancelled["amount"], cancelled["currency"]
    bench.broker.put("orders", cancelled)
    await pass_time(bench, PATIENCE)

    last = bench.told("anna")[-1]
    assert last["sequence"] == 3
    assert last["cause"] == {"kind": "recovery", "event_ids": []}
    assert last["changes"] == [{"dimension": "lifecycle", "before": "repeat", "after": "new"}]


async def test_time_that_had_come_is_awaited_before_anybody_speaks(bench: LaneBench) -> None:
    bench.broker.put("orders", order("anna", 1, START))
    await pass_time(bench, 9 * MINUTE)
    before = bench.store.snapshot()
    await pass_time(bench, 2 * MINUTE)
    assert bench.moves("anna") == [None, "new", "inactive"]

    # All is read, but at first nothing shows that time has come as far as it had.
    await rewind(bench, before)
    await bench.poll(silent=["clicks"])
    assert await held(bench) == ["anna"]
    await pass_time(bench, PATIENCE)

    assert await held(bench) == []
    assert bench.moves("anna") == [None, "new", "inactive"]


async def test_a_customer_whom_the_store_never_knew_keeps_his_numbers(bench: LaneBench) -> None:
    await bench.poll()
    before = bench.store.snapshot()
    bench.broker.put("orders", order("anna", 1, bench.now))
    await pass_time(bench, SECOND)

    await rewind(bench, before)
    await pass_time(bench, PATIENCE)
    bench.broker.put("orders", order("anna", 2, bench.now))
    await pass_time(bench, SECOND)

    assert bench.moves("anna") == [None, "new", "repeat"]
    assert [told["sequence"] for told in bench.told("anna")] == [1, 2]


async def test_a_store_that_lost_everything_is_filled_again(bench: LaneBench) -> None:
    empty = bench.store.snapshot() if (await bench.store.lanes.state(LANE))[1].version == 0 else None
    for number in range(1, 4):
        bench.broker.put("orders", order("anna", number, bench.now))
        bench.broker.put("clicks", click("carl", number, bench.now))
        await pass_time(bench, SECOND)
    await pass_time(bench, 11 * MINUTE)
    said = len(bench.told())

    assert empty is not None
    await rewind(bench, empty)
    await pass_time(bench, 6 * MINUTE)
    await pass_time(bench, SECOND)

    assert await held(bench) == []
    assert len(bench.told()) == said
    assert bench.moves("carl") == [None, "prospect"]
    (profile,) = await bench.store.lanes.load(LANE, ["anna"])
    assert profile is not None
    assert profile.totals.orders == 3


async def test_two_rewinds_in_a_row_to_the_same_dump(bench: LaneBench) -> None:
    bench.broker.put("orders", order("anna", 1, bench.now))
    await pass_time(bench, SECOND)
    before = bench.store.snapshot()
    bench.broker.put("orders", order("anna", 2, bench.now))
    await pass_time(bench, SECOND)

    await rewind(bench, before)
    bench.broker.put("orders", order("bert", 1, bench.now))
    await pass_time(bench, SECOND)
    await rewind(bench, before)
    await pass_time(bench, PATIENCE)
    bench.broker.put("orders", order("bert", 2, bench.now))
    await pass_time(bench, SECOND)

    assert bench.moves("anna") == [None, "new", "repeat"]
    assert bench.moves("bert") == [None, "new", "repeat"]
    assert await held(bench) == []


async def test_a_dump_of_the_midst_of_a_recovery_is_recovered_from(bench: LaneBench) -> None:
    bench.broker.put("orders", order("anna", 1, bench.now))
    await pass_time(bench, SECOND)
    first = bench.store.snapshot()
    bench.broker.put("orders", order("anna", 2, bench.now))
    await pass_time(bench, SECOND)
    await rewind(bench, first)
    second = bench.store.snapshot()
    assert await held(bench) == ["anna"]
    bench.broker.put("orders", order("bert", 1, bench.now))
    await pass_time(bench, SECOND)

    await rewind(bench, second)
    await pass_time(bench, PATIENCE)

    assert await held(bench) == []
    assert bench.moves("anna") == [None, "new", "repeat"]
    assert bench.moves("bert") == [None, "new"]


async def test_another_worker_takes_a_lane_that_was_put_back(bench: LaneBench) -> None:
    bench.broker.put("orders", order("anna", 1, bench.now))
    await pass_time(bench, SECOND)
    before = bench.store.snapshot()
    bench.broker.put("orders", order("anna", 2, bench.now))
    await pass_time(bench, SECOND)
    await bench.let_go()
    bench.store.restore(before)

    await bench.take()
    await pass_time(bench, PATIENCE)

    assert bench.moves("anna") == [None, "new", "repeat"]
    assert bench.lost == []


async def test_an_owner_before_the_last_in_the_dump_is_no_newer_owner(bench: LaneBench) -> None:
    bench.broker.put("orders", order("anna", 1, bench.now))
    await pass_time(bench, SECOND)
    before = bench.store.snapshot()
    await bench.let_go()
    await bench.take()
    bench.broker.put("orders", order("anna", 2, bench.now))
    await pass_time(bench, SECOND)

    await rewind(bench, before)
    await pass_time(bench, PATIENCE)

    assert bench.lost == []
    assert bench.moves("anna") == [None, "new", "repeat"]


async def test_a_silent_move_the_store_has_lost_does_not_stay_in_the_memberships(bench: LaneBench) -> None:
    for number, amount in enumerate(("900.00", "90.00", "10.00"), start=1):
        bench.broker.put("orders", order(f"c-{number}", 1, bench.now, amount))
    await pass_time(bench, SECOND)
    await bench.round()
    await pass_time(bench, SECOND)
    before = bench.store.snapshot()
    bench.broker.put("orders", order("c-4", 1, bench.now, "90000.00"))
    await pass_time(bench, SECOND)
    await bench.round()
    await pass_time(bench, SECOND)
    assert class_in_log(bench, "c-1") == "C"

    await rewind(bench, before)
    bench.holder.offered = await bench.store.board.boundary()
    await pass_time(bench, PATIENCE)

    (profile,) = await bench.store.lanes.load(LANE, ["c-1"])
    assert profile is not None
    assert class_in_log(bench, "c-1") == profile.segment_in("value") == "A"


async def test_a_boundary_the_store_has_lost_alone_is_published_again(bench: LaneBench) -> None:
    assert bench.holder.lane is not None
    leader = Leader(bench.store.board, bench.holder.lane.token, 1, TERMS.rulebook.value, bench.metrics)
    bench.broker.put("orders", order("c-1", 1, bench.now))
    await pass_time(bench, SECOND)
    before = bench.store.snapshot()
    lost = await leader.round()

    bench.store.restore(before)
    again = await leader.round()

    assert lost is not None
    assert again == lost == await bench.store.board.boundary()
    assert await leader.round() is None


async def test_a_boundary_that_could_not_be_published_is_published_later(bench: LaneBench) -> None:
    assert bench.holder.lane is not None
    board = AwayForOnePublication(bench.store.board)
    leader = Leader(board, bench.holder.lane.token, 1, TERMS.rulebook.value, bench.metrics)
    bench.broker.put("orders", order("c-1", 1, bench.now))
    await pass_time(bench, SECOND)

    with pytest.raises(TransientError):
        await leader.round()

    assert await leader.round() == await bench.store.board.boundary() is not None


class AwayForOnePublication:
    """A board whose store is away when the first boundary is to be published."""

    def __init__(self, board: GlobalBoard) -> None:
        self.summaries, self.coarse, self.fine = board.summaries, board.coarse, board.fine
        self.parts, self.boundary = board.parts, board.boundary
        self._board = board
        self._is_away = True

    async def publish(self, token: Token, boundary: Boundary) -> bool:
        """See GlobalBoard."""
        if self._is_away:
            self._is_away = False
            raise TransientError("the store is away")
        return await self._board.publish(token, boundary)


def class_in_log(bench: LaneBench, customer: str) -> object:
    values = [json.loads(r.value or b"") for r in bench.logged(Output.MEMBERSHIPS) if r.key == customer.encode()]
    return values[-1]["segments"].get("value")


async def test_a_lane_that_was_far_behind_recovers_too(bench: LaneBench) -> None:
    for number in range(40):
        bench.broker.put("orders", order("anna", number, START - DAY + number * MINUTE))
    await bench.poll({"orders": 5})
    before = bench.store.snapshot()
    await bench.poll({"orders": 5})
    await bench.poll({"orders": 5})

    await rewind(bench, before)
    await pass_time(bench, PATIENCE)

    assert await held(bench) == []
    assert bench.moves("anna") == [None, "new", "repeat", "inactive"]


async def test_more_held_customers_than_one_commit_releases() -> None:
    bench = LaneBench(replace(TERMS, sweep_per_commit=2), START)
    await bench.take()
    await bench.poll()
    before = bench.store.snapshot()
    for number in range(21):
        bench.broker.put("orders", order(f"c-{number}", 1, bench.now))
    await pass_time(bench, SECOND)

    await rewind(bench, before)
    await pass_time(bench, PATIENCE)
    await bench.let_go()

    assert await held(bench) == []
    assert len(bench.told()) == 21
    check(bench)
