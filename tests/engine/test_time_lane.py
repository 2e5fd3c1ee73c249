"""What a lane concludes, and when: deadlines, events that settle, lanes that are behind."""

import json
from dataclasses import replace

import pytest

from segmenter.domain.instants import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Instant, rfc3339
from segmenter.domain.value import Boundary, Marks
from segmenter.engine.leader import Leader
from tests.engine.memory_worker import MemoryWorker, World, at_home, click, day, order, terms_of, working

ORDERS, CLICKS = ("orders", 0), ("clicks", 0)
LATE = 2 * SECOND
DEADLINE = 30 * DAY


async def come_to(worker: MemoryWorker, at: Instant) -> None:
    """Let the clock show this instant, and the lane read all there is."""
    worker.world.clock.at = at
    await worker.read()


async def test_a_deadline_fires_once_the_watermark_has_come_to_it_and_not_before() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(0) + DEADLINE + LATE - 1)
        assert world.lifecycles("c-1") == ["new"]

        await come_to(worker, day(0) + DEADLINE + LATE)

    assert world.lifecycles("c-1") == ["new", "inactive"]
    assert world.told()[-1]["effective_at"] == rfc3339(day(0) + DEADLINE)


async def test_deadlines_fire_by_time_and_customer_and_at_most_so_many_per_commit() -> None:
    world = World(terms=terms_of(ticks_per_commit=3))
    names = at_home(0, 1, 10)
    for place, name in enumerate(reversed(names)):
        at = day(0) + (place // 2) * SECOND
        world.broker.write(ORDERS, order(name, at), at)
    async with working(world) as worker:
        await come_to(worker, day(1))
        before = worker.lane().state.version
        already_told = len(world.told())

        await come_to(worker, day(40))
        commits = worker.lane().state.version - before

    told = [(change["effective_at"], change["customer_id"]) for change in world.told()[already_told:]]
    assert len(told) == 10
    assert told == sorted(told)
    assert commits >= 4


async def test_time_that_has_come_is_stored_before_all_its_deadlines_are_played_and_none_is_lost() -> None:
    world = World(terms=terms_of(ticks_per_commit=1))
    names = at_home(0, 1, 40)
    for name in names:
        world.broker.write(ORDERS, order(name, day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(1))
        await come_to(worker, day(40))
        played = len(world.told()) - 40
        assert 0 < played < 40
        assert worker.watermark == day(40) - LATE
    async with working(world) as worker:
        await come_to(worker, day(40))
        await come_to(worker, day(40) + SECOND)

    assert [world.lifecycles(name) for name in names] == [["new", "inactive"]] * 40


async def test_an_event_at_the_very_instant_of_a_deadline_finds_the_customer_inactive() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(0) + DEADLINE - SECOND)
        world.broker.write(ORDERS, order("c-1", day(0) + DEADLINE), day(0) + DEADLINE)

        await come_to(worker, day(0) + DEADLINE)

    assert world.lifecycles("c-1") == ["new", "inactive", "repeat"]


async def test_an_event_a_millisecond_before_a_deadline_prevents_it() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(0) + DEADLINE - SECOND)
        at = day(0) + DEADLINE - MILLISECOND
        world.broker.write(ORDERS, order("c-1", at), at)

        await come_to(worker, day(0) + DEADLINE + MINUTE)

    assert world.lifecycles("c-1") == ["new", "repeat"]


async def test_in_a_live_lane_an_event_settles_its_customer_to_its_own_time() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(0) + DEADLINE - SECOND)
        assert worker.is_live()
        at = day(0) + DEADLINE + SECOND
        world.broker.write(CLICKS, click("c-1", at), at)

        await come_to(worker, at)
        assert worker.watermark < day(0) + DEADLINE

    assert world.lifecycles("c-1") == ["new", "inactive"]


async def test_a_click_of_day_200_read_before_the_order_of_day_100_concludes_nothing() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(80)), day(80))
    world.broker.write(ORDERS, order("c-1", day(100)), day(100))
    world.broker.write(ORDERS, order("c-1", day(120)), day(120))
    for number in range(80, 141):
        at = day(number) + HOUR
        world.broker.write(CLICKS, click("c-1", at), at)
    async with working(world) as worker:
        world.clock.at = day(141)
        await worker.read(most={ORDERS: 1})
        await worker.read(most={ORDERS: 0})
        assert worker.watermark == day(80) - LATE
        await worker.read(most={ORDERS: 1})
        assert worker.watermark == day(100) - LATE
        await worker.read()

    assert world.lifecycles("c-1") == ["new", "repeat"]


async def test_a_backlog_read_in_one_piece_tells_the_silences_that_lie_in_it() -> None:
    world = World(terms=terms_of())
    for number in (0, 50, 55, 100):
        world.broker.write(ORDERS, order("c-1", day(number)), day(number))
    for number in range(101):
        world.broker.write(CLICKS, click("c-2", day(number)), day(number))
    async with working(world) as worker:
        await come_to(worker, day(101))

    moves = [(change["effective_at"], change["changes"][0]["after"]) for change in world.told() if _is(change, "c-1")]
    assert moves == [
        (rfc3339(day(0)), "new"),
        (rfc3339(day(30)), "inactive"),
        (rfc3339(day(50)), "repeat"),
        (rfc3339(day(85)), "inactive"),
        (rfc3339(day(100)), "repeat"),
    ]


