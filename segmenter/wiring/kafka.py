"""What commands ask of Kafka: send events, create and check topics, list what was put aside."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from typing import IO, cast

from segmenter.adapters.kafka_feed import Fed, NumberedLine, Route, chunks_of_lines, feed
from segmenter.errors import ConfigurationError
from segmenter.settings import Settings

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
        is_packed = events.endswith(".gz")
        stream = cast(IO[bytes], stack.enter_context(gzip.open(plain))) if is_packed else plain
        yield stream, plain.tell


async def _readable(
    chunks: AsyncIterator[Sequence[NumberedLine]], events: str
) -> AsyncIterator[Sequence[NumberedLine]]:
    """Give the chunks, and say which file it is that cannot be unpacked."""
    try:
        async for chunk in chunks:
            yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        fault = f"{events}: is no gzip file or is cut off ({error}); pack it again"
        raise ConfigurationError([fault]) from error
