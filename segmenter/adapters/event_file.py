"""Event files: canonical JSON Lines, plain or gzipped, or standard input, one record a line."""

import gzip
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

STANDARD_INPUT = "-"


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
    """A file of events that can be read more than once; standard input is kept in a temporary file meanwhile."""

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
    if path == STANDARD_INPUT:
        with tempfile.TemporaryFile() as spool:
            shutil.copyfileobj(sys.stdin.buffer, spool)
            yield EventFile(cast(BinaryIO, spool), "stdin")
        return
    with open(path, "rb") as plain:
        if path.endswith(".gz"):
            with gzip.open(plain) as unpacked:
                yield EventFile(cast(BinaryIO, unpacked), Path(path).name)
        else:
            yield EventFile(plain, Path(path).name)
