"""The stores under contract: dicts, Redis, Valkey, a primary by Sentinel, a cluster; servers start once a run."""

import time
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from segmenter.adapters.keys import LaneKeys
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.redis_board import RedisBoard
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_rules import RedisHoldBoard, RedisRulebookSource
from segmenter.adapters.redis_sources import RedisSourceBoard
from segmenter.adapters.redis_tasks import RedisTaskStore
from segmenter.domain.instants import SECOND
from tests.bench.redis import RedisServer, valkey_binary
from tests.bench.redis_sets import RedisClusterOfPrimaries, RedisWithSentinel
from tests.contract.stores import PARTITIONS, Owner, Stores


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RedisServer]:
    """A Valkey shared by the whole run."""
    with RedisServer(binary=valkey_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def cluster_server() -> Iterator[RedisClusterOfPrimaries]:
    """A cluster of three primaries shared by the whole run."""
    with RedisClusterOfPrimaries() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def sentinel_server() -> Iterator[RedisWithSentinel]:
    """A primary, a replica and their Sentinels, shared by the whole run."""
    with RedisWithSentinel() as servers:
        yield servers


_SEVERAL = [pytest.param(name, marks=pytest.mark.slow) for name in ("sentinel", "cluster")]


@pytest.fixture(params=["memory", "redis", "valkey", *_SEVERAL])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """Empty stores of one adapter."""
    if request.param == "memory":
        yield _memory_stores()
        return
    server: RedisServer | RedisWithSentinel | RedisClusterOfPrimaries = request.getfixturevalue(
        f"{request.param}_server"
    )
    client = connect(server.url)
    namespace = f"t{uuid.uuid4().hex[:8]}"

    async def silence(lane: int, seconds: int) -> None:
        await client.hset(LaneKeys(namespace, lane).lane, "heartbeat", str(int(time.time()) - seconds))

    yield Stores(
        lanes=RedisLaneStore(client, namespace),
        board=RedisBoard(client, namespace, PARTITIONS),
        tasks=RedisTaskStore(client, namespace),
        sources=RedisSourceBoard(client, namespace),
        rulebooks=RedisRulebookSource(client, namespace),
        holds=RedisHoldBoard(client, namespace),
        silence=silence,
    )
    await client.aclose()


@pytest.fixture
async def owner(stores: Stores) -> Owner:
    """The owner of lane 0."""
    return await Owner(lanes=stores.lanes).acquire()


def _memory_stores() -> Stores:
    ahead = 0
    store = MemoryStore(PARTITIONS, now=lambda: int(time.time()) * SECOND + ahead)

    async def silence(_: int, seconds: int) -> None:
        nonlocal ahead
        ahead += seconds * SECOND

    return Stores(
        lanes=store.lanes,
        board=store.board,
        tasks=store.tasks,
        sources=store.sources,
        rulebooks=store.rulebooks,
        holds=store.holds,
        silence=silence,
    )
