"""The thread that talks to the broker: heartbeats go on while the main thread computes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from mode.threads import WorkerThread

from segmenter.engine.intake import Place
from segmenter.errors import TransientError
from segmenter.stream.source_reader import Gathered, SourceReader

if TYPE_CHECKING:
    from segmenter.stream.consumer import BatchConsumer

log = logging.getLogger(__name__)

_MIRROR_TIMEOUT_S = 5.0
_BOUNDS_TIMEOUT_S = 5.0

Result = TypeVar("Result")


class _DaemonThread(WorkerThread):  # type: ignore[misc]  # mode is not typed
    """Does not keep a process alive that gave up on it."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.daemon = True


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is not typed
    """Faust's consumer thread, reading as SourceReader does. Its methods are called from the main thread."""

    Worker = _DaemonThread
    consumer: "BatchConsumer"
    has_begun = False
    """Whether the brokers have answered, so that there is something to read through."""

    async def poll(self, expected: Mapping[Place, int], wait_s: float) -> Gathered:
        """See SourceReader.poll."""
        return await self._call(self._reader.poll, expected, wait_s)

    async def put_back(self, expected: Mapping[Place, int]) -> Sequence[tuple[Place, int, int]]:
        """See SourceReader.put_back."""
        return await self._call(self._reader.put_back, expected)

    async def refuse_errors(self) -> None:
        """Raise TransientError for what makes it useless to go on reading in this group."""
        try:
            await self._call(self._reader.refuse_errors)
        except KafkaError as error:
            raise TransientError(f"group {self.app.conf.id} cannot go on: {error!r}") from error

    async def bounds(self, place: Place) -> tuple[int, int]:
        """Return the first offset in the log of a partition and the one after its last. Raises KafkaError."""
        return await self._call(self._bounds, TopicPartition(*place))

    async def mirror(self, offsets: Mapping[Place, int]) -> bool:
        """Commit offsets of partitions that are ours; tell whether the broker took them."""
        return await self._call(self._mirror, offsets)

    async def rejoin(self) -> None:
        """Leave the group and join it again."""
        await self._call(self._leave)

    def partition_count(self, topic: str) -> int | None:
        """Return how many partitions a topic has; None: the broker has not told us yet."""
        partitions = self._consumer.partitions_for_topic(topic)
        return len(partitions) if partitions else None

    async def on_start(self) -> None:
        """Start the consumer, and read through it."""
        await super().on_start()
        binding = self.consumer.binding
        self._reader = SourceReader(self._consumer, binding.clock, binding.settings.max_partition_records)
        self.has_begun = True

    def close(self) -> None:
        """Do nothing: Faust would close the client from another loop, and `on_thread_stop` closes it properly."""

    def _create_worker_consumer(self, transport: object) -> AIOKafkaConsumer:
        """Set what Faust has no settings for, before the consumer starts."""
        settings = self.consumer.binding.settings
        consumer: AIOKafkaConsumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = settings.fetch_max_wait_ms
        consumer._isolation_level = "read_committed" if settings.is_read_committed else "read_uncommitted"
        return consumer

    async def _call(self, work: Callable[..., Awaitable[Result]], *arguments: object) -> Result:
        """Run a coroutine function in the thread. Raises TransientError where the thread ends before it."""
        try:
            result: Result = await self.call_thread(work, *arguments)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise TransientError("the consumer's thread has ended") from None
        return result

    async def _bounds(self, place: TopicPartition) -> tuple[int, int]:
        async with asyncio.timeout(_BOUNDS_TIMEOUT_S):
            starts = await self._consumer.beginning_offsets([place])
            ends = await self._consumer.end_offsets([place])
        return int(starts[place]), int(ends[place])

    async def _mirror(self, offsets: Mapping[Place, int]) -> bool:
        ours = {
            place: OffsetAndMetadata(offset, "")
            for place, offset in offsets.items()
            if place in self._consumer.assignment()
        }
        try:
            # aiokafka repeats a commit for as long as the coordinator is away.
            async with asyncio.timeout(_MIRROR_TIMEOUT_S):
                await self._consumer.commit({TopicPartition(*place): offset for place, offset in ours.items()})
        except (KafkaError, TimeoutError) as error:
            log.warning("mirror_failed", extra={"error": repr(error)})
            return False
        return True

    async def _leave(self) -> None:
        await self._consumer._coordinator._maybe_leave_group()
