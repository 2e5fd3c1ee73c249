"""Reading what was put aside, newest first: from the ends of the topic's partitions backwards."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from segmenter.adapters.kafka_reach import answering, partition_counts
from segmenter.adapters.kafka_wire import Vendor

# Markers and other reasons take offsets too, so the first look back is wider than what is asked for.
_LEAST_STEP = 200
_POLL_MS = 500
_READ_WITHIN_S = 30.0
_SHOWN_CHARACTERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class PutAside:
    """A record that was put aside; `headers` are those we wrote, and the original's own as `original.…`."""

    rejected_at: str
    reason: str
    detail: str
    place: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]

    @property
    def beginning(self) -> str:
        """Return how the original begins, on one line."""
        text = (self.value or b"")[: 4 * _SHOWN_CHARACTERS].decode(errors="backslashreplace")
        line = "".join(c if c.isprintable() else " " for c in text)
        return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 1]}…"

    def as_json(self) -> Mapping[str, object]:
        """Return it as one JSON object; an original that is no UTF-8 comes as base64."""
        return {
            "rejected_at": self.rejected_at,
            "reason": self.reason,
            "detail": self.detail,
            "place": self.place,
            "headers": dict(self.headers),
            **_text_or_base64("key", self.key),
            **_text_or_base64("value", self.value),
        }


async def newest_rejected(bootstrap: str, topic: str, reason: str | None, limit: int) -> list[PutAside]:
    """Return the newest records put aside, newest first, at most `limit`.

    Raises TransientError when Kafka does not answer, ConfigurationError when there is no such topic.
    """
    async with answering(bootstrap):
        counts = await partition_counts(bootstrap, [topic])
        partitions = [TopicPartition(topic, number) for number in range(counts[topic])]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, client_id="segmenter-rejected", enable_auto_commit=False
        )
        try:
            await consumer.start()
            consumer.assign(partitions)
            async with asyncio.timeout(_READ_WITHIN_S):
                begins = await consumer.beginning_offsets(partitions)
                ends = await consumer.end_offsets(partitions)
                consumer.pause(*partitions)
                found = [
                    record
                    for partition in partitions
                    for record in await _newest_of(
                        consumer, partition, (begins[partition], ends[partition]), reason, limit
                    )
                ]
        finally:
            await consumer.stop()
    return sorted(found, key=lambda record: record.rejected_at, reverse=True)[:limit]


async def _newest_of(
    consumer: Vendor, partition: TopicPartition, bounds: tuple[int, int], reason: str | None, limit: int
) -> list[PutAside]:
    """Return the newest of one partition, looking back twice as far until there are enough."""
    begin, end = bounds
    step = max(_LEAST_STEP, limit)
    upper, found = end, list[PutAside]()
    consumer.resume(partition)
    while upper > begin and len(found) < limit:
        lower = max(begin, upper - step)
        records = await _between(consumer, partition, lower, upper)
        found = [record for record in records if reason is None or record.reason == reason] + found
        upper, step = lower, step * 2
    consumer.pause(partition)
    return found[-limit:]


async def _between(consumer: Vendor, partition: TopicPartition, first: int, end: int) -> list[PutAside]:
    """Return the records of these offsets; control records and what was deleted meanwhile have none."""
    consumer.seek(partition, first)
    records: list[PutAside] = []
    while await consumer.position(partition) < end:
        polled = await consumer.getmany(partition, timeout_ms=_POLL_MS)
        records += [_read(record) for record in polled.get(partition, ()) if record.offset < end]
    return records


def _read(record: Vendor) -> PutAside:
    headers = {name: value.decode(errors="backslashreplace") for name, value in record.headers}
    place = "/".join(headers.get(part, "?") for part in ("topic", "partition", "offset"))
    return PutAside(
        rejected_at=headers.get("rejected_at", ""),
        reason=headers.get("reason", ""),
        detail=headers.get("detail", ""),
        place=place,
        key=record.key,
        value=record.value,
        headers=headers,
    )


def _text_or_base64(name: str, content: bytes | None) -> Mapping[str, str | None]:
    if content is None:
        return {name: None}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}
