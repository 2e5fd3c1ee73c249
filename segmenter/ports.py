"""What the engine needs of the world: where lanes are kept, where changes go, who owns what, what time it is.

The adapters behind these are Redis, Kafka and Faust in production, and dicts in `adapters.memory`; one
contract suite holds them all. More than 300 lines, as this is the one list of all that the engine asks of the world.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol, TypeAlias

from segmenter.domain.causes import Rejection, RejectReason, Verdict
from segmenter.domain.changes import CauseKind, ChangeSet, Membership
from segmenter.domain.events import Event
from segmenter.domain.instants import BEGINNING, Instant, Span
from segmenter.domain.profile import Profile
from segmenter.domain.ranking import BY_VALUE
from segmenter.domain.revision import FIRST, Revision
from segmenter.domain.value import Boundary
from segmenter.domain.walking import Stop

Source: TypeAlias = str
"""A source partition as text: `orders/3`."""

WATERMARK: Source = "watermark"
"""Stands beside the sources where it is told how far a lane has come: its value is an instant."""

Stage: TypeAlias = Literal["decode", "load", "step", "commit", "relay"]
TakeoverOutcome: TypeAlias = Literal["done", "lost", "timed_out", "failed"]
LaneCondition: TypeAlias = Literal["takeover", "behind", "live", "full", "paused", "stopped"]
Oddity: TypeAlias = Literal["over_refund", "rounded_amount", "unknown_field", "missing_event_id"]

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class Record(Protocol):
    """A record as read from Kafka; aiokafka's own records fit. `timestamp` is in milliseconds."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(slots=True)
class Decoded:
    """An event that was read: whose it is, when it happened, and what was odd about its record."""

    event: Event
    customer: str
    home_id: str
    at: Instant
    event_id: str
    had_no_id: bool = False
    unknown_fields: int = 0


class Decoder(Protocol):
    """Reads records into events. Never raises for what a record holds."""

    def decode(self, record: Record) -> Decoded | Rejection:
        """Return the event of a record, or why it cannot be one."""
        ...


class Body(NamedTuple):
    """A record to publish, before it has its number."""

    key: bytes | None
    value: bytes | None
    headers: Headers


STUB_HEADER = "stub"
"""The header of a record that stands for one which the broker refused for its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedChange:
    """A change-set as read back: what was announced before and after it, and how far its lane had come."""

    customer: str
    life: int
    sequence: int
    before: Mapping[str, str | None]
    after: Mapping[str, str | None]
    upto: Mapping[Source, int]


class Encoder(Protocol):
    """Writes what is said as records, and reads change-sets back."""

    def change_record(
        self, said: ChangeSet, *, recorded_at: Instant, revision: int, backfill: bool, upto: Mapping[Source, int]
    ) -> Body:
        """Return a change-set as a record; `upto` are positions and watermark of the commit that stores it."""
        ...

    def membership_record(self, membership: Membership) -> Body:
        """Return a membership as a record."""
        ...

    def rejected_record(self, record: Record, rejection: Rejection, rejected_at: Instant) -> Body:
        """Return a record put aside, with its original bytes and the reason."""
        ...

    def read_change(self, value: bytes, headers: Headers) -> LoggedChange | None:
        """Return what a record of the change topic said; None for the stub of one that the broker refused."""
        ...


class Output(StrEnum):
    """The topics a lane speaks on; lane p writes only partition p of each."""

    CHANGES = "changes"
    MEMBERSHIPS = "memberships"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Token:
    """Who owns a lane: the group generation that gave it to him, and a nonce of this process and acquisition."""

    generation: int
    nonce: str

    def __str__(self) -> str:
        return f"{self.generation}:{self.nonce}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """One record to publish, under its number in the lane's output partition."""

    output: Output
    lane_seq: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    recorded_at: Instant = BEGINNING
    caused_at: Instant = BEGINNING
    """When Kafka took the event behind it, for latency; not stored, 0 when there is none."""


