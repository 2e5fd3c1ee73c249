"""Reads back what the worker left, and counts it: the log for any reader, and every customer in Redis."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, Message, TopicPartition

from benchmarks.bench import CHANGES, LANES, MEMBERSHIPS, NAMESPACE
from benchmarks.figures import expect
from benchmarks.shop import Purse
from segmenter.adapters.home import home_of
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore

_CUSTOMERS_A_CALL = 5_000
_SILENCE_S = 20.0


@dataclass(slots=True)
class Log:
    """What the output topics hold, already found to be numbered without gaps."""

    changes: int = 0
    memberships: int = 0
    sequence_by_customer: dict[str, int] = field(default_factory=dict)


def read_log(bootstrap: str) -> Log:
    """Read changes and memberships as a default consumer does.

    Raises CheckError where `lane_seq` of a partition, or the sequence of a customer, is not 1, 2, 3 ….
    """
    log, lane_seq = Log(), {(topic, lane): 0 for topic in (CHANGES, MEMBERSHIPS) for lane in range(LANES)}
    for message in _all(bootstrap, CHANGES, MEMBERSHIPS):
        place = message.topic(), message.partition()
        number = int(dict(message.headers())["lane_seq"])
        expect(f"lane_seq in {place[0]}/{place[1]}", number, lane_seq[place] + 1)
        lane_seq[place] = number
        if place[0] == MEMBERSHIPS:
            log.memberships += 1
            continue
        said = json.loads(message.value())
        customer, before = said["customer_id"], log.sequence_by_customer.get(said["customer_id"], 0)
        expect(f"sequence of {customer}", said["sequence"], before + 1)
        log.sequence_by_customer[customer] = said["sequence"]
        log.changes += 1
    return log


def _all(bootstrap: str, *topics: str) -> Iterator[Message]:
    """Yield every record up to the present ends."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "read-back", "auto.offset.reset": "earliest"})
    places = [TopicPartition(topic, lane, 0) for topic in topics for lane in range(LANES)]
    ends = {(place.topic, place.partition): consumer.get_watermark_offsets(place)[1] for place in places}
    consumer.assign(places)
    try:
        while any(_position(consumer, place) < end for place, end in ends.items()):
            messages = consumer.consume(5_000, _SILENCE_S)
            expect("records within 20 s", bool(messages), True)
            yield from messages
    finally:
        consumer.close()


def _position(consumer: Consumer, place: tuple[str, int]) -> int:
    return int(max(0, consumer.position([TopicPartition(*place)])[0].offset))


def check_profiles(redis_url: str, purses: Mapping[str, Purse], sequences: Mapping[str, int]) -> int:
    """Hold every customer's stored orders, net revenue and last sequence against the books; return how many.

    Raises CheckError at the first that differs.
    """
    return asyncio.run(_check_profiles(redis_url, purses, sequences))


async def _check_profiles(redis_url: str, purses: Mapping[str, Purse], sequences: Mapping[str, int]) -> int:
    client = connect(redis_url)
    store = RedisLaneStore(client, NAMESPACE)
    by_lane: list[list[str]] = [[] for _ in range(LANES)]
    for customer in purses:
        by_lane[home_of(customer, LANES)].append(customer)
    try:
        for lane, customers in enumerate(by_lane):
            await store.state(lane)
            for start in range(0, len(customers), _CUSTOMERS_A_CALL):
                part = customers[start : start + _CUSTOMERS_A_CALL]
                for customer, profile in zip(part, await store.load(lane, part), strict=True):
                    purse = purses[customer]
                    totals = None if profile is None else profile.totals
                    found = None if totals is None else (totals.orders, totals.net)
                    expect(f"orders and net of {customer}", found, (purse.orders, purse.net))
                    sequence = 0 if profile is None else profile.sequence
                    expect(f"sequence of {customer}", sequences.get(customer, 0), sequence)
    finally:
        await client.aclose()
    return len(purses)
