"""Numbering what a lane has to say, and cutting it into pages."""

from collections.abc import Iterator, Mapping

from segmenter.domain.instants import BEGINNING, Instant
from segmenter.ports import Body, Headers, OutboxEntry, OutboxPage, Output

PAGE_BYTES = 512 * 1024
PAGE_ENTRIES = 2_000


class Outbox:
    """The entries of one commit. Numbers continue those of the lane, per output, without gaps."""

    def __init__(self, next_seq: Mapping[Output, int], next_page: int) -> None:
        self.next_seq = {output: next_seq.get(output, 1) for output in Output}
        self._next_page = next_page
        self._entries: list[OutboxEntry] = []

    def put(self, output: Output, body: Body, recorded_at: Instant, caused_at: Instant = BEGINNING) -> None:
        """Add one record under the next number of its output."""
        self._entries.append(
            OutboxEntry(
                output=output,
                lane_seq=self.next_seq[output],
                key=body.key,
                value=body.value,
                headers=body.headers,
                recorded_at=recorded_at,
                caused_at=caused_at,
            )
        )
        self.next_seq[output] += 1

    def pages(self) -> list[OutboxPage]:
        """Return the entries in order, cut into pages."""
        return [OutboxPage(self._next_page + i, entries) for i, entries in enumerate(self._cut())]

    def _cut(self) -> Iterator[tuple[OutboxEntry, ...]]:
        page: list[OutboxEntry] = []
        size = 0
        for entry in self._entries:
            length = len(entry.key or b"") + len(entry.value or b"") + _size_of(entry.headers)
            if page and (size + length > PAGE_BYTES or len(page) >= PAGE_ENTRIES):
                yield tuple(page)
                page, size = [], 0
            page.append(entry)
            size += length
        if page:
            yield tuple(page)


def _size_of(headers: Headers) -> int:
    return sum([len(name) + len(value) for name, value in headers])
