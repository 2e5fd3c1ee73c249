"""From records to what a lane can work on: events to step, records to put aside, positions, markers of time.

A lane reads topics keyed by customer directly. All others come home over the repartition topic, whose records
carry their origin in a header; what is not above the highest offset taken from an origin is a repeat.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from segmenter.domain.causes import Rejection, RejectReason, Verdict
from segmenter.domain.instants import BEGINNING, MILLISECOND, Instant
from segmenter.ports import Decoded, Decoder, Oddity, Record, Recorder, Source

ORIGIN_HEADER = "segmenter-origin"
MARKER_HEADER = "segmenter-marker"
NOTHING: Mapping[Source, Instant] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a forwarded record was read first; `incarnation` tells a topic from a later one of its name.

    `whole` is empty, or the length and SHA-256 of a value of which only the beginning came home.
    """

    topic: str
    partition: int
    incarnation: str
    offset: int
    ordinal: int
    timestamp: int
    whole: str = ""

    @property
    def taken_key(self) -> str:
        """The name under which the home lane remembers how far it has taken this partition."""
        return f"{self.topic}/{self.partition}@{self.incarnation}"

    def header(self) -> tuple[str, bytes]:
        """Return it as a record header."""
        text = f"{self.taken_key}/{self.offset}/{self.ordinal}/{self.timestamp}"
        return ORIGIN_HEADER, (f"{text}#{self.whole}" if self.whole else text).encode()

    @staticmethod
    def read(text: bytes) -> "Origin":
        """Return the origin in a header. Raises ValueError for one that we did not write."""
        place, _, whole = text.decode().partition("#")
        topic, partition, offset, ordinal, timestamp = place.rsplit("/", 4)
        number, _, incarnation = partition.partition("@")
        return Origin(topic, int(number), incarnation, int(offset), int(ordinal), int(timestamp), whole)


@dataclass(frozen=True, slots=True)
class Marker:
    """A task's word that everything of its source before `at` has been forwarded."""

    source: Source
    at: Instant

    def header(self) -> tuple[str, bytes]:
        """Return it as a record header."""
        return MARKER_HEADER, f"{self.source}={self.at}".encode()

    @staticmethod
    def read(text: bytes) -> "Marker":
        """Return the marker in a header. Raises ValueError for one that we did not write."""
        source, _, at = text.decode().rpartition("=")
        return Marker(source, int(at))


@dataclass(slots=True)
class Forwarded:
    """A record as it was before it was forwarded."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Reading:
    """What a slice of records came to."""

    arrivals: list[tuple[Decoded, Record]] = field(default_factory=list)
    rejected: list[tuple[Record, Rejection]] = field(default_factory=list)
    positions: dict[Source, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    markers: dict[Source, Instant] = field(default_factory=dict)
    newest: dict[Source, Instant] = field(default_factory=dict)
    """By source read directly: the newest of the earlier of an event's own time and its record's."""


def place_of(record: Record) -> str:
    """Return where a record stands: `topic/partition/offset`."""
    return f"{record.topic}/{record.partition}/{record.offset}"


class Reader:
    """Reads the records of one lane. Keeps nothing between slices."""

    def __init__(
        self, lane: int, rekeyed: str, decoder: Decoder, home_of: Callable[[str], int], recorder: Recorder
    ) -> None:
        self._lane = lane
        self._rekeyed = rekeyed
        self._decoder = decoder
        self._home_of = home_of
        self._recorder = recorder

    def read(
        self, records: Iterable[Record], taken: Mapping[str, int], markers: Mapping[Source, Instant] = NOTHING
    ) -> Reading:
        """Return what these records come to, given how far each origin was taken and marked before."""
        reading = Reading()
        sources: dict[str, Source] = {}
        for record in records:
            # A lane reads one partition of each topic.
            source = sources.get(record.topic) or sources.setdefault(
                record.topic, f"{record.topic}/{record.partition}"
            )
            reading.positions[source] = record.offset + 1
            if record.topic == self._rekeyed:
                self._read_forwarded(record, reading, taken, markers)
            else:
                self._read_direct(record, source, reading)
        return reading

    def _read_direct(self, record: Record, source: Source, reading: Reading) -> None:
        decoded = self._decoder.decode(record)
        shown_at = record.timestamp * MILLISECOND
        if isinstance(decoded, Decoded):
            home = self._home_of(decoded.home_id)
            shown_at = min(shown_at, decoded.at)
            if home != self._lane:
                decoded = _not_at_home(record, home)
        self._sort(decoded, record, reading)
        if shown_at >= reading.newest.get(source, shown_at):
            reading.newest[source] = shown_at

    def _read_forwarded(
        self, record: Record, reading: Reading, taken: Mapping[str, int], markers: Mapping[Source, Instant]
    ) -> None:
        match _ours(record.headers):
            case Marker(source=source, at=at):
                # A task that was replaced and does not know it may send older times.
                if at > reading.markers.get(source, markers.get(source, BEGINNING)):
                    reading.markers[source] = at
            case Origin() as origin:
                if origin.offset <= reading.taken.get(origin.taken_key, taken.get(origin.taken_key, -1)):
                    return
                reading.taken[origin.taken_key] = origin.offset
                original = _as_read(record, origin)
                self._sort(_too_large(origin) or self._decoder.decode(original), original, reading)
            case None:
                problem = f"header {ORIGIN_HEADER} is not first; only the repartition stage writes to this topic"
                self._sort(Rejection(RejectReason.NOT_AT_HOME, problem), record, reading)

    def _sort(self, decoded: Decoded | Rejection, record: Record, reading: Reading) -> None:
        """Put a record where it belongs: aside, out of everything, or to work."""
        if isinstance(decoded, Rejection):
            reading.rejected.append((record, decoded))
            return
        if decoded.had_no_id or decoded.unknown_fields:
            for oddity, count in _oddities(decoded):
                self._recorder.odd(oddity, count)
        if decoded.event.test:
            self._recorder.events(decoded.event.type, Verdict.EXCLUDED)
            return
        reading.arrivals.append((decoded, record))


def _not_at_home(record: Record, home: int) -> Rejection:
    return Rejection(
        RejectReason.NOT_AT_HOME,
        f"this customer's home is partition {home}, found on {record.partition}; topic {record.topic} is declared "
        "`keyed: customer` but is keyed or partitioned by something else",
    )


def _too_large(origin: Origin) -> Rejection | None:
    if not origin.whole:
        return None
    return Rejection(RejectReason.RECORD_TOO_LARGE, f"value has {origin.whole}; only its beginning was forwarded")


def _ours(headers: Sequence[tuple[str, bytes]]) -> Origin | Marker | None:
    """Return what the repartition stage put before the sender's own headers, which may have any name."""
    name, text = headers[0] if headers else ("", b"")
    try:
        if name == ORIGIN_HEADER:
            return Origin.read(text)
        return Marker.read(text) if name == MARKER_HEADER else None
    except (AttributeError, ValueError):  # a header may be null
        return None


def _as_read(record: Record, origin: Origin) -> Forwarded:
    """Return the record as it was before it was forwarded."""
    return Forwarded(
        origin.topic,
        origin.partition,
        origin.offset,
        origin.timestamp,
        record.key,
        record.value,
        record.headers[1:],
    )


def _oddities(decoded: Decoded) -> Iterable[tuple[Oddity, int]]:
    if decoded.had_no_id:
        yield "missing_event_id", 1
    if decoded.unknown_fields:
        yield "unknown_field", decoded.unknown_fields
