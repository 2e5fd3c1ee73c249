"""A relay whose brokers are killed one after the other: it recovers by itself, and each record is there once."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from segmenter.adapters.kafka_log import KafkaOutputLog
from segmenter.adapters.memory import MemoryStore
from segmenter.engine.relay import Reconciliation, Relay
from segmenter.observability import Metrics
from segmenter.ports import LaneState, LoggedRecord, Output
from tests.bench.kafka import KafkaCluster
from tests.bench.topics import create_topics
from tests.contract.lane_entries import PARTITIONS, Owner, numbers

LANES = 2
DOWN_S = 4.0


class SystemClock:
    def now(self) -> int:
        return 1


async def never_needed(state: LaneState, facts: Mapping[Output, Sequence[LoggedRecord]]) -> Reconciliation:
    raise AssertionError(f"the store has lost nothing, but the log has {facts}")


@pytest.mark.slow
@pytest.mark.kafka
async def test_killed_brokers_cost_no_record_and_double_none() -> None:
    topics = {output: output.value for output in Output}
    store = MemoryStore(PARTITIONS)
    with KafkaCluster(3, heap="300m") as cluster:
        await create_topics(cluster.bootstrap, dict.fromkeys(topics.values(), PARTITIONS))
        is_over = asyncio.Event()
        async with KafkaOutputLog(cluster.bootstrap, "app", topics) as log:
            relays = [await begin(store, log, lane) for lane in range(LANES)]
            publishing = [asyncio.create_task(publish(*relay, is_over)) for relay in relays]
            await asyncio.sleep(1)
            for node in (1, 2, 3):
                await asyncio.to_thread(cluster.kill, node)
                await asyncio.sleep(DOWN_S)
                await asyncio.to_thread(cluster.restart, node)
                await asyncio.sleep(2)
            is_over.set()
            await asyncio.wait_for(asyncio.gather(*publishing), 120)

            for lane in range(LANES):
                _, state = await store.lanes.state(lane)
                owner = await log.take_over(lane)
                await owner.tails()
                logged = numbers(await owner.beyond(Output.CHANGES, 0))
                await owner.close()
                assert logged == list(range(1, state.next_seq[Output.CHANGES]))
                assert len(logged) > 2_000


async def begin(store: MemoryStore, log: KafkaOutputLog, lane: int) -> tuple[Owner, Relay]:
    """Own a lane."""
    owner = Owner(store.lanes, lane, 1)
    await owner.acquire()
    relay = Relay(lane, owner.token, store=store.lanes, log=log, clock=SystemClock(), recorder=Metrics())
    await relay.take_over(never_needed)
    return owner, relay


async def publish(owner: Owner, relay: Relay, is_over: asyncio.Event) -> None:
    """Talk until it is over, then wait until all is published."""
    running = asyncio.create_task(relay.run())
    while not is_over.is_set():
        relay.enqueue(await owner.say(changes=20))
        await asyncio.sleep(0.01)
    assert await relay.drain(90)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await relay.close()
