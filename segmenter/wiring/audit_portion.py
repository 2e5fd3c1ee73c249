"""One pass of an audit: some buckets of profiles, rebuilt from the log and compared one by one."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from segmenter.adapters.kafka_history import KafkaHistory
from segmenter.adapters.keys import bucket_of_customer
from segmenter.adapters.packed_profiles import PackedProfiles
from segmenter.adapters.redis_audit import Bucket, RedisAudit, read_profile
from segmenter.domain.causes import Rejection
from segmenter.domain.instants import MILLISECOND, Instant, Span
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.audit import Doubt, Rebuilder
from segmenter.engine.audit_compare import PROFILE, Difference, differences
from segmenter.engine.intake import Place
from segmenter.engine.lane import FOREVER
from segmenter.engine.walk import is_to_come
from segmenter.errors import TransientError
from segmenter.ports import Decoder, Record
from segmenter.wiring.audit_index import IndexAudit
from segmenter.wiring.audit_plan import Portion

# A lane adds buckets while it grows, at most four a commit.
_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all portions work with."""

    redis: RedisAudit
    history: KafkaHistory
    decoder: Decoder
    home_of: Callable[[str], int]
    rulebook: Rulebook
    direct: frozenset[str]
    count_by_other: dict[str, int]
    """Partitions of each topic that comes home over the repartition topic."""
    future_tolerance: Span


@dataclass(slots=True)
class PortionResult:
    """What a pass came to, beside its differences."""

    customers: int = 0
    records: int = 0
    not_auditable: Counter[Doubt] = field(default_factory=Counter)


