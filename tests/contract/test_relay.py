"""What the relay keeps: all that is stored reaches the log once and in order, through failures and new owners."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.memory_log import MemoryLaneLog, MemoryOutputLog
from segmenter.domain.profile import Profile
from segmenter.engine.backlog import Backlog
from segmenter.engine.relay import Reconciliation, Relay
from segmenter.engine.takeover import WRITES_PER_COMMIT
from segmenter.errors import FencedError, InvariantError, OwnershipError, RewoundError, TransientError
from segmenter.observability import Metrics
from segmenter.ports import LaneNotes, LaneState, LoggedRecord, OutboxEntry, OutboxPage, Output, ProfileWrite, Token
from tests.contract.lane_entries import PARTITIONS, Owner, entries, numbers

CHANGES, MEMBERSHIPS = Output.CHANGES, Output.MEMBERSHIPS
LANE = 1


class StillClock:
    def now(self) -> int:
        return 5_000_000


class FailingLog(MemoryOutputLog):
    """A log whose sends fail as often as told, before or after the records are written."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[str] = []
        self.takeovers = 0
        self.producer_id: int | None = None

    async def take_over(self, lane: int) -> "MemoryLaneLog":
        self.takeovers += 1
        return FailingLaneLog(await super().take_over(lane), self)


