"""One run under way: its installation, its workers by name, and the servers that faults are done to."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from redis.crc import key_slot

from segmenter.adapters.keys import LaneKeys
from tests.bench.process import Child
from tests.bench.topics import create_topics
from tests.chaos.servers import Servers
from tests.integration.workload import INPUTS, OUTPUTS, Site

READY_TIMEOUT_S = 40


class ChaosSite(Site):
    """An installation whose changes carry the time at which the broker appended them."""

    async def make_topics(self) -> None:
        """Create all topics."""
        counts = {self.topic(role): self.counts.get(role, self.partitions) for role in (*INPUTS, *OUTPUTS)}
        changes = self.topic("changes")
        await create_topics(
            self.bootstrap, {changes: counts.pop(changes)}, {"message.timestamp.type": "LogAppendTime"}
        )
        await create_topics(self.bootstrap, counts)


@dataclass(slots=True)
class Scene:
    """What faults act on. `workers` are those that should be running, by name."""

    site: ChaosSite
    servers: Servers
    rng: random.Random
    is_static: bool
    workers: dict[str, Child] = field(default_factory=dict)
    struck_at: float = 0.0

    def strike(self) -> None:
        """Note that the fault happens now: recovery counts from here."""
        self.struck_at = time.time()

    def start(self, name: str) -> Child:
        """Start a worker, or start it anew, and do not wait for it."""
        own: dict[str, object] = {"group_instance_id": name} if self.is_static else {}
        self.workers[name] = self.site.start_worker(**own)
        return self.workers[name]

    async def ready(self, worker: Child) -> None:
        """Wait until a worker has started its stream."""
        await in_thread(worker.wait_until_it_says, "worker_started", READY_TIMEOUT_S)

    def draw(self) -> tuple[str, Child]:
        """Return one of the workers."""
        name = self.rng.choice(sorted(self.workers))
        return name, self.workers[name]

    def slots(self) -> list[int]:
        """Return the slot of each lane."""
        return [key_slot(LaneKeys("seg", lane).lane.encode()) for lane in range(self.site.partitions)]


def in_thread(work: Callable[..., Any], *args: Any) -> Coroutine[Any, Any, Any]:
    """Do what blocks beside the loop, which sells meanwhile."""
    return asyncio.to_thread(work, *args)
