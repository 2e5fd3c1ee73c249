"""What only servers have: a full memory, bounded keys, lost scripts, lost connections."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from segmenter.adapters.keys import LaneKeys, bucket_of_customer, halved_bucket
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_commit import commit_args, commit_keys
from segmenter.adapters.redis_lanes import CUSTOMERS_A_BUCKET, RedisLaneStore
from segmenter.adapters.redis_scripts import COMMIT
from segmenter.domain.instants import DAY, HOUR
from segmenter.errors import ConfigurationError, InvariantError, TransientError
from segmenter.ports import Output, RefusalKind, Refused, Stored, Token
from tests.bench.redis import RedisServer, server_binary, valkey_binary
from tests.contract.stores import OURS, PARTITIONS, Owner, entry, page, profile

NOW = 20_000 * DAY


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server that these tests may fill and restart."""
    binary = {"redis": server_binary, "valkey": valkey_binary}[request.param]()
    with RedisServer(binary=binary) as own:
        yield own


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(server.url)
    yield client
    await client.config_set("maxmemory", "0")
    await client.aclose()


@pytest.fixture
def namespace() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def owner(client: Redis, namespace: str) -> Owner:
    """The owner of lane 0."""
    return await Owner(lanes=RedisLaneStore(client, namespace)).acquire()


async def test_a_full_redis_refuses_a_commit_whole(client: Redis, namespace: str, owner: Owner) -> None:
    await owner.store(replace(owner.commit_of([profile("c", 5, 5)]), pages=(page(0, entry(1)),), hold=("c",)))
    before = await _dump(client, namespace)
    await client.config_set("maxmemory", "1")

    commit = replace(owner.commit_of([profile("c", 6, 6)]), pages=(page(1, entry(2)),), release=("c",))
    refused = await owner.lanes.commit(replace(commit, first_page=1))

    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.FULL
    assert await _dump(client, namespace) == before


async def test_a_full_redis_lets_the_outbox_drain(client: Redis, owner: Owner) -> None:
    await owner.note(pages=(page(0, entry(1)), page(1, entry(2))))
    await client.config_set("maxmemory", "1")
    newer = Token(8, "ours")

    assert await owner.lanes.heartbeat(0, OURS)
    assert await owner.lanes.renew(0, OURS, newer, 1)
    assert not isinstance(await owner.lanes.acquire(0, newer, PARTITIONS), Refused)
    assert await owner.lanes.acknowledge(0, newer, {Output.CHANGES: 1}, 1)
    assert await owner.lanes.acknowledge(0, newer, {Output.CHANGES: 1}, 1)

    assert await owner.lanes.outbox(0, 0, 9) == [page(1, entry(2))]


async def test_no_key_outgrows_its_bounds(client: Redis, namespace: str, owner: Owner) -> None:
    """20,000 customers with one deadline's day and one revenue, the worst there is for slices."""
    for start in range(0, 20_000, 2_000):
        await owner.write(*(profile(f"c{n:011d}", NOW + n % 3_600, 999 + n % 2) for n in range(start, start + 2_000)))
    await owner.note(hold=[f"c{n:011d}" for n in range(20_000)])

    sizes = {key: await _members(client, key) async for key in client.scan_iter(f"{{{namespace}:0}}*", 1_000)}
    memory = [await client.memory_usage(key, samples=0) or 0 for key in sizes]

    assert max(sizes.values()) <= 10_000
    assert max(memory) <= 2**20
    assert len(await owner.lanes.held(0, 30_000)) == 20_000


async def test_all_is_gone_when_the_last_customer_goes(client: Redis, namespace: str, owner: Owner) -> None:
    customers = [f"c{n}" for n in range(500)]
    await owner.write(*(profile(name, NOW + n * HOUR, 1 + n**2) for n, name in enumerate(customers)))
    await owner.note(hold=customers)

    await owner.store(replace(owner.commit_of(forget=customers), release=customers))

    assert [key async for key in client.scan_iter(f"{{{namespace}:0}}*")] == [LaneKeys(namespace, 0).lane.encode()]
    assert await client.hget(LaneKeys(namespace, 0).lane, "customers") == b"0"


async def test_all_keys_of_a_lane_carry_its_tag(client: Redis, namespace: str, owner: Owner) -> None:
    await owner.store(replace(owner.commit_of([profile("c", 5, 5)]), pages=(page(0, entry(1)),), hold=("c",)))

    keys = [key async for key in client.scan_iter(f"*{namespace}*")]

    assert len(keys) > 8
    assert all(key.startswith(f"{{{namespace}:0}}:".encode()) for key in keys)


async def test_buckets_grow_with_the_lane(client: Redis, namespace: str, owner: Owner) -> None:
    """No profile is lost while buckets are halved, by one who knows it and by one who does not."""
    lane = LaneKeys(namespace, 0).lane
    stranger = RedisLaneStore(client, namespace)
    await client.hset(lane, "customers", str(64 * CUSTOMERS_A_BUCKET))
    for start in range(0, 6_000, 300):
        await owner.write(*(profile(f"c{n}", revenue=n + 1) for n in range(start, start + 300)))

    everyone = [f"c{n}" for n in range(6_000)]
    expected = [owner.known[customer] for customer in everyone]
    buckets = int(await client.hget(lane, "buckets") or 0)
    assert 64 < buckets <= 70
    assert await owner.lanes.load(0, everyone) == expected
    assert await stranger.load(0, everyone) == expected
    held = [await client.hlen(f"{LaneKeys(namespace, 0).profiles}{bucket}") for bucket in range(buckets)]
    assert sum(held) == 6_000
    assert held[64] > 20