class FailingLaneLog(MemoryLaneLog):
    def __init__(self, lane_log: MemoryLaneLog, log: FailingLog) -> None:
        super().__init__(lane_log._log, lane_log._lane, lane_log._epoch)
        self._failing = log
        if log.producer_id is not None:
            self.producer_id = log.producer_id

    async def send(self, entries: Sequence[OutboxEntry]) -> None:
        failure = self._failing.failures.pop(0) if self._failing.failures else None
        if failure == "before":
            raise TransientError("the broker is away")
        if failure == "fenced":
            raise FencedError("a newer owner")
        await super().send(entries[: len(entries) // 2] if failure == "half" else entries)
        if failure in ("half", "after"):
            raise TransientError("no answer")


class Scene:
    """A lane with a store and a log, and owners one after the other."""

    def __init__(self) -> None:
        self.store = MemoryStore(PARTITIONS)
        self.log = FailingLog()
        self.generation = 0

    async def owner(self) -> Owner:
        self.generation += 1
        owner = Owner(self.store.lanes, LANE, self.generation)
        await owner.acquire()
        return owner

    def relay(self, owner: Owner) -> Relay:
        return Relay(LANE, owner.token, store=self.store.lanes, log=self.log, clock=StillClock(), recorder=Metrics())

    async def state(self) -> LaneState:
        return (await self.store.lanes.state(LANE))[1]

    def logged(self, output: Output = CHANGES) -> list[int]:
        return numbers(self.log.records[output, LANE])


@pytest.fixture
def scene() -> Scene:
    return Scene()


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await relay.close()


async def never_needed(
    state: LaneState, facts: Mapping[Output, Sequence[LoggedRecord]], unsaid: Sequence[OutboxEntry]
) -> Reconciliation:
    raise AssertionError(f"not to be called, with {facts}")


async def test_what_is_enqueued_is_published_and_marked(scene: Scene) -> None:
    owner = await scene.owner()
    relay = scene.relay(owner)
    await relay.take_over(never_needed)

    async with running(relay):
        for _ in range(5):
            relay.enqueue(await owner.say(changes=30, memberships=10))
        assert await relay.drain(5)

    assert scene.logged() == list(range(1, 151))
    assert scene.logged(MEMBERSHIPS) == list(range(1, 51))
    state = await scene.state()
    assert (state.published[CHANGES], state.published[MEMBERSHIPS]) == (150, 50)
    assert (state.first_page, state.outbox_entries) == (state.next_page, 0)


async def test_a_successor_publishes_what_its_predecessor_left(scene: Scene) -> None:
    first = await scene.owner()
    await scene.relay(first).take_over(never_needed)
    await first.say(changes=40)
    await first.say(changes=40)
    second = await scene.owner()
    relay = scene.relay(second)

    state = await relay.take_over(never_needed)

    assert (relay.depth, state.next_seq[CHANGES]) == (80, 81)
    async with running(relay):
        assert await relay.drain(5)
    assert scene.logged() == list(range(1, 81))


async def test_what_was_sent_and_not_marked_is_not_sent_again(scene: Scene) -> None:
    first = await scene.owner()
    await scene.relay(first).take_over(never_needed)
    pages = [*await first.say(changes=10), *await first.say(changes=10)]
    lane_log = await scene.log.take_over(LANE)
    await lane_log.send([entry for page in pages for entry in page.entries][:13])

    relay = scene.relay(await scene.owner())
    state = await relay.take_over(never_needed)

    assert (relay.depth, state.first_page, state.published[CHANGES]) == (7, 1, 13)
    async with running(relay):
        assert await relay.drain(5)
    assert scene.logged() == list(range(1, 21))


@pytest.mark.parametrize("failures", [["before"], ["half"], ["after"], ["half", "before", "after", "half"]])
async def test_after_an_unknown_outcome_the_relay_takes_over_again_and_nothing_is_twice(
    scene: Scene, failures: list[str]
) -> None:
    owner = await scene.owner()
    relay = scene.relay(owner)
    await relay.take_over(never_needed)
    failure_count, scene.log.failures = len(failures), failures

    async with running(relay):
        for _ in range(20):
            relay.enqueue(await owner.say(changes=20))
            await asyncio.sleep(0.02)
        assert await relay.drain(10)

    assert scene.logged() == list(range(1, 401))
    assert scene.log.failures == []
    assert scene.log.takeovers == 1 + failure_count


async def test_while_the_broker_refuses_the_relay_says_why_and_then_no_more(scene: Scene) -> None:
    owner = await scene.owner()
    relay = scene.relay(owner)
    await relay.take_over(never_needed)
    scene.log.failures = ["before"] * 3
    told: set[str] = set()

    async with running(relay):
        relay.enqueue(await owner.say(changes=1))
        async with asyncio.timeout(10):
            while scene.log.failures:
                told.add(relay.trouble)
                await asyncio.sleep(0.01)
        assert await relay.drain(10)

    assert told >= {"publishing waits for Kafka: the broker is away"}
    assert relay.trouble == ""


async def test_one_fence_while_the_lane_is_ours_is_overcome(scene: Scene) -> None:
    owner = await scene.owner()
    relay = scene.relay(owner)
    await relay.take_over(never_needed)
    await scene.log.take_over(LANE)

    async with running(relay):
        relay.enqueue(await owner.say(changes=5))
        assert await relay.drain(5)

    assert scene.logged() == [1, 2, 3, 4, 5]


async def test_two_fences_in_a_row_while_the_lane_is_ours_end_the_process(scene: Scene) -> None:
    owner = await scene.owner()
    relay = scene.relay(owner)
    await relay.take_over(never_needed)
    scene.log.failures = ["fenced", "fenced"]

    async with running(relay) as task:
        relay.enqueue(await owner.say(changes=5))
        with pytest.raises(FencedError):
            await asyncio.wait_for(task, 5)


async def test_a_fence_by_the_new_owner_ends_the_relay_and_does_not_fence_him(scene: Scene) -> None:
    old = await scene.owner()
    relay = scene.relay(old)
    await relay.take_over(never_needed)
    new = await scene.owner()
    successor = scene.relay(new)
    await successor.take_over(never_needed)
    relay.enqueue([OutboxPage(0, tuple(entries(CHANGES, 1, 3)))])

    async with running(relay) as task:
        with pytest.raises(OwnershipError, match="is owned by"):
            await asyncio.wait_for(task, 5)

    async with running(successor):
        successor.enqueue(await new.say(changes=2))
        assert await successor.drain(5)
    assert scene.log.takeovers == 2
    assert scene.logged() == [1, 2]


async def test_he_who_has_lost_the_lane_does_not_displace_its_owner(scene: Scene) -> None:
    relay = scene.relay(await scene.owner())
    await scene.owner()

    with pytest.raises(OwnershipError):
        await relay.take_over(never_needed)

    assert scene.log.takeovers == 0


async def test_after_a_rewind_the_records_of_the_log_are_facts_and_numbers_go_on_behind_them(scene: Scene) -> None:
    first = await scene.owner()
    relay = scene.relay(first)
    await relay.take_over(never_needed)
    async with running(relay):
        relay.enqueue(await first.say(changes=10, memberships=10))
        dump = scene.store.snapshot()
        relay.enqueue(await first.say(changes=5, memberships=5))
        assert await relay.drain(5)
    scene.store.restore(dump)
    second = await scene.owner()
    told: dict[Output, list[int]] = {}

    async def reconcile(
        state: LaneState, facts: Mapping[Output, Sequence[LoggedRecord]], unsaid: Sequence[OutboxEntry]
    ) -> Reconciliation:
        assert not unsaid
        told.update({output: numbers(records) for output, records in facts.items()})
        return Reconciliation(hold=["c-11"], notes=LaneNotes(recover_upto={"orders/1": 7}))

    relay = scene.relay(second)
    state = await relay.take_over(reconcile)

    assert told == {CHANGES: [11, 12, 13, 14, 15], MEMBERSHIPS: [11, 12, 13, 14, 15]}
    assert (state.next_seq[CHANGES], state.published[CHANGES], relay.depth) == (16, 15, 0)
    assert state.notes.recover_upto == {"orders/1": 7}
    assert await scene.store.lanes.held(LANE, 10) == ["c-11"]
    async with running(relay):
        relay.enqueue(await second.say(changes=2))
        assert await relay.drain(5)
    assert scene.logged() == list(range(1, 18))


async def test_many_profiles_are_reconciled_in_several_commits_and_a_crash_between_repeats_them(
    scene: Scene,
) -> None:
    first = await scene.owner()
    dump = scene.store.snapshot()
    lane_log = await scene.log.take_over(LANE)
    await lane_log.send(entries(CHANGES, 1, 3))
    customers = [f"c-{i}" for i in range(WRITES_PER_COMMIT + 10)]
    scene.store.restore(dump)

    async def reconcile(
        state: LaneState, facts: Mapping[Output, Sequence[LoggedRecord]], unsaid: Sequence[OutboxEntry]
    ) -> Reconciliation:
        assert not unsaid
        assert numbers(facts[CHANGES]) == [1, 2, 3]
        writes = [ProfileWrite(customer=customer, profile=Profile(customer=customer)) for customer in customers]
        return Reconciliation(profiles=writes, hold=customers, notes=LaneNotes())

    class Crash(Exception):
        pass

    class CrashingStore(type(scene.store.lanes)):  # type: ignore[misc]
        async def commit(self, commit: object) -> object:
            if getattr(commit, "first_page", None) is not None:
                raise Crash
            return await super().commit(commit)

    crashing = CrashingStore(scene.store._world, lambda: 0)
    relay = Relay(LANE, first.token, store=crashing, log=scene.log, clock=StillClock(), recorder=Metrics())
    with pytest.raises(Crash):
        await relay.take_over(reconcile)
    assert (await scene.state()).version == 1
    assert (await scene.state()).next_seq[CHANGES] == 1

    state = await scene.relay(first).take_over(reconcile)

    assert (state.version, state.next_seq[CHANGES]) == (3, 4)
    assert len(await scene.store.lanes.held(LANE, 10_000)) == len(customers)


async def test_a_store_put_back_under_a_standing_owner_is_told_as_such(scene: Scene) -> None:
    owner = await scene.owner()
    relay = scene.relay(owner)
    await relay.take_over(never_needed)
    dump = scene.store.snapshot()

    async with running(relay) as task:
        relay.enqueue(await owner.say(changes=5))
        assert await relay.drain(5)
        relay.enqueue(await owner.say(changes=5))
        scene.store.restore(dump)
        scene.log.failures = ["after"]
        with pytest.raises(RewoundError):
            await asyncio.wait_for(task, 5)


async def test_pages_that_a_takeover_read_already_are_not_enqueued_twice(scene: Scene) -> None:
    owner = await scene.owner()
    pages = await owner.say(changes=5)
    relay = scene.relay(owner)
    await relay.take_over(never_needed)

    relay.enqueue(pages)

    assert relay.depth == 5
    with pytest.raises(InvariantError):
        relay.enqueue([OutboxPage(7, tuple(entries(CHANGES, 6, 6)))])


async def test_a_renewed_token_goes_on_without_a_takeover(scene: Scene) -> None:
    owner = await scene.owner()
    relay = scene.relay(owner)
    state = await relay.take_over(never_needed)
    new = Token(9, owner.token.nonce)

    async with running(relay):
        assert await relay.renew_token(new, state.version)
        owner.token = new
        relay.enqueue(await owner.say(changes=5))
        assert await relay.drain(5)

    assert scene.logged() == [1, 2, 3, 4, 5]
    assert scene.log.takeovers == 1


async def test_the_fence_is_renewed_without_stopping_intake(scene: Scene) -> None:
    owner = await scene.owner()
    relay = scene.relay(owner)
    relay.renew_after_s = (0.05, 0.05)
    await relay.take_over(never_needed)

    async with running(relay):
        for _ in range(40):
            relay.enqueue(await owner.say(changes=10))
            await asyncio.sleep(0.01)
        assert await relay.drain(5)

    assert scene.log.takeovers >= 4
    assert scene.logged() == list(range(1, 401))


async def test_a_full_outbox_is_told_until_half_of_it_is_gone() -> None:
    backlog = Backlog(most_entries=10)
    pages = [OutboxPage(number, tuple(entries(CHANGES, number * 2 + 1, number * 2 + 2))) for number in range(5)]

    backlog.add(pages[:4])
    assert not backlog.is_full
    backlog.add(pages[4:])
    assert backlog.is_full
    backlog.drop(2)
    assert backlog.is_full
    backlog.drop(1)
    assert not backlog.is_full


async def test_a_stranger_s_record_at_the_tail_is_an_alarm(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    owner = await scene.owner()
    await owner.say(changes=3)
    stranger = await scene.log.take_over(LANE)
    await stranger.send(entries(CHANGES, 1, 1))
    relay = scene.relay(owner)
    scene.log.producer_id = 99

    await relay.take_over(never_needed)

    assert [record.message for record in caplog.records] == ["foreign_producer"]


class LateMark(MemoryStore):
    """A store in which a mark that was sent long ago arrives between two questions of a takeover."""

    def __init__(self, token: Token) -> None:
        super().__init__(PARTITIONS)
        self.token = token
        self.outbox = self.lanes.outbox
        self.lanes.outbox = self._marked_meanwhile  # type: ignore[method-assign]

    async def _marked_meanwhile(self, lane: int, first: int, count: int) -> list[OutboxPage]:
        await self.lanes.acknowledge(lane, self.token, {CHANGES: 10}, first + 1)
        return await self.outbox(lane, first, count)


async def test_a_mark_that_comes_during_a_takeover_makes_it_begin_anew_and_stops_no_lane(scene: Scene) -> None:
    scene.store = LateMark(Token(1, "n1"))
    owner = await scene.owner()
    await owner.say(changes=10)
    await owner.say(changes=10)
    lane_log = await scene.log.take_over(LANE)
    await lane_log.send(entries(CHANGES, 1, 10))

    with pytest.raises(TransientError, match="since we asked"):
        await scene.relay(owner).take_over(never_needed)
