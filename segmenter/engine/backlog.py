"""What a lane has stored and not yet published: pages in order, counted, with the bound that stops intake."""

from collections import deque
from collections.abc import Mapping, Sequence

from segmenter.domain.instants import Instant
from segmenter.errors import InvariantError
from segmenter.ports import OutboxEntry, OutboxPage, Output

FULL_ENTRIES = 200_000
FULL_BYTES = 64 * 1024 * 1024
# One round to the broker: what it takes in some ten milliseconds.
ROUND_ENTRIES = 5_000
ROUND_BYTES = 1024 * 1024


class Backlog:
    """Stored pages that the broker has not acknowledged, numbered without gaps."""

    def __init__(self, most_entries: int = FULL_ENTRIES, most_bytes: int = FULL_BYTES) -> None:
        self._pages: deque[tuple[OutboxPage, int]] = deque()
        self._is_full = False
        self.most_entries = most_entries
        self.most_bytes = most_bytes
        self.entries = 0
        self.size_bytes = 0
        self.next_page = 0
        """The number of the page that comes next; lower ones are known."""

    @property
    def first_page(self) -> int:
        """The number of the first page that is not wholly acknowledged."""
        return self._pages[0][0].number if self._pages else self.next_page

    @property
    def oldest_recorded_at(self) -> Instant | None:
        """When the first entry was recorded. None: there is none."""
        return self._pages[0][0].entries[0].recorded_at if self._pages else None

    @property
    def is_full(self) -> bool:
        """As much as the bound is waiting, or more than half of it since the bound was reached."""
        share = max(self.entries / self.most_entries, self.size_bytes / self.most_bytes)
        self._is_full = share >= 1 or (self._is_full and share > 1 / 2)
        return self._is_full

    def begin(self, pages: Sequence[OutboxPage], next_page: int) -> None:
        """Begin anew with what the store holds up to `next_page`; pages known beyond that stay."""
        newer = [page for page, _ in self._pages if page.number >= next_page]
        known = max(self.next_page, next_page)
        self._pages.clear()
        self.entries = self.size_bytes = 0
        for page in (*pages, *newer):
            self._put(page)
        self.next_page = known

    def add(self, pages: Sequence[OutboxPage]) -> None:
        """Append the pages of a stored commit; those that a takeover has read from the store already fall away."""
        for page in pages:
            if page.number > self.next_page:
                raise InvariantError(f"outbox page {page.number} came where {self.next_page} is next")
            if page.number == self.next_page:
                self._put(page)
                self.next_page += 1

    def round(self) -> list[OutboxPage]:
        """Return the first pages, as many as one round may take, at least one if there is any."""
        pages: list[OutboxPage] = []
        entries = size_bytes = 0
        for page, size in self._pages:
            entries += len(page.entries)
            size_bytes += size
            if pages and (entries > ROUND_ENTRIES or size_bytes > ROUND_BYTES):
                break
            pages.append(page)
        return pages

    def drop(self, count: int) -> None:
        """Take away the first pages: the broker has them."""
        for _ in range(count):
            page, size = self._pages.popleft()
            self.entries -= len(page.entries)
            self.size_bytes -= size

    def _put(self, page: OutboxPage) -> None:
        size = page.size
        self._pages.append((page, size))
        self.entries += len(page.entries)
        self.size_bytes += size


def numbered_on(published: Mapping[Output, int], entries: Sequence[OutboxEntry]) -> dict[Output, int]:
    """Return the highest numbers after these entries; raises InvariantError where one is left out or repeated."""
    highest = dict(published)
    for output in Output:
        number = published.get(output, 0)
        for entry in entries:
            if entry.output is output:
                if entry.lane_seq != number + 1:
                    raise InvariantError(f"{output} {entry.lane_seq} was to follow {number}")
                number = entry.lane_seq
        highest[output] = number
    return highest
