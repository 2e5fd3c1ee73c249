"""What one commit takes of a poll: records in the order in which Kafka took them, bounded in number and in bytes."""

from collections.abc import Iterator, Sequence
from heapq import merge

from segmenter.ports import Record

# Records that are put aside are stored with what they hold: 1,500 of 256 KiB take longer than Redis is waited for.
SLICE_BYTES = 2 * 1024 * 1024


def slices_of(by_partition: Sequence[Sequence[Record]], most: int) -> list[Sequence[Record]]:
    """Return slices of at most `most` records and about 2 MiB, at least one, which may be empty."""
    in_order = _by_record_time(by_partition)
    slices: list[Sequence[Record]] = []
    for start in range(0, len(in_order), most):
        slices += _cut(in_order[start : start + most])
    return slices or [()]


def _cut(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    sizes = [len(record.value or b"") for record in records]
    if sum(sizes) <= SLICE_BYTES:
        yield records
        return
    first = size = 0
    for place, length in enumerate(sizes):
        if place > first and size + length > SLICE_BYTES:
            yield records[first:place]
            first, size = place, 0
        size += length
    yield records[first:]


def _by_record_time(lists: Sequence[Sequence[Record]]) -> Sequence[Record]:
    """Return the records of several partitions by the time Kafka took them; each partition keeps its order."""
    if len(lists) == 1:
        return lists[0]
    return list(merge(*lists, key=lambda record: record.timestamp))
