"""A world: two servers, a group, workers that die and come back, and the plan that befalls them all."""

import asyncio
import random
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from typing import Any

from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.memory_lanes import Lane, new_state
from segmenter.domain.instants import MILLISECOND, SECOND, Instant
from segmenter.engine.intake import LaneCondition
from segmenter.errors import OwnershipError
from tests.simulation import acts as planned
from tests.simulation.broker import Broker
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.group import Coordinator
from tests.simulation.loop import Process, SimulatedLoop, begin
from tests.simulation.network import Network, Server, Strike
from tests.simulation.redis import SimulatedRedis
from tests.simulation.rules import EPOCH, LANE_TOPICS, PARTITIONS, REKEYED, TOPIC_BY_OUTPUT, Kind, mail_places
from tests.simulation.shop import Written
from tests.simulation.watch import Silence, Watch
from tests.simulation.worker import Parts, Worker

SUPERVISED_EVERY_S = 0.25
BACK_AFTER_S = 1.0


@dataclass(slots=True)
class _Slot:
    """A place for a worker: who is in it, and when the next one comes."""

    worker: Worker | None = None
    back_at_s: float = 0.0


class WorldClock:
    """The time of the loop, as an instant."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> Instant:
        """Return the instant it is."""
        return EPOCH + int(self._loop.time() * SECOND)


@dataclass(frozen=True, slots=True)
class Placed:
    """A record the shop has written, and where it lies."""

    record: Written
    offset: int
    at: Instant


@dataclass(slots=True)
class World:
    """Everything that outlives a worker. Made inside its loop."""

    plan: planned.Plan
    parts: Parts
    loop: SimulatedLoop
    network: Network = field(init=False)
    clock: WorldClock = field(init=False)
    redis: SimulatedRedis = field(init=False)
    cluster: SimulatedCluster = field(init=False)
    group: Coordinator = field(init=False)
    placed: list[Placed] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    slots: list[_Slot] = field(default_factory=list)
    graveyard: list[Any] = field(default_factory=list)
    """Tasks of the dead: were they collected, their `finally` would run."""
    started: int = 0
    slept_s: float = 0.0
    servers: dict[str, Server] = field(default_factory=dict)
    kept_back: dict[str, list[Written]] = field(default_factory=dict)
    """What was to be written to topics that are silent."""
    is_store_full: bool = False
    watch: Watch = field(default_factory=Watch)
    _outside: Context = field(init=False)
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        seed = self.plan.seed
        self._outside = begin(None, copy_context)
        self._dice = random.Random(f"{seed} world")
        self.clock = WorldClock(self.loop)
        self.network = Network(seed)
        self.servers = {name: Server(name, self.plan.rate) for name in (planned.REDIS, planned.KAFKA)}
        store = MemoryStore(PARTITIONS, now=self.clock.now)
        if self.plan.rules.kind is Kind.EXACT:
            _have_lived(store)
        self.redis = SimulatedRedis(store, self.network, self.servers[planned.REDIS])
        broker = Broker(lambda: self.clock.now() // MILLISECOND, self.later)
        broker.marker_delay_s = lambda: self._dice.choice((0.001, 0.003, 0.05, 0.4))
        self.cluster = SimulatedCluster(broker, self.network, self.servers[planned.KAFKA])
        self.group = Coordinator(
            dice=random.Random(f"{seed} group"),
            now_s=self.loop.time,
            later=self.later,
            lane_topics=LANE_TOPICS,
            lanes=PARTITIONS,
            others=mail_places(),
        )
        self.slots = [_Slot() for _ in range(self.plan.workers)]

    def later(self, seconds: float, call: Any) -> object:
        """Have a server do something by itself, whoever asked for it."""
        return self.loop.call_later(seconds, call, context=self._outside)

    # ---- the story

    async def play(self) -> None:
        """Let everything befall that is planned."""
        self.supervise()
        for item in self.plan.acts:
            await self._until(item.at_s + self.slept_s)
            await self._befall(item.act)

    async def calm(self) -> None:
        """End all trouble: servers answer, the frozen wake up, and somebody is there to work."""
        for server in self.servers.values():
            server.rate, server.is_away = 0.0, False
            server.cut_from.clear()
        self.network.strikes.clear()
        self.cluster.muted.clear()
        self.cluster.deposed.clear()
        self._accept_again()
        self._make_room()
        for topic in list(self.kept_back):
            self._speak_again(topic)
        for slot in self.slots:
            if slot.worker is not None and slot.worker.process.is_frozen:
                self.loop.thaw(slot.worker.process)
            slot.back_at_s = min(slot.back_at_s, self.loop.time() + BACK_AFTER_S)

    async def _until(self, at_s: float) -> None:
        while self.loop.time() < at_s:
            pause_s = SUPERVISED_EVERY_S
            if all(slot.worker is None for slot in self.slots):
                pause_s = max(pause_s, min(slot.back_at_s for slot in self.slots) - self.loop.time())
            await asyncio.sleep(min(pause_s, at_s - self.loop.time()))
            self.supervise()

    def supervise(self) -> None:
        """Start what is not there and is due."""
        for number, slot in enumerate(self.slots):
            worker = slot.worker
            if worker is not None and (worker.process.is_dead or worker.has_ended or worker.life.done()):
                self._let_go(slot, worker)
            if slot.worker is None and self.loop.time() >= slot.back_at_s:
                self.started += 1
                slot.worker = Worker(self, f"w{self.started} in {number}", self.parts)

    def _let_go(self, slot: _Slot, worker: Worker) -> None:
        slot.worker = None
        slot.back_at_s = max(slot.back_at_s, self.loop.time() + BACK_AFTER_S)
        self.note(worker)

    def note(self, worker: Worker) -> None:
        """Remember what a worker should not have come to."""
        self.faults += [f"{worker.name}: {fault}" for fault in worker.consumer.faults]
        worker.consumer.faults.clear()
        if worker.life.done() and not worker.life.cancelled() and (error := worker.life.exception()):
            self.faults.append(f"{worker.name} failed: {error!r}")
        if worker.error is not None and not isinstance(worker.error, OwnershipError):
            self.faults.append(f"{worker.name} ended itself: {worker.error!r}")
        if worker.engine is not None:
            status = worker.engine.status()
            stopped = [lane for lane, condition in status.lanes.items() if condition is LaneCondition.STOPPED]
            self.faults += [f"{worker.name}: lane {lane} stopped: {status.reasons.get(lane)}" for lane in stopped]

    def _bury(self, process: Process) -> None:
        """Kill a process between two of its steps."""
        process.is_dead = True
        self.graveyard += asyncio.all_tasks(self.loop)

    # ---- what befalls

    async def _befall(self, act: planned.Act) -> None:
        match act:
            case planned.Write(record=record):
                self.write(record)
            case planned.Kill() | planned.StrikeAt() | planned.Stop() | planned.Freeze() | planned.Cut():
                worker = self.slots[act.slot].worker
                if worker is not None and not worker.process.is_dead:
                    self._befall_worker(act, self.slots[act.slot], worker)
            case planned.Away(server=name, seconds=seconds):
                self._go_away(self.servers[name], seconds)
            case planned.Shuffle():
                self.group.shuffle()
            case planned.Keep():
                self.redis.keep()
            case planned.PutBack(seconds=seconds):
                self._go_away(self.redis.server, seconds)
                self.redis.put_back()
            case planned.Night(seconds=seconds):
                self._send_all_away(seconds)
                self.slept_s += seconds
            case planned.Absence(seconds=seconds):
                self._send_all_away(seconds)
            case _:
                self._befall_kafka(act)

    def _befall_worker(self, act: planned.Act, slot: _Slot, worker: Worker) -> None:
        match act:
            case planned.Kill(back_after_s=seconds):
                self._bury(worker.process)
                slot.back_at_s = self.loop.time() + seconds
            case planned.StrikeAt():
                self._threaten(act, worker.process)
            case planned.Stop(back_after_s=seconds):
                worker.stop()
                slot.back_at_s = self.loop.time() + seconds
            case planned.Freeze(seconds=seconds):
                self._freeze(worker.process, seconds)
            case planned.Cut(server=name, seconds=seconds):
                server = self.servers[name]
                server.cut_from.add(worker.name)
                self.later(seconds, lambda: server.cut_from.discard(worker.name))

    def _threaten(self, act: planned.StrikeAt, process: Process) -> None:
        def fell() -> None:
            if act.frozen_s is None:
                self._bury(process)
            else:
                self._freeze(process, act.frozen_s)

        strikes = self.network.strikes.setdefault(process.name, [])
        strikes.append(Strike(act.call, act.count, act.request, fell))

    def _freeze(self, process: Process, seconds: float) -> None:
        process.is_frozen = True
        self.later(seconds, lambda: self.loop.thaw(process))

    def _go_away(self, server: Server, seconds: float) -> None:
        server.is_away = True
        until_s = self.loop.time() + seconds

        def come_back() -> None:
            if self.loop.time() >= until_s - 1e-3:
                server.is_away = False

        self.later(seconds, come_back)

    def _befall_kafka(self, act: planned.Act) -> None:
        match act:
            case planned.Mute(place=place, seconds=seconds):
                self.cluster.muted.add(place)
                self.later(seconds, lambda: self.cluster.muted.discard(place))
            case planned.FallSilent(topic=topic, seconds=seconds):
                self.kept_back.setdefault(topic, [])
                self.watch.silences.append(Silence(topic, self.clock.now(), self.clock.now() + int(seconds * SECOND)))
                self.later(seconds, lambda: self._speak_again(topic))
            case planned.Depose(slot=slot, seconds=seconds):
                worker = self.slots[slot].worker
                if worker is not None:
                    self.cluster.depose(worker.name)
                    self.later(seconds, lambda: self.cluster.deposed.pop(worker.name, None))
            case planned.RefuseOutput(seconds=seconds):
                self.cluster.refused = frozenset({*TOPIC_BY_OUTPUT.values(), REKEYED})
                self.watch.begin_refusal(self)
                self.later(seconds, self._accept_again)

            case planned.FillStore(seconds=seconds):
                self.is_store_full = True
                self.later(seconds, self._make_room)

    def _make_room(self) -> None:
        self.is_store_full = False

    def _speak_again(self, topic: str) -> None:
        for record in self.kept_back.pop(topic, ()):
            self.write(record)

    def _accept_again(self) -> None:
        if self.cluster.refused:
            self.cluster.refused = frozenset()
            self.watch.end_refusal(self)

    def _send_all_away(self, seconds: float) -> None:
        """Let nobody be there for a while."""
        for slot in self.slots:
            if slot.worker is not None:
                self._bury(slot.worker.process)
                self._let_go(slot, slot.worker)
            slot.back_at_s = self.loop.time() + seconds

    def write(self, record: Written) -> None:
        """Write a record of the shop, or keep it while what feeds its topic is dead."""
        if record.place[0] in self.kept_back:
            self.kept_back[record.place[0]].append(record)
            return
        log = self.cluster.broker.log(*record.place)
        self.placed.append(Placed(record, log.end, self.clock.now()))
        log.append([(record.key, record.value, ())], self.clock.now() // MILLISECOND)


def _have_lived(store: MemoryStore) -> None:
    """Make every lane one that was live yesterday: a new one settles by its watermark until it has caught up once."""
    for lane in range(PARTITIONS):
        state = new_state(lane, PARTITIONS)
        store._world.lanes[lane] = Lane(state=replace(state, notes=replace(state.notes, is_live=True)))
