"""A loop whose time jumps, and processes in it that can be frozen and killed between any two steps.

A step belongs to the process in whose context it was scheduled. The steps of a process run in the order asyncio
gives them; which of several processes runs first is drawn from the loop's own dice. Nothing here asks the machine
for the time, so a run is a function of its seed.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
# A round of the loop takes a little, else who waits for a sum of floats that is short by a bit waits for ever.
ROUND_S = 1e-6
# The busiest world takes a tenth of it; beyond it something goes round and round.
MOST_STEPS = 2_000_000


class StormError(AssertionError):
    """Somebody works for ever without getting anywhere."""


@dataclass(eq=False, slots=True)
class Process:
    """A process: all steps that were scheduled in its context."""

    name: str
    is_dead: bool = False
    is_frozen: bool = False
    waiting: list[asyncio.Handle] = field(default_factory=list)
    """What it will do when it wakes."""


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class SimulatedLoop(asyncio.BaseEventLoop):
    """Time passes only where everybody waits, and then at once."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._now_s = 0.0
        self._dice = random.Random(seed)
        self.steps = 0
        self.faults: list[str] = []
        self.is_closing = False
        self._kept: dict[Process, None] = {}
        self.set_exception_handler(self._note_fault)

    def time(self) -> float:
        """Return the simulated seconds."""
        return self._now_s

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on with all that has come to it meanwhile."""
        if not process.is_dead:
            process.is_frozen = False
            waiting, process.waiting = process.waiting, []
            self._ready.extend(waiting)

    def begin_to_close(self) -> None:
        """Let even the dead take their steps, so that they can be ended."""
        self.is_closing = True
        for process in self._kept:
            self._ready.extend(process.waiting)
            process.waiting.clear()

    def _run_once(self) -> None:
        self._now_s += ROUND_S
        if not self._ready:
            self._jump()
        while self._scheduled and self._scheduled[0].when() <= self._now_s:
            timer = heapq.heappop(self._scheduled)
            if not timer.cancelled():
                self._ready.append(timer)
        round_, self._ready = self._in_order(self._ready), deque()
        self.steps += len(round_)
        if self.steps > MOST_STEPS and not self.is_closing:
            raise StormError(f"{self.steps} steps in {self._now_s:.1f} s")
        for handle in round_:
            if not handle.cancelled() and self._may_run(handle):
                handle._run()

    def _jump(self) -> None:
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)
        if not self._scheduled and not self._stopping:
            raise StormError("everybody waits for something that nobody will do")
        if self._scheduled:
            self._now_s = max(self._now_s, self._scheduled[0].when())

    def _in_order(self, ready: deque[asyncio.Handle]) -> list[asyncio.Handle]:
        """Return the steps of each process in their order, and the processes in any."""
        if len(ready) < 2:
            return list(ready)
        of_process: dict[Process | None, list[asyncio.Handle]] = {}
        for handle in ready:
            of_process.setdefault(handle._context.get(PROCESS), []).append(handle)
        groups = list(of_process.values())
        if len(groups) > 1:
            self._dice.shuffle(groups)
        return [handle for group in groups for handle in group]

    def _may_run(self, handle: asyncio.Handle) -> bool:
        process = handle._context.get(PROCESS)
        if process is None or self.is_closing:
            return True
        if process.is_frozen or process.is_dead:
            process.waiting.append(handle)
            self._kept[process] = None
            return False
        return True

    def _note_fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Remember what nobody caught. What nobody fetched is no fault: callers of dead processes are gone."""
        if self.is_closing or "never retrieved" in context["message"]:
            return
        self.faults.append(f"{context['message']}: {context.get('exception')!r}")

    def _process_events(self, _: Iterable[Any]) -> None: ...

    def _write_to_self(self) -> None: ...


def begin(process: Process | None, work: Callable[[], T]) -> T:
    """Call it as this process: tasks and timers it makes are the process's own."""
    context = copy_context()
    context.run(PROCESS.set, process)
    return context.run(work)


def play(loop: SimulatedLoop, story: Callable[[], Any]) -> Any:
    """Run a story in a loop to its end, and end everything that is left."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(story())
    finally:
        _end_all(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _end_all(loop: SimulatedLoop) -> None:
    """Cancel what is left, again and again: some have things to end first."""
    loop.begin_to_close()
    for _ in range(100):
        left = asyncio.all_tasks(loop)
        if not left:
            return
        for task in sorted(left, key=lambda task: task.get_name()):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(1))
    raise AssertionError(f"tasks that do not end: {asyncio.all_tasks(loop)}")
