"""What can go wrong, each as it does in earnest. A fault is over when all that it took away is there again.

Each calls `scene.strike()` at the moment from which recovery counts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.bench.redis_sets import RedisNode, until
from tests.chaos.scene import Scene, in_thread
from tests.chaos.servers import Topology

# Longer than the session of 6 s, so that its lanes are given away while a worker is frozen.
FROZEN_S = 9.0
BROKER_DOWN_S = 4.0
LOST_S = 0.8


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of trouble."""

    name: str
    happen: Callable[[Scene], Awaitable[None]]
    rewinds: bool = False
    """Redis may come back without what it had acknowledged last."""
    delays_events: bool = False
    fits_static: bool = True


async def kill_worker(scene: Scene) -> None:
    """A worker dies without a word, and is started again by whoever watches over it."""
    name, worker = scene.draw()
    scene.strike()
    worker.kill()
    await asyncio.sleep(scene.rng.uniform(0, 1.5))
    await scene.ready(scene.start(name))


async def kill_named_worker(scene: Scene) -> None:
    """The same with a name of its own in the group: it comes back before anybody misses it."""
    name, worker = scene.draw()
    scene.strike()
    worker.kill()
    await scene.ready(scene.start(name))


async def stop_worker(scene: Scene) -> None:
    """A worker is stopped as in a deployment, and started again."""
    name, worker = scene.draw()
    scene.strike()
    await in_thread(worker.stop)
    await scene.ready(scene.start(name))


async def freeze_worker(scene: Scene) -> None:
    """A worker is frozen past its session, and wakes up believing that its lanes are still its own."""
    _, worker = scene.draw()
    scene.strike()
    worker.pause()
    await asyncio.sleep(FROZEN_S)
    worker.resume()


async def restart_in_turn(scene: Scene) -> None:
    """Every worker is restarted, one after the other, under its own name in the group."""
    scene.strike()
    for name, worker in sorted(scene.workers.items()):
        await in_thread(worker.stop)
        await scene.ready(scene.start(name))
        await asyncio.sleep(1)


async def scale(scene: Scene) -> None:
    """One worker, then four, then two."""
    scene.strike()
    first, *others = sorted(scene.workers)
    await asyncio.gather(*(in_thread(scene.workers.pop(name).stop) for name in others))
    await asyncio.sleep(2)
    await asyncio.gather(*(scene.ready(scene.start(f"more-{number}")) for number in range(3)))
    await asyncio.sleep(2)
    leaving = ["more-0", first]
    await asyncio.gather(*(in_thread(scene.workers.pop(name).stop) for name in leaving))


async def kill_broker(scene: Scene) -> None:
    """One of three brokers dies and comes back."""
    kafka = scene.servers.kafka
    node = scene.rng.choice(kafka.nodes)
    scene.strike()
    await in_thread(kafka.kill, node)
    await asyncio.sleep(BROKER_DOWN_S)
    await in_thread(kafka.restart, node)


async def slow_network(scene: Scene) -> None:
    """All ways to Redis are slow for some seconds."""
    scene.strike()
    for node in scene.servers.redis.nodes:
        node.proxy.slow_down(scene.rng.uniform(0.02, 0.1))
    await asyncio.sleep(5)
    for node in scene.servers.redis.nodes:
        node.proxy.heal()


async def cut_network(scene: Scene) -> None:
    """All ways to Redis are cut for some seconds; nobody could take over, so nobody does."""
    scene.strike()
    for node in scene.servers.redis.nodes:
        node.proxy.cut()
    await asyncio.sleep(scene.rng.uniform(2, 4))
    for node in scene.servers.redis.nodes:
        node.proxy.heal()


async def cut_primary(scene: Scene) -> None:
    """The primary is cut off from all others; another one is named, and what had not reached that is lost."""
    sentinel = scene.servers.sentinel
    before = sentinel.primary()
    scene.strike()
    before.proxy.cut()
    await in_thread(until, lambda: sentinel.primary() is not before)
    await asyncio.sleep(2)
    before.proxy.heal()
    await _join(scene, before)


async def kill_primary(scene: Scene) -> None:
    """The primary dies, and its replica takes over what it has got."""
    before = scene.servers.sentinel.primary()
    scene.strike()
    before.kill()
    await _fail_over(scene, before)


