"""All that the change topic still holds of one customer: the partition of his lane, read from its beginning."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from segmenter.adapters.kafka_history import KafkaHistory
from segmenter.adapters.kafka_reach import answering, partition_counts
from segmenter.adapters.records_told import told_change
from segmenter.domain.instants import MILLISECOND, Instant
from segmenter.domain.past import ToldChange
from segmenter.ports import STUB_HEADER, Record


@dataclass(slots=True)
class Told:
    """The changes of one customer, oldest first, and since when the log has any of anybody."""

    changes: list[ToldChange] = field(default_factory=list)
    log_begins_at: Instant | None = None
    """None: nothing was deleted."""


async def changes_of(
    bootstrap: str, topic: str, lanes: Collection[int], customer: str, progress: Callable[[int, int | None], None]
) -> Told:
    """Return what was told of a customer; `progress` is told the records read, and of how many.

    Raises TransientError when Kafka does not answer, ConfigurationError when there is no such topic or partition.
    """
    told, key, read = Told(), customer.encode(), 0
    async with answering(bootstrap):
        await partition_counts(bootstrap, [topic])
        async with KafkaHistory(bootstrap) as history:
            upto = await history.ends([(topic, lane) for lane in lanes])
            async for records in history.records(upto):
                for record in records:
                    _take(told, record, key, is_first=read == 0 and record.offset > 0)
                    read += 1
                progress(read, sum(upto.values()) - sum(history.begins.values()))
    return told


def _take(told: Told, record: Record, key: bytes, *, is_first: bool) -> None:
    if is_first:
        told.log_begins_at = record.timestamp * MILLISECOND
    if record.key != key or record.value is None or any(name == STUB_HEADER for name, _ in record.headers):
        return
    told.changes.append(told_change(record.value))
