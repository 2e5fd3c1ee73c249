"""The store in dicts behind a network: slow, away, silent about what it has done, and put back to where it was.

Calls are tried again for a while, as the Redis adapter does, so the store has to recognise its own replays.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from segmenter.adapters.memory import MemoryStore, Snapshot
from segmenter.errors import TransientError
from tests.simulation.network import Network, Server, UnansweredError

CALL_TIMEOUT_S = 2.0
TRY_FOR_S = 5.0
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5


class SimulatedRedis:
    """A server with the product's memory store in it."""

    def __init__(self, store: MemoryStore, network: Network, server: Server) -> None:
        self.store = store
        self.server = server
        self._network = network
        self._kept: Snapshot | None = None
        self.rewinds = 0

    def keep(self) -> None:
        """Remember what is held now: a dump, or what a replica has seen."""
        self._kept = self.store.snapshot()

    def put_back(self) -> None:
        """Go back to what was kept."""
        if self._kept is not None:
            self.store.restore(self._kept)
            self.rewinds += 1

    def remote(self, port: object) -> Any:
        """Return a port of the store as it is seen over the network."""
        return _Remote(port, self)

    async def call(self, name: str, tag: str, deed: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Try for 5 s; raises TransientError."""
        loop = asyncio.get_running_loop()
        latest, pause_s = loop.time() + TRY_FOR_S, FIRST_PAUSE_S
        while True:
            timeout_s = min(CALL_TIMEOUT_S, latest - loop.time())
            try:
                return await self._network.call(self.server, name, lambda: _done(deed()), timeout_s, tag)
            except UnansweredError as error:
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
                if loop.time() + pause_s >= latest:
                    raise TransientError(f"the simulated Redis did not answer: {error}") from error
            await asyncio.sleep(pause_s)


class _Remote:
    def __init__(self, port: object, redis: SimulatedRedis) -> None:
        self._port = port
        self._redis = redis

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._port, name)

        async def call(*args: Any, **named: Any) -> Any:
            about = args[0] if args else ""
            return await self._redis.call(
                name, f"redis {getattr(about, 'lane', about)}", partial(method, *args, **named)
            )

        setattr(self, name, call)
        return call


def _done(deed: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits to its end."""
    try:
        deed.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the memory store waited for something")
