"""The repartition stage: records of any key come home once, in order, with the time of their source behind them."""

import asyncio
import hashlib
from collections import Counter

import pytest

from segmenter.adapters.home import home_of
from segmenter.adapters.memory import MemoryTaskStore
from segmenter.domain.instants import DAY, HOUR, MINUTE, SECOND, Instant
from segmenter.engine.intake import Evidence
from segmenter.engine.reading import Marker
from segmenter.engine.repartition import RepartitionTask
from segmenter.errors import TransientError
from segmenter.ports import Output, Source
from tests.engine.memory_worker import (
    REKEYED,
    MemoryWorker,
    World,
    at_home,
    click,
    day,
    order,
    terms_of,
    working,
)

LATE = 2 * SECOND
CLICKS = ("clicks", 0)
HOME = (REKEYED, 0)
SOURCES = ("orders/0", "orders/1")
ORDERS = ("orders", 0)
OTHER_ORDERS = ("orders", 1)


def world_of(partitions: int = 1, **terms: object) -> World:
    """A shop whose orders have any key, in two partitions, and whose clicks are keyed by customer."""
    given = {"direct": frozenset({"clicks"}), "others": frozenset({"orders"}), "partitions": partitions, **terms}
    return World(terms=terms_of(**given), tasks=SOURCES)


def task_of(world: World, position: int = 0) -> RepartitionTask:
    return RepartitionTask("orders", 0, position, MemoryWorker(world).stage)


def markers(world: World, partition: int = 0) -> list[Instant]:
    """Return the times that came home from orders/0, in order."""
    found = [record.headers[0] for record in world.broker.logs[(REKEYED, partition)]]
    told = [Marker.read(text) for name, text in found if name == "segmenter-marker"]
    return [marker.at for marker in told if marker.source == "orders/0"]


def origins(world: World, partition: int = 0) -> list[int]:
    """Return the source offsets of what came home from orders/0, in order."""
    texts = [
        dict(record.headers[:1]).get("segmenter-origin", b"") for record in world.broker.logs[(REKEYED, partition)]
    ]
    return [int(text.split(b"/")[2]) for text in texts if text.startswith(b"orders/0@")]


async def turn(worker: MemoryWorker, at: Instant) -> None:
    """Let tasks forward all there is and tell their time, and then lanes read it."""
    worker.world.clock.at = max(worker.world.clock.at, at)
    await worker.read()
    worker.world.broker.answer(HOME)
    await worker.take()


async def test_a_record_goes_home_as_it_is_with_its_origin_before_its_own_headers() -> None:
    world = world_of(partitions=4)
    customer = at_home(3, 4)[0]
    world.broker.write(ORDERS, order(customer, day(0)), key=b"o-1", headers=(("trace", b"7"),))

    await task_of(world).advance(world.broker.logs[ORDERS], None, day(0))

    record, _ = world.broker.logs[(REKEYED, 3)]
    assert (record.key, record.value) == (b"o-1", order(customer, day(0)))
    assert record.headers == (("segmenter-origin", b"orders/0@0/0/0/1767225600000"), ("trace", b"7"))


@pytest.mark.parametrize("key", [None, b"o-1", b"\xff\xfe"])
async def test_what_names_no_customer_goes_home_by_its_key_and_is_put_aside_there(key: bytes | None) -> None:
    world = world_of(partitions=4)
    home = home_of((key or b"").decode(errors="replace"), 4)
    world.broker.write(ORDERS, b"not JSON", key=key)

    await task_of(world).advance(world.broker.logs[ORDERS], None, day(0))

    assert [record.value for record in world.broker.logs[(REKEYED, home)] if record.value] == [b"not JSON"]


async def test_bad_input_of_a_repartitioned_topic_is_put_aside_once_and_what_is_behind_it_is_read() -> None:
    world = world_of()
    world.broker.write(ORDERS, b"not JSON", key=b"o-1")
    world.broker.write(ORDERS, order("c-1", day(0)), key=b"o-2")
    async with working(world) as worker:
        await turn(worker, day(0))
        await turn(worker, day(1))

    assert world.rejected() == {"unparseable": 1}
    assert world.lifecycles("c-1") == ["new"]