async def test_a_commit_made_for_fewer_buckets_is_made_again(client: Redis, namespace: str, owner: Owner) -> None:
    await owner.write(profile("c"))
    other = RedisLaneStore(client, namespace)
    await other.load(0, ["c"])
    await client.hset(LaneKeys(namespace, 0).lane, "customers", str(67 * CUSTOMERS_A_BUCKET))
    await owner.write(profile("d"))

    assert await other.commit(owner.commit_of([profile("e")])) == Stored(3)
    assert await owner.lanes.load(0, ["c", "d", "e"]) == [profile("c"), profile("d"), profile("e")]


async def test_a_load_beside_growing_commits_finds_everyone(client: Redis, namespace: str, owner: Owner) -> None:
    everyone = [f"c{n}" for n in range(3_000)]
    await owner.write(*(profile(customer) for customer in everyone))
    reader = RedisLaneStore(client, namespace)
    await client.hset(LaneKeys(namespace, 0).lane, "customers", str(200 * CUSTOMERS_A_BUCKET))

    async def grow() -> None:
        for _ in range(12):
            await owner.write(profile("c0"))

    async with asyncio.TaskGroup() as group:
        growing = group.create_task(grow(), name="grow")
        while not growing.done():
            assert None not in await reader.load(0, everyone)

    assert int(await client.hget(LaneKeys(namespace, 0).lane, "buckets") or 0) == 64 + 12 * 4


def test_one_bucket_more_moves_customers_only_into_it() -> None:
    names = [b"c%d" % n for n in range(5_000)]
    for buckets in range(64, 300):
        before = [bucket_of_customer(name, buckets) for name in names]
        after = [bucket_of_customer(name, buckets + 1) for name in names]
        moved = {(old, new) for old, new in zip(before, after, strict=True) if old != new}
        assert moved <= {(halved_bucket(buckets), buckets)}
        assert max(after) <= buckets


async def test_scripts_that_the_server_forgot_are_told_again(client: Redis, owner: Owner) -> None:
    await owner.write(profile("c"))
    await client.script_flush()

    await owner.write(profile("d"))

    assert await owner.lanes.load(0, ["d"]) == [profile("d")]


async def test_a_fit_server_has_no_faults(client: Redis, namespace: str) -> None:
    assert await RedisLaneStore(client, namespace).check() == []


async def test_a_server_that_evicts_is_unfit(client: Redis, namespace: str) -> None:
    await client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        (fault,) = await RedisLaneStore(client, namespace).check()
    finally:
        await client.config_set("maxmemory-policy", "noeviction")

    assert "allkeys-lru" in fault
    assert "noeviction" in fault


async def test_a_server_that_comes_back_in_time_is_waited_for(server: RedisServer, owner: Owner) -> None:
    server.kill()
    server.restart()

    assert (await owner.lanes.state(0))[0] is None


async def test_a_failover_is_waited_for(server: RedisServer, client: Redis, owner: Owner) -> None:
    """For a while the server we know is a replica, which takes no writes."""

    async def promote() -> None:
        await asyncio.sleep(0.2)
        async with connect(server.url) as other:
            await other.replicaof("no", "one")

    await client.replicaof("127.0.0.1", "1")
    async with asyncio.TaskGroup() as group:
        group.create_task(promote(), name="promote")
        stored = await owner.lanes.commit(owner.commit_of([profile("c")]))

    assert stored == Stored(1)


async def test_a_server_that_stays_away_is_transient_trouble(server: RedisServer, owner: Owner) -> None:
    server.pause()
    began = time.monotonic()
    try:
        with pytest.raises(TransientError, match="5 s"):
            await owner.lanes.commit(owner.commit_of([profile("c")]))
    finally:
        server.resume()

    assert time.monotonic() - began < 7
    # The server may have done what it answered too late: the same commit is told from another.
    assert await owner.lanes.commit(owner.commit_of([profile("c")])) == Stored(1)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"host.*redis://") as refused:
        connect("nonsense://user:secret@host")

    assert "secret" not in str(refused.value)


async def _dump(client: Redis, namespace: str) -> dict[bytes, bytes]:
    keys = sorted([key async for key in client.scan_iter(f"{{{namespace}:0}}*")])
    return {key: await client.dump(key) or b"" for key in keys}


async def _members(client: Redis, key: bytes) -> int:
    match await client.type(key):
        case b"zset":
            return int(await client.zcard(key))
        case b"hash":
            return int(await client.hlen(key))
        case _:
            return 1


async def test_an_acknowledgement_over_a_page_that_is_gone_takes_none(
    client: Redis, namespace: str, owner: Owner
) -> None:
    await owner.note(pages=(page(0, entry(1)), page(1, entry(2))))
    await client.delete(f"{LaneKeys(namespace, 0).outbox}1")
    before = await _dump(client, namespace)

    with pytest.raises(InvariantError):
        await owner.lanes.acknowledge(0, OURS, {Output.CHANGES: 2}, 2)

    assert await _dump(client, namespace) == before


async def test_a_commit_that_is_cut_off_is_refused_whole(client: Redis, namespace: str, owner: Owner) -> None:
    await owner.write(profile("c", 5, 5))
    before = await _dump(client, namespace)
    args = commit_args(owner.commit_of([profile("c", 6, 6), profile("d", 7, 7)]), 64)

    for length in range(5, len(args)):
        with pytest.raises(InvariantError):
            await COMMIT.run(client, commit_keys(LaneKeys(namespace, 0)), args[:length])

    assert await _dump(client, namespace) == before
