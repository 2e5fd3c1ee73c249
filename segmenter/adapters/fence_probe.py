"""Shows whether a cluster honours the fence of `fence`: owners displace each other on a topic made for it.

Three scenes are played, each under a transactional id of its own: an owner who was displaced after he wrote, one
who was displaced before he ever wrote, and one who stalled between (a) and (b). Held is what the log holds at the
end, not what was answered. The topic is created and deleted by the probe; the ids are forgotten by the brokers
(`transactional.id.expiration.ms`), for Kafka knows no way to delete them.
"""

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from segmenter.adapters.fence import STEP_TIMEOUT_S, Claim, Fence, Identity, abandon, producer_with
from segmenter.adapters.kafka_batches import deliver, producer_options
from segmenter.adapters.kafka_topics import TopicPlan, create
from segmenter.adapters.kafka_wire import Partition, Vendor, Wire, deadline
from segmenter.errors import ConfigurationError, FencedError, TransientError
from segmenter.ports import Body

_CLIENT_ID = "segmenter-probe"
_ONE = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """What was tried, whether the fence held, and what the broker did, in one sentence."""

    name: str
    is_held: bool
    sentence: str


async def probe_fence(bootstrap: str, app_id: str, topic: str | None) -> list[Scene]:
    """Play all scenes on partition 0 of `topic`, or of one that is made for it and deleted.

    Raises ConfigurationError where no topic can be made, TransientError where the cluster does not answer.
    """
    wire = Wire(bootstrap, _CLIENT_ID)
    run = f"{app_id}-probe-{uuid.uuid4().hex[:8]}"
    try:
        async with _throwaway(bootstrap, f"{run}-topic", topic) as name:
            partition = Partition(name, 0)
            async with deadline(f"waiting for topic {name}", STEP_TIMEOUT_S):
                await wire.until_served(partition)
            stage = _Stage(bootstrap, wire, partition)
            return [await _played(title, scene(stage, f"{run}-{title}")) for title, scene in _SCENES.items()]
    finally:
        await wire.close()


class _Stage:
    """Where scenes are played: one partition, and what it holds from where a scene began."""

    def __init__(self, bootstrap: str, wire: Wire, partition: Partition) -> None:
        self.wire = wire
        self.partition = partition
        self._options = producer_options(bootstrap, _CLIENT_ID)

    def fence(self, transactional_id: str) -> Fence:
        """Return the fence of an id over the partition."""
        return Fence(self.wire, transactional_id, [self.partition])

    @asynccontextmanager
    async def owner(self, identity: Identity) -> AsyncIterator["_Owner"]:
        """Give a producer that writes as this identity."""
        producer = producer_with(identity, **self._options)
        try:
            async with deadline("starting a producer", STEP_TIMEOUT_S):
                await producer.start()
            yield _Owner(producer, self.partition)
        finally:
            await abandon(producer)

    async def written_since(self, first: int) -> list[str]:
        """Return what the log holds from an offset on."""
        async with deadline("reading the log", STEP_TIMEOUT_S):
            end = await self.wire.end(self.partition)
            batches = [batch async for batch in self.wire.batches(self.partition, first, end)]
        records = [record for batch in batches for record in batch.records if record.offset >= first]
        return [(record.value or b"").decode(errors="replace") for record in records]


class _Owner:
    """One who writes, or tries to."""

    def __init__(self, producer: Vendor, partition: Partition) -> None:
        self._producer = producer
        self._partition = partition

    async def writes(self, text: str) -> bool:
        """Write a record; tell whether the broker took it. Raises TransientError where that is not known."""
        try:
            async with deadline(f"writing to {self._partition.topic}", STEP_TIMEOUT_S):
                bodies = [Body(None, text.encode(), ())]
                await deliver(self._producer, [(self._partition, bodies)], per_batch=_ONE)
        except FencedError:
            return False
        return True


async def _played(name: str, playing: Awaitable[Scene]) -> Scene:
    """Return the scene, also where the broker could not even play it."""
    try:
        return await playing
    except (TransientError, KafkaError) as error:
        return Scene(name, False, f"could not be played to its end: {error}")


