"""The stores under contract: dicts, Redis and Valkey, the servers started once a run."""

import time
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from segmenter.adapters.keys import LaneKeys
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.redis_board import RedisBoard
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_sources import RedisSourceBoard
from segmenter.adapters.redis_tasks import RedisTaskStore
from segmenter.domain.instants import SECOND
from tests.bench.redis import RedisServer, valkey_binary
from tests.contract.stores import PARTITIONS, Owner, Stores


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RedisServer]:
    """A Valkey shared by the whole run."""
    with RedisServer(binary=valkey_binary()) as server:
        yield server


@pytest.fixture(params=["memory", "redis", "valkey"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """Empty stores of one adapter."""
    if request.param == "memory":
        yield _memory_stores()
        return
    server: RedisServer = request.getfixturevalue(f"{request.param}_server")
    client = connect(server.url)
    namespace = f"t{uuid.uuid4().hex[:8]}"

    async def silence(lane: int, seconds: int) -> None:
        await client.hset(LaneKeys(namespace, lane).lane, "heartbeat", str(int(time.time()) - seconds))

    yield Stores(
        lanes=RedisLaneStore(client, namespace),
        board=RedisBoard(client, namespace, PARTITIONS),
        tasks=RedisTaskStore(client, namespace),
        sources=RedisSourceBoard(client, namespace),
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

    return Stores(lanes=store.lanes, board=store.board, tasks=store.tasks, sources=store.sources, silence=silence)
