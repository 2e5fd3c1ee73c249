"""One lane in a worker's hands on the memory adapters, fed by hand: topics are lists, time is a value."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.memory_log import MemoryForwarder, MemoryOutputLog
from segmenter.adapters.records import JsonEncoder
from segmenter.domain.instants import MILLISECOND, Instant, rfc3339
from segmenter.engine.holder import LaneHolder
from segmenter.engine.intake import Evidence, LaneCondition, Place
from segmenter.engine.lane import Services
from segmenter.engine.leader import Leader
from segmenter.engine.repartition import RepartitionTask, Stage
from segmenter.engine.terms import Terms
from segmenter.engine.workshop import Workshop
from segmenter.observability import Metrics
from segmenter.ports import Headers, LoggedRecord, Output

LANE = 0
PATIENCE_S = 5.0


@dataclass(frozen=True)
class Line:
    """A record of a topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()


@dataclass
class Broker:
    """Topics as lists; the test says how much of each a poll brings."""

    now: Callable[[], Instant]
    logs: dict[Place, list[Line]] = field(default_factory=lambda: defaultdict(list))

    def put(
        self, topic: str, event: Mapping[str, object], *, partition: int = 0, taken_at: Instant | None = None
    ) -> None:
        """Append an event; Kafka took it at its own time where no other is given."""
        at = self.now() if taken_at is None else taken_at
        log = self.logs[topic, partition]
        log.append(Line(topic, partition, len(log), at // MILLISECOND, json.dumps(event).encode()))

    def put_raw(self, topic: str, partition: int, value: bytes | None, headers: Headers) -> None:
        """Append a record with headers."""
        log = self.logs[topic, partition]
        log.append(Line(topic, partition, len(log), self.now() // MILLISECOND, value, headers=headers))

    def read(self, place: Place, position: int, count: int | None = None) -> tuple[list[Line], Evidence]:
        """Return records from a position on, and what reading them has shown."""
        log = self.logs[place]
        end = len(log) if count is None else min(len(log), position + count)
        is_at_end = end == len(log)
        return log[position:end], Evidence(end, len(log), self.now() if is_at_end else None)

    async def beginnings(self, sources: Sequence[Place]) -> Mapping[Place, int]:
        """See SourceLog."""
        return dict.fromkeys(sources, 0)

    async def partitions(self, topic: str) -> int:
        """See SourceLog."""
        return sum(place[0] == topic for place in self.logs)


class LaneBench:
    """Store, log and topics, and whoever holds the lane at present."""

    def __init__(self, terms: Terms, start: Instant, *, tasks: Sequence[str] = ()) -> None:
        self.now = start
        self.terms = terms
        self.store = MemoryStore(terms.partitions, lambda: self.now)
        self.log = MemoryOutputLog()
        self.broker = Broker(lambda: self.now)
        self.metrics = Metrics()
        self.lost: list[int] = []
        self._tasks = tasks
        self._generation = 0
        self._keeper: asyncio.Task[None] | None = None
        self.holder: LaneHolder

    async def take(self) -> None:
        """Let a new worker take the lane, as after a rebalance; the one before knows nothing of it."""
        self._generation += 1
        self.holder = LaneHolder(LANE, self._generation, self._workshop(), self.lost.append)
        self._keeper = asyncio.create_task(self.holder.keep())
        await self.until_held()

    def _workshop(self) -> Workshop:
        return Workshop(
            terms=self.terms,
            services=Services(store=self.store.lanes, encoder=JsonEncoder(), recorder=self.metrics),
            output=self.log,
            clock=_Clock(self),
            decoder=JsonDecoder(),
            home_of=lambda _: LANE,
            sources=self.broker,  # type: ignore[arg-type]  # it answers what is asked of it
            tasks=self._tasks,
        )

    async def until_held(self) -> None:
        """Wait until the lane is held and runs."""
        async with asyncio.timeout(PATIENCE_S):
            while self.holder.lane is None or self.holder.condition is not LaneCondition.RUNNING:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def let_go(self) -> None:
        """End the present hold, cleanly."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def poll(self, counts: Mapping[str, int] | None = None, *, silent: Sequence[str] = ()) -> None:
        """Bring what is in the topics, at most `counts` records of each; nothing at all of the silent ones."""
        records, evidence = {}, {}
        for place, position in self.holder.intake().items():
            if place[0] in silent:
                continue
            found, shown = self.broker.read(place, position, None if counts is None else counts.get(place[0]))
            evidence[place] = shown
            if found:
                records[place] = found
        await self.holder.work(records, evidence, self.now)
        await self.holder.drain(PATIENCE_S)

    async def round(self) -> None:
        """Let the leader compute, and offer what is in force."""
        assert self.holder.lane is not None
        rule = self.terms.rulebook.value
        await Leader(self.store.board, self.holder.lane.token, self.terms.partitions, rule, self.metrics).round()
        self.holder.offered = await self.store.board.boundary()

    async def until_recovered(self) -> None:
        """Wait until the lane, whose store was put back, has found out and is held again."""
        async with asyncio.timeout(PATIENCE_S):
            while self.holder.lane is not None and not await self._is_known():
                await self.poll()
                await asyncio.sleep(0.005)
            await self.until_held()

    async def _is_known(self) -> bool:
        """Tell whether the token in hand is the stored one, at the stored version."""
        owner, state = await self.store.lanes.state(LANE)
        lane = self.holder.lane
        return lane is not None and owner == lane.token and state.version == lane.state.version

    def stage(self) -> tuple[Stage, MemoryForwarder]:
        """Return a repartition stage, and where it forwards to."""
        forwarder = MemoryForwarder()
        return Stage(
            terms=self.terms,
            decoder=JsonDecoder(),
            home_of=lambda _: LANE,
            forwarder=forwarder,
            tasks=self.store.tasks,
            recorder=self.metrics,
        ), forwarder

    def logged(self, output: Output) -> list[LoggedRecord]:
        """Return what the lane has said."""
        return self.log.records[output, LANE]

    def told(self, customer: str | None = None) -> list[dict[str, object]]:
        """Return the change-sets, of all or of one customer."""
        values = [json.loads(record.value or b"") for record in self.logged(Output.CHANGES)]
        return [value for value in values if customer in (None, value["customer_id"])]

    def moves(self, customer: str, dimension: str = "lifecycle") -> list[str | None]:
        """Return a customer's segments in the order they were told, the first `before` too."""
        moves = [
            (move["before"], move["after"])
            for told in self.told(customer)
            for move in told["changes"]  # type: ignore[attr-defined]
            if move["dimension"] == dimension
        ]
        for (_, after), (before, _) in pairwise(moves):
            assert after == before, moves
        return [moves[0][0], *(after for _, after in moves)] if moves else []


@dataclass
class _Clock:
    bench: LaneBench

    def now(self) -> Instant:
        return self.bench.now


class Forwarding:
    """A repartition task over one partition of a bench's topic, whose records land in the bench's own topic."""

    def __init__(self, bench: LaneBench, topic: str, partition: int) -> None:
        self._bench = bench
        self._stage, self._forwarder = bench.stage()
        self._place = (topic, partition)
        self._task = RepartitionTask(topic, partition, 0, self._stage)

    async def advance(self, count: int | None = None) -> None:
        """Forward some records, and tell the time where a second has passed."""
        records, evidence = self._bench.broker.read(self._place, self._task.position, count)
        await self._task.advance(records, evidence, self._bench.now)
        for forward in self._forwarder.records.pop(LANE, []):
            self._bench.broker.put_raw(self._bench.terms.rekeyed, LANE, forward.value, forward.headers)


def order(customer: str, number: int | str, at: Instant, amount: str = "10.00") -> dict[str, object]:
    """Return an order."""
    return {
        "type": "order.placed",
        "event_id": f"{customer}-{number}",
        "customer_id": customer,
        "order_id": f"{customer}-{number}",
        "occurred_at": rfc3339(at),
        "amount": amount,
        "currency": "EUR",
    }


def click(customer: str, number: int | str, at: Instant) -> dict[str, object]:
    """Return a click."""
    return {
        "type": "click",
        "event_id": f"{customer}-k{number}",
        "customer_id": customer,
        "occurred_at": rfc3339(at),
        "kind": "view",
    }
