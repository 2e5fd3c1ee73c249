"""An owner who slept while another had his lane: what he does when he wakes up, and the store has been put back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from segmenter.domain.instants import DAY, MINUTE, SECOND
from segmenter.domain.rulebook import LifecycleRule, Rulebook, ValueRule
from segmenter.engine.holder import LaneHolder
from segmenter.engine.recovery import CLASSED_AFTER
from segmenter.engine.terms import Terms
from segmenter.ports import Output
from tests.engine.lane_bench import LANE, LaneBench, order
from tests.integration.checker import check_sequences

START = 20_000 * DAY
TERMS = Terms(
    rulebook=Rulebook(
        lifecycle=LifecycleRule(inactive_after=10 * MINUTE),
        value=ValueRule(window=None, band=Decimal(0), dwell=0, min_ranked=1_000),
    ),
    partitions=1,
    direct=frozenset({"orders", "clicks"}),
    announce_from=START - DAY,
)


@asynccontextmanager
async def woken(sleeper_reads: int) -> AsyncIterator[LaneBench]:
    """Give a bench whose first owner woke up on a store that was put back, and then read so many orders.

    His successor had told of anna's second order, and of bert.
    """
    bench = LaneBench(TERMS, START)
    await bench.take()
    bench.broker.put("orders", order("anna", 1, START))
    await pass_time(bench)
    before, sleeper, his_keeper = bench.store.snapshot(), bench.holder, bench._keeper
    await bench.take()
    bench.broker.put("orders", order("anna", 2, bench.now))
    bench.broker.put("orders", order("bert", 1, bench.now))
    bench.broker.put_raw("orders", 0, b"no event", ())
    await pass_time(bench)
    await bench.let_go()
    bench.broker.put("orders", order("carl", 1, bench.now))
    bench.broker.put_raw("orders", 0, b"no event either", ())

    bench.store.restore(before)
    bench.holder, bench._keeper = sleeper, his_keeper
    bench.now += SECOND
    woke_with = nonce_of(sleeper)
    await bench.poll({"orders": sleeper_reads})
    async with asyncio.timeout(10):
        while sleeper.lane is None or nonce_of(sleeper) == woke_with:  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0.005)
    await bench.until_held()
    await pass_time(bench)
    bench.now += CLASSED_AFTER
    await pass_time(bench)
    yield bench
    await bench.let_go()
    for output in Output:
        numbers = [record.lane_seq for record in bench.logged(output)]
        assert numbers == list(range(1, len(numbers) + 1)), output
    check_sequences(bench.told())


async def pass_time(bench: LaneBench) -> None:
    bench.now += SECOND
    await bench.poll()


def nonce_of(holder: LaneHolder) -> str:
    assert holder.lane is not None
    return holder.lane.token.nonce


async def test_what_successors_told_is_told_on_from_by_one_who_woke_up_on_a_store_put_back() -> None:
    async with woken(5) as bench:
        assert bench.moves("anna") == [None, "new", "repeat"]
        assert bench.moves("bert") == [None, "new"]
        assert bench.moves("carl") == [None, "new"]


async def test_a_fork_that_is_shorter_than_the_log_is_found_too() -> None:
    async with woken(1) as bench:
        assert bench.moves("anna") == [None, "new", "repeat"]
        assert bench.moves("bert") == [None, "new"]
        assert bench.moves("carl") == [None, "new"]


async def test_what_the_sleeper_put_aside_is_put_aside_although_its_number_was_taken() -> None:
    async with woken(5) as bench:
        aside = {record.value for record in bench.logged(Output.REJECTED)}

        assert aside == {b"no event", b"no event either"}


async def test_nobody_stays_held_and_profiles_count_what_was_told() -> None:
    async with woken(5) as bench:
        held = await bench.store.lanes.held(LANE, 100)
        profiles = await bench.store.lanes.load(LANE, ["anna", "bert", "carl"])

        assert held == []
        assert [(p.totals.orders, p.sequence, p.unannounced) for p in profiles if p] == [
            (2, 2, {}),
            (1, 1, {}),
            (1, 1, {}),
        ]
