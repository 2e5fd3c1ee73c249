"""What commands ask of Kafka: send events, create and check topics, list what was put aside."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from io import FileIO
from pathlib import Path
from typing import IO, cast

from segmenter.adapters.event_file import GZIP_MAGIC
from segmenter.adapters.kafka_feed import Fed, NumberedLine, Route, chunks_of_lines, feed
from segmenter.adapters.kafka_rejected import PutAside, newest_rejected
from segmenter.adapters.kafka_topics import (
    CHANGES_CONFIG,
    MEMBERSHIPS_CONFIG,
    REJECTED_CONFIG,
    REKEYED_CONFIG,
    RULEBOOK_CONFIG,
    TopicPlan,
    TopicResult,
    check,
    create,
)
from segmenter.domain.causes import RejectReason
from segmenter.errors import ConfigurationError
from segmenter.settings import Keyed, Settings

STANDARD_INPUT = "-"


def publish(
    settings: Settings,
    events: str,
    *,
    topic: str | None,
    rate: int | None,
    progress: Callable[[int, int | None], None],
) -> Fed:
    """Send an event file to Kafka; `progress` is told the bytes read, and of how many."""
    with _opened(events) as (stream, position):
        size = _size_of(events)
        chunks = _readable(chunks_of_lines(stream), events)
        return asyncio.run(
            feed(
                settings.kafka_bootstrap, chunks, route_of(settings, topic), rate, lambda: progress(position(), size)
            )
        )


def create_topics(settings: Settings) -> list[TopicResult]:
    """Create the topics that are missing; those that are there are checked and left as they are."""
    return asyncio.run(create(settings.kafka_bootstrap, all_topic_plans(settings)))


def check_topics(settings: Settings) -> list[str]:
    """Return what is wrong with the topics and the brokers, a sentence each."""
    return asyncio.run(check(settings.kafka_bootstrap, all_topic_plans(settings)))


def all_topic_plans(settings: Settings) -> list[TopicPlan]:
    """Return how every topic must be: those of the workers, and that of revisions, without which they can do."""
    rulebook = TopicPlan(name=settings.topics.rulebook.name, partitions=1, config=RULEBOOK_CONFIG)
    return [*topic_plans(settings), rulebook]


def topic_plans(settings: Settings) -> list[TopicPlan]:
    """Return how every topic of the workers must be: lanes need equal counts, the rest is the shop's business."""
    topics, partitions = settings.topics, settings.partitions
    inputs = [
        TopicPlan(name=topic.name, partitions=partitions, any_count=topic.keyed is Keyed.OTHER)
        for topic in topics.inputs
    ]
    outputs = [
        TopicPlan(name=topic.name, partitions=partitions, config=config)
        for topic, config in (
            (topics.rekeyed, REKEYED_CONFIG),
            (topics.changes, CHANGES_CONFIG),
            (topics.memberships, MEMBERSHIPS_CONFIG),
            (topics.rejected, REJECTED_CONFIG),
        )
    ]
    return [*inputs, *outputs]


def list_rejected(settings: Settings, *, reason: str | None, limit: int) -> list[PutAside]:
    """Return the newest records that were put aside, newest first.

    Raises ConfigurationError for a reason that there is not.
    """
    if reason is not None and reason not in list(RejectReason):
        close = get_close_matches(reason, list(RejectReason), n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(RejectReason)}"
        raise ConfigurationError([f"--reason: found {reason!r}, which is no reason; {hint}"])
    return asyncio.run(newest_rejected(settings.kafka_bootstrap, settings.topics.rejected.name, reason, limit))


def route_of(settings: Settings, topic: str | None) -> Route:
    """Return which topic takes which event; a `topic` takes all."""
    if topic is not None:
        return Route(topic_by_kind={}, other=topic)
    topics = settings.topics
    return Route(
        topic_by_kind={
            "order": topics.orders.name,
            "click": topics.clicks.name,
            "contact": topics.clicks.name,
            "support": topics.support.name,
            "customer": topics.customers.name,
        },
        other=topics.orders.name,
    )


def _size_of(events: str) -> int | None:
    """Return the bytes of a file on disk, packed or not; None for standard input."""
    return None if events == STANDARD_INPUT or not Path(events).is_file() else Path(events).stat().st_size


@contextmanager
def _opened(events: str) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """Open an event file, and tell how far it was read on disk. Standard input comes unbuffered."""
    if events == STANDARD_INPUT:
        yield FileIO(0, closefd=False), lambda: 0
        return
    with ExitStack() as stack:
        try:
            plain = stack.enter_context(Path(events).open("rb"))
        except OSError as error:
            fault = f"{events}: cannot be read ({error.strerror}); name an existing file, or -"
            raise ConfigurationError([fault]) from error
        is_packed = events.endswith(".gz") or plain.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
        stream = cast(IO[bytes], stack.enter_context(gzip.open(plain))) if is_packed else plain
        yield stream, plain.tell


async def _readable(
    chunks: AsyncIterator[Sequence[NumberedLine]], events: str
) -> AsyncIterator[Sequence[NumberedLine]]:
    """Give the chunks, and say which file it is that cannot be unpacked."""
    try:
        async for chunk in chunks:
            if chunk and chunk[0].number == 1 and chunk[0].text.startswith(GZIP_MAGIC):
                fault = f"{events}: is packed with gzip; unpack it first: zcat FILE | segmenter publish -"
                raise ConfigurationError([fault])
            yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        fault = f"{events}: is no gzip file or is cut off ({error}); pack it again"
        raise ConfigurationError([fault]) from error
