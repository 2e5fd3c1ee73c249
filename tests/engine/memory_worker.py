"""A worker's engine on the memory adapters: the test writes the logs, makes each poll and holds the clock."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.home import home_of
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.memory_log import MemoryLaneLog, MemoryOutputLog
from segmenter.adapters.records import JsonEncoder
from segmenter.domain.instants import DAY, MILLISECOND, Instant, rfc3339
from segmenter.domain.rulebook import LifecycleRule, Rulebook, ValueRule
from segmenter.engine.clock_check import SureClock
from segmenter.engine.ear import Ear
from segmenter.engine.holder import LaneHolder
from segmenter.engine.intake import Evidence, Place, Poll
from segmenter.engine.lane import Lane, Services
from segmenter.engine.repartition import Stage
from segmenter.engine.rules import FixedRules
from segmenter.engine.terms import Terms
from segmenter.engine.worker import Engine
from segmenter.engine.workshop import Workshop
from segmenter.errors import TransientError
from segmenter.observability import Metrics
from segmenter.ports import Decoder, Encoder, Forward, LaneStore, OutboxEntry, Output

REKEYED = "segmenter.rekeyed"
START: Instant = 1_767_225_600_000_000
"""2026-01-01: day 0 of every story."""

Told = dict[str, Any]


def day(number: float) -> Instant:
    """Return an instant by the days since the start."""
    return START + int(number * DAY)


class HeldClock:
    """Stands still until it is told otherwise."""

    def __init__(self, at: Instant = START) -> None:
        self.at = at

    def now(self) -> Instant:
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRecord:
    """A record in a log. `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Broker:
    """Partitions in lists, and what a consumer has been answered of them: nothing before `answer` is called."""

    def __init__(self, clock: HeldClock) -> None:
        self._clock = clock
        self.logs: defaultdict[Place, list[LoggedRecord]] = defaultdict(list)
        self.answers: dict[Place, tuple[int, Instant]] = {}
        """By partition: its end in the newest answer, and when that was asked for."""
        self.is_away = False

    def write(
        self,
        place: Place,
        value: bytes | None,
        recorded_at: Instant | None = None,
        *,
        key: bytes | None = None,
        headers: tuple[tuple[str, bytes], ...] = (),
    ) -> LoggedRecord:
        """Add a record, by default stamped with the present."""
        log = self.logs[place]
        at = self._clock.now() if recorded_at is None else recorded_at
        record = LoggedRecord(
            topic=place[0],
            partition=place[1],
            offset=len(log),
            timestamp=at // MILLISECOND,
            key=key,
            value=value,
            headers=headers,
        )
        log.append(record)
        return record

    def answer(self, *places: Place, asked_at: Instant | None = None) -> None:
        """Answer a fetch of these partitions that was sent at this time, by default now."""
        for place in places:
            self.answers[place] = len(self.logs[place]), self._clock.now() if asked_at is None else asked_at

    def poll(self, generation: int, begun: Mapping[Place, int], most: Mapping[Place, int]) -> Poll:
        """Return what was answered beyond these offsets, at most so many records of each partition."""
        records: dict[Place, Sequence[LoggedRecord]] = {}
        evidence: dict[Place, Evidence] = {}
        for place, start in begun.items():
            if place not in self.answers:
                evidence[place] = Evidence(position=start, end=None, asked_at=None)
                continue
            end, asked_at = self.answers[place]
            position = min(max(start, end), start + most.get(place, end))
            evidence[place] = Evidence(position=position, end=end, asked_at=asked_at if position >= end else None)
            if position > start:
                records[place] = self.logs[place][start:position]
        return Poll(generation, records, evidence, dict(begun))

    async def forward(self, records: Sequence[Forward]) -> None:
        """See the port Forwarder; records are stamped with the present, as ours are."""
        if self.is_away:
            raise TransientError("the broker of this test is away")
        for record in records:
            self.write((REKEYED, record.partition), record.value, key=record.key, headers=record.headers)

    async def beginnings(self, sources: Collection[Place]) -> Mapping[Place, int]:
        """See the port SourceLog."""
        return dict.fromkeys(sources, 0)

    async def partitions(self, topic: str) -> int:
        """See the port SourceLog."""
        return len({place for place in self.logs if place[0] == topic})


class PausableOutput(MemoryOutputLog):
    """The output in lists, of a broker that can be made to keep its senders waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def take_over(self, lane: int) -> "_PausableLaneLog":
        held = await super().take_over(lane)
        return _PausableLaneLog(self, lane, held._epoch)


class _PausableLaneLog(MemoryLaneLog):
    def __init__(self, log: PausableOutput, lane: int, epoch: int) -> None:
        super().__init__(log, lane, epoch)
        self._goes_on = log.goes_on

    async def send(self, entries: Sequence[OutboxEntry]) -> None:
        """See the port LaneLog."""
        await self._goes_on.wait()
        await super().send(entries)


class _Ownership:
    generation = 1
    lanes: frozenset[int] = frozenset()

    async def rejoin(self) -> None:
        """See the port LaneOwnership."""


def terms_of(**changed: Any) -> Terms:
    """Return the terms of these stories: 30 days of silence, no classes told, nothing is history."""
    rules = Rulebook(
        lifecycle=LifecycleRule(inactive_after=30 * DAY), value=ValueRule(window=None, dwell=0, min_ranked=10**6)
    )
    given: Told = {"rulebook": rules, "partitions": 1, "direct": frozenset({"orders", "clicks"}), "announce_from": 0}
    return Terms(**(given | changed))


@dataclass(kw_only=True)
class World:
    """What outlives a worker: logs, store and output."""

    terms: Terms
    clock: HeldClock = field(default_factory=HeldClock)
    tasks: tuple[str, ...] = ()
    """The partitions that come over the repartition topic."""
    decoder: Decoder = field(default_factory=JsonDecoder)
    encoder: Encoder = field(default_factory=JsonEncoder)

    def __post_init__(self) -> None:
        self.broker = Broker(self.clock)
        self.store = MemoryStore(self.terms.partitions, now=self.clock.now)
        self.lanes: LaneStore = self.store.lanes
        self.clock_check = SureClock()
        self.workshop_rules: FixedRules = FixedRules()
        self.output = PausableOutput()
        self.metrics = Metrics()
        self.generations = 0

    def told(self, lane: int = 0) -> list[Told]:
        """Return the change-sets that were published, in order."""
        return [json.loads(record.value or b"") for record in self.output.records[Output.CHANGES, lane]]

    def lifecycles(self, customer: str, lane: int = 0) -> list[str]:
        """Return the lifecycle segments into which a customer was told to have moved."""
        moves = [m for told in self.told(lane) if told["customer_id"] == customer for m in told["changes"]]
        return [move["after"] for move in moves if move["dimension"] == "lifecycle"]

    def rejected(self, lane: int = 0) -> Counter[str]:
        """Return how many records were put aside, by reason."""
        records = self.output.records[Output.REJECTED, lane]
        return Counter(dict(record.headers)["reason"].decode() for record in records)

    def count(self, name: str, **labels: str) -> float:
        """Return a number of the metrics page."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


class MemoryWorker:
    """An engine in a world. Nothing is read but by `take`."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.generations += 1
        self.generation = world.generations
        decoder = world.decoder
        self.ear = Ear(world.terms, world.store.sources, world.metrics)
        partitions = world.terms.partitions
        self.stage = Stage(
            terms=world.terms,
            decoder=decoder,
            home_of=lambda home_id: home_of(home_id, partitions),
            forwarder=world.broker,
            tasks=world.store.tasks,
            recorder=world.metrics,
            clock_check=world.clock_check,
            ear=self.ear,
        )
        self.workshop = Workshop(
            terms=world.terms,
            services=Services(store=world.lanes, encoder=world.encoder, recorder=world.metrics),
            output=world.output,
            clock=world.clock,
            decoder=decoder,
            home_of=self.stage.home_of,
            sources=world.broker,
            tasks=world.tasks,
            clock_check=world.clock_check,
            ear=self.ear,
            rules=world.workshop_rules,
        )
        self.engine = Engine(self.workshop, self.stage, world.store.board, _Ownership())

    def holder(self, lane: int = 0) -> LaneHolder:
        """Return the hold on a lane."""
        return self.engine._holders[lane]

    def lane(self, number: int = 0) -> Lane:
        """Return a lane that is held."""
        lane = self.holder(number).lane
        assert lane is not None
        return lane

    @property
    def watermark(self) -> Instant:
        """The stored time of lane 0."""
        return self.lane().state.notes.watermark

    def is_live(self) -> bool:
        """Lane 0 is stored as live."""
        return self.lane().state.notes.is_live

    async def assign(self, places: Collection[Place]) -> None:
        """Give partitions to the engine, and wait until it wants to read them."""
        await self.engine.assigned(self.generation, places)
        async with asyncio.timeout(10):
            while set(places) - self.engine.intake().keys():  # noqa: ASYNC110  # a takeover tells no event
                await asyncio.sleep(0)

    async def take(self, *, most: Mapping[Place, int] | None = None) -> None:
        """Hand over one poll: whatever was answered so far, at most so many records of a partition."""
        poll = self.world.broker.poll(self.generation, self.engine.intake(), most or {})
        await self.engine.take(poll)
        if (walking := self.engine._walker._task) is not None:
            await asyncio.wait([walking], timeout=10)
        if self.world.output.goes_on.is_set():
            for holder in self.engine._holders.values():
                await holder.drain(5)

    async def lead(self) -> None:
        """Hold a leader's round, as the owner of lane 0 does once a second."""
        await self.engine._caretaker._lead()

    async def read(self, *, most: Mapping[Place, int] | None = None) -> None:
        """Have all partitions answered now, and take a poll."""
        self.world.broker.answer(*self.engine.intake())
        await self.take(most=most)


@asynccontextmanager
async def working(world: World, places: Collection[Place] | None = None) -> AsyncIterator[MemoryWorker]:
    """Give a worker that owns these partitions, by default all of lane 0 and all that come over repartitioning."""
    worker = MemoryWorker(world)
    home = [(topic, 0) for topic in world.terms.direct] + ([(REKEYED, 0)] if world.terms.others else [])
    others = [(source.rpartition("/")[0], int(source.rpartition("/")[2])) for source in world.tasks]
    try:
        await worker.assign([*home, *others] if places is None else places)
        yield worker
    finally:
        await worker.engine.stop()


def event(kind: str, customer: str, at: Instant, /, **own: Any) -> bytes:
    """Return an event as canonical JSON."""
    fields = {"event_id": f"{kind}-{customer}-{at}", "type": kind, "customer_id": customer}
    return json.dumps({**fields, "occurred_at": rfc3339(at), **own}).encode()


def order(customer: str, at: Instant, **own: Any) -> bytes:
    """Return an order of 10.00 EUR."""
    own = {"order_id": f"o-{customer}-{at}", "amount": "10.00", "currency": "EUR", **own}
    return event("order.placed", customer, at, **own)


def click(customer: str, at: Instant) -> bytes:
    """Return a click."""
    return event("click", customer, at, kind="view")


def at_home(lane: int, partitions: int, count: int = 1) -> list[str]:
    """Return ids of customers who are at home in a lane."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        customer = f"c-{number}"
        if home_of(customer, partitions) == lane:
            found.append(customer)
        number += 1
    return found
