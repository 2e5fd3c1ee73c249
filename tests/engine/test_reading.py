"""What records come to: events, records put aside, positions, markers of time."""

import pytest

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.home import home_of
from segmenter.domain.causes import RejectReason
from segmenter.domain.instants import MILLISECOND, SECOND, Instant, rfc3339
from segmenter.engine.reading import MARKER_HEADER, ORIGIN_HEADER, Marker, Origin, Reader, Reading
from segmenter.ports import Output, Record
from tests.engine.memory_worker import (
    REKEYED,
    Broker,
    HeldClock,
    LoggedRecord,
    World,
    at_home,
    click,
    day,
    event,
    order,
    terms_of,
    working,
)

PARTITIONS = 4
LANE = 2
HOME = (REKEYED, LANE)
NOW = day(20)


@pytest.fixture
def world() -> World:
    return World(terms=terms_of(partitions=PARTITIONS), clock=HeldClock(NOW))


def reader_of(world: World) -> Reader:
    return Reader(LANE, REKEYED, JsonDecoder(), lambda home_id: home_of(home_id, PARTITIONS), world.metrics)


def ours(count: int = 1) -> list[str]:
    return at_home(LANE, PARTITIONS, count)


def read(world: World, *records: Record, taken: dict[str, int] | None = None) -> Reading:
    return reader_of(world).read(records, taken or {})


def forwarded(
    broker: Broker,
    offset: int,
    value: bytes,
    partition: int = 0,
    *,
    recorded_at: Instant = NOW,
    own: tuple[tuple[str, bytes], ...] = (),
) -> LoggedRecord:
    origin = Origin("orders", partition, "0", offset, 0, recorded_at // MILLISECOND)
    return broker.write(HOME, value, key=b"o-1", headers=(origin.header(), *own))


def customers(reading: Reading) -> list[str]:
    return [decoded.customer for decoded, _ in reading.arrivals]


def test_a_stray_in_a_topic_keyed_by_customer_is_put_aside_as_not_at_home(world: World) -> None:
    stray = at_home(LANE + 1, PARTITIONS)[0]
    record = world.broker.write(("clicks", LANE), click(stray, day(3)), day(3))

    reading = read(world, record)

    (put_aside, rejection), *others = reading.rejected
    assert (put_aside, others, reading.arrivals) == (record, [], [])
    assert rejection.reason is RejectReason.NOT_AT_HOME
    assert "partition 3, found on 2" in rejection.detail
    assert reading.positions == {f"clicks/{LANE}": 1}
    assert reading.newest == {f"clicks/{LANE}": day(3)}


async def test_a_stray_is_counted_and_told_and_what_stands_behind_it_is_read() -> None:
    world = World(terms=terms_of(partitions=2))
    stray, neighbour = at_home(1, 2)[0], at_home(0, 2)[0]
    world.broker.write(("clicks", 0), click(stray, day(0)), day(0))
    world.broker.write(("clicks", 0), click(neighbour, day(0)), day(0))
    async with working(world) as worker:
        await worker.read()

    assert world.rejected() == {"not_at_home": 1}
    assert world.count("segmenter_rejected_total", reason="not_at_home") == 1
    assert world.lifecycles(neighbour) == ["prospect"]
    assert world.lifecycles(stray) == []


def test_one_slice_may_hold_records_of_all_topics(world: World) -> None:
    first, second, third = ours(3)
    records = [
        world.broker.write(("clicks", LANE), click(first, day(1))),
        forwarded(world.broker, 8, order(second, day(2))),
        world.broker.write(HOME, None, headers=(Marker("orders/0", day(2)).header(),)),
        world.broker.write(("support", LANE), event("support.opened", third, day(3), ticket_id="t-1")),
        world.broker.write(("clicks", LANE), b"?"),
    ]

    reading = read(world, *records)

    assert customers(reading) == [first, second, third]
    assert reading.positions == {f"clicks/{LANE}": 2, f"{REKEYED}/{LANE}": 2, f"support/{LANE}": 1}
    assert reading.markers == {"orders/0": day(2)}
    assert reading.taken == {"orders/0@0": 8}
    assert [rejection.reason for _, rejection in reading.rejected] == [RejectReason.UNPARSEABLE]
    assert set(reading.newest) == {f"clicks/{LANE}", f"support/{LANE}"}


def test_what_is_not_above_the_highest_offset_taken_falls_away(world: World) -> None:
    records = [forwarded(world.broker, offset, order(ours()[0], day(offset))) for offset in (4, 5, 6, 5, 6, 9, 7)]

    reading = read(world, *records, taken={"orders/0@0": 4})

    assert [record.offset for _, record in reading.arrivals] == [5, 6, 9]
    assert reading.taken == {"orders/0@0": 9}
    assert reading.positions == {f"{REKEYED}/{LANE}": 7}


def test_each_source_partition_and_each_incarnation_counts_for_itself(world: World) -> None:
    customer = ours()[0]
    anew = Origin("orders", 0, "1", 3, 0, NOW // MILLISECOND)
    records = [
        forwarded(world.broker, 3, order(customer, day(1)), partition=1),
        forwarded(world.broker, 3, order(customer, day(2)), partition=0),
        world.broker.write(HOME, order(customer, day(3)), headers=(anew.header(),)),
    ]

    reading = read(world, *records, taken={"orders/0@0": 3})

    assert reading.taken == {"orders/1@0": 3, "orders/0@1": 3}
    assert [record.partition for _, record in reading.arrivals] == [1, 0]


def test_of_several_markers_the_furthest_counts(world: World) -> None:
    markers = [Marker("orders/0", at) for at in (day(2), day(5), day(4))]

    records = [world.broker.write(HOME, None, headers=(marker.header(),)) for marker in markers]

    assert read(world, *records).markers == {"orders/0": day(5)}
    assert read(world, *records).positions == {f"{REKEYED}/{LANE}": 3}


def test_a_marker_behind_the_one_that_is_stored_counts_for_nothing(world: World) -> None:
    record = world.broker.write(HOME, None, headers=(Marker("orders/0", day(4)).header(),))

    assert reader_of(world).read([record], {}, {"orders/0": day(5)}).markers == {}


def test_a_forwarded_record_is_judged_and_put_aside_as_it_was_where_it_was_read(world: World) -> None:
    own = (("trace", b"7"), ("trace", b"8"))

    reading = read(world, forwarded(world.broker, 41, b"not JSON", partition=5, recorded_at=day(3), own=own))

    (record, _), *_ = reading.rejected
    assert (record.topic, record.partition, record.offset) == ("orders", 5, 41)
    assert record.timestamp == day(3) // MILLISECOND
    assert (record.key, record.value, tuple(record.headers)) == (b"o-1", b"not JSON", own)


def test_an_event_without_an_id_is_named_by_where_it_was_read_first(world: World) -> None:
    nameless = event("click", ours()[0], day(3), kind="view", event_id=None)

    reading = read(world, forwarded(world.broker, 41, nameless, partition=5))

    (decoded, _), *_ = reading.arrivals
    assert decoded.event_id == "orders/5/41"
    assert world.count("segmenter_missing_event_ids_total") == 1


def test_time_in_the_future_is_that_of_the_record_where_it_was_read_first(world: World) -> None:
    reading = read(world, forwarded(world.broker, 41, click(ours()[0], day(4)), recorded_at=day(3)))

    assert [rejection.reason for _, rejection in reading.rejected] == [RejectReason.FUTURE_TIME]


@pytest.mark.parametrize("name", [ORIGIN_HEADER, MARKER_HEADER])
@pytest.mark.parametrize("text", [b"", b"\xff", b"orders/0=99999999999999999", b"orders/0@0/999/0/1", b"x/y/z"])
def test_a_senders_header_that_is_called_like_ours_means_nothing(world: World, name: str, text: bytes) -> None:
    reading = read(world, forwarded(world.broker, 41, b"?", own=((name, text),)))

    (record, _), *_ = reading.rejected
    assert record.headers == ((name, text),)
    assert reading.taken == {"orders/0@0": 41}
    assert reading.markers == {}


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("trace", b"7"),),
        (("trace", b"7"), Marker("orders/0", day(1)).header()),
        ((ORIGIN_HEADER, b""),),
        ((ORIGIN_HEADER, b"orders/0@0/x/0/1"),),
        ((MARKER_HEADER, b"orders/0"),),
        ((MARKER_HEADER, b"\xff=1"),),
    ],
)
def test_what_others_write_to_the_repartition_topic_is_put_aside(
    world: World, headers: tuple[tuple[str, bytes], ...]
) -> None:
    reading = read(world, world.broker.write(HOME, click(ours()[0], day(1)), headers=headers))

    assert [rejection.reason for _, rejection in reading.rejected] == [RejectReason.NOT_AT_HOME]
    assert (reading.arrivals, reading.markers, reading.taken) == ([], {}, {})
    assert reading.positions == {f"{REKEYED}/{LANE}": 1}


