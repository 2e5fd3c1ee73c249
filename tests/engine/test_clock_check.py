"""A clock that is off holds time: it is compared with the store's, and noticed in between when it leaps."""

import pytest

from segmenter.domain.instants import DAY, HOUR, SECOND, Instant, Span, rfc3339
from segmenter.engine.clock_check import ClockCheck
from segmenter.observability import Metrics
from tests.engine.memory_worker import World, click, day, order, terms_of, working

LATE = 2 * SECOND
ORDERS, CLICKS = ("orders", 0), ("clicks", 0)


class Clocks:
    """A machine's two clocks and that of the server: `pass_` moves all, `set_off` only what the machine shows."""

    def __init__(self) -> None:
        self.system: Instant = day(0)
        self.there: Instant = day(0)
        self.ran_s = 100.0
        self.answers_after: Span = 0

    def pass_(self, span: Span) -> None:
        self.system, self.there, self.ran_s = self.system + span, self.there + span, self.ran_s + span / SECOND

    def set_off(self, span: Span) -> None:
        self.system += span

    async def now(self) -> Instant:
        """See the port TimeReference: the answer is given in the middle of the way there and back."""
        self.pass_(self.answers_after)
        there = self.there
        self.pass_(self.answers_after)
        return there

    def check(self, metrics: Metrics | None = None) -> ClockCheck:
        return ClockCheck(lambda: self.system, self, metrics or Metrics(), lambda: self.ran_s)


async def test_nothing_is_believed_before_the_first_look() -> None:
    check = Clocks().check()
    assert not check.is_trusted

    await check.look()

    assert check.is_trusted
    assert check.fault == ""


@pytest.mark.parametrize(
    ("off", "is_trusted"),
    [(0, True), (5 * SECOND, True), (-5 * SECOND, True), (6 * SECOND, False), (-6 * SECOND, False), (DAY, False)],
)
async def test_more_than_five_seconds_apart_are_too_much(off: Span, is_trusted: bool) -> None:
    clocks, metrics = Clocks(), Metrics()
    clocks.set_off(off)
    check = clocks.check(metrics)

    await check.look()

    assert check.is_trusted is is_trusted
    assert bool(check.fault) is not is_trusted
    assert metrics.registry.get_sample_value("segmenter_clock_offset_seconds") == off / SECOND


async def test_a_slow_answer_is_no_offset() -> None:
    clocks = Clocks()
    clocks.answers_after = 30 * SECOND
    check = clocks.check()

    await check.look()

    assert check.is_trusted


async def test_a_leap_is_noticed_at_once_and_judged_at_the_next_look() -> None:
    clocks = Clocks()
    check = clocks.check()
    await check.look()

    clocks.pass_(SECOND)
    clocks.set_off(DAY)
    was_trusted = check.is_trusted
    await check.look()
    fault = check.fault
    clocks.set_off(-DAY)
    await check.look()

    assert not was_trusted
    assert fault == "the clock of this machine is 86400 s ahead of that of Redis"
    assert check.is_trusted


async def test_it_is_looked_at_once_in_some_seconds() -> None:
    clocks, asked = Clocks(), 0
    check = clocks.check()

    for _ in range(20):
        before = clocks.there
        clocks.answers_after = 1
        await check.look()
        asked += clocks.there != before
        clocks.pass_(SECOND)

    assert asked == 4


@pytest.mark.parametrize("off", [DAY, -DAY])
async def test_a_worker_whose_clock_is_off_by_a_day_calls_nobody_inactive_and_is_right_afterwards(off: Span) -> None:
    world, clocks = World(terms=terms_of()), Clocks()
    world.clock_check = clocks.check(world.metrics)
    deadline = day(30)

    def show() -> None:
        world.clock.at = clocks.system

    async with working(world) as worker:
        await world.clock_check.look()
        world.broker.write(ORDERS, order("c-1", day(0)), day(0))
        await worker.read()
        clocks.pass_(29 * DAY + 12 * HOUR)
        show()
        await world.clock_check.look()
        await worker.read()
        before = worker.watermark

        clocks.set_off(off)
        show()
        await worker.read()
        await world.clock_check.look()
        await worker.read()
        world.broker.write(CLICKS, click("c-1", clocks.there), clocks.there)
        await worker.read()
        while_off = world.lifecycles("c-1"), worker.watermark, worker.engine.status().held_for

        clocks.set_off(-off)
        show()
        await worker.take()  # with what was answered while the clock was off
        await world.clock_check.look()
        await worker.take()
        after = world.lifecycles("c-1"), worker.watermark
        clocks.pass_(13 * HOUR)
        show()
        await world.clock_check.look()
        await worker.read()

    assert while_off[0] == ["new"]
    assert while_off[1] == before
    assert "86400 s" in while_off[2][0]
    assert after[0] == ["new"]
    assert after[1] <= clocks.there - LATE
    assert world.lifecycles("c-1") == ["new", "inactive"]
    assert world.told()[-1]["effective_at"] == rfc3339(deadline)


async def test_records_tell_the_right_time_where_the_clock_is_known_to_be_off() -> None:
    world, clocks = World(terms=terms_of()), Clocks()
    world.clock_check = clocks.check()
    clocks.set_off(2 * DAY)
    world.clock.at = clocks.system
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))

    async with working(world) as worker:
        await world.clock_check.look()
        await worker.read()

    assert world.told()[0]["recorded_at"] == rfc3339(day(0))
    assert world.told()[0]["backfill"] is False


async def test_a_task_on_a_machine_whose_clock_is_off_tells_no_time() -> None:
    terms = terms_of(direct=frozenset({"clicks"}), others=frozenset({"orders"}))
    world, clocks = World(terms=terms, tasks=("orders/0",)), Clocks()
    world.clock_check = clocks.check()

    async with working(world) as worker:
        await world.clock_check.look()
        await worker.read()
        await worker.read()
        before = dict(worker.lane().state.markers)
        clocks.set_off(DAY)
        world.clock.at = clocks.system
        await worker.read()
        await worker.read()

        assert before == {"orders/0": day(0) - LATE}
        assert dict(worker.lane().state.markers) == before