class PortionAudit:
    """Rebuilds a portion; `tell` takes each difference."""

    def __init__(self, portion: Portion, around: Surroundings, tell: Callable[[Difference], None]) -> None:
        self._portion = portion
        self._around = around
        self._tell = tell
        self._views: dict[int, dict[int, Bucket]] = {}
        self._rebuilder = Rebuilder(around.rulebook, PackedProfiles())
        self._home_by_customer: dict[str, int] = {}
        self._first_at: dict[Place, Instant] = {}
        self._result = PortionResult()

    async def run(self, progress: Callable[[int], None]) -> PortionResult:
        """Return what came of it; `progress` is told how many records were read."""
        for lane, numbers in self._portion.buckets_by_lane.items():
            self._views[lane] = await self._read_lane(lane, numbers)
        await self._replay(progress)
        for lane, views in self._views.items():
            indexes = IndexAudit(lane, views, self._around.redis, self._tell)
            await indexes.run()
            for live, view in self._stored(views):
                self._compare(live, view)
        for customer in self._rebuilder.profiles:
            self._compare_unless_stored(customer)
        return self._result

    async def _read_lane(self, lane: int, numbers: set[int]) -> dict[int, Bucket]:
        """Return the buckets of a lane, all of one number of buckets: else a customer could be in two or in none."""
        for _ in range(_TRIES):
            views = {number: await self._around.redis.bucket(lane, number) for number in sorted(numbers)}
            if len({view.buckets for view in views.values()}) == 1:
                return views
        raise TransientError(f"lane {lane} grows faster than it can be read; audit it when it is calmer")

    async def _replay(self, progress: Callable[[int], None]) -> None:
        async for records in self._around.history.records(self._upto()):
            for record in records:
                self._first_at.setdefault((record.topic, record.partition), record.timestamp * MILLISECOND)
                self._take(record)
            self._result.records += len(records)
            progress(self._result.records)

    def _upto(self) -> dict[Place, int]:
        """Return the source partitions that hold events of these customers, and how far any bucket has read each."""
        upto: dict[Place, int] = {}
        for lane, views in self._views.items():
            for topic in self._around.direct:
                offsets = [view.positions.get(f"{topic}/{lane}", 0) for view in views.values()]
                upto[topic, lane] = max(offsets)
            for topic, count in self._around.count_by_other.items():
                for partition in range(count):
                    taken = [view.taken.get(f"{topic}/{partition}", -1) for view in views.values()]
                    upto[topic, partition] = max(upto.get((topic, partition), 0), max(taken) + 1)
        return upto

    def _take(self, record: Record) -> None:
        """Give an event to the rebuilder if its lane had taken it when its customer's bucket was read."""
        decoded, shown_at = self._around.decoder.decode(record), record.timestamp * MILLISECOND
        if isinstance(decoded, Rejection):
            self._rebuilder.pass_by((record.topic, record.partition), shown_at)
            return
        home = self._around.home_of(decoded.home_id)
        view = self._view_of(home, decoded.customer)
        if view is not None and not decoded.event.test and self._was_taken(record, home, view):
            self._rebuilder.take(decoded, record)
            self._home_by_customer[decoded.customer] = home
        self._rebuilder.pass_by((record.topic, record.partition), min(shown_at, decoded.at))

    def _was_taken(self, record: Record, home: int, view: Bucket) -> bool:
        if record.topic in self._around.direct:
            source = f"{record.topic}/{record.partition}"
            return home == record.partition and record.offset < view.positions.get(source, 0)
        return record.offset <= view.taken.get(f"{record.topic}/{record.partition}", -1)

    def _view_of(self, home: int, customer: str) -> Bucket | None:
        views = self._views.get(home)
        if views is None:
            return None
        buckets = next(iter(views.values())).buckets
        return views.get(bucket_of_customer(customer.encode(), buckets))

    def _stored(self, views: dict[int, Bucket]) -> Iterator[tuple[Profile, Bucket]]:
        """Give the stored profiles that can be read; the others are told."""
        for view in views.values():
            for name, packed in view.packed.items():
                self._result.customers += 1
                live = read_profile(name, packed)
                customer = name.decode(errors="backslashreplace")
                if live is None:
                    self._differ(view, customer, PROFILE, "cannot be read", "known")
                elif (home := bucket_of_customer(name, view.buckets)) != view.number:
                    self._differ(view, customer, "bucket", view.number, home)
                else:
                    yield live, view

    def _compare(self, live: Profile, view: Bucket) -> None:
        rebuilt = self._rebuilder.settled(live.customer, live.settled_at)
        if not self._is_doubtful(live, rebuilt, view, live.customer):
            for name, stored, known in differences(live, rebuilt, self._around.rulebook, view.watermark):
                self._differ(view, live.customer, name, stored, known)

    def _compare_unless_stored(self, customer: str) -> None:
        home_view = self._view_of(self._home_by_customer[customer], customer)
        if home_view is None or customer.encode() in home_view.packed:
            return
        rebuilt = self._rebuilder.settled(customer, home_view.watermark)
        if rebuilt is None:  # he was anonymous, and is forgotten
            return
        self._result.customers += 1
        if not self._is_doubtful(None, rebuilt, home_view, customer):
            for name, stored, known in differences(None, rebuilt, self._around.rulebook, home_view.watermark):
                self._differ(home_view, customer, name, stored, known)

    def _is_doubtful(self, live: Profile | None, rebuilt: Profile | None, view: Bucket, customer: str) -> bool:
        doubt = self._rebuilder.doubt_of(customer, live, rebuilt)
        seen = [p.first_seen_at for p in (live, rebuilt) if p is not None and p.first_seen_at is not None]
        if min(seen, default=FOREVER) <= self._whole_from(view):
            doubt = Doubt.LOG_BEGINS_LATER
        elif view.revision != self._around.rulebook.revision or is_to_come(view.walk, customer):
            doubt = Doubt.RULES_ON_THEIR_WAY
        if doubt is not None:
            self._result.not_auditable[doubt] += 1
        return doubt is not None

    def _whole_from(self, view: Bucket) -> Instant:
        """Return the time from which on the logs hold all events of a bucket's lane.

        What was deleted stood before the first record that is left, so it happened no later than that was written,
        and the tolerance for clocks that run ahead. Where none is left nobody can tell.
        """
        begins, bounds = self._around.history.begins, [-1]
        for (topic, partition), begin in begins.items():
            is_ours = partition == view.lane if topic in self._around.direct else f"{topic}/{partition}" in view.taken
            if begin > 0 and is_ours:
                bounds.append(self._first_at.get((topic, partition), FOREVER) + self._around.future_tolerance)
        return max(bounds)

    def _differ(self, view: Bucket, customer: str, name: str, *found: "str | int | float | bool | None") -> None:
        live, rebuilt = found
        self._tell(Difference(lane=view.lane, customer=customer, field=name, live=live, rebuilt=rebuilt))