async def _displaced(stage: _Stage, transactional_id: str) -> Scene:
    """An owner writes, another takes over, and the first writes again."""
    name, start = "displaced", await stage.wire.end(stage.partition)
    async with stage.owner((await _claimed(stage.fence(transactional_id))).held) as first:
        await first.writes("first: mine")
        async with stage.owner((await _claimed(stage.fence(transactional_id))).held) as second:
            is_late_taken = await first.writes("first: too late")
            await second.writes("second: mine")
    held = not is_late_taken and await stage.written_since(start) == ["first: mine", "second: mine"]
    if held:
        return Scene(name, True, "a displaced owner's next record was refused, the new owner's was taken")
    return Scene(name, False, _doubled("a displaced owner", is_late_taken))


async def _silent(stage: _Stage, transactional_id: str) -> Scene:
    """An owner is displaced before he has written anything, and writes for the first time then."""
    name, start = "silent", await stage.wire.end(stage.partition)
    before = await _claimed(stage.fence(transactional_id))
    after = await _claimed(stage.fence(transactional_id))
    async with stage.owner(before.held) as first, stage.owner(after.held) as second:
        is_late_taken = await first.writes("first: too late")
        await second.writes("second: mine")
    held = not is_late_taken and await stage.written_since(start) == ["second: mine"]
    if held:
        return Scene(name, True, "the first record of an owner displaced before he ever wrote was refused")
    return Scene(name, False, _doubled("an owner displaced before he ever wrote", is_late_taken))


async def _stalled(stage: _Stage, transactional_id: str) -> Scene:
    """An owner stalls between (a) and (b), another takes over meanwhile, and the first goes on with (b)."""
    name, start = "stalled", await stage.wire.end(stage.partition)
    stalled = stage.fence(transactional_id)
    marked = await stalled.within("initialising", stalled.initialise())
    await stalled.within("marking", stalled.mark(marked))
    async with stage.owner((await _claimed(stage.fence(transactional_id))).held) as second:
        await second.writes("second: mine")
        late = Claim(marked, await stalled.within("initialising again", stalled.initialise()))
        is_second_heard = await second.writes("second: still mine")
        async with stage.owner(marked) as zombie:
            is_zombie_taken = await zombie.writes("first: too late")
    if late.is_unbroken:
        sentence = "an owner that stalled between (a) and (b) was not told that another had come: both would write"
        return Scene(name, False, sentence)
    held = is_second_heard and not is_zombie_taken
    if held and await stage.written_since(start) == ["second: mine", "second: still mine"]:
        return Scene(name, True, "an owner that stalled between (a) and (b) was told that another had come")
    return Scene(name, False, _doubled("an owner that stalled between (a) and (b)", is_zombie_taken))


_SCENES: dict[str, Callable[[_Stage, str], Awaitable[Scene]]] = {
    "displaced": _displaced,
    "silent": _silent,
    "stalled": _stalled,
}


async def _claimed(fence: Fence) -> Claim:
    claim = await fence.claim_once()
    if claim is None:
        raise TransientError("a claim was refused although nobody else wanted the id")
    if not claim.is_unbroken:
        found = f"{_written(claim.marker)}, then {_written(claim.held)}"
        raise TransientError(
            f"this broker knows no fences: it answered a claim with {found}; expected epoch + 1 of one id"
        )
    return claim


def _written(identity: Identity) -> str:
    return f"producer {identity.producer_id} epoch {identity.epoch}"


def _doubled(who: str, is_taken: bool) -> str:
    if is_taken:
        return f"the record of {who} was taken: a worker that was paused could write changes twice"
    return f"what {who} and the new one wrote is not in the log as it was acknowledged"


@asynccontextmanager
async def _throwaway(bootstrap: str, made: str, given: str | None) -> AsyncIterator[str]:
    """Give the name of the topic to play on; one that was made for it is deleted."""
    if given is not None:
        yield given
        return
    try:
        await create(bootstrap, [TopicPlan(name=made, partitions=1)])
    except (ConfigurationError, TransientError) as error:
        fault = f"no topic can be made for the probe ({error.__cause__ or error}); name one nobody reads with --topic"
        raise ConfigurationError([fault]) from error
    try:
        yield made
    finally:
        await _delete(bootstrap, made)


async def _delete(bootstrap: str, topic: str) -> None:
    """Delete the topic; where that is not allowed it stays, with a handful of records."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    with contextlib.suppress(KafkaError):
        try:
            await admin.start()
            await admin.delete_topics([topic])
        finally:
            await admin.close()
