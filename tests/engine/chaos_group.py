"""Workers that share lanes, lose them, freeze, die and are started again, over one store and one log in memory."""

import asyncio
import json
import random
from collections.abc import Awaitable, Collection
from dataclasses import dataclass, field

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.home import home_of
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.memory_log import MemoryOutputLog
from segmenter.adapters.records import JsonEncoder
from segmenter.domain.instants import SECOND, Instant
from segmenter.domain.profile import Profile
from segmenter.engine.intake import Evidence, LaneCondition, Place, Poll
from segmenter.engine.lane import Services
from segmenter.engine.repartition import Stage
from segmenter.engine.worker import Engine
from segmenter.engine.workshop import Workshop
from segmenter.errors import OwnershipError
from segmenter.observability import Metrics
from tests.engine.chaos_ports import Trouble, Troubled, TroubledForwarder, TroubledOutput
from tests.engine.chaos_shop import MAIL, OTHER_PARTITIONS, PARTITIONS, Rules, Said, all_places
from tests.engine.chaos_time import PROCESS, Processes
from tests.engine.memory_worker import Broker

EPOCH: Instant = 1_767_225_600 * SECOND


class LoopClock:
    """The time of the loop, as an instant."""

    def now(self) -> Instant:
        return EPOCH + int(asyncio.get_running_loop().time() * SECOND)


@dataclass(slots=True)
class Worker:
    """A process with an engine, a place in the group, and troubles of its own."""

    name: str
    engine: Engine
    trouble: Trouble
    generation: int = 0
    places: frozenset[Place] = frozenset()
    is_deaf: bool = False
    """It is not told of rebalances: it goes on with what it had, as a stalled process does when it wakes."""
    lanes: frozenset[int] = frozenset()
    has_asked: bool = False
    polling: asyncio.Task[None] | None = None

    async def rejoin(self) -> None:
        """See the port LaneOwnership."""
        self.has_asked = True


