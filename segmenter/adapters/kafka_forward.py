"""The repartition topic on Kafka: records on their way home, and the markers of time."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from itertools import accumulate
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaError

from segmenter.adapters.fence import STEP_TIMEOUT_S, abandon
from segmenter.adapters.kafka_batches import ContentRefusedError, deliver, producer_options
from segmenter.adapters.kafka_cluster import Cluster
from segmenter.adapters.kafka_wire import Partition, Vendor, deadline
from segmenter.errors import FencedError, TransientError
from segmenter.ports import Body, Forward, Headers

REFUSED = "refused"
_ALL = 2**31
_HEADERS_KEPT = 4 * 1024

log = logging.getLogger(__name__)


class KafkaForwarder:
    """Sends home, for all tasks of a worker: an async context manager.

    Guarantee: the records of one call reach each partition in their order, at least once. After an error some of
    them are in the topic and some are not, and the call is to be repeated whole; what comes twice falls away at
    home, by its source offset. A record that the broker refuses for its content goes without its value and with the
    header `refused`, so that it is put aside at home under its own place and its source goes on.
    """

    def __init__(self, cluster: Cluster | str, topic: str, client_id: str = "segmenter") -> None:
        self._cluster = Cluster(cluster) if isinstance(cluster, str) else cluster
        self._topic = topic
        self._options = producer_options(self._cluster.bootstrap, f"{client_id}-forward")
        self._producer: Vendor | None = None
        self._starting = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._waiting: list[tuple[Sequence[Forward], asyncio.Future[None]]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._drop(self._producer)

    async def forward(self, records: Sequence[Forward]) -> None:
        """Send in order; returns when the broker has acknowledged all. Raises TransientError."""
        try:
            await self._send(records)
        except ContentRefusedError as error:
            middle = len(records) // 2
            if middle:
                await self.forward(records[:middle])
                await self.forward(records[middle:])
            else:
                await self._send([self._without_value(records[0], error.reason)])

    def _without_value(self, record: Forward, reason: str) -> Forward:
        log.warning(
            "forward_without_value",
            extra={"topic": self._topic, "partition": record.partition, "reason": reason},
        )
        headers = (*_leading(record.headers), (REFUSED, reason.encode()))
        return Forward(partition=record.partition, key=None, value=b"", headers=headers)

    async def _send(self, records: Sequence[Forward]) -> None:
        """Send together with what other tasks want sent meanwhile, and fail with them.

        The producer takes one batch of a partition after the other and is not fair: with a batch of each task's own,
        some would wait for their turn until it times out.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, done))
        async with self._turn:
            if not done.done():
                await self._send_waiting()
        done.result()

    async def _send_waiting(self) -> None:
        """Send what is waiting, and tell everyone how it went."""
        waiting, self._waiting = self._waiting, []
        outcome: BaseException | None = TransientError("the forwarding was given up")
        try:
            await self._deliver([record for records, _ in waiting for record in records])
            outcome = None
        except Exception as error:  # noqa: BLE001  # each caller raises it as his own
            outcome = error
        finally:
            for _, done in waiting:
                if outcome is None:
                    done.set_result(None)
                else:
                    done.set_exception(outcome)
                    done.exception()  # a caller that was cancelled does not fetch it

    async def _deliver(self, records: Sequence[Forward]) -> None:
        """Send with the producer of the moment, which is dropped after any error: its sequences are broken."""
        bodies: dict[int, list[Body]] = {}
        for record in records:
            bodies.setdefault(record.partition, []).append(Body(record.key, record.value, record.headers))
        producer = await self._started()
        try:
            by_partition = [(Partition(self._topic, number), mine) for number, mine in bodies.items()]
            await deliver(producer, by_partition, per_batch=_ALL)
        except FencedError as error:
            await self._drop(producer)
            raise TransientError("the broker has forgotten the forwarding producer") from error
        except BaseException:
            await self._drop(producer)
            raise

    async def _started(self) -> Vendor:
        async with self._starting:
            if self._producer is None:
                producer = self._cluster.producer(None, **self._options)
                try:
                    async with deadline("starting the forwarding producer", STEP_TIMEOUT_S):
                        await producer.start()
                except BaseException as error:
                    await abandon(producer)
                    if isinstance(error, KafkaError | OSError):
                        raise TransientError(f"the forwarding producer did not start: {error!r}") from error
                    raise
                self._producer = producer
            return self._producer

    async def _drop(self, producer: Vendor | None) -> None:
        """Let go of a producer; other calls that were using it fail and are repeated."""
        if producer is not None:
            if self._producer is producer:
                self._producer = None
            with contextlib.suppress(KafkaError):
                await abandon(producer)


def _leading(headers: Headers) -> Headers:
    """Return the first headers, of which ours is one, up to a size that no broker refuses."""
    sizes = accumulate(len(name.encode()) + len(value or b"") for name, value in headers)
    return tuple(header for header, size in zip(headers, sizes, strict=True) if size <= _HEADERS_KEPT)