def _is(change: dict[str, object], customer: str) -> bool:
    return change["customer_id"] == customer


@pytest.mark.parametrize("asleep", [HOUR, 6 * MINUTE])
async def test_a_worker_that_slept_concludes_nothing_from_the_first_click_it_reads(asleep: int) -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        fell_asleep_at = day(0) + DEADLINE - MINUTE
        await come_to(worker, fell_asleep_at)
        assert worker.is_live()
        bought_at, clicked_at = day(0) + DEADLINE - SECOND, day(0) + DEADLINE + 2 * MINUTE
        world.broker.write(ORDERS, order("c-1", bought_at), bought_at)
        world.broker.write(CLICKS, click("c-1", clicked_at), clicked_at)
        world.clock.at = fell_asleep_at + asleep

        world.broker.answer(CLICKS)
        await worker.take()
        assert not worker.is_live()
        world.broker.answer(ORDERS)
        await worker.take()
        await worker.read()

    assert world.lifecycles("c-1") == ["new", "repeat"]


async def test_an_answer_that_waited_in_the_socket_ages_nobody() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(0) + DEADLINE - MINUTE)
        world.broker.answer(ORDERS, CLICKS)
        world.clock.at = day(0) + DEADLINE + HOUR

        await worker.take()
        assert worker.watermark == day(0) + DEADLINE - MINUTE - LATE

    assert world.lifecycles("c-1") == ["new"]


@pytest.mark.parametrize(
    ("was_live", "delay", "is_live"),
    [
        (False, MINUTE, True),
        (False, MINUTE + 1, False),
        (True, MINUTE + SECOND, True),
        (True, 5 * MINUTE, True),
        (True, 5 * MINUTE + 1, False),
    ],
)
async def test_a_lane_is_live_from_60_s_behind_and_behind_again_from_5_min(
    was_live: bool, delay: int, is_live: bool
) -> None:
    world = World(terms=terms_of())
    async with working(world) as worker:
        if was_live:
            await come_to(worker, day(1))
            assert worker.is_live()
        world.broker.answer(ORDERS, CLICKS, asked_at=day(2))
        world.clock.at = day(2) + delay

        await worker.take()

        assert worker.watermark == day(2) - LATE
        assert worker.is_live() == is_live


async def test_a_first_poll_without_any_answer_ages_nobody_after_a_takeover() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(1))
    stored = day(1) - LATE
    world.clock.at = day(60)
    world.broker.answers.clear()
    async with working(world) as worker:
        await worker.take()
        world.broker.answer(CLICKS)
        await worker.take()

        assert worker.watermark == stored
        assert not worker.is_live()
    assert world.lifecycles("c-1") == ["new"]


async def test_a_busy_topic_beside_an_empty_one_moves_time() -> None:
    world = World(terms=terms_of())
    for number in range(10):
        world.broker.write(CLICKS, click("c-1", day(number)), day(number))
    async with working(world) as worker:
        world.clock.at = day(10)
        await worker.read(most={CLICKS: 5})
        assert worker.watermark == day(4) - LATE

        await worker.read()

        assert worker.watermark == day(10) - LATE


async def test_a_source_that_is_not_answered_holds_the_other_however_busy() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(1))
        for number in range(2, 40):
            world.clock.at = day(number)
            world.broker.write(CLICKS, click("c-1", day(number)))
            world.broker.answer(CLICKS)
            await worker.take()

        assert worker.watermark == day(1) - LATE
        assert not worker.is_live()
    assert world.lifecycles("c-1") == ["new"]


async def test_many_commits_from_one_poll_play_time_as_one_would() -> None:
    stories: list[list[object]] = []
    for size in (1, 3, 4_000):
        world = World(terms=terms_of(events_per_commit=size))
        for number in range(0, 120, 9):
            world.broker.write(ORDERS, order(f"c-{number % 5}", day(number)), day(number))
        for number in range(120):
            world.broker.write(CLICKS, click("c-9", day(number)), day(number))
        async with working(world) as worker:
            await come_to(worker, day(120))
        stories.append(
            [[change["customer_id"], change["changes"], change["effective_at"]] for change in world.told()]
        )

    assert sorted(map(json.dumps, stories[0])) == sorted(map(json.dumps, stories[2]))
    assert sorted(map(json.dumps, stories[1])) == sorted(map(json.dumps, stories[2]))


BOUNDARY = Boundary(
    number=1, marks=Marks(a=500, a_stay=500, b=100, b_stay=100), ranked=10, total=10_000, is_announced=True
)


async def test_no_boundary_is_adopted_while_the_lane_is_behind() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        worker.holder().offered = BOUNDARY
        world.clock.at = day(10)
        world.broker.answer(ORDERS)
        await worker.take()
        assert worker.lane().state.notes.boundary is None

        await worker.read()
        await worker.read()

        assert worker.lane().state.notes.boundary == BOUNDARY