@dataclass(frozen=True, slots=True)
class OutboxPage:
    """Entries of one commit, at most about 512 KiB; pages of a lane are numbered without gaps."""

    number: int
    entries: tuple[OutboxEntry, ...]

    @property
    def size(self) -> int:
        """Bytes of keys and values."""
        return sum(len(e.key or b"") + len(e.value or b"") for e in self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """An unfinished walk over the customers whose class a boundary may have changed.

    `ranges` are (low, high) in revenue, both inclusive, rising and apart. The walk goes up by (revenue, customer),
    has come to `cursor`, wraps once at the top where it was widened on its way, and is then done beyond `until`.
    """

    ranges: tuple[tuple[int, int], ...]
    cursor: tuple[int, str] | None = None
    until: tuple[int, str] | None = None
    has_wrapped: bool = False
    is_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """An unfinished pass over all customers of a lane, begun when its watermark was `at`.

    It has come to `cursor`; who lies beyond is looked at before anything else happens to him. `dropped` and
    `released` are dimensions, or all of them, whose held moves an operator has let go.
    """

    at: Instant
    cursor: Stop | None = None
    is_redefining: bool = False
    """Another revision of the rulebook was adopted."""
    is_announced: bool = False
    is_named_anew: bool = False
    """There are other declared segments than before, so every membership is written: it names them all."""
    dropped: tuple[str, ...] = ()
    released: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Why a customer is put aside: our own code raised for him. He has no place in the queue of deadlines."""

    error: str
    since: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneNotes:
    """The small state of a lane that is written whole with each commit."""

    watermark: Instant = BEGINNING
    is_live: bool = False
    rank_version: int = 0
    boundary: Boundary | None = None
    sweep: Sweep | None = None
    """Over the customers of the ranking by value."""
    further_sweeps: Mapping[int, Sweep] = field(default_factory=dict)
    """Over those of other rankings."""
    announce_from: Instant | None = None
    """When the first start had caught up; what was recorded before is history. None: it has not yet."""
    recover_upto: Mapping[Source, int] = field(default_factory=dict)
    """After a rewind: held customers are released when the lane has come up to here; empty where none is held."""
    revision: int = FIRST
    """Of the rulebook by which this lane decides."""
    walk: Walk | None = None
    orders: int = 0
    """The number of the newest order to hold or let go that this lane has adopted."""
    held: tuple[str, ...] = ()
    """Dimensions whose moves are not told now: by order, or because too many left a segment here."""
    aside: Mapping[str, Aside] = field(default_factory=dict)
    """By customer: nothing is played for him by time or peers until a later owner can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """All that is stored of a lane beside profiles, deadlines and ranks."""

    lane: int
    partitions: int
    version: int = 0
    positions: Mapping[Source, int] = field(default_factory=dict)
    """Next offset to read of each partition this lane reads directly."""
    taken: Mapping[str, int] = field(default_factory=dict)
    """Highest origin offset taken over the repartition topic, by `topic/partition@incarnation`."""
    markers: Mapping[Source, Instant] = field(default_factory=dict)
    """The time each repartition task has sent."""
    notes: LaneNotes = LaneNotes()
    next_seq: Mapping[Output, int] = field(default_factory=dict)
    """The number the next record of each output gets; starts at 1."""
    published: Mapping[Output, int] = field(default_factory=dict)
    """The highest number of each output the broker has acknowledged; 0 for none."""
    first_page: int = 0
    next_page: int = 0
    outbox_entries: int = 0
    outbox_bytes: int = 0
    sizes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Customers by (dimension, segment)."""


NO_PLACES: Mapping[int, int] = MappingProxyType({})


@dataclass(slots=True)
class ProfileWrite:
    """One customer in a commit, with what the lane's queue and ranks held of him before."""

    customer: str
    profile: Profile | None
    wake_before: Instant | None = None
    revenue_before: int | None = None
    keeps_rank: bool = False
    """Nothing touched his revenue: it is neither told nor looked at."""
    is_aside: bool = False
    """He leaves the queue, whatever deadline his profile names."""
    places_before: Mapping[int, int] = field(default_factory=dict)
    """Under which number each further ranking held him."""

    @property
    def wake_after(self) -> Instant | None:
        """The deadline to queue."""
        return None if self.profile is None or self.is_aside else self.profile.wake_at

    @property
    def revenue_after(self) -> int | None:
        """The revenue to rank by."""
        return None if self.profile is None or self.keeps_rank else self.profile.ranked_revenue

    @property
    def places_after(self) -> Mapping[int, int]:
        """Under which number each further ranking is to hold him."""
        return NO_PLACES if self.profile is None or self.keeps_rank else self.profile.places

    @property
    def moves_rank(self) -> bool:
        """Tell whether any ranking of the lane is another one then."""
        return self.revenue_before != self.revenue_after or self.places_before != self.places_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Everything one batch of one lane changes: stored as a whole or not at all.

    `version` is the lane version it was computed on; the stored one becomes `version + 1`. `positions` gives
    (offset before, offset after) for each source that was read; before is None for the first ever.
    """

    lane: int
    token: Token
    version: int
    notes: LaneNotes
    positions: Mapping[Source, tuple[int | None, int]] = field(default_factory=dict)
    taken: Mapping[str, int] = field(default_factory=dict)
    markers: Mapping[Source, Instant] = field(default_factory=dict)
    profiles: Sequence[ProfileWrite] = ()
    pages: Sequence[OutboxPage] = ()
    next_seq: Mapping[Output, int] = field(default_factory=dict)
    published: Mapping[Output, int] = field(default_factory=dict)
    """Set only by the reconciling commit of a takeover: what the log was found to hold."""
    first_page: int | None = None
    """Set only by the reconciling commit: pages before it are dropped."""
    sizes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Differences, by (dimension, segment)."""
    hold: Sequence[str] = ()
    release: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """The commit is in the store, now or by an earlier try of the same."""

    version: int


class RefusalKind(StrEnum):
    """Why a store did not take a write."""

    NEWER_TOKEN = "newer_token"  # noqa: S105 - a fencing token is no secret
    OLDER_TOKEN = "older_token"  # noqa: S105
    VERSION = "version"
    POSITION = "position"
    PARTITIONS = "partitions"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was written; `detail` names the found and the expected."""

    kind: RefusalKind
    detail: str


@dataclass(frozen=True, slots=True)
class Due:
    """A customer whose deadline has come."""

    at: Instant
    customer: str


class LaneStore(Protocol):
    """Keeps lanes. One write per commit; whatever raises TransientError may be repeated as it is."""

    async def acquire(self, lane: int, token: Token, partitions: int) -> LaneState | Refused:
        """Make `token` the lane's owner and return its state.

        Refused (NEWER_TOKEN) where a higher generation owns it and its heartbeat is younger than 10 minutes,
        and (PARTITIONS) where the lane was made for another partition count.
        """
        ...

    async def renew(self, lane: int, old: Token, new: Token, version: int) -> bool:
        """Put `new` in place of `old` where lane token and version are still ours; tell whether they were."""
        ...

    async def state(self, lane: int) -> tuple[Token | None, LaneState]:
        """Return who owns the lane and its state, without touching it. Version 0 and no token: never used."""
        ...

    async def heartbeat(self, lane: int, token: Token) -> bool:
        """Renew the owner's heartbeat; tell whether the lane is still his."""
        ...

    async def release(self, lane: int, token: Token) -> bool:
        """Give the lane up: nobody need wait for our heartbeat to grow old. Tell whether it was still ours."""
        ...

    async def silence(self, lane: int) -> Span | None:
        """Return how long ago the owner gave a sign of life; None: nobody owns the lane, or he gave it up."""
        ...

    async def load(self, lane: int, customers: Sequence[str]) -> list[Profile | None]:
        """Return the profiles in this order, in one round trip."""
        ...

    async def commit(self, commit: Commit) -> Stored | Refused:
        """Store all of it or nothing."""
        ...

    async def due(self, lane: int, up_to: Instant, limit: int) -> list[Due]:
        """Return the earliest deadlines ≤ `up_to`, by (time, customer)."""
        ...

    async def next_due(self, lane: int) -> Instant | None:
        """Return the earliest deadline of the lane."""
        ...

    async def ranked(
        self, lane: int, low: int, high: int, after: tuple[int, str] | None, limit: int, ranking: int = BY_VALUE
    ) -> list[tuple[int, str]]:
        """Return (place, customer) with low ≤ place ≤ high beyond `after`, rising, at most `limit`."""
        ...

    async def held(self, lane: int, limit: int) -> list[str]:
        """Return customers held since a rewind."""
        ...

    async def stored(self, lane: int, after: Stop | None, limit: int) -> list[str]:
        """Return customers beyond a place of the walk, in its order, at most `limit`; fewer: these are the last."""
        ...

    async def outbox(self, lane: int, first: int, count: int) -> list[OutboxPage]:
        """Return stored pages from number `first` on, in order."""
        ...

    async def acknowledge(self, lane: int, token: Token, published: Mapping[Output, int], first_page: int) -> bool:
        """Note what the broker has acknowledged and drop the pages before `first_page`; False: not ours."""
        ...


@dataclass(frozen=True, slots=True)
class Range:
    """Count and sum of the ranked revenues of a range."""

    count: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSummary:
    """What the leader reads of a lane: is it live, has its ranking moved, what does it hold.

    `rules` tells by which revision all its customers are ranked; None while a walk is on its way to rank them anew.
    """

    lane: int
    is_live: bool
    rank_version: int
    watermark: Instant
    rules: int | None = FIRST


class GlobalBoard(Protocol):
    """What lanes share: their ranking in small numbers, and the boundary that is in force."""

    async def summaries(self) -> list[LaneSummary]:
        """Return a summary of every lane; lanes never used are not live."""
        ...

    async def coarse(self, lane: int, ranking: int = BY_VALUE) -> Mapping[int, Range]:
        """Return one of the lane's rankings by coarse bucket: factors of two of a revenue."""
        ...

    async def fine(self, lane: int, coarse: Sequence[int], ranking: int = BY_VALUE) -> Mapping[int, Range]:
        """Return the ranking by bucket, inside these coarse ones."""
        ...

    async def parts(self, lane: int, edges: Sequence[int], ranking: int = BY_VALUE) -> list[Range]:
        """Return the ranking between consecutive edges: part i has edges[i] ≤ revenue < edges[i + 1].

        All edges lie inside one bucket.
        """
        ...

    async def boundary(self) -> Boundary | None:
        """Return the boundary in force."""
        ...

    async def publish(self, token: Token, boundary: Boundary) -> bool:
        """Put this boundary in force, if lane 0 is ours and the number before it is in force; tell whether."""
        ...


class RulebookSource(Protocol):
    """Keeps the revisions of the rulebook, the newest 200, and which one is in force."""

    async def active(self) -> int | None:
        """Return the number in force; None: none was ever applied, so what each worker was started with holds."""
        ...

    async def revision(self, number: int) -> Revision | None:
        """Return a revision; None: there is none, or it is no longer kept."""
        ...

    async def history(self) -> list[Revision]:
        """Return what is kept, rising by number."""
        ...

    async def activate(self, revision: Revision, before: Revision | None = None) -> bool:
        """Put a revision in force, if the number before it is in force; tell whether. May be repeated.

        Where none was ever applied, `before` is kept as what held until now.
        """
        ...


class Hold(StrEnum):
    """What an operator, or a storm, says of the moves in a dimension."""

    HELD = "held"
    RELEASED = "released"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOrder:
    """The newest word on a dimension, or on all. Numbers rise with each order of any dimension."""

    dimension: str
    hold: Hold
    number: int
    at: Instant
    by: str = ""
    why: str = ""


class HoldBoard(Protocol):
    """Keeps which moves are held, for all lanes."""

    async def orders(self) -> Mapping[str, HoldOrder]:
        """Return the newest order of each dimension that there ever was one for."""
        ...

    async def order(self, order: HoldOrder) -> HoldOrder:
        """Give an order, whose number is set here; return it. Repeating it does no harm."""
        ...


@dataclass(frozen=True, slots=True)
class Tail:
    """What the log holds of one output partition of a lane: its highest number, and who wrote it."""

    lane_seq: int
    producer_id: int | None = None


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A record of an output partition as it is in the log."""

    lane_seq: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class LaneLog(Protocol):
    """One lane's hold on its output partitions. Made by `OutputLog.take_over`; useless once fenced."""

    producer_id: int

    async def tails(self) -> Mapping[Output, Tail]:
        """Return what the log holds, read up to an end that was asked for after the fence."""
        ...

    async def beyond(self, output: Output, lane_seq: int) -> list[LoggedRecord]:
        """Return the records with higher numbers than this, rising."""
        ...

    def prepare(self) -> None:
        """Begin beside the questions to come what `open` waits for; nothing is sent. `close` ends it too."""
        ...

    async def open(self) -> None:
        """Get ready to send."""
        ...

    async def send(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish in order; returns when the broker has acknowledged all.

        Raises FencedError when a newer owner exists and TransientError when the outcome is unknown; after
        either this object is of no use. A record that the broker refuses for its content is replaced by a
        stub under the same number.
        """
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class OutputLog(Protocol):
    """Where changes go."""

    async def take_over(self, lane: int) -> LaneLog:
        """Fence every older owner of the lane's output partitions. Raises TransientError."""
        ...


class LaneOwnership(Protocol):
    """Which lanes this process was given, and by which generation of the group."""

    @property
    def generation(self) -> int: ...
    @property
    def lanes(self) -> frozenset[int]: ...

    async def rejoin(self) -> None:
        """Leave and join the group again: our picture of it is wrong."""
        ...


class TaskStore(Protocol):
    """Keeps how far each repartition task has come."""

    async def position(self, source: Source) -> int | None:
        """Return the next offset to read; None: never started."""
        ...

    async def advance(self, source: Source, offset: int) -> None:
        """Note that everything before `offset` was forwarded and acknowledged."""
        ...

    async def incarnation(self, source: Source) -> int:
        """Return how often an operator has put the task back: at home each is a partition of its own."""
        ...

    async def put(self, source: Source, offset: int, incarnation: int) -> None:
        """Put a task to an offset by order of an operator."""
        ...

    async def positions(self) -> Mapping[Source, int]:
        """Return the next offset of every task that ever ran."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """A record on its way home, or a marker of time (no value) to a partition of the repartition topic."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True, kw_only=True)
class Heard:
    """What one worker heard of a topic: its newest event, and the hours since 1970 in which it spoke."""

    last_at: Instant
    hours: set[int] = field(default_factory=set)

    def with_more(self, other: "Heard") -> "Heard":
        """Return both together."""
        return Heard(last_at=max(self.last_at, other.last_at), hours=self.hours | other.hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """What all workers heard of a topic.

    `longest_gap` is the longest silence between two hours of the last four weeks in which it spoke, in whole hours.
    `is_resumed`: an operator said that it need not be waited for, and it has not spoken since.
    """

    last_at: Instant
    longest_gap: Span = 0
    resumed_at: Instant = BEGINNING
    is_resumed: bool = False


class SourceBoard(Protocol):
    """Keeps when topics spoke, for all workers."""

    async def hear(self, heard: Mapping[str, Heard]) -> Mapping[str, SourceRecord]:
        """Add what was heard, and return what is known of every topic that ever spoke. May be repeated."""
        ...

    async def resume(self, topic: str, at: Instant) -> bool:
        """Do not wait for this topic until it speaks again; False: it never spoke, so nobody waits for it."""
        ...


class TimeReference(Protocol):
    """Another clock, to hold ours against."""

    async def now(self) -> Instant:
        """Return the instant it is there. Raises TransientError."""
        ...


class Forwarder(Protocol):
    """Sends to the repartition topic."""

    async def forward(self, records: Sequence[Forward]) -> None:
        """Send in order; returns when the broker has acknowledged all. Raises TransientError."""
        ...


class Recorder(Protocol):
    """What the engine reports of itself; `observability.Metrics` is one. Nothing here awaits or raises."""

    def events(self, kind: str, verdict: Verdict, count: int = 1) -> None: ...
    def rejected(self, reason: RejectReason, count: int = 1) -> None: ...
    def odd(self, oddity: Oddity, count: int = 1) -> None: ...
    def forwarded(self, count: int = 1) -> None: ...
    def changed(
        self, dimension: str, before: str | None, after: str | None, cause: CauseKind, count: int = 1
    ) -> None: ...
    def spent(self, stage: Stage, seconds: float) -> None: ...
    def told(self, seconds: float) -> None: ...
    def lag(self, topic: str, partition: int, *, records: int, age_s: float) -> None: ...
    def forget_source(self, topic: str, partition: int) -> None: ...
    def watermark(self, lane: int, delay_s: float) -> None: ...
    def deadline_played(self, lateness_s: float) -> None: ...
    def outbox(self, lane: int, *, entries: int, size_bytes: int, age_s: float) -> None: ...
    def committed(self) -> None: ...
    def refused(self, kind: RefusalKind) -> None: ...
    def taken_over(self, outcome: TakeoverOutcome, seconds: float) -> None: ...
    def fenced(self) -> None: ...
    def lanes(self, count_by_condition: Mapping[LaneCondition, int]) -> None: ...
    def boundary_adopted(self, lane: int, number: int) -> None: ...
    def swept(self, customers: int) -> None: ...
    def rulebook_adopted(self, lane: int, revision: int) -> None: ...
    def backfilled(self, lane: int, *, customers: int, share: float) -> None: ...
    def stormed(self, dimension: str) -> None: ...
    def held(self, dimensions: Collection[str]) -> None: ...
    def aside(self, lane: int, customers: int) -> None: ...
    def boundary_round(self, *, moved_bytes: int, ranked: int, published: bool) -> None: ...
    def sizes(self, lane: int, customers: Mapping[tuple[str, str], int]) -> None: ...
    def flapped(self, dimension: str) -> None: ...
    def forget_lane(self, lane: int) -> None: ...
    def clock_offset(self, seconds: float) -> None: ...
    def silence(self, topic: str, *, seconds_since: float, allowed_s: float, is_held: bool) -> None: ...
    def standstill(self, topic: str, partition: int, seconds: float) -> None: ...


class SourceLog(Protocol):
    """Answers questions about the topics we read, apart from reading them."""

    async def beginnings(self, sources: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Return the first offset that is still in the log of each (topic, partition). Raises TransientError."""
        ...

    async def partitions(self, topic: str) -> int:
        """Return the topic's partition count, 0 where it does not exist. Raises TransientError."""
        ...


class Clock(Protocol):
    """Tells the time. Tests hold one still."""

    def now(self) -> Instant:
        """Return the instant it is."""
        ...