async def kill_primary_with_tail(scene: Scene) -> None:
    """The replica hears nothing any more, then the primary dies: the replica takes over without the last second."""
    sentinel = scene.servers.sentinel
    before, after = sentinel.primary(), sentinel.replica()
    after.ask("CONFIG", "SET", "masterauth", "wrong")
    before.ask("CLIENT", "KILL", "TYPE", "REPLICA")
    await asyncio.sleep(LOST_S)
    scene.strike()
    before.kill()
    after.ask("CONFIG", "SET", "masterauth", "")
    await _fail_over(scene, before)


async def lose_power(scene: Scene) -> None:
    """A server goes down with the last second of its append-only file unwritten, and comes back at once."""
    node = scene.rng.choice(scene.servers.primaries())
    with _nobody_fails_over(scene):
        written = node.written_bytes()
        await asyncio.sleep(LOST_S)
        scene.strike()
        await in_thread(node.lose_power, written)
        await in_thread(node.restart)
    await _in_step(scene)


async def kill_server(scene: Scene) -> None:
    """A node of the cluster dies and comes back with all it had."""
    node = scene.rng.choice(scene.servers.cluster.nodes)
    scene.strike()
    await in_thread(node.kill)
    await asyncio.sleep(scene.rng.uniform(0.5, 3))
    await in_thread(node.restart)
    await _in_step(scene)


async def restore(scene: Scene) -> None:
    """A server is put back to a dump of some seconds ago."""
    node = scene.rng.choice(scene.servers.primaries())
    dump = await in_thread(node.dump)
    await asyncio.sleep(scene.rng.uniform(4, 8))
    with _nobody_fails_over(scene):
        scene.strike()
        await in_thread(node.restore, dump)
    await _in_step(scene)


async def move_slots(scene: Scene) -> None:
    """The lanes of one node are moved to another one, key by key."""
    cluster = scene.servers.cluster
    scene.strike()
    for slot in scene.rng.sample(scene.slots(), 3):
        target = scene.rng.choice([node for node in cluster.nodes if node is not cluster.owner_of(slot)])
        await in_thread(cluster.move, slot, target)


EVERYWHERE = [
    Fault("kill -9", kill_worker, fits_static=False),
    Fault("SIGTERM", stop_worker, fits_static=False),
    Fault("SIGSTOP", freeze_worker),
    Fault("scale 1-4-2", scale, fits_static=False),
    Fault("broker killed", kill_broker, delays_events=True),
    Fault("network slow", slow_network),
    Fault("network cut", cut_network),
    Fault("Redis loses power", lose_power, rewinds=True),
    Fault("Redis restored", restore, rewinds=True),
]
STATIC = [Fault("kill -9 static", kill_named_worker), Fault("rolling restart", restart_in_turn)]
BY_TOPOLOGY = {
    Topology.SENTINEL: [
        Fault("primary cut off", cut_primary, rewinds=True),
        Fault("failover", kill_primary, rewinds=True),
        Fault("failover losing its tail", kill_primary_with_tail, rewinds=True),
    ],
    Topology.CLUSTER: [Fault("node killed", kill_server), Fault("slots moved", move_slots)],
}


async def _fail_over(scene: Scene, before: RedisNode) -> None:
    """Wait until another is the primary, and let the one of before come back as its replica."""
    sentinel = scene.servers.sentinel
    await in_thread(until, lambda: sentinel.primary() is not before)
    await in_thread(before.restart)
    await _join(scene, before)


async def _join(scene: Scene, replica: RedisNode) -> None:
    """Make it a replica at once; Sentinels would do it after some 10 s."""
    primary = scene.servers.sentinel.primary()
    replica.ask("REPLICAOF", "127.0.0.1", primary.proxy.port)
    await _in_step(scene)


async def _in_step(scene: Scene) -> None:
    """Wait until all servers know of each other again, so that the next fault finds something to break."""
    await in_thread(until, scene.servers.redis.is_whole, 30)


class _nobody_fails_over:  # reads as a clause
    """Keeps Sentinels from acting on what an operator does."""

    def __init__(self, scene: Scene) -> None:
        self._sentinel = scene.servers.sentinel if scene.servers.topology is Topology.SENTINEL else None

    def __enter__(self) -> None:
        if self._sentinel is not None:
            self._sentinel.pause_sentinels()

    def __exit__(self, *_: object) -> None:
        if self._sentinel is not None:
            self._sentinel.resume_sentinels()