async def test_no_boundary_is_adopted_by_a_lane_that_was_live_when_its_worker_fell_asleep() -> None:
    world = World(terms=terms_of())
    async with working(world) as worker:
        await come_to(worker, day(1))
        assert worker.is_live()
        worker.holder().offered = BOUNDARY
        world.clock.at = day(2)

        await worker.take()

        assert worker.lane().state.notes.boundary is None


async def test_the_leader_publishes_nothing_while_a_lane_is_behind() -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        rule = replace(world.terms.rulebook.value, min_ranked=1)
        leader = Leader(world.store.board, worker.lane().token, 1, rule, world.metrics)
        world.clock.at = day(1)
        world.broker.answer(ORDERS)
        await worker.take()
        assert await leader.round() is None

        await worker.read()

        assert await leader.round() is not None


async def test_the_leader_takes_no_lane_for_live_that_was_live_when_its_worker_was_stopped() -> None:
    world = World(terms=terms_of(partitions=2))
    world.broker.write(ORDERS, order(at_home(0, 2)[0], day(0)), day(0))
    places = [(topic, lane) for topic in ("orders", "clicks") for lane in range(2)]
    async with working(world, places) as worker:
        await come_to(worker, day(1))
    world.clock.at = day(2)
    async with working(world, places) as worker:
        await worker.lead()
        assert await world.store.board.boundary() is None

        await worker.read()
        await worker.lead()

        assert await world.store.board.boundary() is not None


def backfill(world: World) -> list[tuple[str, bool]]:
    return [(change["changes"][0]["after"], change["backfill"]) for change in world.told()]


async def test_what_was_recorded_before_the_first_start_had_caught_up_is_history() -> None:
    world = World(terms=terms_of(announce_from=None, announce_horizon=10_000 * DAY))
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        world.clock.at = day(1)
        world.broker.answer(ORDERS)
        await worker.take()
        await worker.read()
        assert worker.is_live()
        world.broker.write(ORDERS, order("c-1", day(1) + SECOND), day(1) + SECOND)

        await come_to(worker, day(1) + 2 * SECOND)
        await come_to(worker, day(40))

    assert backfill(world) == [("new", True), ("repeat", False), ("inactive", False)]


async def test_the_moment_of_catching_up_is_kept_by_the_next_owner() -> None:
    world = World(terms=terms_of(announce_from=None, announce_horizon=10_000 * DAY))
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(1))
    async with working(world) as worker:
        await come_to(worker, day(40))

    assert backfill(world) == [("new", True), ("inactive", False)]


@pytest.mark.parametrize(("set_to", "is_backfill"), [(day(50), True), (day(0), False)])
async def test_an_instant_that_is_set_after_the_first_start_counts(set_to: Instant, is_backfill: bool) -> None:
    first = day(40) if not is_backfill else None
    world = World(terms=terms_of(announce_from=first, announce_horizon=10_000 * DAY))
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(1))

    world.terms = replace(world.terms, announce_from=set_to)
    async with working(world) as worker:
        await come_to(worker, day(40))

    assert backfill(world) == [("new", True), ("inactive", is_backfill)]


async def test_an_instant_that_was_set_divides_history_from_news() -> None:
    world = World(terms=terms_of(announce_from=day(30), announce_horizon=10_000 * DAY))
    for customer, number in (("c-1", 0), ("c-2", 20)):
        world.broker.write(ORDERS, order(customer, day(number) - SECOND), day(number) - SECOND)
    async with working(world) as worker:
        await come_to(worker, day(60))

    news = [
        (change["customer_id"], change["changes"][0]["after"]) for change in world.told() if not change["backfill"]
    ]
    assert news == [("c-2", "inactive")]


@pytest.mark.parametrize(("late_by", "is_backfill"), [(DAY, False), (DAY + SECOND, True)])
async def test_what_took_effect_more_than_a_day_before_it_was_recorded_is_history(
    late_by: int, is_backfill: bool
) -> None:
    world = World(terms=terms_of())
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await come_to(worker, day(1))

        await come_to(worker, day(0) + DEADLINE + late_by)

    assert backfill(world)[-1] == ("inactive", is_backfill)


async def test_a_full_outbox_pauses_intake_deadlines_and_time_until_half_of_it_is_published() -> None:
    world = World(terms=terms_of(outbox_entries=4))
    for number in range(6):
        world.broker.write(ORDERS, order(f"c-{number}", day(0)), day(0))
    async with working(world) as worker:
        world.output.goes_on.clear()
        await come_to(worker, day(1))
        assert worker.engine.intake() == {}
        version = worker.lane().state.version

        world.clock.at = day(60)
        world.broker.answer(ORDERS, CLICKS)
        await worker.engine.take(world.broker.poll(worker.generation, {ORDERS: 6, CLICKS: 0}, {}))
        assert (worker.lane().state.version, worker.watermark) == (version, day(1) - LATE)

        world.output.goes_on.set()
        await worker.holder().drain(5)
        await come_to(worker, day(60))

    assert world.lifecycles("c-5") == ["new", "inactive"]
