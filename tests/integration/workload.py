"""What a test of the whole path needs of its own: topics, a group, a store, a clock, workers, and events to send."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from aiokafka import AIOKafkaProducer

from segmenter.adapters.home import home_of
from segmenter.adapters.redis_board import RedisBoard
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.instants import MILLISECOND, Instant, instant_of
from segmenter.domain.profile import Profile
from segmenter.ports import LaneState, Output
from tests.bench.process import Child
from tests.bench.topics import create_topics
from tests.integration.worker_process import SharedClock
from tests.oracle.jsonl import JsonEvent

INPUTS = ("orders", "clicks", "support", "customers")
OUTPUTS = ("rekeyed", "changes", "memberships", "rejected", "rulebook")
STOP_TIMEOUT_S = 20
TIMEOUTS = {"session_timeout": "6s", "heartbeat_interval": "1s", "rebalance_timeout": "8s", "request_timeout": "15s"}


@dataclass(kw_only=True)
class Site:
    """One installation: servers are shared with other tests, everything else is its own."""

    bootstrap: str
    redis_url: str
    unique: Callable[[str], str]
    directory: Path
    rules: str
    """The rulebook, as YAML."""
    partitions: int = 8
    keyed: Mapping[str, str] = field(default_factory=dict)
    """By input topic; `customer` where it is not named."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Partitions of input topics that have another number of them."""
    max_silence: Mapping[str, str] = field(default_factory=dict)
    """By input topic; `off` where it is not named, as most tests move their clock by days."""
    settings: Mapping[str, object] = field(default_factory=dict)
    workers_bootstrap: str | None = None
    """The address under which workers find Kafka, where it is not ours."""
    workers: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = SharedClock(self.directory / "clock")
        # Months pass in seconds here: what would be a storm is everyday.
        storm = "" if "storm:" in self.rules else "storm: off\n"
        (self.directory / "rulebook.yaml").write_text(f"rulebook: 1\n{self.rules}{storm}")

    @property
    def rulebook(self) -> Path:
        """The file with the rules."""
        return self.directory / "rulebook.yaml"

    def topic(self, role: str) -> str:
        """Return this installation's name of a topic."""
        return self.unique(role)

    def outputs(self) -> dict[Output, str]:
        """Return the topics on which lanes speak."""
        return {output: self.topic(output.value) for output in Output}

    async def make_topics(self) -> None:
        """Create all topics."""
        counts = {self.topic(role): self.counts.get(role, self.partitions) for role in (*INPUTS, *OUTPUTS)}
        await create_topics(self.bootstrap, counts)

    def start_worker(self, **own: object) -> Child:
        """Start one more worker, with settings of its own; `stop_workers` ends it."""
        number = len(self.workers)
        worker = Child(
            [
                sys.executable,
                "-m",
                "tests.integration.worker_process",
                json.dumps({**self._worker_settings(), **own}),
                str(self.directory / "clock"),
            ],
            log=self.directory / f"worker-{number}.log",
        )
        self.workers.append(worker)
        return worker

    def _worker_settings(self) -> dict[str, object]:
        topics: dict[str, object] = {role: {"name": self.topic(role)} for role in OUTPUTS}
        for role in INPUTS:
            topics[role] = {
                "name": self.topic(role),
                "keyed": self.keyed.get(role, "customer"),
                "max_silence": self.max_silence.get(role, "off"),
            }
        return {
            "kafka_bootstrap": self.workers_bootstrap or self.bootstrap,
            "redis_url": self.redis_url,
            "app_id": self.unique("app"),
            "partitions": self.partitions,
            "rulebook": str(self.rulebook),
            "web_bind": "127.0.0.1:0",
            "topics": topics,
            **TIMEOUTS,
            **self.settings,
        }

    def stop_workers(self) -> None:
        """End all workers cleanly, together: one signal each, for the second would cut them short."""
        running = [worker for worker in self.workers if worker.exit_code is None]
        for worker in running:
            worker.resume()
            os.kill(worker.pid, signal.SIGTERM)
        for worker in running:
            try:
                worker.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                worker.kill()

    def troubles(self) -> str:
        """Return what the workers warned of, for a failure's report."""
        lines = [f"{w.log.name}: {line}" for w in self.workers for line in w.output().splitlines()]
        return "\n".join(line for line in lines if "WARN" in line or "ERROR" in line or "Error" in line)

    @asynccontextmanager
    async def lanes(self) -> AsyncIterator["Lanes"]:
        """Give a look at what is stored."""
        client = connect(self.redis_url)
        try:
            board = RedisBoard(client, "seg", self.partitions)
            yield Lanes(RedisLaneStore(client, "seg"), board, self.partitions)
        finally:
            await client.aclose()


