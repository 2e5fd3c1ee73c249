"""A loop whose time does not pass but jumps: hours of pauses, takeovers and deadlines in a second of the machine.

Everything that runs in it belongs to a *process*, a name that tasks inherit from whoever made them, so that all
of a process can be killed at once.
"""

import asyncio
import selectors
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import WeakSet

T = TypeVar("T")
PROCESS: ContextVar[str] = ContextVar("process", default="driver")
_ENDING_S = 3_600.0
# A round of the loop takes a little, else who waits for a sum of floats that is short by a bit waits for ever.
_ROUND_S = 1e-6


class _JumpingSelector(selectors.SelectSelector):
    """Waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.now_s += _ROUND_S
        if not ready and timeout is None:
            raise AssertionError("everybody waits for something that nobody will do")
        if not ready and timeout is not None and timeout > 0:
            self.now_s += timeout
        return ready


class Processes:
    """The tasks of each process."""

    def __init__(self) -> None:
        self._tasks: defaultdict[str, WeakSet[asyncio.Task[Any]]] = defaultdict(WeakSet)

    def make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], context: Any = None
    ) -> asyncio.Task[T]:
        """Make a task and note whose it is; see `loop.set_task_factory`."""
        task = asyncio.Task(coro, loop=loop, context=context)
        self._tasks[PROCESS.get()].add(task)
        return task

    async def kill(self, process: str) -> None:
        """Cancel all tasks of a process until none is left."""
        async with asyncio.timeout(_ENDING_S):
            while left := [task for task in self._tasks[process] if not task.done()]:
                for task in left:
                    task.cancel()
                await asyncio.wait(left, timeout=1)
        for task in self._tasks.pop(process, ()):
            if not task.cancelled():
                task.exception()


def run_jumping(play: Callable[[Processes], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop of jumping time. `time.monotonic` jumps too: the engine measures its pauses by it."""
    selector, processes = _JumpingSelector(), Processes()
    real, time.monotonic = time.monotonic, lambda: selector.now_s
    loop = asyncio.SelectorEventLoop(selector)
    loop.set_task_factory(processes.make_task)  # type: ignore[arg-type]  # typeshed asks for a protocol of its own
    try:
        return loop.run_until_complete(play(processes))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with suppress(BaseException):
                loop.run_until_complete(task)
        loop.close()
        time.monotonic = real
