"""The output topics on Kafka: each lane's partitions have one writer, and the broker refuses all others.

Guarantee: what `send` was given is in the log once, in order and without gaps, for every reader of any isolation
level, also when owners displace each other in mid-send, stall anywhere or wake up days later; `fence` says how.
What a failed `send` left in the log is unknown until the next takeover has read the tails.

The broker forgets a fence when a partition has had no record for a day (`producer.id.expiration.ms`), so a holder
takes over again every few hours, and refuses by itself to write under a fence older than 12 h.
"""

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaError

from segmenter.adapters.fence import STEP_TIMEOUT_S, Claim, Fence, abandon, identity_of
from segmenter.adapters.kafka_batches import (
    BATCH_BYTES,
    ContentRefusedError,
    deliver,
    producer_options,
)
from segmenter.adapters.kafka_cluster import Cluster
from segmenter.adapters.kafka_numbered import LANE_PID, LANE_SEQ, NumberedPartition
from segmenter.adapters.kafka_wire import Partition, Vendor, Wire, deadline
from segmenter.errors import TransientError
from segmenter.ports import STUB_HEADER, Body, Headers, LaneLog, LoggedRecord, OutboxEntry, Output, Tail

FENCE_LIMIT_S = 12 * 3600
_TAKEOVERS_AT_ONCE = 8
# Reading what a restored dump has lost may take a while; nobody waits for it but the lane itself.
_BEYOND_TIMEOUT_S = 60.0
_START_PATIENCE_S = 1.0
_SMALLEST_BATCH_BYTES = 1024
_ALL = 2**31
_KEPT_BYTES = 1024

log = logging.getLogger(__name__)


