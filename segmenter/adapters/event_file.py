"""Event files: canonical JSON Lines, plain or gzipped, or a pipe, one record a line."""

import gzip
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

STANDARD_INPUT = "-"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(slots=True)
class Line:
    """One line as a record: `topic` is the file's name, `offset` counts lines from 1."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class EventFile:
    """A file of events that can be read more than once; a pipe is kept in a temporary file meanwhile."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self.name = name

    def lines(self, timestamp_ms: int) -> Iterator[Line]:
        """Yield every line that is not blank, from the beginning, stamped with this time."""
        self._stream.seek(0)
        for number, line in enumerate(self._stream, start=1):
            value = line.strip()
            if value:
                yield Line(self.name, 0, number, timestamp_ms, None, value)


@contextmanager
def open_events(path: str) -> Iterator[EventFile]:
    """Open an event file. Raises OSError where there is none to read."""
    with ExitStack() as stack:
        if path == STANDARD_INPUT:
            stream, name = _spooled(sys.stdin.buffer, stack), "stdin"
        else:
            stream, name = stack.enter_context(open(path, "rb")), Path(path).name
            if not stream.seekable():
                stream = _spooled(stream, stack)
        if path.endswith(".gz") or _is_packed(stream):
            stream = cast(BinaryIO, stack.enter_context(gzip.open(stream)))
        yield EventFile(stream, name)


def _spooled(stream: BinaryIO, stack: ExitStack) -> BinaryIO:
    """Return what a pipe gives as a file that can be read again."""
    spool = cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile()))  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(stream, spool)
    spool.seek(0)
    return spool


def _is_packed(stream: BinaryIO) -> bool:
    """Tell whether a file at its beginning is gzip, whatever its name; no line of JSON begins so."""
    begins = stream.read(len(GZIP_MAGIC))
    stream.seek(0)
    return begins == GZIP_MAGIC
