"""Entries, commits and owners for the tests of output logs and relays."""

from collections.abc import Sequence

from segmenter.engine.outbox import Outbox
from segmenter.errors import OwnershipError
from segmenter.ports import (
    Body,
    Commit,
    LaneNotes,
    LaneStore,
    LoggedRecord,
    OutboxEntry,
    OutboxPage,
    Output,
    Stored,
    Token,
)

PARTITIONS = 4


def entries(output: Output, first: int, last: int, value: bytes = b"{}") -> list[OutboxEntry]:
    """Return the entries numbered `first` to `last`."""
    return [
        OutboxEntry(output=output, lane_seq=number, key=b"c-%d" % number, value=value, headers=(("ce_id", b"1"),))
        for number in range(first, last + 1)
    ]


def numbers(records: Sequence[LoggedRecord | OutboxEntry]) -> list[int]:
    """Return their numbers."""
    return [record.lane_seq for record in records]


class Owner:
    """Commits to a lane as the engine does: numbers are given when the pages are stored."""

    def __init__(self, store: LaneStore, lane: int, generation: int) -> None:
        self.lane = lane
        self.token = Token(generation, f"n{generation}")
        self._store = store

    async def acquire(self) -> None:
        """Become the lane's owner."""
        await self._store.acquire(self.lane, self.token, PARTITIONS)

    async def say(self, changes: int, memberships: int = 0, value: bytes = b"{}") -> list[OutboxPage]:
        """Store so many records in one commit, and return the pages to enqueue; OwnershipError when refused."""
        _, state = await self._store.state(self.lane)
        outbox = Outbox(state.next_seq, state.next_page)
        for output, count in ((Output.CHANGES, changes), (Output.MEMBERSHIPS, memberships)):
            for _ in range(count):
                outbox.put(output, Body(b"c-%d" % outbox.next_seq[output], value, ()), recorded_at=1)
        commit = Commit(
            lane=self.lane,
            token=self.token,
            version=state.version,
            notes=LaneNotes(),
            pages=outbox.pages(),
            next_seq=outbox.next_seq,
        )
        answer = await self._store.commit(commit)
        if not isinstance(answer, Stored):
            raise OwnershipError(answer.detail)
        return list(commit.pages)
