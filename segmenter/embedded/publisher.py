"""Brings a simulated shop's records to Kafka: the past as fast as it goes, live traffic when it is due."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Self, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from segmenter.domain.instants import MILLISECOND, SECOND
from segmenter.embedded.shop_records import Manifest, ShopRecord
from segmenter.embedded.shop_scenes import Due
from segmenter.ports import Clock

# Bytes before compression. The embedded broker hands out one batch of a partition per request, so small ones
# would make reading slow; one open batch per partition of four topics bounds the memory.
BATCH_BYTES = 128 * 1024
BATCHES_IN_FLIGHT = 16
RECORDS_IN_FLIGHT = 1_000
# So many records are made at a time in another thread, so that the event loop keeps turning.
RECORDS_PER_SLICE = 2_000
REQUEST_TIMEOUT_MS = 5_000

_Place: TypeAlias = tuple[str, int]  # topic and partition


class _Window:
    """Bounds how many sends wait for their acknowledgement, and raises what the oldest failed with."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sent: deque[asyncio.Future[object]] = deque()

    async def add(self, sent: "asyncio.Future[object]") -> None:
        self._sent.append(sent)
        while len(self._sent) > self._limit or (self._sent and self._sent[0].done()):
            await self._sent.popleft()

    async def close(self) -> None:
        while self._sent:
            await self._sent.popleft()


class ShopPublisher:
    """A producer for one shop while the context is open.

    All records of a customer go to partition murmur2(customer id) of their topics, as with the default
    partitioner of aiokafka and Java, in the order given; they are stamped with the clock's time, their event time
    is in the payload. `load` and `stream` may be cancelled anywhere: what was handed over by then is sent before
    the context ends. When the broker goes away, records may be lost: it is a producer for demonstrations.
    """

    def __init__(self, bootstrap: str, partitions: int, clock: Clock) -> None:
        self.manifest = Manifest()
        """What was handed over so far."""
        self._bootstrap = bootstrap
        self._partitions = partitions
        self._clock = clock
        self._home_by_key: dict[bytes, int] = {}
        self._producer: AIOKafkaProducer | None = None  # None: not open

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            compression_type="lz4",
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.stop()
        self._producer = None

    async def load(self, records: Iterable[ShopRecord]) -> None:
        """Send all records as fast as the broker takes them; returns when it has acknowledged all."""
        window = _Window(BATCHES_IN_FLIGHT)
        batch_by_place: dict[_Place, BatchBuilder] = {}
        source = iter(records)
        while slice_ := await asyncio.to_thread(_taken, source):
            stamp_ms = self._clock.now() // MILLISECOND
            for record in slice_:
                place = record.topic, self._home(record.key)
                batch = batch_by_place.get(place)
                if batch is None or not _took(batch, record, stamp_ms):
                    batch_by_place[place] = await self._next_batch(window, place, batch)
                    _took(batch_by_place[place], record, stamp_ms)
                self.manifest.add(record)
        for place, batch in batch_by_place.items():
            await window.add(await self._send_batch(place, batch))
        await window.close()

    async def stream(self, records: Iterator[Due]) -> None:
        """Send each record when it is due, for as long as there are any; overdue ones go at once."""
        window = _Window(RECORDS_IN_FLIGHT)
        for due_at, record in records:
            # Overdue records too let others run in between.
            await asyncio.sleep(max(0, due_at - self._clock.now()) / SECOND)
            sent = await self._opened.send(
                record.topic,
                record.value,
                record.key,
                partition=self._home(record.key),
                timestamp_ms=self._clock.now() // MILLISECOND,
            )
            self.manifest.add(record)
            await window.add(sent)
        await window.close()

    @property
    def _opened(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise RuntimeError("the shop's publisher is used outside of its context")
        return self._producer

    async def _next_batch(self, window: _Window, place: _Place, full: BatchBuilder | None) -> BatchBuilder:
        if full is not None:
            await window.add(await self._send_batch(place, full))
        return self._opened.create_batch()

    async def _send_batch(self, place: _Place, batch: BatchBuilder) -> "asyncio.Future[object]":
        topic, partition = place
        sent: asyncio.Future[object] = await self._opened.send_batch(batch, topic, partition=partition)
        return sent

    def _home(self, key: bytes) -> int:
        home = self._home_by_key.get(key)
        if home is None:
            home = self._home_by_key[key] = (murmur2(key) & 0x7FFFFFFF) % self._partitions
        return home


def _taken(source: Iterator[ShopRecord]) -> list[ShopRecord]:
    return list(islice(source, RECORDS_PER_SLICE))


def _took(batch: BatchBuilder, record: ShopRecord, stamp_ms: int) -> bool:
    """Append the record unless the batch is full; the first record of a batch is always taken."""
    return batch.append(timestamp=stamp_ms, key=record.key, value=record.value) is not None
