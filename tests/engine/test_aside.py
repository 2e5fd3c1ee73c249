"""A customer for whom time makes our own code raise is put aside alone, and comes back after a fix."""

from dataclasses import dataclass, field

import pytest

from segmenter.adapters.records import JsonEncoder
from segmenter.domain.changes import ChangeSet
from segmenter.domain.instants import DAY, SECOND, Instant, rfc3339
from segmenter.domain.rulebook import LifecycleRule, Rulebook, ValueRule
from segmenter.engine.due_work import MOST_ASIDE
from segmenter.engine.intake import LaneCondition
from segmenter.ports import Body
from tests.engine.memory_worker import MemoryWorker, World, click, day, order, terms_of, working

ORDERS, CLICKS = ("orders", 0), ("clicks", 0)
SILENCE = 30 * DAY


class Trap(int):
    """A span of silence that cannot be added to these instants: a fault in our code that few customers meet."""

    trapped: set[Instant]

    def __radd__(self, at: int) -> int:
        if at in self.trapped:
            raise ArithmeticError("ada@example.org")
        return int(self) + at


@dataclass
class FragileEncoder(JsonEncoder):
    """Writes what we write, but not of these customers."""

    unwritable: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def change_record(self, said: ChangeSet, **around: object) -> Body:  # type: ignore[override]
        if said.customer in self.unwritable:
            raise UnicodeError
        return super().change_record(said, **around)  # type: ignore[arg-type]


@dataclass(kw_only=True)
class FragileWorld(World):
    encoder: FragileEncoder = field(default_factory=FragileEncoder)


@dataclass
class Story:
    """Three customers who order a second apart and fall silent; the code cannot bear the second one later on."""

    trap: Trap
    world: FragileWorld

    async def begin(self, worker: MemoryWorker) -> None:
        for number in range(3):
            at = day(0) + number * SECOND
            self.world.broker.write(ORDERS, order(f"c-{number}", at), at)
        await self.until(worker, 1)
        self.trap.trapped.add(day(0) + SECOND)

    async def until(self, worker: MemoryWorker, number: float) -> None:
        """Let everything be read as of a day."""
        self.world.clock.at = day(number)
        for _ in range(3):
            await worker.read()

    def inactive(self) -> list[str]:
        return [f"c-{number}" for number in range(3) if "inactive" in self.world.lifecycles(f"c-{number}")]

    def put_aside(self) -> float:
        return self.world.count("segmenter_customers_aside", partition="0")


@pytest.fixture
def story() -> Story:
    trap = Trap(SILENCE)
    trap.trapped = set()
    value = ValueRule(window=None, dwell=0, min_ranked=10**6)
    rules = Rulebook(lifecycle=LifecycleRule(inactive_after=trap), value=value)
    return Story(trap, FragileWorld(terms=terms_of(rulebook=rules)))


async def test_a_deadline_that_our_code_cannot_bear_costs_that_customer_alone(story: Story) -> None:
    async with working(story.world) as worker:
        await story.begin(worker)
        await story.until(worker, 40)
        condition, notes = worker.holder().condition, worker.lane().state.notes
        shown = story.put_aside()

    assert condition is LaneCondition.RUNNING
    assert story.inactive() == ["c-0", "c-2"]
    assert set(notes.aside) == {"c-1"}
    assert "ArithmeticError" in notes.aside["c-1"].error
    assert "ada@example.org" not in notes.aside["c-1"].error
    assert shown == 1
    assert story.world.rejected() == {}


async def test_his_deadline_is_tried_no_more_while_the_lane_goes_on(story: Story) -> None:
    async with working(story.world) as worker:
        await story.begin(worker)
        await story.until(worker, 40)
        queued = await story.world.lanes.due(0, day(1000), 10)
        [profile] = await story.world.lanes.load(0, ["c-1"])
        version = worker.lane().state.version
        await worker.read()
        versions_after = worker.lane().state.version - version

    assert [due.customer for due in queued] == []
    assert profile is not None
    assert (profile.segment_in("lifecycle"), profile.wake_at) == ("new", day(0) + SECOND + SILENCE)
    assert versions_after <= 1


