"""The connection to Redis: how it is opened, what is demanded of the server, how trouble is met.

Trouble that may pass (a lost connection, a time-out, a server that loads or fails over) is met with tries for
at most 5 s, then it is a TransientError; all our writes may be repeated. Whatever else Redis refuses is our own
bug, an InvariantError, save that it is full, which callers are told of.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.utils import HIREDIS_AVAILABLE

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
    exceptions.ClusterDownError,
    exceptions.MovedError,
    TimeoutError,
    OSError,
)
# Errors that redis-py has no class for: a slow script, a disk that is full, replicas that are away.
_MAY_PASS_CODES = ("BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED")

T = TypeVar("T")


class FullError(TransientError):
    """Redis is at its maxmemory and refused a write; nothing of it was done."""


def connect(url: str) -> Redis:
    """Return a client with the options that the adapters rely on. The caller closes it.

    It does not retry by itself: a commit that is tried again has to recognise its own replay, which is ours to
    do. Raises ConfigurationError without hiredis: the parser in Python reads four times slower.
    """
    if not HIREDIS_AVAILABLE:
        raise ConfigurationError(["hiredis is not installed; install redis[hiredis]"])
    try:
        client = Redis.from_url(
            url,
            decode_responses=False,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=CALL_TIMEOUT_S,
            socket_connect_timeout=CALL_TIMEOUT_S,
            max_connections=_MAX_CONNECTIONS,
        )
    except ValueError as error:
        raise ConfigurationError([f"{url.rpartition('@')[2]!r} is not the address of a Redis: {error}"]) from error
    let_hiredis_pack(client.connection_pool)
    return client


async def check_server(client: Redis) -> list[str]:
    """Return what makes this server unfit to keep lanes, one sentence each."""
    faults = []
    server = await retried(client, lambda: client.info("server"))
    version = str(server.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < _LEAST_VERSION:
        faults.append(f"Redis is version {version}; expected 6.2 or newer")
    memory = await retried(client, lambda: client.info("memory"))
    # INFO tells the policy also where a managed service forbids CONFIG.
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        faults.append(f"maxmemory-policy of Redis is {policy}; expected noeviction, as a lane is state, not a cache")
    return faults


async def call(client: Redis, *parts: bytes | str | int) -> Any:
    """Return the reply to one command, tried once; errors are redis-py's."""
    return await client.execute_command(*parts)  # type: ignore[no-untyped-call]  # redis-py does not type it


async def ask(client: Redis, *parts: bytes | str | int) -> Any:
    """Return the reply to one command that may run twice, tried as `retried` tries."""
    return await retried(client, lambda: call(client, *parts))


async def retried(client: Redis, operation: Callable[[], Awaitable[T]]) -> T:
    """Return what the operation gives, tried again while trouble may pass. Raises TransientError after 5 s."""
    deadline, pause_s = time.monotonic() + TRY_FOR_S, _FIRST_PAUSE_S
    while True:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await operation()
        except exceptions.RedisError as error:
            _raise_unless_it_may_pass(error)
            trouble: Exception = error
            if isinstance(error, exceptions.ReadOnlyError):
                # It is a replica now; the address may lead to the new primary, old connections do not.
                await client.connection_pool.disconnect(inuse_connections=False)
        except OSError as error:
            trouble = error
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
        wait_s = pause_s * random.uniform(0.5, 1.5)
        if time.monotonic() + wait_s >= deadline:
            raise TransientError(f"Redis did not answer within {TRY_FOR_S:.0f} s: {trouble}") from trouble
        await asyncio.sleep(wait_s)


def _raise_unless_it_may_pass(error: exceptions.RedisError) -> None:
    message = str(error)
    if isinstance(error, exceptions.OutOfMemoryError) or "OOM command not allowed" in message:
        raise FullError(message) from error
    if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
        raise ConfigurationError([f"Redis does not let us in: {message}"]) from error
    if not isinstance(error, _MAY_PASS) and not message.startswith(_MAY_PASS_CODES):
        raise InvariantError(f"Redis refused a command: {message}") from error
