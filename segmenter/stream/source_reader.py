"""Reads source partitions with aiokafka, and knows at which time it saw their ends.

Everything here runs in the consumer's thread. It uses what aiokafka keeps to itself: the fetcher's request task, its
buffer, and the state of a partition. `tests/integration/test_stream_evidence.py` holds these to a real broker.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher
from aiokafka.consumer.subscription_state import Assignment, TopicPartitionState
from aiokafka.errors import KafkaError, NoOffsetForPartitionError
from aiokafka.protocol.fetch import FetchRequest

from segmenter.domain.instants import Instant
from segmenter.engine.intake import Evidence, Place
from segmenter.ports import Clock, Record

_RecordsByPlace: TypeAlias = dict[Place, Sequence[Record]]

# Brokers answer idle fetches one by one; this keeps evidence from costing more than 20 polls a second.
_PACE_S = 0.05


@dataclass(slots=True)
class Gathered:
    """One look at the partitions. Nothing that could let others run happened between its parts."""

    generation: int
    anchor: Place | None
    """Some partition that is ours; None: there is none, or a rebalance is going on."""
    records: Mapping[Place, Sequence[Record]] = field(default_factory=dict)
    evidence: Mapping[Place, Evidence] = field(default_factory=dict)
    failures: Mapping[Place, KafkaError] = field(default_factory=dict)
    reseeks: Sequence[tuple[Place, int, int]] = ()
    """Partitions that were put back, with the offsets before and after."""


@dataclass(slots=True)
class _Answer:
    """The newest answer about a partition. `is_whole`: no open transaction hides records that are in the log."""

    end: int
    is_whole: bool
    asked_at: Instant


class SourceReader:
    """Polls the partitions asked for from the offsets asked for; all others are paused.

    A partition whose position is not the expected one is moved there first, whatever the reason: a poll that was
    dropped, a fetch that outlived a rebalance, a store that was rewound. So no record is passed over for good.
    """

    def __init__(self, consumer: AIOKafkaConsumer, clock: Clock, max_partition_records: int) -> None:
        self._subscription = consumer._subscription
        self._coordinator = consumer._coordinator
        self._fetcher: Fetcher = consumer._fetcher
        self._is_read_committed = self._fetcher._isolation_level == READ_COMMITTED
        self._clock = clock
        self._max_records = max_partition_records
        self._assignment: Assignment | None = None
        self._answer_by_place: dict[Place, _Answer] = {}
        self._lined_up: set[Place] = set()
        self._reseeks: list[tuple[Place, int, int]] = []
        self._answered = asyncio.Event()
        self._has_news = False
        self._polled_at = 0.0
        self._request = self._fetcher._proc_fetch_request
        self._fetcher._proc_fetch_request = self._request_and_note

    async def poll(self, expected: Mapping[Place, int], wait_s: float) -> Gathered:
        """Return what is there, as soon as there are records or a new answer of a broker, or `wait_s` is over."""
        earliest, latest = self._polled_at + _PACE_S, monotonic() + wait_s
        while True:
            gathered = await self._gather(expected)
            now = monotonic()
            is_due = now >= latest or (self._has_news and now >= earliest)
            if is_due or gathered.records or gathered.failures:
                gathered.reseeks, self._reseeks = self._reseeks, []
                self._polled_at, self._has_news = now, False
                return gathered
            await self._answer_within((earliest if self._has_news else latest) - now)

    async def refuse_errors(self) -> None:
        """Raise what aiokafka's background tasks have met and keep until they are asked."""
        self._coordinator.check_errors()
        if self._fetcher.error_future.done():
            self._fetcher.error_future.result()

    async def put_back(self, expected: Mapping[Place, int]) -> Sequence[tuple[Place, int, int]]:
        """Put partitions where they are expected; return which had been there before, with offsets before and after.

        Never suspends; it is a coroutine because the thread's queue takes only such.
        """
        assignment = self._current_assignment()
        if assignment is None:
            return ()
        self._line_up(assignment, _ours(assignment, expected))
        reseeks, self._reseeks = self._reseeks, []
        return reseeks

    async def _gather(self, expected: Mapping[Place, int]) -> Gathered:
        assignment = self._current_assignment()
        generation = int(self._coordinator.generation)
        if assignment is None:
            return Gathered(generation=generation, anchor=None)
        wanted = _ours(assignment, expected)
        self._line_up(assignment, wanted)
        records, failures = await self._drain(wanted)
        return Gathered(
            generation=generation,
            anchor=min(assignment.tps, default=None),
            records=records,
            evidence={place: self._evidence(assignment, place) for place in wanted},
            failures=failures,
        )

    def _current_assignment(self) -> Assignment | None:
        """Return what is ours; None while the group is being rebalanced."""
        subscription = self._subscription.subscription
        if subscription is None or self._subscription.reassignment_in_progress:
            return None
        return subscription.assignment

    def _line_up(self, assignment: Assignment, wanted: Mapping[Place, int]) -> None:
        """Put the wanted partitions to their offsets and pause all others."""
        if assignment is not self._assignment:
            self._assignment = assignment
            self._answer_by_place.clear()
            self._lined_up.clear()
        for place in assignment.tps:
            state: TopicPartitionState = assignment.state_value(place)
            offset = wanted.get(place)
            if offset is None:
                state.pause()
                continue
            if not state.has_valid_position or state.position != offset:
                if place in self._lined_up:
                    self._reseeks.append((place, int(state.position), offset))
                self._fetcher.seek_to(place, offset)
            self._lined_up.add(place)
            if state.paused:
                state.resume()

    async def _drain(self, wanted: Mapping[Place, int]) -> tuple[_RecordsByPlace, dict[Place, KafkaError]]:
        """Take what the fetcher holds. With a timeout of 0 aiokafka suspends nowhere in it."""
        records: _RecordsByPlace = {}
        failures: dict[Place, KafkaError] = {}
        # Being here at all is what keeps the group from taking us for dead (max.poll.interval).
        with self._subscription.fetch_context():
            for place in wanted:
                try:
                    found = await self._fetcher.fetched_records([place], 0, self._max_records)
                except NoOffsetForPartitionError:
                    # Left from before the first seek: aiokafka looked for a committed offset and found none.
                    continue
                except KafkaError as error:
                    failures[place] = error
                else:
                    records.update(found)
        return records, failures

    def _evidence(self, assignment: Assignment, place: Place) -> Evidence:
        position = int(assignment.state_value(place).position)
        answer = self._answer_by_place.get(place)
        if answer is None:
            return Evidence(position=position, end=None, asked_at=None)
        is_at_end = answer.is_whole and position >= answer.end
        return Evidence(position=position, end=answer.end, asked_at=answer.asked_at if is_at_end else None)

    async def _request_and_note(self, assignment: Assignment, node_id: int, request: FetchRequest) -> bool:
        """Run a fetch request, and note its time and the ends it showed.

        The time is read before the request leaves, so an answer that waits in a socket proves nothing about the
        time it waited. aiokafka stamps the state of each partition whose answer it accepts; the stamp is taken
        away after use, so that it never stands for an older request.
        """
        asked_at = self._clock.now()
        has_data: bool = await self._request(assignment, node_id, request)
        for topic, partitions in request.topics:
            for partition, *_ in partitions:
                state = assignment.state_value(TopicPartition(topic, partition))
                if state is None or state.timestamp is None:
                    continue
                state.timestamp = None
                end = state.lso if self._is_read_committed else state.highwater
                answer = _Answer(end=end, is_whole=end >= state.highwater, asked_at=asked_at)
                self._answer_by_place[topic, partition] = answer
                self._has_news = True
                self._answered.set()
        return has_data

    async def _answer_within(self, seconds: float) -> None:
        self._answered.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._answered.wait()


def _ours(assignment: Assignment, expected: Mapping[Place, int]) -> dict[Place, int]:
    return {TopicPartition(*place): offset for place, offset in expected.items() if place in assignment.tps}


def text_of(place: Place) -> str:
    """Return a partition as `topic/partition`, for logs."""
    topic, partition = place
    return f"{topic}/{partition}"