def test_an_event_of_a_test_is_kept_out_and_counted(world: World) -> None:
    record = world.broker.write(("clicks", LANE), event("click", ours()[0], day(1), kind="view", test=True))

    reading = read(world, record)

    assert (reading.arrivals, reading.rejected) == ([], [])
    assert world.count("segmenter_events_total", type="click", verdict="excluded") == 1


async def test_control_markers_move_the_position_of_an_idle_source() -> None:
    world = World(terms=terms_of())
    async with working(world) as worker:
        poll = world.broker.poll(worker.generation, worker.engine.intake(), {})
        poll.evidence[("orders", 0)].position = poll.evidence[("orders", 0)].end = 3

        await worker.engine.take(poll)

        assert worker.lane().state.positions["orders/0"] == 3
        assert worker.engine.intake()[("orders", 0)] == 3


async def test_a_partition_read_from_elsewhere_than_wanted_is_passed_over_with_its_evidence() -> None:
    world = World(terms=terms_of())
    for number in range(3):
        world.broker.write(("clicks", 0), click("c-1", day(number)), day(number))
    async with working(world) as worker:
        world.clock.at = day(9)
        world.broker.answer(("clicks", 0), ("orders", 0))
        stale = world.broker.poll(worker.generation, {("clicks", 0): 2, ("orders", 0): 0}, {})

        await worker.engine.take(stale)

        assert worker.lane().state.positions.get("clicks/0", 0) == 0
        assert worker.watermark == 0
        await worker.take()
        assert worker.watermark == day(9) - 2 * SECOND
    assert world.lifecycles("c-1") == ["prospect"]


async def test_what_is_put_aside_keeps_its_bytes_place_time_headers_and_key() -> None:
    world = World(terms=terms_of())
    world.broker.write(("clicks", 0), b"\x00?", day(1), key=b"k", headers=(("trace", b"7"),))
    async with working(world) as worker:
        world.clock.at = day(2)
        await worker.read()

    (record,) = world.output.records[Output.REJECTED, 0]
    told = dict(record.headers)
    assert (record.key, record.value) == (b"k", b"\x00?")
    assert (told["topic"], told["partition"], told["offset"]) == (b"clicks", b"0", b"0")
    assert int(told["timestamp"]) == day(1) // MILLISECOND
    assert told["rejected_at"].decode() == rfc3339(day(2))
    assert told["original.trace"] == b"7"
    assert told["reason"] == b"unparseable"
