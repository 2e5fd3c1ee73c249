"""The output log and the repartition topic in lists, fenced like the real ones: for `simulate` and fast tests."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from segmenter.errors import FencedError
from segmenter.ports import Forward, LoggedRecord, OutboxEntry, Output, Tail


class MemoryOutputLog:
    """Output partitions in lists, by output and lane. The one who took a lane over last may write it."""

    def __init__(self) -> None:
        self.records: defaultdict[tuple[Output, int], list[LoggedRecord]] = defaultdict(list)
        self._epochs: defaultdict[int, int] = defaultdict(int)

    async def take_over(self, lane: int) -> "MemoryLaneLog":
        """Fence every older owner of the lane's output partitions."""
        self._epochs[lane] += 1
        return MemoryLaneLog(self, lane, self._epochs[lane])

    def append(self, lane: int, epoch: int, entries: Sequence[OutboxEntry]) -> None:
        """Add records; raises FencedError when a newer owner has taken over."""
        if epoch != self._epochs[lane]:
            raise FencedError(f"lane {lane}: epoch {epoch} is behind {self._epochs[lane]}")
        for entry in entries:
            numbers = (("lane_seq", b"%d" % entry.lane_seq), ("lane_pid", b"%d" % lane))
            record = LoggedRecord(entry.lane_seq, entry.key, entry.value, numbers + entry.headers)
            self.records[entry.output, lane].append(record)


class MemoryLaneLog:
    """A hold on one lane. Its producer id is the lane's number, as that of a transactional id stays the same."""

    def __init__(self, log: MemoryOutputLog, lane: int, epoch: int) -> None:
        self.producer_id = lane
        self._log = log
        self._lane = lane
        self._epoch = epoch

    async def tails(self) -> Mapping[Output, Tail]:
        """Return what the log holds."""
        logs = {output: self._log.records[output, self._lane] for output in Output}
        return {output: Tail(records[-1].lane_seq, self._lane) for output, records in logs.items() if records}

    async def beyond(self, output: Output, lane_seq: int) -> list[LoggedRecord]:
        """Return the records with higher numbers than this, rising."""
        return [record for record in self._log.records[output, self._lane] if record.lane_seq > lane_seq]

    def prepare(self) -> None:
        """Prepare nothing."""

    async def open(self) -> None:
        """Get ready to send."""

    async def send(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish in order; raises FencedError when a newer owner exists."""
        self._log.append(self._lane, self._epoch, entries)

    async def close(self) -> None:
        """Let go."""


class MemoryForwarder:
    """The repartition topic in lists, by partition."""

    def __init__(self) -> None:
        self.records: defaultdict[int, list[Forward]] = defaultdict(list)

    async def forward(self, records: Sequence[Forward]) -> None:
        """Send in order."""
        for record in records:
            self.records[record.partition].append(record)
