"""Single requests to Kafka brokers, each with a deadline and an answer that is looked at: no hidden retries for ever.

aiokafka's producers and consumers retry without end while a coordinator or leader is away, and hide the
batches of the log. A takeover needs neither: it asks, and knows within seconds whether it was answered.
With `fence` this is the one place that uses aiokafka below its public classes; the contract tests on a real
broker are the alarm for both.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import CoordinatorNotAvailableError, KafkaError, NoError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from segmenter.errors import TransientError

REQUEST_TIMEOUT_MS = 5_000
RETRY_BACKOFF_MS = 20
_FETCH_BYTES = 1024 * 1024
# An answer may come empty when replicas lag behind the leader; the broker then waits this long for them.
_FETCH_WAIT_MS = 100
_LATEST, _EARLIEST = -1, -2
_ANY_REPLICA = -1
_READ_UNCOMMITTED = 0
_NEWEST_FORMAT = 2

# A vendor's request, response or connection: aiokafka gives no types for them.
Vendor: TypeAlias = Any


class Partition(NamedTuple):
    """A topic's partition."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record as it lies in the log."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBatch:
    """A batch as it lies in the log: who wrote it, and what. A control batch has no records of ours."""

    next_offset: int
    producer_id: int
    epoch: int
    is_control: bool
    is_transactional: bool
    records: tuple[LogRecord, ...]


class NotServedError(TransientError):
    """The broker we asked does not lead the partition, or not yet."""


class Wire:
    """Connections to a cluster, opened at the first request and shared by all lanes of a worker.

    Every method raises TransientError where the cluster does not answer or refuses.
    """

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._client: Vendor | None = None
        self._connecting = asyncio.Lock()
        self._coordinators: dict[str, int] = {}

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ask_coordinator(self, transactional_id: str, request: Vendor) -> Vendor:
        """Send a request to the broker that coordinates a transactional id."""
        async with self._connected() as client:
            node = await self._coordinator(client, transactional_id)
            try:
                return await client.send(node, request, group=ConnectionGroup.COORDINATION)
            except KafkaError:
                self.forget_coordinator(transactional_id)
                raise

    async def find_coordinator(self, transactional_id: str) -> None:
        """Look the coordinator up that will be asked next, unless it is known."""
        async with self._connected() as client:
            await self._coordinator(client, transactional_id)

    def forget_coordinator(self, transactional_id: str) -> None:
        """Look the coordinator up anew next time: it has moved."""
        self._coordinators.pop(transactional_id, None)

    async def bounds(self, partition: Partition) -> tuple[int, int]:
        """Return the first offset of the log and its end, as replicated, at this moment."""
        start, end = await asyncio.gather(self._offset(partition, _EARLIEST), self._offset(partition, _LATEST))
        return start, end

    async def end(self, partition: Partition) -> int:
        """Return the end of the log, as replicated, at this moment."""
        return await self._offset(partition, _LATEST)

    async def until_served(self, partition: Partition) -> None:
        """Return when the partition's leader serves it. A caller bounds the time."""
        while True:
            try:
                await self.end(partition)
            except NotServedError:
                await asyncio.sleep(RETRY_BACKOFF_MS / 1000)
            else:
                return

    async def batches(self, partition: Partition, first: int, end: int) -> AsyncIterator[LogBatch]:
        """Read from the batch that holds offset `first` up to `end`, in order, committed or not.

        A caller bounds the time: where the log does not reach `end` this goes on asking.
        """
        position = first
        while position < end:
            for batch in _parse(await self._fetch(partition, position)):
                if position < end and batch.next_offset > position:
                    position = batch.next_offset
                    yield batch

    async def _coordinator(self, client: Vendor, transactional_id: str) -> int:
        """Return the coordinator; a new cluster first makes the topic it needs, so ask until there is one."""
        while transactional_id not in self._coordinators:
            try:
                node = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
                self._coordinators[transactional_id] = node
            except CoordinatorNotAvailableError:
                await asyncio.sleep(RETRY_BACKOFF_MS / 1000)
        return self._coordinators[transactional_id]

    async def _fetch(self, partition: Partition, offset: int) -> bytes:
        wanted = [(partition.topic, [(partition.number, offset, _FETCH_BYTES)])]
        request = FetchRequest(_FETCH_WAIT_MS, 1, _FETCH_BYTES, _READ_UNCOMMITTED, wanted)
        [[_, [answer]]] = (await self._ask_leader(partition, request)).topics
        await self._refuse(answer[1], f"reading {partition.topic}/{partition.number} at {offset}")
        records: bytes = answer[-1]
        return records

    async def _offset(self, partition: Partition, which: int) -> int:
        request = OffsetRequest(_ANY_REPLICA, _READ_UNCOMMITTED, [(partition.topic, [(partition.number, which)])])
        [[_, [answer]]] = (await self._ask_leader(partition, request)).topics
        await self._refuse(answer[1], f"asking for the end of {partition.topic}/{partition.number}")
        offset: int = answer[-1]
        return offset

    async def _ask_leader(self, partition: Partition, request: Vendor) -> Vendor:
        async with self._connected() as client:
            await client._wait_on_metadata(partition.topic)
            leader = client.cluster.leader_for_partition(TopicPartition(*partition))
            if leader in (None, -1):
                await client.force_metadata_update()
                raise NotServedError(f"{partition.topic}/{partition.number} has no leader")
            return await client.send(leader, request)

    async def _refuse(self, code: int, doing: str) -> None:
        """Raise for an error code; the next attempt will know the leaders anew."""
        error = for_code(code)
        if error is not NoError:
            if self._client is not None:
                await self._client.force_metadata_update()
            kind = NotServedError if error.retriable else TransientError
            raise kind(f"{doing}: {error.__name__}")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Vendor]:
        """Give the connected client, and translate what goes wrong."""
        try:
            yield await self._connection()
        except (KafkaError, OSError, TimeoutError) as error:
            raise TransientError(f"Kafka at {self._bootstrap} did not answer: {error!r}") from error

    async def _connection(self) -> Vendor:
        async with self._connecting:
            if self._client is None:
                client = AIOKafkaClient(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._client_id,
                    request_timeout_ms=REQUEST_TIMEOUT_MS,
                    retry_backoff_ms=RETRY_BACKOFF_MS,
                )
                try:
                    await client.bootstrap()
                except BaseException:
                    await client.close()
                    raise
                self._client = client
        return self._client


@asynccontextmanager
async def deadline(doing: str, seconds: float) -> AsyncIterator[None]:
    """Raise TransientError where the block takes longer."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TransientError(f"{doing} took more than {seconds:g} s") from error


def _parse(data: bytes) -> Iterator[LogBatch]:
    """Read what a fetch returned; its last batch may be cut off, and is then left out."""
    memory = MemoryRecords(data)
    while memory.has_next():
        batch = memory.next_batch()
        if batch.magic < _NEWEST_FORMAT:
            raise TransientError(f"a batch in record format {batch.magic}; expected 2")
        # The embedded broker writes control batches with a wrong checksum; nothing of ours is in those.
        if not batch.is_control_batch and not batch.validate_crc():
            raise TransientError(f"the batch at offset {batch.base_offset} is damaged")
        yield LogBatch(
            next_offset=batch.next_offset,
            producer_id=batch.producer_id,
            epoch=batch.producer_epoch,
            is_control=batch.is_control_batch,
            is_transactional=batch.is_transactional,
            records=() if batch.is_control_batch else tuple(_record(record) for record in batch),
        )


def _record(record: Vendor) -> LogRecord:
    return LogRecord(record.offset, record.timestamp, record.key, record.value, tuple(record.headers))
