"""What only several servers have: slots that move, primaries that change or go, the wrong kind of address."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.crc import key_slot

from segmenter.adapters.keys import LaneKeys
from segmenter.adapters.redis_client import Client, check_server, connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.errors import ConfigurationError, TransientError
from tests.bench.redis import RedisServer
from tests.bench.redis_sets import RedisClusterOfPrimaries, RedisNode, RedisWithSentinel, until
from tests.contract.stores import PARTITIONS, Owner, profile

pytestmark = pytest.mark.slow

CUSTOMERS = [f"c{number}" for number in range(200)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisClusterOfPrimaries]:
    """A cluster whose nodes may be killed."""
    with RedisClusterOfPrimaries() as own:
        yield own


@pytest.fixture
def namespace() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def client(cluster: RedisClusterOfPrimaries) -> AsyncIterator[Client]:
    client = connect(cluster.url)
    yield client
    await client.aclose()


async def test_a_slot_that_moves_keeps_its_lane_whole(
    cluster: RedisClusterOfPrimaries, client: Client, namespace: str
) -> None:
    """Commits, reads and a sweep while the keys of the lane are moved one by one, there and back."""
    owner = await Owner(lanes=RedisLaneStore(client, namespace)).acquire()
    await owner.write(*(profile(name, wake_at=number + 1, revenue=number) for number, name in enumerate(CUSTOMERS)))
    slot, source = _slot_of(namespace), _home(cluster, namespace)
    target = next(node for node in cluster.nodes if node is not source)

    for place in (target, source):
        moving = asyncio.create_task(asyncio.to_thread(cluster.move, slot, place, 1, 0.005))
        rounds = 0
        while not moving.done():
            await owner.write(profile(CUSTOMERS[rounds % 200], wake_at=rounds + 1_000, revenue=rounds))
            assert None not in await owner.lanes.load(0, CUSTOMERS)
            assert len(await owner.lanes.due(0, 10**6, 500)) == 200
            assert len(await owner.lanes.ranked(0, 0, 10**6, None, 500)) == 200
            rounds += 1
        assert await moving > 50
        assert cluster.owner_of(slot) is place

    assert await owner.lanes.load(0, CUSTOMERS) == [owner.known[name] for name in CUSTOMERS]


async def test_half_a_slot_is_seen_by_nobody(
    cluster: RedisClusterOfPrimaries, client: Client, namespace: str
) -> None:
    """An index is moved already, its pages are not: who asks waits, instead of finding half."""
    owner = await Owner(lanes=RedisLaneStore(client, namespace)).acquire()
    await owner.write(*(profile(name, wake_at=number + 1) for number, name in enumerate(CUSTOMERS)))
    slot, source = _slot_of(namespace), _home(cluster, namespace)
    target = next(node for node in cluster.nodes if node is not source)
    target.ask("CLUSTER SETSLOT", slot, "IMPORTING", source.ask("CLUSTER MYID"))
    source.ask("CLUSTER SETSLOT", slot, "MIGRATING", target.ask("CLUSTER MYID"))
    source.ask("MIGRATE", "127.0.0.1", target.port, LaneKeys(namespace, 0).due, 0, 5_000)

    reading = asyncio.create_task(owner.lanes.due(0, 10**6, 500))
    await asyncio.sleep(1)
    assert not reading.done()
    await asyncio.to_thread(cluster.move, slot, target)

    assert len(await reading) == 200


async def test_a_primary_that_is_gone_stops_its_own_lanes_only(
    cluster: RedisClusterOfPrimaries, client: Client, namespace: str
) -> None:
    store = RedisLaneStore(client, namespace)
    owners = [await Owner(lanes=store, lane=lane).acquire() for lane in range(PARTITIONS)]
    gone = _home(cluster, namespace)
    near, far = (
        [owner for owner in owners if (_home(cluster, namespace, owner.lane) is gone) is is_near]
        for is_near in (True, False)
    )
    assert far
    gone.kill()
    try:
        began = time.monotonic()
        with pytest.raises(TransientError, match="5 s"):
            await near[0].write(profile("c"))
        assert time.monotonic() - began < 9
        for owner in far:
            await owner.write(profile("c"))
    finally:
        gone.restart()
        until(cluster.is_whole)

    for owner in near:
        await owner.write(profile("d"))


async def test_a_primary_cut_off_from_its_sentinels_is_left() -> None:
    with RedisWithSentinel() as servers:
        store = RedisLaneStore(client := connect(servers.url), "seg")
        owner = await Owner(lanes=store).acquire()
        await owner.write(profile("c"))
        before = servers.primary()
        until(lambda: before.ask("WAIT", 1, 500) == 1)
        before.proxy.cut()
        try:
            await asyncio.to_thread(until, lambda: servers.primary() is not before)
            await owner.write(profile("d"))
        finally:
            before.proxy.heal()
        states = [(await store.state(0))[1] for _ in range(20)]

        assert {state.version for state in states} == {2}
        assert await store.load(0, ["c", "d"]) == [profile("c"), profile("d")]
        await client.aclose()


async def test_a_node_of_a_cluster_is_no_single_server(cluster: RedisClusterOfPrimaries) -> None:
    async with connect(f"redis://127.0.0.1:{cluster.nodes[0].port}/0") as client:
        [fault] = await check_server(client)

    assert "cluster" in fault
    assert "redis+cluster://" in fault


async def test_a_single_server_is_no_cluster(redis_server: RedisServer) -> None:
    client = connect(f"redis+cluster://127.0.0.1:{redis_server.port}")
    with pytest.raises(ConfigurationError, match="redis://"):
        await check_server(client)
    await client.aclose()


async def test_sentinels_that_do_not_know_the_service_are_trouble(sentinel_server: RedisWithSentinel) -> None:
    client = connect(sentinel_server.url.replace("/shop/", "/other/"))
    with pytest.raises(TransientError, match="other"):
        await check_server(client)
    await client.aclose()


async def test_a_primary_of_a_service_is_fit(sentinel_server: RedisWithSentinel) -> None:
    async with connect(sentinel_server.url) as client:
        assert await check_server(client) == []
        acquired = await Owner(lanes=RedisLaneStore(client, "seg")).acquire()

    assert isinstance(acquired, Owner)


def _slot_of(namespace: str, lane: int = 0) -> int:
    return key_slot(LaneKeys(namespace, lane).lane.encode())


def _home(cluster: RedisClusterOfPrimaries, namespace: str, lane: int = 0) -> RedisNode:
    return cluster.owner_of(_slot_of(namespace, lane))
