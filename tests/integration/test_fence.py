"""What the fence promises, on a real broker with the worker's relay: each record once, in order, whoever wrote it.

Owners displace each other in mid-send; some stall at the worst places and wake up when others own the lane.
FENCE_ROUNDS (default 30) sets how many owners each lane sees.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from enum import StrEnum

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from segmenter.adapters.fence import Fence
from segmenter.adapters.kafka_log import KafkaOutputLog
from segmenter.adapters.kafka_wire import Partition, Wire
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.engine.relay import Reconciliation, Relay
from segmenter.errors import OwnershipError, TransientError
from segmenter.observability import Metrics
from segmenter.ports import LaneLog, LaneState, LaneStore, LoggedRecord, OutboxEntry, Output
from tests.bench.kafka import KafkaCluster
from tests.contract.lane_entries import PARTITIONS, Owner
from tests.contract.stalling import StallingFence

ROUNDS = int(os.environ.get("FENCE_ROUNDS", "30"))
LANES = 2
ASLEEP_S = 60
METRICS = Metrics()

Topics = Mapping[Output, str]


class Stall(StrEnum):
    """Where an owner stops until it is woken."""

    NOWHERE = "nowhere"
    BEFORE_FENCE = "before (a)"
    IN_FENCE = "between (a) and (b)"
    BEFORE_SEND = "before a send"


class StallingLaneLog:
    """Stops with records in its hands."""

    def __init__(self, lane_log: LaneLog, woken: asyncio.Event, after: int) -> None:
        self.producer_id = lane_log.producer_id
        self.prepare, self.tails, self.beyond, self.open, self.close = (
            lane_log.prepare,
            lane_log.tails,
            lane_log.beyond,
            lane_log.open,
            lane_log.close,
        )
        self._lane_log = lane_log
        self._woken = woken
        self._sends_left = after

    async def send(self, entries: Sequence[OutboxEntry]) -> None:
        self._sends_left -= 1
        if self._sends_left < 0:
            await self._woken.wait()
        await self._lane_log.send(entries)


class StallingLog(KafkaOutputLog):
    """The output log of an owner that stops somewhere, once."""

    stall = Stall.NOWHERE

    def __init__(self, bootstrap: str, app_id: str, topics: Topics) -> None:
        super().__init__(bootstrap, app_id, topics)
        self.woken = asyncio.Event()
        self.is_stalled = asyncio.Event()

    async def take_over(self, lane: int) -> LaneLog:
        if self.stall is Stall.BEFORE_FENCE:
            await self.woken.wait()
        lane_log = await super().take_over(lane)
        return StallingLaneLog(lane_log, self.woken, 3) if self.stall is Stall.BEFORE_SEND else lane_log

    def fence(self, lane: int, partitions: Sequence[Partition]) -> Fence:
        if self.stall is not Stall.IN_FENCE:
            return super().fence(lane, partitions)
        fence = StallingFence(self._wire, f"{self._app_id}-{lane}", partitions)
        fence.woken = self.woken
        return fence


class SystemClock:
    def now(self) -> int:
        return 1


class Worker:
    """One owner of a lane: acquires it, takes over, and talks until somebody else owns it."""

    def __init__(self, store: LaneStore, log: StallingLog, lane: int, generation: int) -> None:
        self.owner = Owner(store, lane, generation)
        self.log = log
        self.relay = Relay(lane, self.owner.token, store=store, log=log, clock=SystemClock(), recorder=METRICS)
        self.is_publishing = asyncio.Event()
        self.is_silent = asyncio.Event()

    async def work(self) -> None:
        """Return when the lane is lost, or silenced and empty."""
        try:
            await self._take_over()
            self.is_publishing.set()
            publishing = asyncio.create_task(self.relay.run())
            talking = asyncio.create_task(self._talk())
            await asyncio.wait([publishing, talking], return_when=asyncio.FIRST_COMPLETED)
            if not publishing.done() and talking.exception() is None:
                assert await self.relay.drain(30)
                publishing.cancel()
            talking.cancel()
            await asyncio.gather(publishing, talking, return_exceptions=True)
            for task in (publishing, talking):
                if not task.cancelled() and isinstance(error := task.exception(), Exception):
                    assert isinstance(error, OwnershipError), error
        except OwnershipError:
            self.is_publishing.set()
        finally:
            await self.relay.close()
            await self.log.close()

    async def _take_over(self) -> None:
        while True:
            try:
                await self.relay.take_over(never_needed)
            except TransientError:
                await asyncio.sleep(0.05)
            else:
                return

    async def _talk(self) -> None:
        while not self.is_silent.is_set():
            self.relay.enqueue(await self.owner.say(changes=60, memberships=40))
            await asyncio.sleep(0.004)


async def never_needed(state: LaneState, facts: Mapping[Output, Sequence[LoggedRecord]]) -> Reconciliation:
    raise AssertionError(f"the store has lost nothing, but the log has {facts}")


@pytest.fixture
async def topics(unique: Callable[[str], str], make_topics: Callable[..., Awaitable[None]]) -> Topics:
    names = {output: unique(output.value) for output in Output}
    await make_topics(dict.fromkeys(names.values(), PARTITIONS))
    return names


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[LaneStore]:
    client = connect(redis_url)
    yield RedisLaneStore(client, "seg")
    await client.aclose()


@pytest.fixture
async def wire(kafka: KafkaCluster) -> AsyncIterator[Wire]:
    connection = Wire(kafka.bootstrap, "inspector")
    yield connection
    await connection.close()


async def test_owners_that_displace_each_other_leave_each_record_once_and_in_order(
    kafka: KafkaCluster, topics: Topics, wire: Wire, store: LaneStore, unique: Callable[[str], str]
) -> None:
    lanes = [displace(store, lane, kafka.bootstrap, unique("app"), topics) for lane in range(LANES)]
    await asyncio.gather(*lanes)

    published = 0
    for lane in range(LANES):
        _, state = await store.state(lane)
        for output in (Output.CHANGES, Output.MEMBERSHIPS):
            seen = await read_as_anybody(kafka.bootstrap, topics[output], lane)
            assert seen == list(range(1, state.next_seq[output]))
            published += len(seen)
            await check_writers(wire, Partition(topics[output], lane))
    fences = METRICS.registry.get_sample_value("segmenter_fenced_total") or 0
    print(f"{LANES * ROUNDS} owners, {published} records, {fences:.0f} times fenced in a send")
    assert published > LANES * ROUNDS * 80
    assert fences >= ROUNDS / 10


async def displace(store: LaneStore, lane: int, bootstrap: str, app_id: str, topics: Topics) -> None:
    """Let one owner after the other take the lane, and wake the stalled ones in the midst of others' sends."""
    rng = random.Random(lane)
    stalls = [*Stall] * (ROUNDS // len(Stall) + 1)
    working: list[asyncio.Task[None]] = []
    asleep: list[tuple[StallingLog, asyncio.Task[None]]] = []
    for generation, stall in enumerate(stalls[:ROUNDS], start=1):
        log = StallingLog(bootstrap, app_id, topics)
        log.stall = stall
        worker = Worker(store, log, lane, generation)
        await worker.owner.acquire()
        working.append(asyncio.create_task(worker.work()))
        if stall in (Stall.NOWHERE, Stall.BEFORE_SEND):
            await asyncio.wait_for(worker.is_publishing.wait(), ASLEEP_S)
        await asyncio.sleep(rng.uniform(0.0, 0.1))
        if asleep and stall is Stall.NOWHERE:
            asleep.pop(rng.randrange(len(asleep)))[0].woken.set()
            await asyncio.sleep(rng.uniform(0.0, 0.1))
        if stall is not Stall.NOWHERE:
            asleep.append((log, working[-1]))
    last = Worker(store, StallingLog(bootstrap, app_id, topics), lane, ROUNDS + 1)
    await last.owner.acquire()
    finishing = asyncio.create_task(last.work())
    await asyncio.wait_for(last.is_publishing.wait(), ASLEEP_S)
    for log, zombie in asleep:
        log.woken.set()
        await asyncio.wait_for(zombie, ASLEEP_S)
        while last.relay.depth or not last.relay.is_holding:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.001)
    await asyncio.wait_for(asyncio.gather(*working), ASLEEP_S)
    last.is_silent.set()
    await asyncio.wait_for(finishing, ASLEEP_S)


async def read_as_anybody(bootstrap: str, topic: str, lane: int) -> list[int]:
    """Return the numbers that a consumer with default settings sees."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partition = TopicPartition(topic, lane)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        seen: list[int] = []
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                seen += [int(dict(record.headers)["lane_seq"]) for record in records]
    finally:
        await consumer.stop()
    return seen


async def check_writers(wire: Wire, partition: Partition) -> None:
    """One producer id, epochs that only rise, and no data inside a transaction."""
    _, end = await wire.bounds(partition)
    batches = [batch async for batch in wire.batches(partition, 0, end)]
    epochs = [batch.epoch for batch in batches]
    kinds = Counter((batch.is_control, batch.is_transactional) for batch in batches)
    assert {batch.producer_id for batch in batches} == {batches[0].producer_id}
    assert epochs == sorted(epochs)
    assert set(kinds) == {(True, True), (False, False)}
    assert kinds[True, True] >= ROUNDS // 2
