"""Making one process the only one whose records a lane's output partitions accept.

A producer id and its epoch belong to a *transactional id* named after the lane. Whoever claims it

(a) initialises the id, and commits an **empty transaction** over the lane's partitions: its control markers carry
    the new epoch into those logs, and from there on the broker refuses every older holder, also one that never
    wrote there;
(b) initialises it again, which is answered only when the markers are written. The answer must be the same
    producer id with the epoch of (a) + 1. Anything else means that another claimant came between, who may
    hold what we would hold: whoever still owns the lane then backs off, and begins at (a).

The identity of (b) is then used by a plain idempotent producer: no transaction ever carries data, readers of
any isolation see each record at once, and a batch costs one round trip.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaConnectionError,
    NoError,
    NotCoordinatorError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest
from aiokafka.util import create_future

from segmenter.adapters.kafka_wire import Partition, Vendor, Wire, deadline
from segmenter.errors import TransientError

STEP_TIMEOUT_S = 10.0
# The broker ends the transaction of a claimant that died in it after this long; the next claimant does at once.
TRANSACTION_TIMEOUT_MS = 10_000
# At 32,766 the coordinator changes to a new producer id, whose markers fence nothing of the old one. Nobody holds an
# identity so near to it, so every holder has been fenced under his own producer id before.
LAST_EPOCH = 32_700
_ASK_AGAIN_S = 0.005
_COMMIT = True
_CLOSE_TIMEOUT_S = 2.0

_MOVED = (CoordinatorNotAvailableError, NotCoordinatorError)
_NOT_YET = (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    UnknownTopicOrPartitionError,
    RequestTimedOutError,
)
_OVERTAKEN = (InvalidProducerEpoch, InvalidProducerIdMapping, InvalidTxnState)
# PRODUCER_FENCED, which aiokafka has no name for.
_FENCED_CODE = 90

T = TypeVar("T")


class Identity(NamedTuple):
    """What a broker accepts idempotent records by: of one producer id only the highest epoch."""

    producer_id: int
    epoch: int


class Claim(NamedTuple):
    """The identity of the markers, (a), and the one to write with, (b)."""

    marker: Identity
    held: Identity

    @property
    def is_unbroken(self) -> bool:
        """Nobody came between."""
        return self.held == (self.marker.producer_id, self.marker.epoch + 1)

    @property
    def is_near_the_end(self) -> bool:
        """The producer id is about to be left, or was left just now."""
        return max(self.marker.epoch, self.held.epoch) >= LAST_EPOCH


class Fence:
    """One transactional id and the partitions it guards."""

    def __init__(self, wire: Wire, transactional_id: str, partitions: Sequence[Partition]) -> None:
        self._wire = wire
        self._id = transactional_id
        self._partitions = partitions

    async def claim(self) -> "Claim":
        """Shut everybody else out.

        Raises TransientError where the broker does not answer in time, or another claimant came between: look whether
        the lane is still yours before you try again, or you displace its owner.
        """
        claim = await self.claim_once()
        while claim is not None and claim.is_near_the_end:
            claim = await self.claim_once()
        if claim is None or not claim.is_unbroken:
            raise TransientError(f"{self._id}: another owner came between")
        return claim

    async def claim_once(self) -> "Claim | None":
        """Do (a) and (b) once; None where the broker refused it for a newer claimant."""
        try:
            marked = await self.within("initialising", self.initialise())
            await self.within("marking", self.mark(marked))
            held = await self.within("initialising again", self.initialise())
        except _OVERTAKEN:
            return None
        return Claim(marked, held)

    async def initialise(self) -> Identity:
        """Return the next identity of this id, when everything written under the one before is settled."""
        request = InitProducerIdRequest(transactional_id=self._id, transaction_timeout_ms=TRANSACTION_TIMEOUT_MS)
        while True:
            answer = await self._wire.ask_coordinator(self._id, request)
            if await self._is_done([answer.error_code]):
                return Identity(answer.producer_id, answer.producer_epoch)

    async def mark(self, identity: Identity) -> None:
        """Commit an empty transaction over the partitions."""
        topics = [(partition.topic, [partition.number]) for partition in self._partitions]
        join = AddPartitionsToTxnRequest(self._id, *identity, topics)
        end = EndTxnRequest(self._id, *identity, _COMMIT)
        while not await self._is_done(_codes(await self._wire.ask_coordinator(self._id, join))):
            pass
        while not await self._is_done([(await self._wire.ask_coordinator(self._id, end)).error_code]):
            pass

    async def within(self, doing: str, step: Awaitable[T]) -> T:
        """Await a step of the claim for as long as one may take."""
        async with deadline(f"{self._id}: {doing}", STEP_TIMEOUT_S):
            return await step

    async def _is_done(self, codes: Sequence[int]) -> bool:
        """Tell whether the broker did it; False, after a pause, where it may be asked again. Raises for the rest."""
        errors = [InvalidProducerEpoch if code == _FENCED_CODE else for_code(code) for code in codes]
        faults = [error for error in errors if error is not NoError]
        if not faults:
            return True
        for fault in faults:
            if issubclass(fault, _OVERTAKEN):
                raise fault
        again = [fault for fault in faults if issubclass(fault, _MOVED + _NOT_YET)]
        # Beside the partition at fault the others are only "not attempted".
        if not again:
            raise TransientError(f"{self._id}: the broker answered {faults[0].__name__}")
        if any(issubclass(fault, _MOVED) for fault in again):
            self._wire.forget_coordinator(self._id)
        await asyncio.sleep(_ASK_AGAIN_S)
        return False


def producer_with(identity: Identity, **options: Vendor) -> Vendor:
    """Return an idempotent producer, not started yet, that writes as `identity`."""
    producer = AIOKafkaProducer(enable_idempotence=True, **options)
    producer._txn_manager.set_pid_and_epoch(*identity)
    return producer


def identity_of(producer: Vendor) -> Identity:
    """Return what a started idempotent producer writes as."""
    manager = producer._txn_manager
    return Identity(manager.producer_id, manager.producer_epoch)


async def abandon(producer: Vendor) -> None:
    """Let go of a producer at once, whatever it still holds.

    Its own `stop()` waits until all is delivered, which is for ever where the broker is gone or refuses. Whoever
    awaits a delivery gets an error here; whether it was delivered is unknown.
    """
    producer._closed = True
    sending = producer._sender.sender_task
    if sending is not None:
        sending.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await producer.client.close()
    _release(producer.client)
    producer._message_accumulator.fail_all(KafkaConnectionError("the producer was dropped"))
    if sending is not None:
        await asyncio.wait([sending], timeout=_CLOSE_TIMEOUT_S)


def _release(client: Vendor) -> None:
    """Wake what waits for metadata that a closed client will never get."""
    waiting = client._md_update_fut
    if waiting is not None and not waiting.done():
        waiting.set_result(False)
    client._md_update_fut = create_future()
    client._md_update_fut.set_result(False)


def _codes(answer: Vendor) -> list[int]:
    return [code for _, partitions in answer.errors for _, code in partitions]