@dataclass(frozen=True)
class Lanes:
    """What the store holds of an installation."""

    store: RedisLaneStore
    board: RedisBoard
    partitions: int

    async def states(self) -> list[LaneState]:
        """Return the state of every lane."""
        return [state for _, state in [await self.store.state(lane) for lane in range(self.partitions)]]

    async def owners(self) -> list[str]:
        """Return who owns each lane, by the process's nonce."""
        tokens = [token for token, _ in [await self.store.state(lane) for lane in range(self.partitions)]]
        return ["" if token is None else token.nonce.partition("-")[0] for token in tokens]

    async def profiles(self, customers: Iterable[str]) -> dict[str, Profile | None]:
        """Return profiles from their home lanes."""
        by_lane: dict[int, list[str]] = {}
        for customer in customers:
            by_lane.setdefault(home_of(customer, self.partitions), []).append(customer)
        found: dict[str, Profile | None] = {}
        for lane, names in by_lane.items():
            await self.store.state(lane)
            found.update(zip(names, await self.store.load(lane, names), strict=True))
        return found

    async def until_settled(self, watermark: Instant, timeout_s: float) -> None:
        """Wait until every lane is live, has come to this time, and has published all it had to say."""
        began = time.monotonic()
        await self.until(lambda states: all(_is_settled(state, watermark) for state in states), timeout_s)
        # A lane that is behind comes to a time before it has played all deadlines up to it.
        if await self._is_due(watermark):
            await asyncio.sleep(0.2)
            await self.until_settled(watermark, timeout_s - (time.monotonic() - began))

    async def _is_due(self, watermark: Instant) -> bool:
        """Tell whether any lane has a deadline left up to this time."""
        dues = [await self.store.next_due(lane) for lane in range(self.partitions)]
        return any(due is not None and due <= watermark for due in dues)

    async def until_at_rest(self, watermark: Instant, timeout_s: float) -> None:
        """Wait until all is settled and classes are those of a full sort: nothing has moved for three rounds."""
        resting, since = await self._ranking(), time.monotonic()

        async def has_rested() -> bool:
            nonlocal resting, since
            await self.until_settled(watermark, timeout_s)
            if (found := await self._ranking()) != resting:
                resting, since = found, time.monotonic()
            return time.monotonic() - since > 3

        async with asyncio.timeout(timeout_s):
            while not await has_rested():  # noqa: ASYNC110  # others write it
                await asyncio.sleep(0.2)

    async def _ranking(self) -> list[object]:
        """Return all that moves as long as classes do."""
        boundary = await self.board.boundary()
        notes = [state.notes for state in await self.states()]
        adopted = [note.boundary.content if note.boundary is not None else None for note in notes]
        return [boundary, [note.rank_version for note in notes], adopted, [note.sweep for note in notes]]

    async def until(self, is_true: Callable[[Sequence[LaneState]], bool], timeout_s: float) -> None:
        """Wait until something holds of the lanes. Raises AssertionError that shows them."""
        states: Sequence[LaneState] = []
        try:
            async with asyncio.timeout(timeout_s):
                while not (states := await self.states()) or not is_true(states):  # noqa: ASYNC110  # others write it
                    await asyncio.sleep(0.2)
        except TimeoutError:
            shown = "\n".join(map(_shown, states))
            raise AssertionError(f"lanes did not come there within {timeout_s} s:\n{shown}") from None


def _is_settled(state: LaneState, watermark: Instant) -> bool:
    notes = state.notes
    is_published = all(state.published[output] == state.next_seq[output] - 1 for output in Output)
    is_at_rest = notes.sweep is None and not notes.recover_upto and notes.is_live
    return notes.watermark >= watermark and is_at_rest and is_published


def _shown(state: LaneState) -> str:
    notes = state.notes
    return (
        f"lane {state.lane} version {state.version} watermark {notes.watermark} live {notes.is_live} "
        f"sweep {notes.sweep} recovering {dict(notes.recover_upto)} next {dict(state.next_seq)} "
        f"published {dict(state.published)} positions {dict(state.positions)}"
    )


def until_ready(workers: Iterable[Child], timeout_s: float = 30) -> None:
    """Wait until each of these processes has started its stream."""
    for worker in workers:
        worker.wait_until_it_says("worker_started", timeout_s)


async def until_shared(lanes: Lanes, workers: int, timeout_s: float = 40) -> None:
    """Wait until this many processes own all lanes between them."""

    async def is_shared() -> bool:
        owners = set(await lanes.owners())
        return "" not in owners and len(owners) == workers

    async with asyncio.timeout(timeout_s):
        while not await is_shared():  # noqa: ASYNC110  # what is waited for is in other processes
            await asyncio.sleep(0.1)


def at_of(event: JsonEvent) -> Instant:
    """Return when an event happened."""
    return instant_of(datetime.fromisoformat(event["occurred_at"]))


class Shop:
    """Sends events as a shop does that keys them by customer with the default partitioner of Java."""

    def __init__(self, site: Site) -> None:
        self._site = site
        # What a broker that dies had acknowledged alone would be lost, and a retry would change the order.
        self._producer = AIOKafkaProducer(
            bootstrap_servers=site.bootstrap, linger_ms=5, max_batch_size=262_144, enable_idempotence=True
        )

    async def __aenter__(self) -> "Shop":
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def send(
        self,
        events: Iterable[JsonEvent],
        *,
        role: str = "orders",
        key: Callable[[JsonEvent], str] = lambda event: event["customer_id"],
        partition: Callable[[JsonEvent], int] | None = None,
    ) -> None:
        """Send events in this order, and return when all are in the log; records carry the events' times."""
        topic = self._site.topic(role)
        for event in events:
            await self._producer.send(
                topic,
                json.dumps(event, separators=(",", ":")).encode(),
                key=key(event).encode(),
                partition=None if partition is None else partition(event),
                timestamp_ms=at_of(event) // MILLISECOND,
            )
        await self._producer.flush()

    async def send_live(
        self,
        events: Sequence[JsonEvent],
        now: Callable[[], Instant],
        *,
        role: str = "orders",
        partition: Callable[[JsonEvent], int] | None = None,
    ) -> None:
        """Send each event when its time has come, by this clock."""
        sent = 0
        while sent < len(events):
            present = now()
            until = sent
            while until < len(events) and at_of(events[until]) <= present:
                until += 1
            if until > sent:
                await self.send(events[sent:until], role=role, partition=partition)
                sent = until
            else:
                await asyncio.sleep(0.02)
