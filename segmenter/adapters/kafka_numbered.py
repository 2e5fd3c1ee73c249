"""Reading an output partition from its end. Its records carry rising numbers; markers take offsets between them."""

from dataclasses import dataclass

from segmenter.adapters.fence import Identity
from segmenter.adapters.kafka_wire import LogRecord, Partition, Wire
from segmenter.errors import TransientError
from segmenter.ports import LoggedRecord

LANE_SEQ = "lane_seq"
LANE_PID = "lane_pid"
# The first look covers a takeover's marker and the batch before it; each further one goes twice as far back.
_FIRST_LOOK = 16
# Where no number follows, what is looked for lies further back.
_NONE_BEHIND = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The last numbered record of a partition and who wrote it; number 0 and no writer where there is none."""

    lane_seq: int = 0
    producer_id: int | None = None


class NumberedPartition:
    """An output partition, read up to the end that was asked for when it was made.

    Asking after the fence makes that end final: nothing older can be added, and nothing newer but by us.
    """

    def __init__(self, wire: Wire, partition: Partition, start: int, end: int) -> None:
        self._wire = wire
        self._partition = partition
        self._start = start
        self._end = end

    @classmethod
    async def at_its_end(cls, wire: Wire, partition: Partition) -> "NumberedPartition":
        """Ask for the bounds now."""
        start, end = await wire.bounds(partition)
        return cls(wire, partition, start, end)

    async def newest(self, marker: Identity | None) -> Newest:
        """Return the record with the highest number.

        Raises TransientError where `marker` is given and its control batch is not seen on the way: the answer came
        from a broker that is no longer the leader, or somebody else has fenced and written since.
        """
        found = Newest()
        is_marked = marker is None
        look, upper = _FIRST_LOOK, self._end
        while upper > self._start and not found.lane_seq:
            lower = max(self._start, upper - look)
            async for batch in self._wire.batches(self._partition, lower, upper):
                is_marked = is_marked or (batch.is_control and (batch.producer_id, batch.epoch) == marker)
                for record in batch.records:
                    if number := number_of(record):
                        found = Newest(lane_seq=number, producer_id=batch.producer_id)
            look, upper = look * 2, lower
        if not is_marked:
            raise TransientError(f"{self._partition.topic}/{self._partition.number} does not show our fence")
        return found

    async def beyond(self, lane_seq: int) -> list[LoggedRecord]:
        """Return the records with higher numbers, rising."""
        found = []
        async for batch in self._wire.batches(self._partition, await self._before(lane_seq), self._end):
            found += [logged for logged in map(_logged, batch.records) if logged.lane_seq > lane_seq]
        return found

    async def _before(self, lane_seq: int) -> int:
        """Return an offset at or before the first record with a higher number."""
        look, lower = _FIRST_LOOK, self._end
        while lower > self._start:
            lower = max(self._start, self._end - look)
            if await self._first_number(lower) <= lane_seq:
                break
            look *= 4
        return lower

    async def _first_number(self, offset: int) -> int:
        async for batch in self._wire.batches(self._partition, offset, self._end):
            for number in map(number_of, batch.records):
                if number:
                    return number
        return _NONE_BEHIND


def number_of(record: LogRecord) -> int:
    """Return the record's number, 0 where it has none: it is not ours."""
    for name, value in record.headers:
        if name == LANE_SEQ and value.isdigit():
            return int(value)
    return 0


def _logged(record: LogRecord) -> LoggedRecord:
    return LoggedRecord(number_of(record), record.key, record.value, record.headers)
