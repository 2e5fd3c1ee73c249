"""Reading source partitions from their beginning up to given offsets, as a worker has read them."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from segmenter.adapters.kafka_wire import Vendor
from segmenter.engine.intake import Place
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import Record

_POLL_MS = 200
_RECORDS_A_POLL = 5_000
_STALLED_AFTER_S = 60.0


class KafkaHistory:
    """Committed records, each partition in order. An async context manager; the caller translates KafkaError."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer: Vendor = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id="segmenter-audit",
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=_RECORDS_A_POLL,
        )
        self.begins: dict[Place, int] = {}
        """Where the logs began at the last reading."""

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def ends(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """Return where the logs of these partitions end now."""
        partitions = [TopicPartition(*place) for place in places]
        ends = await self._consumer.end_offsets(partitions)
        return {place: ends[partition] for place, partition in zip(places, partitions, strict=True)}

    async def records(self, upto_by_place: Mapping[Place, int]) -> AsyncIterator[Sequence[Record]]:
        """Give the records below these offsets, some of one partition at a time.

        Raises ConfigurationError where a log ends before its offset, TransientError where it does not go on.
        """
        places = [TopicPartition(*place) for place in upto_by_place]
        if not places:
            return
        self._consumer.assign(places)
        begins, ends = await self._consumer.beginning_offsets(places), await self._consumer.end_offsets(places)
        self.begins.update({(place.topic, place.partition): begins[place] for place in places})
        _refuse_short_logs({place: ends[place] for place in places}, upto_by_place)
        unread = {place for place in places if begins[place] < upto_by_place[place]}
        for place in places:
            self._consumer.seek(place, begins[place])
            if place not in unread:
                self._consumer.pause(place)
        moved_at = time.monotonic()
        while unread:
            for place, found in (await self._polled(unread)).items():
                moved_at = time.monotonic()
                yield [record for record in found if record.offset < upto_by_place[place]]
            for place in list(unread):
                if await self._consumer.position(place) >= upto_by_place[place]:
                    unread.discard(place)
                    self._consumer.pause(place)
            if time.monotonic() - moved_at > _STALLED_AFTER_S:
                raise TransientError(f"Kafka gave no record of {min(unread)} for {_STALLED_AFTER_S:.0f} s")

    async def _polled(self, unread: set[TopicPartition]) -> Mapping[TopicPartition, Sequence[Record]]:
        try:
            polled: Mapping[TopicPartition, Sequence[Record]] = await self._consumer.getmany(
                *unread, timeout_ms=_POLL_MS
            )
        except OffsetOutOfRangeError as error:
            raise TransientError(f"Kafka deleted what was about to be read ({error}); run it again") from error
        # Decoding never waits: let the fetcher, and whoever wants to stop us, have a turn.
        await asyncio.sleep(0)
        return polled


def _refuse_short_logs(ends: Mapping[TopicPartition, int], upto_by_place: Mapping[Place, int]) -> None:
    faults = [
        f"{place.topic}/{place.partition} ends at {end}, but the lanes have read it up to {upto_by_place[place]}; "
        "the topic was made anew, or this is another cluster"
        for place, end in ends.items()
        if end < upto_by_place[place]
    ]
    if faults:
        raise ConfigurationError(faults)
