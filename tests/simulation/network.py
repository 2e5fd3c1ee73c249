"""What lies between processes and servers: requests and answers that are slow, lost, or too late."""

import asyncio
import hashlib
import random
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.simulation.loop import PROCESS, Process, SimulatedLoop, begin

# A lost or refused connection is known at once, a lost packet only by waiting.
REFUSED_AFTER_S = 0.01
SLOWEST_S = 9.0


class UnansweredError(Exception):
    """No answer: nobody knows whether it was done."""


@dataclass(eq=False, slots=True)
class Server:
    """Somewhere requests are executed, one after the other."""

    name: str
    rate: float = 0.0
    """The share of requests that go wrong."""
    is_away: bool = False
    cut_from: set[str] = field(default_factory=set)
    """The processes that cannot reach it."""


@dataclass(eq=False, slots=True)
class Crash:
    """A process dies at one of its calls, before the request leaves or after it was executed."""

    calls: int
    is_before: bool


@dataclass(slots=True, kw_only=True)
class _Request:
    """A request under way. `is_mute`: its answer is lost; `dying`: who sent it dies when it is executed."""

    server: Server
    name: str
    deed: Callable[[], Any]
    reply: "asyncio.Future[Any]"
    answered_in_s: float
    is_mute: bool
    dying: Process | None


class Trace:
    """A digest of all that servers did, in order: two runs that agree in it are the same run."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self.lines: list[str] | None = None

    def note(self, line: str) -> None:
        """Add a line."""
        self._digest.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    def digest(self) -> str:
        """Return what stands for all lines so far."""
        return self._digest.hexdigest()


class Network:
    """Carries requests. Each process has dice of its own, so what befalls one does not shift what befalls others."""

    def __init__(self, seed: int, kill: Callable[[Process], None] = lambda process: None) -> None:
        self.trace = Trace()
        self.crashes: dict[str, Crash] = {}
        self._seed = seed
        self._kill = kill
        self._dice: dict[str, random.Random] = {}
        self._outside: Context = begin(None, copy_context)

    async def call(self, server: Server, name: str, deed: Callable[[], Any], timeout_s: float) -> Any:
        """Have a server do something and return or raise what came of it.

        Raises UnansweredError where no answer came in time. The server may still do it after that.
        """
        process = PROCESS.get()
        who = "driver" if process is None else process.name
        dice = self.dice(who)
        loop = asyncio.get_running_loop()
        if isinstance(loop, SimulatedLoop) and loop.is_closing:
            raise UnansweredError("the world is at its end")
        crash = self._crash(who)
        if crash is not None and crash.is_before and process is not None:
            self._kill(process)
            await asyncio.Event().wait()
        reply: asyncio.Future[Any] = loop.create_future()
        fate = dice.random()
        there = _latency(dice, fate < server.rate / 3)
        is_lost = fate < server.rate * 2 / 3 and fate >= server.rate / 3
        if server.is_away or who in server.cut_from:
            if dice.random() < 0.5:
                await asyncio.sleep(REFUSED_AFTER_S)
                raise UnansweredError(f"{server.name} is away")
        elif not is_lost:
            request = _Request(
                server=server,
                name=f"{who} {name}",
                deed=deed,
                reply=reply,
                answered_in_s=0.0002 + 0.004 * dice.random(),
                is_mute=server.rate * 2 / 3 <= fate < server.rate,
                dying=process if crash is not None else None,
            )
            loop.call_later(there, self._arrive, request, context=self._outside)
        timer = loop.call_later(timeout_s, _expire, reply, server.name)
        try:
            return await reply
        finally:
            timer.cancel()

    def dice(self, who: str) -> random.Random:
        """Return the dice of a process."""
        found = self._dice.get(who)
        if found is None:
            found = self._dice[who] = random.Random(f"{self._seed} {who}")
        return found

    def _crash(self, who: str) -> Crash | None:
        crash = self.crashes.get(who)
        if crash is None:
            return None
        crash.calls -= 1
        return self.crashes.pop(who) if crash.calls <= 0 else None

    def _arrive(self, request: _Request) -> None:
        """Execute a request where it has arrived, and send the answer back."""
        if request.server.is_away:
            return
        self.trace.note(f"{asyncio.get_running_loop().time():.6f} {request.name}\n")
        try:
            outcome, error = request.deed(), None
        except Exception as raised:  # noqa: BLE001  # it is the caller's
            outcome, error = None, raised
        if request.dying is not None:
            self._kill(request.dying)
        elif isinstance(outcome, asyncio.Future):
            outcome.add_done_callback(lambda done: self._answer(request, done.result(), None))
        elif not request.is_mute:
            self._answer(request, outcome, error)

    def _answer(self, request: _Request, outcome: Any, error: Exception | None) -> None:
        settle = partial(_settle, request.reply, outcome, error)
        asyncio.get_running_loop().call_later(request.answered_in_s, settle, context=self._outside)


def _latency(dice: random.Random, is_slow: bool) -> float:
    if is_slow:
        return SLOWEST_S * dice.random()
    return dice.choice((0.0003, 0.001, 0.002, 0.02)) * (0.5 + dice.random())


def _expire(reply: "asyncio.Future[Any]", server: str) -> None:
    if not reply.done():
        reply.set_exception(UnansweredError(f"{server} did not answer"))


def _settle(reply: "asyncio.Future[Any]", outcome: Any, error: Exception | None) -> None:
    if reply.done():
        return
    if error is None:
        reply.set_result(outcome)
    else:
        reply.set_exception(error)