async def test_of_a_record_too_large_to_be_forwarded_the_beginning_is_put_aside() -> None:
    world = world_of()
    value = b"x" * (2 * 1024 * 1024)
    world.broker.write(ORDERS, value, key=b"o-1")
    async with working(world) as worker:
        await turn(worker, day(0))

    (record,) = world.output.records[Output.REJECTED, 0]
    told = dict(record.headers)
    assert (told["reason"], told["topic"], told["offset"]) == (b"record_too_large", b"orders", b"0")
    assert record.value == value[: 256 * 1024]
    assert b"2097152 bytes" in told["detail"]
    assert hashlib.sha256(value).hexdigest().encode() in told["detail"]


async def test_the_position_moves_only_when_the_broker_has_acknowledged() -> None:
    world = world_of()
    task = task_of(world)
    world.broker.write(ORDERS, order("c-1", day(0)))
    world.broker.is_away = True

    with pytest.raises(TransientError):
        await task.advance(world.broker.logs[ORDERS], None, day(0))

    assert task.position == 0
    assert await world.store.tasks.position("orders/0") is None


async def test_a_broker_that_is_away_delays_records_and_time_and_loses_nothing() -> None:
    world = world_of()
    async with working(world) as worker:
        await turn(worker, day(0))
        world.broker.write(ORDERS, order("c-1", day(1)), day(1))
        world.broker.is_away = True
        await turn(worker, day(1))
        assert worker.watermark == day(0) - LATE
        world.broker.is_away = False
        await until_tasks_are_back(worker)
        await turn(worker, day(2))

        assert worker.watermark == day(2) - LATE
    assert world.lifecycles("c-1") == ["new"]
    assert origins(world) == [0]


async def until_tasks_are_back(worker: MemoryWorker) -> None:
    async with asyncio.timeout(5):
        while not {ORDERS, OTHER_ORDERS} <= worker.engine.intake().keys():  # noqa: ASYNC110  # it tells no event
            await asyncio.sleep(0.01)


class FailingOnce(MemoryTaskStore):
    """A task store that fails when the first position is to be noted: the task has forwarded, and crashes."""

    def __init__(self, world: World) -> None:
        super().__init__(world.store._world)
        self._has_failed = False

    async def advance(self, source: Source, offset: int) -> None:
        """See the port TaskStore."""
        if offset and not self._has_failed:
            self._has_failed = True
            raise TransientError("the store of this test is away")
        await super().advance(source, offset)


async def test_a_task_that_crashed_forwards_again_and_repeats_fall_away_at_home() -> None:
    world = world_of()
    for number in range(3):
        world.broker.write(ORDERS, order(f"c-{number}", day(0)), day(0))
    async with working(world) as worker:
        object.__setattr__(worker.stage, "tasks", FailingOnce(world))
        await turn(worker, day(0))
        await until_tasks_are_back(worker)
        await turn(worker, day(1))

    assert origins(world) == [0, 1, 2, 0, 1, 2]
    assert [told["customer_id"] for told in world.told()] == ["c-0", "c-1", "c-2"]
    assert world.count("segmenter_events_total", type="order.placed", verdict="duplicate") == 0


async def test_a_task_that_does_not_know_it_was_replaced_does_no_harm() -> None:
    world = world_of()
    for number in range(4):
        world.broker.write(ORDERS, order("c-1", day(number)), day(number))
    zombie = task_of(world)
    await zombie.advance(world.broker.logs[ORDERS][:2], Evidence(2, 4, None), day(0))
    async with working(world) as worker:
        await turn(worker, day(4))
        for number in range(4, 6):
            world.broker.write(ORDERS, order("c-1", day(number)), day(number))
        await turn(worker, day(6))
        assert worker.watermark == day(6) - LATE

        unread = world.broker.logs[ORDERS][2:5]
        await zombie.advance(unread, Evidence(5, 5, day(5)), day(7))
        await turn(worker, day(7))
        await turn(worker, day(8))

        assert worker.watermark == day(8) - LATE
        assert world.count("segmenter_events_total", type="order.placed", verdict="accepted") == 6
    assert sorted(origins(world)) == [0, 1, 2, 2, 3, 3, 4, 4, 5]
    assert world.lifecycles("c-1") == ["new", "repeat"]


