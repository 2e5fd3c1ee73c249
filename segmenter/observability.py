"""Every number a worker shows on `/metrics`: declared here, named in `docs/metrics.md`, and nowhere else.

Base units, closed label sets, and no customer in any label. Labels that name a partition disappear when the
worker gives the lane up, so that two workers never report the same lane for longer than one scrape.
More than 300 lines, as this is the one list of all numbers.
"""

from collections import Counter as Tally
from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from segmenter.domain.causes import RejectReason, Verdict
from segmenter.domain.changes import CauseKind
from segmenter.domain.dimensions import CHANNEL, INTEREST
from segmenter.domain.events import Event
from segmenter.domain.holding import EVERYTHING_HELD
from segmenter.domain.profile import LIFECYCLE, VALUE, WAITING
from segmenter.ports import RefusalKind

Stage: TypeAlias = Literal["decode", "load", "step", "commit", "relay"]
TakeoverOutcome: TypeAlias = Literal["done", "lost", "timed_out", "failed"]
LaneCondition: TypeAlias = Literal["takeover", "behind", "live", "full", "paused", "stopped"]
Oddity: TypeAlias = Literal["over_refund", "rounded_amount", "unknown_field", "missing_event_id"]

OPEN_DIMENSIONS = frozenset([INTEREST, CHANNEL])
"""Their segments are words of the shop's, too many for labels."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
EVENT_TYPES = tuple(get_args(kind.__annotations__["type"])[0] for kind in get_args(Event))
NO_TYPE = "none"
"""The `type` label of a record that was rejected before its type was known."""

_STAGE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_END_TO_END_BUCKETS_S = (0.002, 0.005, 0.012, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600)
_LATENESS_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 4, 10, 60, 600, 3600)
_TAKEOVER_BUCKETS_S = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The numbers of one worker, in a registry of its own. Methods take what happened; none awaits or raises."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library forgot the hint
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._sizes = _Sizes()
        self._declare_work()
        self._declare_time()
        self._declare_lanes()
        self._declare_classes()
        self._declare_rules()
        self._show_zeros()

    def events(self, kind: str, verdict: Verdict, count: int = 1) -> None:
        """Events of a type met this verdict; any type that is not one of ours counts as `none`."""
        self._events.labels(kind if kind in EVENT_TYPES else NO_TYPE, verdict).inc(count)

    def rejected(self, reason: RejectReason, count: int = 1) -> None:
        """Records were put aside."""
        self._rejected.labels(reason).inc(count)

    def odd(self, oddity: Oddity, count: int = 1) -> None:
        """Something odd was met in events that were accepted."""
        self._oddities[oddity].inc(count)

    def forwarded(self, count: int = 1) -> None:
        """Records were sent home by the repartition stage."""
        self._forwarded.inc(count)

    def changed(
        self, dimension: str, before: str | None, after: str | None, cause: CauseKind, count: int = 1
    ) -> None:
        """Customers moved between two segments of a dimension."""
        self._changes.labels(dimension, _label(dimension, before), _label(dimension, after), cause).inc(count)

    def flapped(self, dimension: str) -> None:
        """A stay or a cooldown held back a move that was then taken back."""
        self._flaps.labels(dimension).inc()

    def spent(self, stage: Stage, seconds: float) -> None:
        """A batch passed a stage."""
        self._stage.labels(stage).observe(seconds)

    def told(self, seconds: float) -> None:
        """A change was acknowledged by the broker this long after its event was written to Kafka."""
        self._end_to_end.observe(seconds)

    def lag(self, topic: str, partition: int, *, records: int, age_s: float) -> None:
        """A source partition holds this many unread records, the oldest written this long ago (0: none)."""
        self._lag_records.labels(topic, partition).set(records)
        self._lag_age.labels(topic, partition).set(age_s)

    def forget_source(self, topic: str, partition: int) -> None:
        """A source partition is read by another worker now."""
        for gauge in (self._lag_records, self._lag_age, self._standstill):
            gauge.remove(topic, partition)

    def watermark(self, lane: int, delay_s: float) -> None:
        """A lane's watermark is this far behind the clock."""
        self._watermark_delay.labels(lane).set(delay_s)

    def deadline_played(self, lateness_s: float) -> None:
        """A customer's deadline was played this long after it came."""
        self._deadline_lateness.observe(lateness_s)

    def outbox(self, lane: int, *, entries: int, size_bytes: int, age_s: float) -> None:
        """A lane has this much left to publish, the oldest recorded this long ago (0: nothing)."""
        self._outbox_entries.labels(lane).set(entries)
        self._outbox_bytes.labels(lane).set(size_bytes)
        self._outbox_age.labels(lane).set(age_s)

    def committed(self) -> None:
        """A lane's batch was stored."""
        self._commits.inc()

    def refused(self, kind: RefusalKind) -> None:
        """A store did not take a write."""
        self._refusals.labels(kind).inc()

    def taken_over(self, outcome: TakeoverOutcome, seconds: float) -> None:
        """A takeover ended."""
        self._takeovers.labels(outcome).inc()
        self._takeover.observe(seconds)

    def fenced(self) -> None:
        """The broker refused our producer: a newer owner of the lane exists."""
        self._fenced.inc()

    def polled(self, records: int) -> None:
        """A poll of all partitions was taken; 0 for one that brought only evidence of time."""
        self._polls["taken"].inc()

    def poll_dropped(self) -> None:
        """A poll was thrown away; it is read again."""
        self._polls["dropped"].inc()

    def reseeked(self, place: tuple[str, int]) -> None:
        """A partition was put back to where the engine wants it."""
        self._reseeks.inc()

    def rebalanced(self) -> None:
        """The group gave this worker its partitions anew."""
        self._rebalances.inc()

    def fetch_failed(self, error: str) -> None:
        """The broker answered a fetch with an error, which the log names."""
        self._fetch_failures.inc()

    def mirror_failed(self) -> None:
        """Offsets for lag tools could not be committed to Kafka."""
        self._mirror_failures.inc()

    def lanes(self, count_by_condition: Mapping[LaneCondition, int]) -> None:
        """The lanes of this worker are in these conditions."""
        for condition in get_args(LaneCondition):
            self._lanes.labels(condition).set(count_by_condition.get(condition, 0))

    def boundary_adopted(self, lane: int, number: int) -> None:
        """A lane computes with this boundary."""
        self._boundary_version.labels(lane).set(number)

    def swept(self, customers: int) -> None:
        """A bite of a sweep looked at this many customers."""
        self._swept.inc(customers)

    def aside(self, lane: int, customers: int) -> None:
        """A lane has put this many customers aside."""
        self._aside.labels(lane).set(customers)

    def boundary_round(self, *, moved_bytes: int, ranked: int, published: bool) -> None:
        """As leader, a boundary was computed over this many ranked customers from this many bytes."""
        self._rounds.labels("published" if published else "unchanged").inc()
        self._round_bytes.inc(moved_bytes)
        self._ranked.set(ranked)

    def sizes(self, lane: int, customers: Mapping[tuple[str, str], int]) -> None:
        """A lane holds this many customers by (dimension, segment)."""
        closed: Tally[tuple[str, str]] = Tally()
        for (dimension, segment), count in customers.items():
            closed[dimension, _label(dimension, segment)] += count
        self._sizes.put(lane, closed)
        for (dimension, segment), count in self._sizes.total().items():
            if dimension == WAITING:
                self._waiting_changes.labels(segment).set(max(0, count))
            else:
                self._segment_customers.labels(dimension, segment).set(count)

    def rulebook_adopted(self, lane: int, revision: int) -> None:
        """A lane decides by this revision of the rulebook."""
        self._revision.labels(lane).set(revision)
        self._backfill_share.labels(lane).set(1)

    def backfilled(self, lane: int, *, customers: int, share: float) -> None:
        """A bite of the pass over stored customers was taken; this share of them is done."""
        self._backfilled.inc(customers)
        self._backfill_share.labels(lane).set(share)

    def stormed(self, dimension: str) -> None:
        """Too many left a segment: its further moves are held."""
        self._storms.labels(dimension).inc()

    def held(self, dimensions: Collection[str]) -> None:
        """The moves in these dimensions are held, in any lane of this worker; `all`: in every dimension."""
        for dimension in self._held_seen - set(dimensions):
            self._held.labels(dimension).set(0)
        for dimension in dimensions:
            self._held.labels(dimension).set(1)
        self._held_seen |= set(dimensions)

    def audited(self, *numbers: int) -> None:
        """The last audit, by whomever: its end as Unix time, customers, differences, customers not auditable."""
        for gauge, number in zip(self._audit, numbers, strict=True):
            gauge.set(number)

    def forget_lane(self, lane: int) -> None:
        """The lane belongs to another worker now."""
        for gauge in self._lane_gauges:
            gauge.remove(lane)
        self.sizes(lane, {})

    def clock_offset(self, seconds: float) -> None:
        """The clock of this machine is this far ahead of the store's; negative: behind it."""
        self._clock_offset.set(seconds)

    def silence(self, topic: str, *, seconds_since: float, allowed_s: float, is_held: bool) -> None:
        """A topic's newest event is this old, and may become so old before time is held for it."""
        self._silence.labels(topic).set(seconds_since)
        self._max_silence.labels(topic).set(allowed_s)
        self._is_held_for.labels(topic).set(is_held)

    def standstill(self, topic: str, partition: int, seconds: float) -> None:
        """The time of a source partition has not moved for so long."""
        self._standstill.labels(topic, partition).set(seconds)

    def exposition(self) -> bytes:
        """Return all of it as Prometheus reads it (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)

    def _declare_work(self) -> None:
        self._events = self._counter("events", "Events by type and verdict.", "type", "verdict")
        self._rejected = self._counter("rejected", "Records put aside, by reason.", "reason")
        self._forwarded = self._counter("forwarded", "Records sent home by the repartition stage.")
        self._commits = self._counter("commits", "Batches stored.")
        self._refusals = self._counter("refusals", "Writes a store did not take, by kind.", "kind")
        polls = self._counter("polls", "Polls of all partitions, by what became of them.", "outcome")
        self._polls = {outcome: polls.labels(outcome) for outcome in ("taken", "dropped")}
        self._reseeks = self._counter("reseeks", "Partitions put back to where the engine wants them.")
        self._rebalances = self._counter("rebalances", "Times the group dealt its partitions out anew.")
        self._fetch_failures = self._counter("fetch_failures", "Fetches that the broker answered with an error.")
        self._mirror_failures = self._counter("mirror_failures", "Offsets that could not be shown to lag tools.")
        self._fenced = self._counter("fenced", "Times the broker refused our producer for a newer owner.")
        self._oddities: dict[Oddity, Counter] = {
            "over_refund": self._counter("over_refunds", "Refunds above what was left of their order."),
            "rounded_amount": self._counter("rounded_amounts", "Amounts finer than their currency."),
            "unknown_field": self._counter("unknown_fields", "Fields of events that nobody reads."),
            "missing_event_id": self._counter("missing_event_ids", "Events named after their place."),
        }

    def _declare_time(self) -> None:
        self._stage = self._histogram("stage", "Time of a batch in a stage.", _STAGE_BUCKETS_S, "stage")
        self._end_to_end = self._histogram(
            "end_to_end", "From the event's record to the acknowledged change.", _END_TO_END_BUCKETS_S
        )
        self._deadline_lateness = self._histogram(
            "deadline_lateness", "From a deadline to its being played.", _LATENESS_BUCKETS_S
        )
        self._takeover = self._histogram("takeover", "Time to take a lane over.", _TAKEOVER_BUCKETS_S)
        self._takeovers = self._counter("takeovers", "Takeovers of lanes, by outcome.", "outcome")
        self._lag_records = self._gauge("lag_records", "Unread records.", "topic", "partition")
        self._lag_age = self._gauge("lag_age_seconds", "Age of the oldest unread record.", "topic", "partition")

        self._clock_offset = self._gauge("clock_offset_seconds", "Clock of this machine less that of Redis.")
        self._silence = self._gauge("source_silence_seconds", "Age of a topic's newest event.", "topic")
        self._max_silence = self._gauge("source_max_silence_seconds", "Age at which time is held for it.", "topic")
        self._is_held_for = self._gauge("source_holds_time", "1 while time is held for a silent topic.", "topic")
        self._standstill = self._gauge(
            "source_standstill_seconds", "For how long a source's time has not moved.", "topic", "partition"
        )

    def _declare_lanes(self) -> None:
        self._watermark_delay = self._gauge("watermark_delay_seconds", "Clock less watermark.", "partition")
        self._outbox_entries = self._gauge("outbox_entries", "Records left to publish.", "partition")
        self._outbox_bytes = self._gauge("outbox_bytes", "Bytes left to publish.", "partition")
        self._outbox_age = self._gauge("outbox_age_seconds", "Age of the oldest of them.", "partition")
        self._boundary_version = self._gauge("boundary_version", "Boundary in use, by lane.", "partition")
        self._lanes = self._gauge("lanes", "Lanes of this worker, by state.", "state")
        self._aside = self._gauge("customers_aside", "Customers our own code cannot bear.", "partition")
        self._lane_gauges: tuple[Gauge, ...] = (
            self._aside,
            self._watermark_delay,
            self._outbox_entries,
            self._outbox_bytes,
            self._outbox_age,
            self._boundary_version,
        )

    def _declare_classes(self) -> None:
        self._changes = self._counter("changes", "Moves of customers.", "dimension", "before", "after", "cause")
        self._segment_customers = self._gauge(
            "segment_customers", "Customers in a segment, in the lanes of this worker.", "dimension", "segment"
        )
        self._ranked = self._gauge("boundary_ranked_customers", "Customers behind the last boundary round.")
        self._rounds = self._counter("boundary_rounds", "Boundary rounds, by outcome.", "outcome")
        self._round_bytes = self._counter("boundary_round_bytes", "Bytes read in boundary rounds.")
        self._swept = self._counter("swept_customers", "Customers a sweep looked at.")
        self._flaps = self._counter("flaps", "Moves held back by a stay or a cooldown, then taken back.", "dimension")
        audit = ("finished_timestamp_seconds", "customers", "differences", "not_auditable_customers")
        self._audit = tuple(self._gauge(f"audit_{name}", f"The last audit: {name}.") for name in audit)

    def _declare_rules(self) -> None:
        self._revision = self._gauge("rulebook_revision", "Revision of the rulebook, by lane.", "partition")
        self._backfill_share = self._gauge(
            "backfill_share", "Share done of the pass over stored customers; 1: there is none.", "partition"
        )
        self._lane_gauges += (self._revision, self._backfill_share)
        self._backfilled = self._counter("backfilled_customers", "Customers looked at in passes over all stored.")
        self._storms = self._counter("storms", "Times too many left a segment of a lane.", "dimension")
        self._held = self._gauge("held", "1 while moves in a dimension are not told.", "dimension")
        self._held_seen: set[str] = {EVERYTHING_HELD}
        self._waiting_changes = self._gauge(
            "waiting_changes", "Customers whose moves are not told yet, in the lanes of this worker.", "dimension"
        )

    def _show_zeros(self) -> None:
        """Make the closed sets visible from the start: `increase()` misses the first step out of nothing."""
        for verdict in Verdict:
            for kind in (*EVENT_TYPES, NO_TYPE):
                self._events.labels(kind, verdict)
        for reason in RejectReason:
            self._rejected.labels(reason)
        for refusal in RefusalKind:
            self._refusals.labels(refusal)
        for stage in get_args(Stage):
            self._stage.labels(stage)
        for outcome in get_args(TakeoverOutcome):
            self._takeovers.labels(outcome)
        for round_outcome in ("published", "unchanged"):
            self._rounds.labels(round_outcome)
        for dimension in (LIFECYCLE, VALUE):
            self._storms.labels(dimension)
            self._waiting_changes.labels(dimension)
        self._held.labels(EVERYTHING_HELD).set(0)
        self.lanes({})

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, namespace="segmenter", registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, namespace="segmenter", registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(
            f"{name}_seconds", help_text, labels, namespace="segmenter", registry=self.registry, buckets=buckets
        )


def _label(dimension: str, segment: str | None) -> str:
    """Return the label of a segment: topics and channels have as many as a shop has names for them."""
    if segment is None:
        return "none"
    return "any" if dimension in OPEN_DIMENSIONS else segment


class _Sizes:
    """Customers by (dimension, segment), summed over the lanes of this worker."""

    def __init__(self) -> None:
        self._by_lane: dict[int, Mapping[tuple[str, str], int]] = {}
        self._seen: set[tuple[str, str]] = set()

    def put(self, lane: int, customers: Mapping[tuple[str, str], int]) -> None:
        """Replace what is known of a lane."""
        self._by_lane[lane] = dict(customers)
        self._seen.update(customers)

    def total(self) -> Mapping[tuple[str, str], int]:
        """Return the sums; a segment that was ever seen stays, at 0 when it is empty."""
        total = Tally(dict.fromkeys(self._seen, 0))
        for customers in self._by_lane.values():
            total.update(customers)
        return total
