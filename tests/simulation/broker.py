"""A Kafka in lists: partitions with producer state and control markers, and the coordinator of transactional ids.

It keeps what our fence relies on: of one producer id only the highest epoch may write, a marker raises that epoch
in the log it is written to, an idempotent batch is taken once and in its turn, and an id is initialised anew only
when what was under way for it is settled. `tests/contract` holds it to the same suites as the real one.
"""

import asyncio
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from aiokafka.errors import (
    ConcurrentTransactions,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaError,
    OutOfOrderSequenceNumber,
)

from segmenter.adapters.kafka_wire import LogBatch, Partition
from segmenter.ports import Body, Headers

# As the broker does, the last five batches of a producer are known.
BATCHES_KNOWN = 5
FENCED_CODE = 90


class ProducerFencedError(KafkaError):
    """PRODUCER_FENCED: a newer holder of the transactional id exists."""

    errno = FENCED_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRecord:
    """A record as it lies in the log; it fits our own ports and aiokafka's consumers."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True)
class Producer:
    """What a partition knows of a producer id."""

    epoch: int = -1
    batches: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=BATCHES_KNOWN))
    """First and last sequence number of its newest batches."""


class PartitionLog:
    """One partition. Offsets count records and markers."""

    def __init__(self, place: Partition) -> None:
        self.place = place
        self.batches: list[LogBatch] = []
        self.ends: list[int] = []
        self.end = 0
        self.producers: defaultdict[int, Producer] = defaultdict(Producer)

    def append(self, bodies: Sequence[Body], now_ms: int, producer_id: int = -1, epoch: int = -1) -> None:
        """Add a batch as it is."""
        records = tuple(
            LoggedRecord(
                topic=self.place.topic,
                partition=self.place.number,
                offset=self.end + number,
                timestamp=now_ms,
                key=key,
                value=value,
                headers=headers,
            )
            for number, (key, value, headers) in enumerate(bodies)
        )
        self._add(len(records), producer_id, epoch, records)

    def produce(self, bodies: Sequence[Body], identity: tuple[int, int], sequence: int, now_ms: int) -> None:
        """Add an idempotent batch, once. Raises InvalidProducerEpoch or OutOfOrderSequenceNumber."""
        producer_id, epoch = identity
        is_new = producer_id not in self.producers
        known = self.producers[producer_id]
        last = sequence + len(bodies) - 1
        if epoch < known.epoch:
            raise InvalidProducerEpoch
        if epoch == known.epoch and (sequence, last) in known.batches:
            return
        if epoch > known.epoch:
            if sequence != 0 and not is_new:
                raise OutOfOrderSequenceNumber
            known.epoch = epoch
            known.batches.clear()
        elif sequence != (known.batches[-1][1] + 1 if known.batches else 0):
            raise OutOfOrderSequenceNumber
        known.batches.append((sequence, last))
        self.append(bodies, now_ms, producer_id, epoch)

    def mark(self, producer_id: int, epoch: int) -> None:
        """Write a control marker, which shuts out every lower epoch."""
        known = self.producers[producer_id]
        if epoch > known.epoch:
            known.epoch = epoch
            known.batches.clear()
        self._add(1, producer_id, epoch, ())

    def from_offset(self, first: int) -> list[LogBatch]:
        """Return the batches from the one that holds this offset on."""
        return self.batches[bisect_right(self.ends, first) :]

    def records_from(self, first: int, most: int) -> tuple[list[LoggedRecord], int]:
        """Return at most so many records from an offset on, and the offset to read next, past control markers."""
        found: list[LoggedRecord] = []
        position = first
        for batch in self.from_offset(first):
            for record in batch.records:
                if record.offset >= position:
                    if len(found) >= most:
                        return found, position
                    found.append(record)  # type: ignore[arg-type]  # records of this log are of our own kind
                    position = record.offset + 1
            position = batch.next_offset
        return found, position

    def _add(self, count: int, producer_id: int, epoch: int, records: tuple[LoggedRecord, ...]) -> None:
        self.end += count
        self.batches.append(
            LogBatch(
                next_offset=self.end,
                producer_id=producer_id,
                epoch=epoch,
                is_control=not records,
                is_transactional=not records,
                records=records,  # type: ignore[arg-type]  # they carry more than the adapter asks for
            )
        )
        self.ends.append(self.end)


class Phase(Enum):
    """Where a transactional id stands."""

    SETTLED = auto()
    ONGOING = auto()
    ENDING = auto()


@dataclass(slots=True)
class Transactional:
    """A transactional id."""

    producer_id: int
    epoch: int = -1
    phase: Phase = Phase.SETTLED
    partitions: set[Partition] = field(default_factory=set)
    unmarked: int = 0
    was_committed: bool = False
    begun: int = 0


class Broker:
    """All partitions and ids. Nothing here awaits: each call is one request, executed at once.

    `later(seconds, call)` schedules what it does by itself: markers, and the end of transactions that nobody ends.
    """

    TRANSACTION_TIMEOUT_S = 10.0

    def __init__(self, now_ms: Callable[[], int], later: Callable[[float, Callable[[], None]], object]) -> None:
        self.now_ms = now_ms
        self._later = later
        self.logs: dict[Partition, PartitionLog] = {}
        self.ids: dict[str, Transactional] = {}
        self._producer_ids = 0
        self.marker_delay_s: Callable[[], float] = lambda: 0.003

    def log(self, topic: str, number: int) -> PartitionLog:
        """Return a partition, made at its first use."""
        place = Partition(topic, number)
        found = self.logs.get(place)
        if found is None:
            found = self.logs[place] = PartitionLog(place)
        return found

    def new_producer_id(self) -> int:
        """Return a producer id that belongs to no transactional id."""
        self._producer_ids += 1
        return 1_000 + self._producer_ids

    def initialise(self, transactional_id: str) -> tuple[int, int]:
        """Return producer id and next epoch, as InitProducerId does."""
        found = self.ids.get(transactional_id)
        if found is None:
            found = self.ids[transactional_id] = Transactional(self.new_producer_id())
        if found.phase is Phase.ONGOING:
            self._abort(found)
        if found.phase is Phase.ENDING:
            raise ConcurrentTransactions
        found.epoch += 1
        found.was_committed = False
        return found.producer_id, found.epoch

    def join(self, transactional_id: str, identity: tuple[int, int], partitions: Sequence[Partition]) -> None:
        """Add partitions to the transaction, as AddPartitionsToTxn does."""
        found = self._checked(transactional_id, identity)
        if found.phase is Phase.ENDING:
            raise ConcurrentTransactions
        if found.phase is Phase.SETTLED:
            found.phase, found.partitions = Phase.ONGOING, set()
            found.begun += 1
            number = found.begun
            self._later(self.TRANSACTION_TIMEOUT_S, lambda: self._expire(found, number))
        found.partitions |= set(partitions)

    def commit(self, transactional_id: str, identity: tuple[int, int]) -> None:
        """End the transaction, as EndTxn does: answered before its markers are written."""
        found = self._checked(transactional_id, identity)
        if found.phase is Phase.ENDING:
            raise ConcurrentTransactions
        if found.phase is Phase.SETTLED:
            if found.was_committed:
                return
            raise InvalidTxnState
        found.was_committed = True
        self._write_markers(found)

    def _checked(self, transactional_id: str, identity: tuple[int, int]) -> Transactional:
        found = self.ids.get(transactional_id)
        if found is None or found.producer_id != identity[0]:
            raise InvalidProducerIdMapping
        if found.epoch != identity[1]:
            raise ProducerFencedError
        return found

    def _abort(self, found: Transactional) -> None:
        """Shut the present holder out, and end his transaction."""
        found.epoch += 1
        found.was_committed = False
        self._write_markers(found)

    def _expire(self, found: Transactional, number: int) -> None:
        if found.phase is Phase.ONGOING and found.begun == number:
            self._abort(found)

    def _write_markers(self, found: Transactional) -> None:
        found.phase, found.unmarked = Phase.ENDING, len(found.partitions)
        for place in sorted(found.partitions):
            self._later(self.marker_delay_s(), lambda place=place: self._write_marker(found, place))

    def _write_marker(self, found: Transactional, place: Partition) -> None:
        self.log(*place).mark(found.producer_id, found.epoch)
        found.unmarked -= 1
        if not found.unmarked:
            found.phase, found.partitions = Phase.SETTLED, set()


async def settled(broker: Broker) -> None:
    """Return when no transaction is being ended any more."""
    while any(found.phase is Phase.ENDING for found in broker.ids.values()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