@dataclass(kw_only=True)
class World:
    """Everything that outlives a worker, and the group coordinator."""

    rules: Rules
    dice: random.Random
    processes: Processes
    rate: float
    pause: float = 1.0
    """How much longer than usual everybody waits between two polls."""
    clock: LoopClock = field(default_factory=LoopClock)
    workers: list[Worker] = field(default_factory=list)
    generation: int = 0
    started: int = 0
    deaths: int = 0
    stopped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = MemoryStore(PARTITIONS, now=self.clock.now)
        self.output = MemoryOutputLog()
        self.broker = Broker(self.clock)  # type: ignore[arg-type]  # it asks for the time and nothing else
        self.metrics = Metrics()
        self.told: list[Said] = []

    def write(self, place: Place, said: Said) -> None:
        """Let the shop tell something."""
        self.told.append(said)
        self.broker.write(place, json.dumps(said).encode(), key=b"any" if place[0] == MAIL else None)

    async def start_worker(self) -> None:
        """Start a process; it gets its part at the next rebalance."""
        self.started += 1
        name = f"worker {self.started}"
        trouble = Trouble(random.Random(self.dice.random()), self.rate)
        PROCESS.set(name)
        worker = Worker(name, self._engine(name, trouble), trouble)
        worker.engine._ownership = worker  # type: ignore[assignment]
        await worker.engine.start()
        worker.polling = asyncio.create_task(self._live(worker), name=name)
        PROCESS.set("driver")
        self.workers.append(worker)

    def _engine(self, name: str, trouble: Trouble) -> Engine:
        terms, decoder = self.rules.terms, JsonDecoder()
        stage = Stage(
            terms=terms,
            decoder=decoder,
            home_of=lambda home_id: home_of(home_id, PARTITIONS),
            forwarder=TroubledForwarder(self.broker, trouble),
            tasks=Troubled(self.store.tasks, trouble),  # type: ignore[arg-type]
            recorder=self.metrics,
        )
        workshop = Workshop(
            terms=terms,
            services=Services(
                store=Troubled(self.store.lanes, trouble),  # type: ignore[arg-type]
                encoder=JsonEncoder(),
                recorder=self.metrics,
            ),
            output=TroubledOutput(self.output, trouble),
            clock=self.clock,
            decoder=decoder,
            home_of=stage.home_of,
            sources=Troubled(self.broker, trouble),  # type: ignore[arg-type]
            tasks=[f"{MAIL}/{number}" for number in range(OTHER_PARTITIONS)],
            process=name,
        )
        board = Troubled(self.store.board, trouble)
        return Engine(workshop, stage, board, None)  # type: ignore[arg-type]

    async def _live(self, worker: Worker) -> None:
        """Poll for ever, each poll a while after its request."""
        dice = worker.trouble.dice
        while True:
            await asyncio.sleep(self.pause * dice.choice([0.02, 0.1, 0.6]))
            begun, asked_at = worker.engine.intake(), self.clock.now()
            begun = {place: offset for place, offset in begun.items() if place in worker.places}
            await asyncio.sleep(dice.choice([0, 0.05]))
            await worker.engine.take(self._poll(worker, begun, asked_at))

    def _poll(self, worker: Worker, begun: dict[Place, int], asked_at: Instant) -> Poll:
        records, evidence = {}, {}
        for place, start in begun.items():
            log = self.broker.logs[place]
            end = max(start, min(len(log), start + worker.trouble.dice.choice([1, 5, 1_000])))
            is_at_end = end == len(log)
            evidence[place] = Evidence(end, len(log), asked_at if is_at_end else None)
            if end > start:
                records[place] = log[start:end]
        return Poll(worker.generation, records, evidence, begun)

    # ---- what befalls the group

    async def rebalance(self) -> None:
        """Give all partitions anew to those that hear it."""
        hearing = [worker for worker in self.workers if not worker.is_deaf]
        if not hearing:
            return
        self.generation += 1
        for worker in hearing:
            await self._as(worker, worker.engine.revoked())
        parts = self._parts(len(hearing))
        for worker, part in zip(hearing, parts, strict=True):
            worker.generation, worker.places, worker.has_asked = self.generation, part, False
            worker.lanes = frozenset(number for topic, number in part if topic == "orders")
        for worker in hearing:
            await self._as(worker, worker.engine.assigned(worker.generation, worker.places))

    async def _as(self, worker: Worker, call: Awaitable[None]) -> None:
        PROCESS.set(worker.name)
        try:
            await call
        finally:
            PROCESS.set("driver")

    def _parts(self, count: int) -> list[frozenset[Place]]:
        """Lanes stay whole, as with co-partitioned topics; the rest goes anywhere."""
        owner_of_lane = [self.dice.randrange(count) for _ in range(PARTITIONS)]
        parts: list[set[Place]] = [set() for _ in range(count)]
        for place in all_places(self.rules.terms):
            owner = self.dice.randrange(count) if place[0] == MAIL else owner_of_lane[place[1]]
            parts[owner].add(place)
        return [frozenset(part) for part in parts]

    async def kill(self, worker: Worker) -> None:
        """End a process where it stands."""
        worker.trouble.is_dead = True
        self.workers.remove(worker)
        self._note_end(worker)
        await self.processes.kill(worker.name)

    def _note_end(self, worker: Worker) -> None:
        self.deaths += 1
        status = worker.engine.status()
        for lane, condition in status.lanes.items():
            if condition is LaneCondition.STOPPED:
                self.stopped.append(status.reasons[lane])

    async def supervise(self) -> None:
        """Start again what has ended itself, and rebalance where a worker asked for it."""
        ended = [worker for worker in self.workers if worker.engine.fatal.done()]
        for worker in ended:
            error = worker.engine.fatal.exception()
            assert isinstance(error, OwnershipError), repr(error)
            await self.kill(worker)
            await self.start_worker()
        if ended or any(worker.has_asked and not worker.is_deaf for worker in self.workers):
            await self.rebalance()

    async def all_profiles(self, customers: Collection[str]) -> dict[str, Profile]:
        """Return who is stored in which lane."""
        found: dict[str, Profile] = {}
        for lane in range(PARTITIONS):
            for customer, profile in zip(customers, await self.store.lanes.load(lane, list(customers)), strict=True):
                if profile is not None:
                    assert customer not in found, f"{customer} lives in two lanes"
                    found[customer] = profile
        return found
