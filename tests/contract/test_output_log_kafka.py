"""What only a real broker can show of the output log: its fence, its log, and what it refuses."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from segmenter.adapters import kafka_log
from segmenter.adapters.fence import LAST_EPOCH, Claim, Fence, Identity
from segmenter.adapters.kafka_log import KafkaOutputLog
from segmenter.adapters.kafka_wire import Partition, Wire
from segmenter.embedded.kafka import EmbeddedKafka
from segmenter.errors import FencedError, TransientError
from segmenter.ports import LaneLog, OutboxEntry, Output
from tests.bench.kafka import KafkaCluster
from tests.contract.lane_entries import PARTITIONS, entries, numbers
from tests.contract.stalling import StallingFence

CHANGES, MEMBERSHIPS = Output.CHANGES, Output.MEMBERSHIPS
LANE = 1

Topics = Mapping[Output, str]
TopicMaker = Callable[..., Awaitable[None]]


@pytest.fixture
def topics(unique: Callable[[str], str]) -> Topics:
    return {output: unique(output.value) for output in Output}


@pytest.fixture
async def log(
    kafka: KafkaCluster, make_topics: TopicMaker, topics: Topics, unique: Callable[[str], str]
) -> AsyncIterator[KafkaOutputLog]:
    await make_topics(dict.fromkeys(topics.values(), PARTITIONS), {"max.message.bytes": "20000"})
    async with KafkaOutputLog(kafka.bootstrap, unique("app"), topics) as output_log:
        yield output_log


@pytest.fixture
async def wire(kafka: KafkaCluster) -> AsyncIterator[Wire]:
    connection = Wire(kafka.bootstrap, "inspector")
    yield connection
    await connection.close()


def partitions(topics: Topics) -> list[Partition]:
    return [Partition(topic, LANE) for topic in topics.values()]


async def opened(log: KafkaOutputLog) -> LaneLog:
    lane_log = await log.take_over(LANE)
    await lane_log.open()
    return lane_log


async def test_the_log_shows_one_producer_rising_epochs_and_no_data_in_a_transaction(
    log: KafkaOutputLog, wire: Wire, topics: Topics
) -> None:
    for first in (1, 11, 21):
        owner = await opened(log)
        await owner.send(entries(CHANGES, first, first + 9))
        await owner.close()

    partition = Partition(topics[CHANGES], LANE)
    _, end = await wire.bounds(partition)
    batches = [batch async for batch in wire.batches(partition, 0, end)]
    assert {batch.producer_id for batch in batches} == {owner.producer_id}
    assert [batch.epoch for batch in batches] == [0, 1, 2, 3, 4, 5]
    kinds = [(batch.is_control, batch.is_transactional) for batch in batches]
    assert kinds == [(True, True), (False, False)] * 3
    stamps = [record.timestamp for batch in batches for record in batch.records]
    assert abs(stamps[-1] - time.time() * 1000) < 60_000


async def test_a_fence_in_the_midst_of_which_another_owner_came_is_none(
    log: KafkaOutputLog, wire: Wire, topics: Topics, unique: Callable[[str], str]
) -> None:
    stalled = StallingFence(wire, f"{unique('app')}-{LANE}", partitions(topics))
    claiming = asyncio.create_task(stalled.claim())
    await stalled.is_marked.wait()
    owner = await opened(log)
    await owner.send(entries(CHANGES, 1, 5))

    stalled.woken.set()

    with pytest.raises(TransientError, match="came between"):
        await claiming
    await owner.send(entries(CHANGES, 6, 10))
    assert (await owner.tails())[CHANGES].lane_seq == 10
    await owner.close()


async def test_no_identity_is_held_whose_epoch_has_almost_run_out(wire: Wire) -> None:
    class NearTheEnd(Fence):
        claims = iter(
            [
                Claim(Identity(7, LAST_EPOCH), Identity(7, LAST_EPOCH + 1)),
                Claim(Identity(8, 0), Identity(8, 1)),
            ]
        )

        async def claim_once(self) -> Claim | None:
            return next(self.claims)

    claim = await NearTheEnd(wire, "app-1", []).claim()

    assert claim.held == Identity(8, 1)


@pytest.mark.slow
async def test_every_older_owner_is_refused_also_while_the_producer_id_changes(
    log: KafkaOutputLog, topics: Topics
) -> None:
    fence = log.fence(LANE, partitions(topics))
    while (await fence.initialise()).epoch < LAST_EPOCH - 5:
        pass
    producer_ids = []
    older: LaneLog | None = None
    for number in range(1, 7):
        owner = await opened(log)
        await owner.send(entries(CHANGES, number, number))
        producer_ids.append(owner.producer_id)
        if older is not None:
            with pytest.raises(FencedError):
                await older.send(entries(CHANGES, 99, 99))
            await older.close()
        older = owner

    assert len(set(producer_ids)) == 2
    await owner.close()
    assert (await (await log.take_over(LANE)).tails())[CHANGES].lane_seq == 6


async def test_a_record_the_broker_refuses_becomes_a_stub_under_its_number(log: KafkaOutputLog) -> None:
    large = OutboxEntry(output=CHANGES, lane_seq=3, key=b"c-3", value=b"x" * 30_000, headers=(("upto", b"o/1:5"),))
    queue = [*entries(CHANGES, 1, 2), large, *entries(CHANGES, 4, 6)]

    attempts = await publish_stubbornly(log, queue)

    owner = await log.take_over(LANE)
    await owner.tails()
    records = await owner.beyond(CHANGES, 0)
    assert numbers(records) == [1, 2, 3, 4, 5, 6]
    stub = records[2]
    assert (stub.key, json.loads(stub.value or b"")) == (b"c-3", {"stub": "MessageSizeTooLarge"})
    assert dict(stub.headers)["stub"] == b"MessageSizeTooLarge"
    assert dict(stub.headers)["upto"] == b"o/1:5"
    assert attempts <= 3


async def test_what_is_refused_for_the_clock_goes_as_it_is_when_the_clock_is_right_again(
    log: KafkaOutputLog, kafka: KafkaCluster, topics: Topics
) -> None:
    queue, refusals = entries(CHANGES, 1, 40), 0
    owner = await opened(log)
    await alter_topic(kafka, topics[CHANGES], {"message.timestamp.before.max.ms": "0"})
    for entry in queue:  # one that arrives within the millisecond is taken
        try:
            await owner.send([entry])
        except TransientError:
            refusals += 1
            break
    await owner.close()
    await alter_topic(kafka, topics[CHANGES], {"message.timestamp.before.max.ms": str(2**63 - 1)})

    await publish_stubbornly(log, queue)

    owner = await log.take_over(LANE)
    await owner.tails()
    records = await owner.beyond(CHANGES, 0)
    assert refusals == 1
    assert [record.value for record in records] == [entry.value for entry in queue]


async def alter_topic(kafka: KafkaCluster, topic: str, config: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])
    await admin.close()
    await asyncio.sleep(0.5)  # until the broker has heard of it


async def publish_stubbornly(log: KafkaOutputLog, queue: list[OutboxEntry]) -> int:
    """Take over and send what is left until all is in the log, as the relay does; return the attempts."""
    attempts = 0
    while True:
        attempts += 1
        owner = await log.take_over(LANE)
        tails = await owner.tails()
        left = [e for e in queue if e.output not in tails or e.lane_seq > tails[e.output].lane_seq]
        await owner.open()
        try:
            await owner.send(left)
        except TransientError:
            continue
        else:
            return attempts
        finally:
            await owner.close()


async def test_batches_above_the_topic_s_limit_are_made_smaller(log: KafkaOutputLog) -> None:
    queue = entries(CHANGES, 1, 300, value=b"x" * 500)

    await publish_stubbornly(log, queue)

    owner = await log.take_over(LANE)
    await owner.tails()
    records = await owner.beyond(CHANGES, 0)
    assert numbers(records) == list(range(1, 301))
    assert all(record.value == b"x" * 500 for record in records)


async def test_a_record_without_a_key_never_reaches_the_compacted_topic(log: KafkaOutputLog) -> None:
    owner = await opened(log)

    await owner.send([OutboxEntry(output=MEMBERSHIPS, lane_seq=1, key=None, value=b"{}")])

    await owner.tails()
    [record] = await owner.beyond(MEMBERSHIPS, 0)
    assert (record.key, dict(record.headers)["stub"]) == (b"stub", b"NoKey")
    await owner.close()


@pytest.mark.slow
async def test_a_topic_that_is_missing_fails_the_takeover_in_time(
    kafka: KafkaCluster, unique: Callable[[str], str]
) -> None:
    names = {output: unique(f"missing-{output.value}") for output in Output}

    async with KafkaOutputLog(kafka.bootstrap, unique("app"), names) as output_log:
        started = time.monotonic()
        with pytest.raises(TransientError):
            await output_log.take_over(LANE)

    assert time.monotonic() - started < 15


async def test_a_fence_that_the_broker_may_have_forgotten_is_not_written_under(log: KafkaOutputLog) -> None:
    owner = await opened(log)
    assert isinstance(owner, kafka_log.KafkaLaneLog)
    owner.claimed_at -= kafka_log.FENCE_LIMIT_S + 10

    with pytest.raises(TransientError, match="old"):
        await owner.send(entries(CHANGES, 1, 1))
    await owner.close()


async def test_without_a_broker_the_takeover_fails_as_transient(unique: Callable[[str], str]) -> None:
    topics = {output: output.value for output in Output}

    async with KafkaOutputLog("127.0.0.1:1", unique("app"), topics) as output_log:
        with pytest.raises(TransientError, match="did not answer"):
            await output_log.take_over(LANE)


async def test_several_lanes_are_taken_over_at_once(log: KafkaOutputLog) -> None:
    owners = await asyncio.gather(*(log.take_over(lane) for lane in range(PARTITIONS)))
    tails = await asyncio.gather(*(owner.tails() for owner in owners))

    assert tails == [{}] * PARTITIONS


async def test_plain_mode_publishes_and_reads_back_on_the_embedded_broker() -> None:
    topics = {output: output.value for output in Output}
    with EmbeddedKafka() as broker:
        for topic in topics.values():
            broker.create_topic(topic, PARTITIONS)
        async with KafkaOutputLog(broker.bootstrap, "app", topics, plain=True) as output_log:
            owner = await opened(output_log)
            await owner.send(entries(CHANGES, 1, 500))
            await owner.send(entries(CHANGES, 501, 900) + entries(MEMBERSHIPS, 1, 2))
            await owner.close()
            successor = await output_log.take_over(LANE)
            tails = await successor.tails()
            beyond = await successor.beyond(CHANGES, 450)

    assert {output: tail.lane_seq for output, tail in tails.items()} == {CHANGES: 900, MEMBERSHIPS: 2}
    assert {tail.producer_id for tail in tails.values()} == {None}
    assert numbers(beyond) == list(range(451, 901))