async def test_a_zombies_older_time_takes_nothing_back() -> None:
    world = world_of()
    zombie = task_of(world)
    async with working(world) as worker:
        await turn(worker, day(5))
        await zombie.advance((), Evidence(0, 0, day(1)), day(6))

        world.broker.answer(HOME)
        await worker.take()

        assert worker.lane().state.markers["orders/0"] == day(5) - LATE


async def test_a_marker_comes_after_the_records_it_speaks_for_in_every_partition() -> None:
    world = world_of(partitions=2)
    for number in range(6):
        world.broker.write(ORDERS, order(f"c-{number}", day(number)), day(number))

    await task_of(world).advance(world.broker.logs[ORDERS], Evidence(6, 6, day(7)), day(7))

    for partition in range(2):
        names = [record.headers[0][0] for record in world.broker.logs[(REKEYED, partition)]]
        assert names.count("segmenter-marker") == 1
        assert names[-1] == "segmenter-marker"
        assert len(names) > 1


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        pytest.param(Evidence(1, 1, day(7)), [day(7) - LATE], id="at-its-end-when-it-was-asked"),
        pytest.param(Evidence(1, 9, None), [day(3) - LATE], id="not-at-its-end-the-newest-record"),
        pytest.param(Evidence(1, None, None), [day(3) - LATE], id="no-answer-the-newest-record"),
    ],
)
async def test_a_marker_says_how_far_the_source_has_come(evidence: Evidence, expected: list[Instant]) -> None:
    world = world_of()
    world.broker.write(ORDERS, order("c-1", day(3)), day(4))

    await task_of(world).advance(world.broker.logs[ORDERS], evidence, day(9))

    assert markers(world) == expected


@pytest.mark.parametrize("evidence", [None, Evidence(0, None, None), Evidence(0, 50, None)])
async def test_a_task_that_has_seen_nothing_says_nothing(evidence: Evidence | None) -> None:
    world = world_of()

    await task_of(world).advance((), evidence, day(9))

    assert markers(world) == []


async def test_a_marker_never_says_more_than_now() -> None:
    world = world_of()
    world.broker.write(ORDERS, order("c-1", day(3)), day(3))

    await task_of(world).advance(world.broker.logs[ORDERS], Evidence(1, 9, None), day(2))

    assert markers(world) == [day(2) - LATE]


