"""Sending event files to Kafka: each event to the topic of its type, at its customer's home partition."""

import asyncio
import json
import select
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import FileIO
from itertools import islice
from typing import IO, NamedTuple

from aiokafka import AIOKafkaProducer

from segmenter.adapters.home import home_of
from segmenter.adapters.kafka_batches import deliver, producer_options
from segmenter.adapters.kafka_reach import answering, partition_counts
from segmenter.adapters.kafka_wire import Partition
from segmenter.ports import Body

# Read, sorted into partitions and sent at once.
CHUNK_BYTES = 1024 * 1024
PIPE_POLL_S = 0.02
# Below Kafka's own default of 1,048,588 for a batch, whose frame counts too.
LARGEST_LINE = 1_000_000
_NO_LIMIT = 2**31


class NumberedLine(NamedTuple):
    """A line that is not blank, and its number from 1."""

    number: int
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which topic takes an event, by the first part of its type; `other` takes what has no known type."""

    topic_by_kind: Mapping[str, str]
    other: str

    def topic_of(self, kind: object) -> str:
        """Return the topic of an event type such as `order.placed`."""
        first = kind.partition(".")[0] if isinstance(kind, str) else ""
        return self.topic_by_kind.get(first, self.other)

    @property
    def topics(self) -> frozenset[str]:
        """All topics that may be written to."""
        return frozenset((*self.topic_by_kind.values(), self.other))


@dataclass(slots=True)
class Fed:
    """What was sent: records by topic, the numbers of lines that Kafka does not take, and how long it took."""

    sent: Counter[str] = field(default_factory=Counter)
    too_large: list[int] = field(default_factory=list)
    seconds: float = 0.0


async def feed(
    bootstrap: str,
    chunks: AsyncIterator[Sequence[NumberedLine]],
    route: Route,
    rate: int | None,
    progress: Callable[[], None],
) -> Fed:
    """Send all lines, in order within each partition; `rate` limits records a second.

    The producer is idempotent: a line is in the log once, unless the command itself is started again. Raises
    TransientError when Kafka does not answer, ConfigurationError when a topic is not there.
    """
    fed = Fed()
    started_at = time.monotonic()
    async with answering(bootstrap):
        partitions = await partition_counts(bootstrap, route.topics)
        producer = AIOKafkaProducer(
            **producer_options(bootstrap, "segmenter-publish"), enable_idempotence=True, compression_type="lz4"
        )
        try:
            await producer.start()
            async for chunk in chunks:
                for lines in _paced(chunk, rate):
                    await deliver(producer, _by_partition(lines, route, partitions, fed), per_batch=_NO_LIMIT)
                    await _keep_to(rate, fed, started_at)
                progress()
        finally:
            await producer.stop()
    fed.seconds = time.monotonic() - started_at
    return fed


async def chunks_of_lines(stream: IO[bytes]) -> AsyncIterator[Sequence[NumberedLine]]:
    """Give the lines of a stream as they come, about a mebibyte at a time; a pipe gives what is there."""
    number, rest = 0, b""
    while True:
        # A thread blocked on a pipe could not be ended; one that is ready does not block.
        while not _is_readable(stream):  # noqa: ASYNC110 - a regular file behind it has no event to wait for
            await asyncio.sleep(PIPE_POLL_S)
        block = stream.read(CHUNK_BYTES)
        if not block:
            break
        *lines, rest = (rest + block).split(b"\n")
        yield _numbered(lines, number)
        number += len(lines)
    if rest:
        yield _numbered([rest], number)


def _is_readable(stream: IO[bytes]) -> bool:
    return not isinstance(stream, FileIO) or bool(select.select([stream], [], [], 0)[0])


def _numbered(lines: Sequence[bytes], before: int) -> list[NumberedLine]:
    numbered = (NumberedLine(number, line.strip()) for number, line in enumerate(lines, start=before + 1))
    return [line for line in numbered if line.text]


def _by_partition(
    lines: Sequence[NumberedLine], route: Route, partitions: Mapping[str, int], fed: Fed
) -> list[tuple[Partition, list[Body]]]:
    by_partition: dict[Partition, list[Body]] = {}
    for number, text in lines:
        if len(text) > LARGEST_LINE:
            fed.too_large.append(number)
            continue
        kind, customer = _kind_and_customer(text)
        topic = route.topic_of(kind)
        count = partitions[topic]
        # What names nobody has no home; spread it.
        home = number % count if customer is None else home_of(customer, count)
        key = None if customer is None else customer.encode()
        by_partition.setdefault(Partition(topic, home), []).append(Body(key, text, ()))
        fed.sent[topic] += 1
    return list(by_partition.items())


def _kind_and_customer(text: bytes) -> tuple[object, str | None]:
    """Return the type of an event and the id that decides its home, as far as the line can be read."""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(event, dict):
        return None, None
    customer = event.get("customer_id", event.get("anonymous_id"))
    return event.get("type"), customer if isinstance(customer, str) and customer else None


def _paced(chunk: Sequence[NumberedLine], rate: int | None) -> Iterator[Sequence[NumberedLine]]:
    """Cut a chunk into tenths of a second, so that a limited rate is an even one."""
    lines = iter(chunk)
    size = len(chunk) if rate is None else max(1, rate // 10)
    while piece := list(islice(lines, size)):
        yield piece


async def _keep_to(rate: int | None, fed: Fed, started_at: float) -> None:
    if rate is not None:
        await asyncio.sleep(fed.sent.total() / rate - (time.monotonic() - started_at))
