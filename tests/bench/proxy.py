"""A network between two processes that can be cut and slowed down: a TCP proxy in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.bench.process import free_ports

_CHUNK = 65_536

T = TypeVar("T")


class Proxy:
    """Passes what comes to `port` on to `target_port`, both on the loopback interface."""

    def __init__(self, target_port: int, port: int | None = None) -> None:
        self.port = port or free_ports(1)[0]
        self._target_port = target_port
        self._delay_s = 0.0
        self._passing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {self.port}", daemon=True)
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def start(self) -> Self:
        """Return when it listens; what it leads to may come later."""
        self._thread.start()
        self._passing.set()
        self._run(self._listen())
        return self

    def stop(self) -> None:
        """End all connections."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Let nothing through any more: connections stay open, new ones are taken, and nothing answers."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def heal(self) -> None:
        """Let everything through again, at full speed; what was under way arrives now."""
        self._delay_s = 0.0
        self._loop.call_soon_threadsafe(self._passing.set)

    def slow_down(self, delay_s: float) -> None:
        """Let each piece arrive this much later, in either direction."""
        self._delay_s = delay_s

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        # Transports close in the next turns of the loop.
        await asyncio.sleep(0.05)

    async def _connect(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        pump = asyncio.current_task()
        assert pump is not None
        self._pumps.add(pump)
        try:
            await self._passing.wait()
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target_port)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(from_client, to_server))
                    group.create_task(self._pump(from_server, to_client))
            finally:
                to_server.close()
        except (OSError, ExceptionGroup):
            pass
        finally:
            self._pumps.discard(pump)
            to_client.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass pieces on until one side closes; then the other way ends too."""
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(_CHUNK):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._passing.wait()
                sink.write(piece)
                await sink.drain()
        raise ConnectionResetError
