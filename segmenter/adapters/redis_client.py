"""The connection to Redis: how it is opened, what is demanded of the server, how trouble is met.

Trouble that may pass (a lost connection, a time-out, a server that loads or fails over) is met with tries for
at most 5 s, then it is a TransientError; all our writes may be repeated. Whatever else Redis refuses is our own
bug, an InvariantError, save that it is full, which callers are told of.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar

from redis import exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.utils import HIREDIS_AVAILABLE

from segmenter.adapters.redis_address import RedisKind, address_of
from segmenter.adapters.redis_many import connect_by_sentinel, connect_cluster
from segmenter.adapters.redis_packing import let_hiredis_pack
from segmenter.errors import ConfigurationError, InvariantError, TransientError

CALL_TIMEOUT_S = 2.0
TRY_FOR_S = 5.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_LEAST_VERSION = (6, 2)
_MAX_CONNECTIONS = 64

_MAY_PASS = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.TryAgainError,
    exceptions.MovedError,
    # A cluster that is down, cannot be reached, lacks a slot or sends us round in circles.
    exceptions.ClusterError,
    exceptions.RedisClusterException,
    TimeoutError,
    OSError,
)
# Errors that redis-py has no class for: a slow script, a disk that is full, replicas that are away.
_MAY_PASS_CODES = ("BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED", "MASTERDOWN")
# What a script is told whose slot moves to another node under it, before its first write.
_MAY_PASS_IN_SCRIPTS = ("non local key in a cluster node", "while the cluster is down")

Client: TypeAlias = Redis | RedisCluster
Part: TypeAlias = bytes | str | int
T = TypeVar("T")


class FullError(TransientError):
    """Redis is at its maxmemory and refused a write; nothing of it was done."""


def connect(url: str) -> Client:
    """Return a client with the options that the adapters rely on. The caller closes it.

    It does not retry by itself: a commit that is tried again has to recognise its own replay, which is ours to
    do. Raises ConfigurationError without hiredis: the parser in Python reads four times slower.
    """
    if not HIREDIS_AVAILABLE:
        raise ConfigurationError(["hiredis is not installed; install redis[hiredis]"])
    options: dict[str, Any] = {
        "decode_responses": False,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": CALL_TIMEOUT_S,
        "socket_connect_timeout": CALL_TIMEOUT_S,
        "max_connections": _MAX_CONNECTIONS,
    }
    try:
        address = address_of(url)
        match address.kind:
            case RedisKind.SENTINEL:
                return connect_by_sentinel(address, options)
            case RedisKind.CLUSTER:
                return connect_cluster(address, options)
            case RedisKind.SERVER:
                client = Redis.from_url(url, **options)
    except ValueError as error:
        raise ConfigurationError([f"{url.rpartition('@')[2]!r} is not the address of a Redis: {error}"]) from error
    let_hiredis_pack(client.connection_pool)
    return client


async def check_server(client: Client) -> list[str]:
    """Return what makes this server, or any primary of a cluster, unfit to keep lanes, one sentence each."""
    if isinstance(client, Redis):
        return _faults("Redis", await retried(client, client.info), "standalone")
    await retried(client, client.initialize)
    faults = []
    for node in client.get_primaries():
        told = await retried(client, partial(client.info, target_nodes=node))
        faults += _faults(f"Redis at {node.name}", told, "cluster")
    return faults


_FORMS = {
    "standalone": "write redis://",
    "cluster": "write redis+cluster://",
    "sentinel": "write redis+sentinel:// and the name of the service",
}


def _faults(name: str, told: Mapping[str, Any], expected_mode: str) -> list[str]:
    """Return the faults of one server by what INFO tells; of the policy also where a service forbids CONFIG."""
    faults = []
    mode = str(told.get("redis_mode", expected_mode))
    if mode != expected_mode:
        faults.append(f"{name} runs as {mode}, expected {expected_mode}; {_FORMS.get(mode, 'name another')}")
    version = str(told.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < _LEAST_VERSION:
        faults.append(f"{name} is version {version}; expected 6.2 or newer")
    policy = str(told.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        faults.append(f"maxmemory-policy of {name} is {policy}; expected noeviction, as a lane is state, not a cache")
    return faults


async def call(client: Client, *parts: Part) -> Any:
    """Return the reply to one command, tried once; errors are redis-py's."""
    return await client.execute_command(*parts)


async def ask(client: Client, *parts: Part) -> Any:
    """Return the reply to one command that may run twice, tried as `retried` tries."""
    return await retried(client, lambda: call(client, *parts))


async def ask_all(client: Client, commands: Sequence[Sequence[Part]]) -> list[Any]:
    """Return the replies to commands that may run twice, in one round trip to each server that has a part in it."""

    async def read() -> list[Any]:
        async with client.pipeline(transaction=False) as pipeline:
            for parts in commands:
                pipeline.execute_command(*parts)
            return list(await pipeline.execute())

    return await retried(client, read)


async def retried(client: Client, operation: Callable[[], Awaitable[T]]) -> T:
    """Return what the operation gives, tried again while trouble may pass. Raises TransientError after 5 s."""
    deadline, pause_s = time.monotonic() + TRY_FOR_S, _FIRST_PAUSE_S
    while True:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await operation()
        except (exceptions.RedisError, exceptions.RedisClusterException) as error:
            _raise_unless_it_may_pass(error)
            trouble: Exception = error
            await _look_again(client, error)
        except OSError as error:
            trouble = error
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
        wait_s = pause_s * random.uniform(0.5, 1.5)
        if time.monotonic() + wait_s >= deadline:
            # A time-out has no words of its own.
            cause = str(trouble) or "no reply came"
            raise TransientError(f"Redis did not answer within {TRY_FOR_S:.0f} s: {cause}") from trouble
        await asyncio.sleep(wait_s)


async def _look_again(client: Client, error: Exception) -> None:
    """Find out where the primaries are by now; known connections may lead to those of before."""
    if isinstance(client, Redis):
        if isinstance(error, exceptions.ReadOnlyError):
            await client.connection_pool.disconnect(inuse_connections=False)
        return
    # Single commands make redis-py ask for the slots anew, pipelines do not.
    with suppress(exceptions.RedisError, exceptions.RedisClusterException, OSError):
        async with asyncio.timeout(CALL_TIMEOUT_S):
            await client.nodes_manager.initialize()


def _raise_unless_it_may_pass(error: Exception) -> None:
    message = str(error)
    if isinstance(error, exceptions.OutOfMemoryError) or "OOM command not allowed" in message:
        raise FullError(message) from error
    if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
        raise ConfigurationError([f"Redis does not let us in: {message}"]) from error
    if isinstance(error, exceptions.RedisClusterException):
        _raise_unless_nodes_may_come(error)
    may_pass = message.startswith(_MAY_PASS_CODES) or any(told in message for told in _MAY_PASS_IN_SCRIPTS)
    if not isinstance(error, _MAY_PASS) and not may_pass:
        raise InvariantError(f"Redis refused a command: {message}") from error


def _raise_unless_nodes_may_come(error: exceptions.RedisClusterException) -> None:
    """Raise for a cluster that could not be reached for a reason that stays."""
    if isinstance(error.__cause__, exceptions.AuthenticationError | exceptions.NoPermissionError):
        _raise_unless_it_may_pass(error.__cause__)
    if "Cluster mode is not enabled" in str(error):
        raise ConfigurationError([f"Redis is no cluster; {_FORMS['standalone']} ({error})"]) from error
