"""What the stream asks of its neighbours: the engine that takes polls, and whoever counts what happens here."""

from collections.abc import Collection, Mapping
from typing import Protocol

from segmenter.engine.intake import EngineStatus, Place, Poll


class Engine(Protocol):
    """Takes polls. All of it runs in the loop of the main thread."""

    def intake(self) -> Mapping[Place, int]:
        """Return the source partitions to read now, and the offset at which each must start."""
        ...

    async def assigned(self, generation: int, partitions: Collection[Place]) -> None:
        """Take note of a rebalance. Quick: the group waits; takeovers go on in the background.

        Called again with the same after TransientError; cancelled when the group rebalances meanwhile. No poll
        comes before it has returned.
        """
        ...

    async def revoked(self) -> None:
        """Finish or abandon the work in flight, within a budget: the group is about to rebalance."""
        ...

    async def take(self, poll: Poll) -> None:
        """Do the work of a poll; returns when it is committed or refused. Never raises for what records hold."""
        ...

    async def out_of_range(self, place: Place, position: int, log_start: int, log_end: int) -> None:
        """Stop what needs this partition: the log no longer holds, or does not yet hold, what comes next."""
        ...

    def positions(self) -> Mapping[Place, int]:
        """Return the next offset of each partition as it is stored: what lag tools may be shown."""
        ...

    def status(self) -> EngineStatus:
        """Return what the health page shows."""
        ...

    async def start(self) -> None:
        """Get ready for the first assignment."""
        ...

    async def stop(self) -> None:
        """Drain what is on its way out, and let go of everything."""
        ...


class StreamObserver(Protocol):
    """Counts what happens between the broker and the engine. None of it awaits or raises."""

    def polled(self, records: int) -> None:
        """A poll was taken by the engine; 0 for one that brought only evidence."""
        ...

    def poll_dropped(self) -> None:
        """A poll was thrown away, for a rebalance or because no agent took it; it is read again."""
        ...

    def reseeked(self, place: Place) -> None:
        """A partition was put back to where the engine wants it, after the first time."""
        ...

    def rebalanced(self) -> None:
        """The group gave this worker its partitions anew."""
        ...

    def fetch_failed(self, error: str) -> None:
        """The broker answered a fetch with this error."""
        ...

    def mirror_failed(self) -> None:
        """The offsets for lag tools could not be committed."""
        ...


class Unobserved:
    """Counts nothing."""

    def polled(self, records: int) -> None:
        """See StreamObserver."""

    def poll_dropped(self) -> None:
        """See StreamObserver."""

    def reseeked(self, place: Place) -> None:
        """See StreamObserver."""

    def rebalanced(self) -> None:
        """See StreamObserver."""

    def fetch_failed(self, error: str) -> None:
        """See StreamObserver."""

    def mirror_failed(self) -> None:
        """See StreamObserver."""
