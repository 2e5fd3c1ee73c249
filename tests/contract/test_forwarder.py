"""What every forwarder keeps: the order of a source in each partition, and headers as they were given."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from segmenter.adapters.kafka_forward import KafkaForwarder
from segmenter.adapters.kafka_wire import Partition, Wire
from segmenter.adapters.memory_log import MemoryForwarder
from segmenter.errors import TransientError
from segmenter.ports import Forward, Forwarder
from tests.contract.lane_entries import PARTITIONS
from tests.contract.simulated import simulated_cluster


@dataclass
class Home:
    """A forwarder, and what has arrived in a partition as (key, value, headers)."""

    forwarder: Forwarder
    arrived: Callable[[int], Awaitable[list[Forward]]]


@pytest.fixture(params=["memory", "simulated", pytest.param("kafka", marks=pytest.mark.kafka)])
async def home(request: pytest.FixtureRequest, unique: Callable[[str], str]) -> AsyncIterator[Home]:
    if request.param == "memory":
        forwarder = MemoryForwarder()

        async def remembered(partition: int) -> list[Forward]:
            return forwarder.records[partition]

        yield Home(forwarder, remembered)
        return
    if request.param == "simulated":
        async with _simulated_home() as simulated:
            yield simulated
        return
    bootstrap, topic = request.getfixturevalue("kafka").bootstrap, unique("rekeyed")
    await request.getfixturevalue("make_topics")({topic: PARTITIONS}, {"max.message.bytes": "20000"})
    wire = Wire(bootstrap, "inspector")

    async def logged(partition: int) -> list[Forward]:
        place = Partition(topic, partition)
        batches = wire.batches(place, 0, (await wire.bounds(place))[1])
        return [
            Forward(partition=partition, key=record.key, value=record.value, headers=record.headers)
            async for batch in batches
            for record in batch.records
        ]

    async with KafkaForwarder(bootstrap, topic) as kafka_forwarder:
        yield Home(kafka_forwarder, logged)
    await wire.close()


@asynccontextmanager
async def _simulated_home() -> AsyncIterator[Home]:
    cluster = simulated_cluster()

    async def logged(partition: int) -> list[Forward]:
        found, _ = cluster.broker.log("rekeyed", partition).records_from(0, 10**9)
        return [Forward(partition=partition, key=r.key, value=r.value, headers=r.headers) for r in found]

    async with KafkaForwarder(cluster, "rekeyed") as forwarder:
        yield Home(forwarder, logged)


def records(source: str, first: int, last: int, value: bytes = b"{}") -> list[Forward]:
    """Return records of one source, spread over all partitions."""
    return [
        Forward(
            partition=offset % PARTITIONS,
            key=b"k",
            value=value,
            headers=(("source", source.encode()), ("offset", b"%d" % offset)),
        )
        for offset in range(first, last)
    ]


def offsets(arrived: list[Forward], source: str) -> list[int]:
    return [int(dict(r.headers)["offset"]) for r in arrived if dict(r.headers)["source"] == source.encode()]


async def test_records_arrive_in_order_as_they_were_given(home: Home) -> None:
    sent = records("orders/0", 0, 4_000)

    await home.forwarder.forward(sent)

    for partition in range(PARTITIONS):
        assert await home.arrived(partition) == [record for record in sent if record.partition == partition]


async def test_sources_that_send_at_once_keep_their_order_each(home: Home) -> None:
    async def send(source: str) -> None:
        for first in range(0, 1_000, 100):
            await home.forwarder.forward(records(source, first, first + 100))

    await asyncio.gather(*(send(f"orders/{i}") for i in range(5)))

    for i in range(5):
        assert offsets(await home.arrived(2), f"orders/{i}") == list(range(2, 1_000, PARTITIONS))


async def test_a_marker_of_time_has_no_value_and_keeps_its_place(home: Home) -> None:
    marker = Forward(partition=1, key=b"orders/0", value=None, headers=(("time", b"5"),))

    await home.forwarder.forward([*records("orders/0", 0, 4), marker])

    assert (await home.arrived(1))[-1] == marker


@pytest.mark.kafka
@pytest.mark.parametrize("home", ["kafka"], indirect=True)
async def test_a_record_the_broker_refuses_goes_on_without_its_value(home: Home) -> None:
    large = records("orders/0", 5, 6, value=b"x" * 30_000)

    await home.forwarder.forward([*records("orders/0", 1, 2), *large, *records("orders/0", 9, 10)])

    arrived = await home.arrived(1)
    assert [offset for i, offset in enumerate(offsets(arrived, "orders/0")) if i >= len(arrived) - 3] == [1, 5, 9]
    [refused] = [record for record in arrived if "refused" in dict(record.headers)]
    assert (refused.value, dict(refused.headers)["offset"]) == (b"", b"5")


@pytest.mark.kafka
@pytest.mark.parametrize("home", ["kafka"], indirect=True)
@pytest.mark.parametrize("size", [30_000, 300_000])
async def test_nothing_overtakes_a_record_the_broker_refuses(home: Home, size: int) -> None:
    same_lane = [offset for offset in range(1, 40) if offset % PARTITIONS == 1]
    sent = [records("orders/0", o, o + 1, value=b"x" * (size if o == 1 else 15_000))[0] for o in same_lane]

    await home.forwarder.forward(sent)

    firsts = list(dict.fromkeys(offsets(await home.arrived(1), "orders/0")))
    assert firsts == same_lane


@pytest.mark.kafka
@pytest.mark.parametrize("home", ["kafka"], indirect=True)
async def test_a_record_whose_headers_the_broker_refuses_goes_on_without_them(home: Home) -> None:
    [plain] = records("orders/0", 7, 8)
    large = replace(plain, headers=(*plain.headers, ("padding", b"x" * 30_000)))

    await home.forwarder.forward([large])

    [arrived] = [record for record in await home.arrived(plain.partition) if "refused" in dict(record.headers)]
    assert dict(arrived.headers)["offset"] == b"7"
    assert "padding" not in dict(arrived.headers)


async def test_without_a_broker_forwarding_fails_as_transient() -> None:
    async with KafkaForwarder("127.0.0.1:1", "rekeyed") as forwarder:
        with pytest.raises(TransientError):
            await forwarder.forward(records("orders/0", 0, 1))