class Refusals:
    """What the broker has refused of a lane for its content, remembered from one holder to the next.

    A refused batch of many is sent again one by one, a refused record as a stub.
    """

    def __init__(self) -> None:
        self.reasons: dict[tuple[Output, int], str] = {}
        self.batch_bytes = BATCH_BYTES
        self._careful_upto: dict[Output, int] = {}

    def note(self, output: Output, refused: Sequence[OutboxEntry], error: ContentRefusedError) -> None:
        """Remember a refused batch."""
        if len(refused) == 1:
            self.reasons[output, refused[0].lane_seq] = error.reason
            return
        self._careful_upto[output] = refused[-1].lane_seq
        if error.is_size:
            self.batch_bytes = max(_SMALLEST_BATCH_BYTES, self.batch_bytes // 2)

    def per_batch(self, entries: Sequence[OutboxEntry]) -> int:
        """Return how many of these a batch may take."""
        for output, upto in self._careful_upto.items():
            if any(entry.output is output and entry.lane_seq <= upto for entry in entries):
                return 1
        return _ALL


class KafkaLaneLog:
    """One lane's hold on its partitions: made by `KafkaOutputLog.take_over`, of no use after any error of `send`.

    In plain mode (no claim) nothing is held: see `KafkaOutputLog`.
    """

    def __init__(
        self,
        cluster: Cluster,
        wire: Wire,
        partitions: Mapping[Output, Partition],
        claim: Claim | None,
        options: Mapping[str, Vendor],
        refusals: Refusals,
    ) -> None:
        self.producer_id = -1 if claim is None else claim.held.producer_id
        self._cluster = cluster
        self._wire = wire
        self._partitions = partitions
        self._claim = claim
        self.claimed_at = time.time()
        self._options = options
        self._refusals = refusals
        self._read: dict[Output, NumberedPartition] = {}
        self._producer: Vendor | None = None
        self._starting: asyncio.Task[None] | None = None
        self._lane_pid = (LANE_PID, b"")

    async def tails(self) -> Mapping[Output, Tail]:
        """Return what the log holds, read up to an end that was asked for after the fence."""
        async with deadline("reading the tails", STEP_TIMEOUT_S):
            found = await asyncio.gather(*map(self._tail, self._partitions))
        return {output: tail for output, tail in zip(self._partitions, found, strict=True) if tail.lane_seq}

    async def beyond(self, output: Output, lane_seq: int) -> list[LoggedRecord]:
        """Return the records with higher numbers than this, rising."""
        async with deadline("reading beyond the store", _BEYOND_TIMEOUT_S):
            return await self._read[output].beyond(lane_seq)

    def prepare(self) -> None:
        """Let a producer connect that will write as what was claimed."""
        self._start()

    async def open(self) -> None:
        """Return when the producer has started; it has sent nothing so far."""
        starting = self._starting or self._start()
        try:
            async with deadline("starting the producer", STEP_TIMEOUT_S):
                await starting
        except (KafkaError, OSError) as error:
            raise TransientError(f"the producer did not start: {error!r}") from error
        self.producer_id = identity_of(self._producer).producer_id
        self._lane_pid = (LANE_PID, b"%d" % self.producer_id)

    async def send(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish in order; see `LaneLog.send`. Several outputs go at once, each in its order."""
        age_s = time.time() - self.claimed_at
        if self._claim is not None and not 0 <= age_s + 1 <= FENCE_LIMIT_S:
            raise TransientError(f"the fence is {age_s:.0f} s old; the broker may have forgotten it")
        by_output = {output: [e for e in entries if e.output is output] for output in self._partitions}
        bodies = [(self._partitions[o], [self._body(e) for e in mine]) for o, mine in by_output.items()]
        try:
            await deliver(self._producer, bodies, per_batch=self._refusals.per_batch(entries))
        except ContentRefusedError as error:
            output = next(o for o, partition in self._partitions.items() if partition == error.partition)
            refused = by_output[output][error.first : error.first + error.count]
            self._refusals.note(output, refused, error)
            raise TransientError(f"{error}; they go again one by one or as stubs") from error

    async def close(self) -> None:
        """Let go at once."""
        producer, self._producer = self._producer, None
        starting, self._starting = self._starting, None
        try:
            if starting is not None:
                await _ended(starting)
        finally:  # also where whoever closes it is cancelled meanwhile: it must not go on sending
            if producer is not None:
                await abandon(producer)

    def _start(self) -> "asyncio.Task[None]":
        options = {**self._options, "max_batch_size": self._refusals.batch_bytes}
        self._producer = self._cluster.producer(None if self._claim is None else self._claim.held, **options)
        self._starting = asyncio.create_task(self._producer.start(), name="producer")
        return self._starting

    async def _tail(self, output: Output) -> Tail:
        read = self._read[output] = await NumberedPartition.at_its_end(self._wire, self._partitions[output])
        newest = await read.newest(None if self._claim is None else self._claim.marker)
        # Without a claim every holder has a producer id of his own, and none of them is a stranger.
        return Tail(newest.lane_seq, newest.producer_id if self._claim else None)

    def _body(self, entry: OutboxEntry) -> Body:
        numbers = ((LANE_SEQ, b"%d" % entry.lane_seq), self._lane_pid)
        reasons = self._refusals.reasons
        reason = (reasons.get((entry.output, entry.lane_seq)) if reasons else None) or _fault(entry)
        if reason is None:
            return Body(entry.key, entry.value, numbers + entry.headers)
        log.warning(
            "record_replaced_by_stub",
            extra={"output": entry.output.value, "lane_seq": entry.lane_seq, "reason": reason},
        )
        return _stub(entry, reason, numbers)


class KafkaOutputLog:
    """The lanes' output topics. One for a worker, shared by its lanes: an async context manager.

    `plain` is for a broker that knows no transactions and no fences (the embedded one), and is chosen by the
    caller, never detected. It keeps the order and repeats nothing while one owner sends, also over lost connections,
    but shuts nobody out: a former owner that is still alive can write between our records and after them.
    """

    lane_log: type[KafkaLaneLog] = KafkaLaneLog
    """What a takeover makes."""

    def __init__(
        self, cluster: Cluster | str, app_id: str, topics: Mapping[Output, str], *, plain: bool = False
    ) -> None:
        self._cluster = Cluster(cluster) if isinstance(cluster, str) else cluster
        self._app_id = app_id
        self._topics = topics
        self._is_plain = plain
        self._wire = self._cluster.wire(f"{app_id}-takeover")
        self._options = producer_options(self._cluster.bootstrap, f"{app_id}-relay")
        self._refusals: dict[int, Refusals] = {}
        self._turns = asyncio.Semaphore(_TAKEOVERS_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what all lanes share."""
        await self._wire.close()

    async def take_over(self, lane: int) -> LaneLog:
        """Fence every older owner of the lane's output partitions. Raises TransientError."""
        partitions = {output: Partition(topic, lane) for output, topic in self._topics.items()}
        claim = None
        if not self._is_plain:
            async with self._turns:
                await self._see(lane, partitions.values())
                claim = await self.fence(lane, tuple(partitions.values())).claim()
        refusals = self._refusals.setdefault(lane, Refusals())
        return self.lane_log(self._cluster, self._wire, partitions, claim, self._options, refusals)

    async def _see(self, lane: int, partitions: Iterable[Partition]) -> None:
        """Return when the leader of every partition serves it, and the lane's coordinator is known.

        A broker that is asked for markers in a partition it is just creating may not answer at all, and for 30 s
        complete no transaction of any other lane either (Kafka 4.1; seen in the first milliseconds of a topic).
        """
        async with deadline("looking at the output partitions", STEP_TIMEOUT_S):
            coordinator = self._wire.find_coordinator(self._transactional_id(lane))
            await asyncio.gather(coordinator, *map(self._wire.until_served, partitions))

    def fence(self, lane: int, partitions: Sequence[Partition]) -> Fence:
        """Return the fence of a lane."""
        return Fence(self._wire, self._transactional_id(lane), partitions)

    def _transactional_id(self, lane: int) -> str:
        return f"{self._app_id}-{lane}"


async def _ended(starting: "asyncio.Task[None]") -> None:
    """Return when a producer has started or failed to: cut short, it would leave a connection behind."""
    if not starting.done():
        await asyncio.wait([starting], timeout=_START_PATIENCE_S)
        starting.cancel()
        await asyncio.wait([starting])
    if not starting.cancelled():
        starting.exception()  # whoever lets go of it does not ask whether it could have been used


def _fault(entry: OutboxEntry) -> str | None:
    """Return why a broker would refuse the record, where that is known beforehand."""
    if entry.key is None and (entry.output is Output.MEMBERSHIPS or entry.value is None):
        return "NoKey"
    return None


def _stub(entry: OutboxEntry, reason: str, numbers: Headers) -> Body:
    """Return a small record for the place of one that cannot be written.

    Never a tombstone: in a compacted topic that would take away what is known of a customer.
    """
    size = sum(len(name) + len(value) for name, value in entry.headers)
    headers = entry.headers if size <= _KEPT_BYTES else ()
    key = entry.key if entry.key is not None and len(entry.key) <= _KEPT_BYTES else STUB_HEADER.encode()
    value = json.dumps({STUB_HEADER: reason}).encode()
    return Body(key, value, (*numbers, (STUB_HEADER, reason.encode()), *headers))