async def test_a_marker_is_sent_once_a_second_and_never_goes_back() -> None:
    world = world_of()
    task = task_of(world)
    world.broker.write(ORDERS, order("c-1", day(3)), day(3))

    for number, evidence in enumerate([Evidence(0, 0, day(5)), Evidence(0, 0, day(6)), Evidence(0, 0, day(7))]):
        await task.advance((), evidence, day(7) + number * SECOND // 2)
    await task.advance(world.broker.logs[ORDERS], Evidence(1, 9, None), day(7) + 2 * SECOND)

    assert markers(world) == [day(5) - LATE, day(7) - LATE, day(7) - LATE]


async def test_the_lateness_of_a_topic_is_taken_off_by_its_task() -> None:
    world = world_of(lateness={"orders": HOUR})

    await task_of(world).advance((), Evidence(0, 0, day(5)), day(5))

    assert markers(world) == [day(5) - HOUR]


async def test_a_lane_waits_for_the_first_word_of_every_task() -> None:
    world = world_of()
    async with working(world, [CLICKS, HOME, ORDERS]) as worker:
        await turn(worker, day(5))
        await turn(worker, day(6))
        assert (worker.watermark, worker.is_live()) == (0, False)

        await worker.engine.assigned(worker.generation, [CLICKS, HOME, ORDERS, OTHER_ORDERS])
        await until_tasks_are_back(worker)
        await turn(worker, day(7))

        assert worker.watermark == day(7) - LATE


async def test_time_of_a_task_counts_only_when_it_has_come_home() -> None:
    world = world_of()
    async with working(world) as worker:
        await turn(worker, day(1))
        world.clock.at = day(2)

        await worker.read()
        assert worker.watermark == day(1) - LATE

        await worker.read()
        assert worker.watermark == day(2) - LATE


async def test_the_order_of_day_100_read_last_of_all_partitions_prevents_the_silence() -> None:
    world = world_of()
    world.broker.write(ORDERS, order("c-1", day(80)), day(80))
    for number in range(81, 141):
        world.broker.write(OTHER_ORDERS, order(f"c-{number}", day(number)), day(number))
        at = day(number) + HOUR
        world.broker.write(CLICKS, click("c-1", at), at)
    world.broker.write(OTHER_ORDERS, order("c-1", day(100)), day(100))
    for number in range(102, 141):
        world.broker.write(ORDERS, order(f"c-{number}", day(number)), day(number))
    world.broker.logs[ORDERS].insert(1, world.broker.logs[OTHER_ORDERS].pop())
    _number_anew(world)
    async with working(world) as worker:
        world.clock.at = day(141)
        await worker.read(most={ORDERS: 1})
        for _ in range(3):
            world.clock.at += 2 * SECOND
            await worker.read(most={ORDERS: 0})
        assert worker.watermark == day(80) - LATE
        assert "inactive" not in world.lifecycles("c-1")
        for _ in range(45):
            world.clock.at += 2 * SECOND
            await worker.read(most={ORDERS: 1})
        await turn(worker, day(141) + HOUR)

        assert worker.is_live()
        # The order of day 100 was silent long enough by day 130, and not a moment before.
        moves = [told for told in world.told() if told["customer_id"] == "c-1"]
        assert [(m["changes"][0]["after"], m["effective_at"][:10]) for m in moves[-2:]] == [
            ("repeat", "2026-04-11"),
            ("inactive", "2026-05-11"),
        ]


def _number_anew(world: World) -> None:
    for place in (ORDERS, OTHER_ORDERS):
        log = world.broker.logs[place]
        world.broker.logs[place] = []
        for record in log:
            world.broker.write(place, record.value, record.timestamp * 1_000, key=record.key)


async def test_a_click_that_overtakes_its_order_on_the_way_home_concludes_nothing_in_a_lane_that_is_behind() -> None:
    world = world_of()
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        await turn(worker, day(0))
        bought_at, clicked_at = day(29), day(31)
        world.broker.write(ORDERS, order("c-1", bought_at), bought_at)
        world.broker.write(CLICKS, click("c-1", clicked_at), clicked_at)
        world.clock.at = day(31) + MINUTE

        world.broker.answer(CLICKS)
        await worker.take()
        await worker.take()
        await turn(worker, day(31) + HOUR)

    assert world.lifecycles("c-1") == ["new", "repeat"]


async def test_each_customer_is_stepped_in_his_home_lane_whatever_his_records_are_keyed_by() -> None:
    world = world_of(partitions=2)
    names = [*at_home(0, 2, 5), *at_home(1, 2, 5)]
    for number, name in enumerate(names * 3):
        place = (ORDERS, OTHER_ORDERS)[number % 2]
        world.broker.write(place, order(name, day(0) + number * SECOND), day(1), key=b"%d" % number)
    places = [("clicks", 0), ("clicks", 1), HOME, (REKEYED, 1), ORDERS, OTHER_ORDERS]
    async with working(world, places) as worker:
        world.clock.at = day(1)
        for _ in range(2):
            world.clock.at += 2 * SECOND
            await worker.read()

    for lane in range(2):
        told = Counter(told["customer_id"] for told in world.told(lane))
        assert set(told) == set(at_home(lane, 2, 5))


async def test_a_source_that_is_read_to_its_end_again_and_again_moves_time_without_records() -> None:
    world = world_of()
    world.broker.write(ORDERS, order("c-1", day(0)), day(0))
    async with working(world) as worker:
        for number in range(32):
            await turn(worker, day(0) + number * DAY)

    assert world.lifecycles("c-1") == ["new", "inactive"]


async def test_a_position_past_control_markers_is_noted() -> None:
    world = world_of()
    task = task_of(world)

    await task.advance((), Evidence(4, 4, day(1)), day(1))

    assert task.position == 4
    assert await world.store.tasks.position("orders/0") == 4
