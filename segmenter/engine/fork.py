"""Where a lane's outbox and its log part ways: two owners have numbered on from the same past.

A store that was put back over a change of owners may show again the token of one who had been asleep. What he commits
before he hears of it, he numbers on from where the store is; under the same numbers the log holds what his successors
have said. What the log holds are facts, and what the outbox holds instead of them was never said.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from segmenter.ports import STUB_HEADER, LaneLog, LoggedRecord, OutboxEntry, OutboxPage, Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """What the log holds that the store does not know, and what the store holds that was not said, both in order."""

    facts: Mapping[Output, Sequence[LoggedRecord]]
    unsaid: Sequence[OutboxEntry]

    def said_anew(self, published: Mapping[Output, int], number: int) -> list[OutboxPage]:
        """Return a page of that number with what must be said in any case, renumbered behind the log's end.

        What is told of customers follows from their profiles; a record that was put aside is nowhere else.
        """
        rejected = [entry for entry in self.unsaid if entry.output is Output.REJECTED]
        if not rejected:
            return []
        first = published[Output.REJECTED] + 1
        return [OutboxPage(number, tuple(replace(entry, lane_seq=first + i) for i, entry in enumerate(rejected)))]


async def fork_of(
    lane_log: LaneLog, pages: Sequence[OutboxPage], published: Mapping[Output, int], tails: Mapping[Output, int]
) -> Fork | None:
    """Return where the stored pages and the log part; None: what of them is in the log is what they say.

    `published` is what the store knows to be in the log. The last number that both have is looked at: two owners who
    have said the same at the same microsecond have not parted.
    """
    entries = [entry for page in pages for entry in page.entries if entry.lane_seq > published.get(entry.output, 0)]
    last = {entry.output: entry for entry in entries if entry.lane_seq <= tails[entry.output]}
    for output, entry in last.items():
        found = await lane_log.beyond(output, entry.lane_seq - 1)
        if found and found[0].lane_seq == entry.lane_seq and not _is_said_by(entry, found[0]):
            break
    else:
        return None
    logged = {output: await lane_log.beyond(output, published.get(output, 0)) for output in Output}
    said = set(_said(entries, logged))
    return Fork(
        facts={
            output: [record for record in records if (output, record.lane_seq) not in said]
            for output, records in logged.items()
        },
        unsaid=[entry for entry in entries if (entry.output, entry.lane_seq) not in said],
    )


def _said(
    entries: Iterable[OutboxEntry], logged: Mapping[Output, Sequence[LoggedRecord]]
) -> Iterator[tuple[Output, int]]:
    """Yield the numbers under which the log has what the store has."""
    by_number = {(output, record.lane_seq): record for output, records in logged.items() for record in records}
    for entry in entries:
        record = by_number.get((entry.output, entry.lane_seq))
        if record is not None and _is_said_by(entry, record):
            yield entry.output, entry.lane_seq


def _is_said_by(entry: OutboxEntry, record: LoggedRecord) -> bool:
    """Tell whether a record is this entry. A stub stands for whatever the broker refused under its number."""
    if any(name == STUB_HEADER for name, _ in record.headers):
        return True
    return (entry.key, entry.value) == (record.key, record.value) and set(entry.headers) <= set(record.headers)
