"""A worker process in a world: the product's engine, put together as in the wiring, on simulated servers."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segmenter.adapters.home import home_of
from segmenter.adapters.kafka_forward import KafkaForwarder
from segmenter.adapters.kafka_log import KafkaOutputLog
from segmenter.adapters.records import JsonEncoder
from segmenter.engine.ear import Ear, OpenEar
from segmenter.engine.ending import end
from segmenter.engine.lane import Services
from segmenter.engine.repartition import Stage
from segmenter.engine.worker import Engine
from segmenter.engine.workshop import Workshop
from segmenter.errors import TransientError
from segmenter.ports import Forwarder, OutputLog
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.consumer import Consumer, Laxness, Ownership
from tests.simulation.decoding import DECODER
from tests.simulation.loop import Process, begin
from tests.simulation.network import UnansweredError
from tests.simulation.recorder import Silence
from tests.simulation.rules import MAIL, MAILS, PARTITIONS, REKEYED, TOPIC_BY_OUTPUT
from tests.simulation.watch import LanesWitness
from tests.simulation.witness import Witness

if TYPE_CHECKING:
    from tests.simulation.world import World

APP = "app"


def home(home_id: str) -> int:
    """Return where a customer is at home."""
    return home_of(home_id, PARTITIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a worker is made of: the product's own parts, but where a sabotage puts in one that lacks a guard."""

    engine: type[Engine] = Engine
    workshop: type[Workshop] = Workshop
    output: Callable[[SimulatedCluster], OutputLog] = lambda cluster: KafkaOutputLog(cluster, APP, TOPIC_BY_OUTPUT)
    forwarder: Callable[[SimulatedCluster], Forwarder] = lambda cluster: KafkaForwarder(cluster, REKEYED)
    store: Callable[[Any], Any] = lambda lanes: lanes
    tasks: Callable[[Any], Any] = lambda tasks: tasks
    board: Callable[[Any], Any] = lambda board: board
    ear: Callable[..., OpenEar] = Ear
    laxness: Laxness = field(default_factory=Laxness)


class Beginnings:
    """See the port SourceLog."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster

    async def beginnings(self, sources: Any) -> dict[Any, int]:
        """Return 0 for each: nothing is ever deleted here."""
        try:
            found: dict[Any, int] = await self._cluster.ask("beginnings", lambda: dict.fromkeys(sources, 0))
        except UnansweredError as error:
            raise TransientError(str(error)) from error
        return found

    async def partitions(self, topic: str) -> int:
        """Return the partition count."""
        return MAILS if topic == MAIL else PARTITIONS


class Worker:
    """A process with an engine and a place in the group."""

    def __init__(self, world: "World", name: str, parts: Parts) -> None:
        self.process = Process(name)
        self.name = name
        self.engine: Engine | None = None
        self.has_ended = False
        self.error: BaseException | None = None
        self._stop = asyncio.Event()
        self._world = world
        self._parts = parts
        self._ownership = Ownership()
        dice = random.Random(f"{world.plan.seed} consumer {name}")
        self.consumer = Consumer(world.cluster, world.group, self._ownership, world.clock, dice)
        self.consumer.laxness = parts.laxness
        self.consumer.reads = world.plan.reads
        self.life = begin(self.process, lambda: asyncio.get_running_loop().create_task(self._live(), name=name))

    def stop(self) -> None:
        """Ask it to end."""
        self._stop.set()

    async def _live(self) -> None:
        engine = self.engine = self._engine()
        self.consumer.engine = engine
        await engine.start()
        consuming = asyncio.create_task(self.consumer.run(), name="consumer")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait([consuming, stopping, engine.fatal], return_when=asyncio.FIRST_COMPLETED)
        if consuming.done():
            self.consumer.faults.append(f"the consumer ended: {consuming.exception()!r}")
        await self.consumer.halt()
        for task in (consuming, stopping):
            await end(task)
        await engine.stop()
        if engine.fatal.done():
            self.error = engine.fatal.exception()
        self.has_ended = True

    def _engine(self) -> Engine:
        world, parts, terms, decoder = self._world, self._parts, self._world.plan.rules.terms, DECODER
        recorder, remote = Silence(), world.redis.remote
        store = world.redis.store
        ear = parts.ear(terms, remote(store.sources), recorder) if terms.max_silence else OpenEar()
        stage = Stage(
            terms=terms,
            decoder=decoder,
            home_of=home,
            forwarder=parts.forwarder(world.cluster),
            tasks=remote(parts.tasks(store.tasks)),
            recorder=recorder,
            ear=ear,
        )
        lanes = LanesWitness(parts.store(store.lanes), world)
        workshop = parts.workshop(
            terms=terms,
            services=Services(store=remote(lanes), encoder=JsonEncoder(), recorder=recorder),
            output=parts.output(world.cluster),
            clock=world.clock,
            decoder=decoder,
            home_of=home,
            sources=Beginnings(world.cluster),
            tasks=[f"{MAIL}/{number}" for number in range(MAILS)] if terms.others else [],
            process=self.name,
            ear=ear,
        )
        return parts.engine(workshop, stage, remote(Witness(parts.board(store.board), world)), self._ownership)
