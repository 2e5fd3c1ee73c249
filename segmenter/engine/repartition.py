"""The repartition stage: records of topics with any key come home to their customer's partition.

A task reads one source partition in order from its stored position, finds each record's customer, and sends
the record as it is, with its origin in a header. The position moves when the broker has acknowledged. A crash
sends again what was not noted: the home lane keeps the highest origin offset it has taken, so a repeat, or a
task that does not know it was replaced, does no harm. Once a second each task tells every home how far it is.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from segmenter.domain.causes import Rejection
from segmenter.domain.instants import BEGINNING, MILLISECOND, SECOND, Instant
from segmenter.engine.clock_check import SureClock
from segmenter.engine.ear import OpenEar
from segmenter.engine.intake import Evidence
from segmenter.engine.poison import said_of
from segmenter.engine.reading import Marker, Origin
from segmenter.engine.terms import Terms
from segmenter.engine.watermark import source_time
from segmenter.ports import Decoder, Forward, Forwarder, Record, Recorder, TaskStore

MARKED_EVERY: Instant = SECOND
FORWARDED_AT_ONCE = 4_000
# The repartition topic takes 2 MiB with key and headers. What is larger is put aside at home, where 256 KiB are kept.
LARGEST_WHOLE = 1_536 * 1_024
KEPT_OF_LARGER = 256 * 1_024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all repartition tasks of a worker work with."""

    terms: Terms
    decoder: Decoder
    home_of: Callable[[str], int]
    forwarder: Forwarder
    tasks: TaskStore
    recorder: Recorder
    clock_check: SureClock = field(default_factory=SureClock)
    ear: OpenEar = field(default_factory=OpenEar)


class RepartitionTask:
    """Forwards one source partition. Its state is the next offset to read."""

    def __init__(self, topic: str, partition: int, position: int, stage: Stage, incarnation: int = 0) -> None:
        self.topic = topic
        self.partition = partition
        self.position = position
        self._stage = stage
        # A topic made anew starts again at offset 0. Whoever puts its task back raises this, or all would be repeats.
        self._incarnation = str(incarnation)
        self._newest: Instant | None = None
        self._marked_at: Instant = BEGINNING
        self._time: Instant = BEGINNING

    @property
    def source(self) -> str:
        """The partition it reads, as text."""
        return f"{self.topic}/{self.partition}"

    async def advance(self, records: Sequence[Record], evidence: Evidence | None, now: Instant) -> None:
        """Forward what was read, note how far it came, and tell the time when a second has passed."""
        for start in range(0, len(records), FORWARDED_AT_ONCE):
            slice_ = records[start : start + FORWARDED_AT_ONCE]
            await self._stage.forwarder.forward([self._forward(record) for record in slice_])
            await self._note(slice_[-1].offset + 1)
            self._stage.recorder.forwarded(len(slice_))
            if self._newest is not None:
                self._stage.ear.hear(self.topic, self._newest, now)
        if evidence is not None and evidence.position > self.position:
            await self._note(evidence.position)
        await self._mark(evidence, now)

    async def _note(self, position: int) -> None:
        await self._stage.tasks.advance(self.source, position)
        self.position = position

    def _forward(self, record: Record) -> Forward:
        """Return the record on its way home; one that names no customer goes home by its key."""
        home, recorded_at = self._home_and_time(record)
        self._newest = recorded_at if self._newest is None else max(self._newest, recorded_at)
        value, whole = _forwardable(record.value)
        origin = Origin(record.topic, record.partition, self._incarnation, record.offset, 0, record.timestamp, whole)
        return Forward(
            partition=home,
            key=record.key,
            value=value,
            headers=(origin.header(), *record.headers),
        )

    def _home_and_time(self, record: Record) -> tuple[int, Instant]:
        """Return where a record is at home, and the earlier of its own time and Kafka's.

        What our own code cannot bear goes home by its key too: the lane there puts it aside.
        """
        recorded_at = record.timestamp * MILLISECOND
        try:
            decoded = self._stage.decoder.decode(record)
            if not isinstance(decoded, Rejection):
                return self._stage.home_of(decoded.home_id), min(decoded.at, recorded_at)
        except Exception as error:  # our own bug must not stop what follows in this partition
            place = {"source": self.source, "offset": record.offset, "error": said_of(error)}
            log.exception("record_not_decoded", extra=place)
        return self._stage.home_of((record.key or b"").decode(errors="replace")), recorded_at

    async def _mark(self, evidence: Evidence | None, now: Instant) -> None:
        """Tell every home that all before this time has been forwarded and acknowledged."""
        is_due = now >= self._marked_at + MARKED_EVERY or now < self._marked_at
        if not is_due or not self._stage.clock_check.is_trusted:
            return
        time = source_time(evidence, self._newest, now)
        if time is None:
            return
        self._time = max(self._time, time - self._stage.terms.lateness_of(self.topic))
        header = Marker(self.source, self._time).header()
        await self._stage.forwarder.forward(
            [
                Forward(partition=p, key=None, value=None, headers=(header,))
                for p in range(self._stage.terms.partitions)
            ]
        )
        self._marked_at = now


def _forwardable(value: bytes | None) -> tuple[bytes | None, str]:
    """Return what the repartition topic takes of a value, and what the whole was where that is only its beginning."""
    if value is None or len(value) <= LARGEST_WHOLE:
        return value, ""
    return value[:KEPT_OF_LARGER], f"{len(value)} bytes with SHA-256 {hashlib.sha256(value).hexdigest()}"