async def test_a_fixed_worker_plays_what_he_has_missed_at_its_own_time(story: Story) -> None:
    async with working(story.world) as worker:
        await story.begin(worker)
        await story.until(worker, 40)
    story.trap.trapped.clear()

    async with working(story.world) as worker:
        await story.until(worker, 41)
        notes, shown = worker.lane().state.notes, story.put_aside()

    told = [told for told in story.world.told() if told["customer_id"] == "c-1"][-1]
    assert told["effective_at"] == rfc3339(day(0) + SECOND + SILENCE)
    assert told["cause"]["kind"] == "time"
    assert notes.aside == {}
    assert shown == 0


async def test_a_worker_that_is_not_fixed_puts_him_aside_again(story: Story) -> None:
    async with working(story.world) as worker:
        await story.begin(worker)
        await story.until(worker, 40)
        before = worker.lane().state.notes.aside

    async with working(story.world) as worker:
        await story.until(worker, 41)
        after = worker.lane().state.notes.aside
        condition, shown = worker.holder().condition, story.put_aside()

    assert condition is LaneCondition.RUNNING
    assert after == before
    assert shown == 1


async def test_his_events_are_put_aside_while_our_code_cannot_bear_them(story: Story) -> None:
    async with working(story.world) as worker:
        await story.begin(worker)
        await story.until(worker, 40)
        story.world.broker.write(CLICKS, click("c-1", day(40)), day(40))
        story.world.broker.write(CLICKS, click("c-0", day(40)), day(40))
        await story.until(worker, 40.1)
        condition = worker.holder().condition

    assert condition is LaneCondition.RUNNING
    assert story.world.rejected() == {"internal_error": 1}
    assert story.world.count("segmenter_events_total", type="click", verdict="accepted") == 1


async def test_an_event_that_our_code_can_bear_brings_him_back(story: Story) -> None:
    async with working(story.world) as worker:
        await story.begin(worker)
        await story.until(worker, 40)
        story.trap.trapped.clear()
        story.world.broker.write(ORDERS, order("c-1", day(40)), day(40))
        await story.until(worker, 40.1)
        notes = worker.lane().state.notes
        queued = await story.world.lanes.due(0, day(1000), 10)

    assert story.world.lifecycles("c-1") == ["new", "inactive", "repeat"]
    assert notes.aside == {}
    assert [(due.customer, due.at) for due in queued] == [("c-1", day(40) + SILENCE)]


async def test_what_cannot_be_written_of_a_customer_costs_him_alone(story: Story) -> None:
    async with working(story.world) as worker:
        await story.begin(worker)
        story.trap.trapped.clear()
        story.world.encoder.unwritable.add("c-1")
        await story.until(worker, 40)
        condition, notes = worker.holder().condition, worker.lane().state.notes

    assert condition is LaneCondition.RUNNING
    assert story.inactive() == ["c-0", "c-2"]
    assert {customer: found.error.split(" at ")[0] for customer, found in notes.aside.items()} == {
        "c-1": "unexpected UnicodeError"
    }


async def test_too_many_stop_the_lane_and_none_of_the_last_is_lost(story: Story) -> None:
    count = MOST_ASIDE + 1
    async with working(story.world) as worker:
        for number in range(count):
            at = day(0) + number * SECOND
            story.world.broker.write(ORDERS, order(f"c-{number}", at), at)
        await story.until(worker, 1)
        story.trap.trapped.update(day(0) + number * SECOND for number in range(count))
        await story.until(worker, 40)
        condition, reason = worker.holder().condition, worker.engine.status().reasons[0]
        queued = await story.world.lanes.due(0, day(1000), 2 * count)

    assert condition is LaneCondition.STOPPED
    assert f"more than {MOST_ASIDE} customers" in reason
    assert len(queued) == count
