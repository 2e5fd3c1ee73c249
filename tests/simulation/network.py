"""What lies between processes and servers: requests and answers that are slow, lost, or too late."""

import asyncio
import hashlib
import random
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from tests.simulation.loop import PROCESS, SimulatedLoop, begin

# A lost or refused connection is known at once, a lost packet only by waiting.
REFUSED_AFTER_S = 0.01
SLOWEST_S = 9.0
# A takeover is about a dozen requests of one lane.
FURTHEST_ADRIFT = 14


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


class Request(StrEnum):
    """What becomes of the request at which a worker is struck."""

    NEVER_SENT = "never sent"
    EXECUTED = "executed"
    ADRIFT = "adrift"


@dataclass(eq=False, slots=True)
class Strike:
    """What befalls a process at its `count`-th call whose name begins with `call`."""

    call: str
    count: int
    request: Request
    fell: Callable[[], None]


@dataclass(slots=True, kw_only=True)
class _Sent:
    """A request under way. `is_mute`: its answer is lost; `fell`: what befalls its sender when it is executed."""

    server: Server
    who: str
    name: str
    deed: Callable[[], Any]
    reply: "asyncio.Future[Any]"
    tag: str
    answered_in_s: float = 0.0
    is_mute: bool = False
    is_executed: bool = False
    fell: Callable[[], None] | None = None


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

    def __init__(self, seed: int) -> None:
        self.trace = Trace()
        self.strikes: dict[str, list[Strike]] = {}
        self._seed = seed
        self._dice: dict[str, random.Random] = {}
        self._adrift: dict[str, list[tuple[int, _Sent]]] = {}
        self._outside: Context = begin(None, copy_context)

    async def call(self, server: Server, name: str, deed: Callable[[], Any], timeout_s: float, tag: str = "") -> Any:
        """Have a server do something and return or raise what came of it.

        Raises UnansweredError where no answer came in time; the server may still do it after that. Requests of one
        `tag` concern the same thing: one that is adrift is executed right behind some later one of its tag.
        """
        process = PROCESS.get()
        who = "driver" if process is None else process.name
        loop = asyncio.get_running_loop()
        if isinstance(loop, SimulatedLoop) and loop.is_closing:
            raise UnansweredError("the world is at its end")
        strike = self._strike(who, name)
        reply: asyncio.Future[Any] = loop.create_future()
        if strike is None or strike.request is not Request.NEVER_SENT:
            refusal = self._send(_Sent(server=server, who=who, name=name, deed=deed, reply=reply, tag=tag), strike)
            if refusal is not None:
                loop.call_later(REFUSED_AFTER_S, _settle, reply, None, refusal)
        if strike is not None and strike.request is not Request.EXECUTED:
            strike.fell()
            await asyncio.sleep(0)
        timer = loop.call_later(timeout_s, _expire, reply, server.name)
        try:
            return await reply
        finally:
            timer.cancel()

    def _send(self, request: _Sent, strike: Strike | None) -> UnansweredError | None:
        """Put a request on its way, or not; return the error where its sender learns of it at once."""
        server, dice = request.server, self.dice(request.who)
        fate, luck = dice.random() / (server.rate or 1e-9), dice.random()
        there_s = dice.choice((0.0003, 0.001, 0.002, 0.02)) * (0.5 + dice.random())
        request.answered_in_s = 0.0002 + 0.004 * dice.random()
        if server.is_away or request.who in server.cut_from:
            return UnansweredError(f"{server.name} is away") if luck < 0.5 else None
        if strike is not None:
            request.fell = strike.fell if strike.request is Request.EXECUTED else None
        is_adrift = strike is not None and strike.request is Request.ADRIFT
        if fate < 1 / 4:
            return None
        if is_adrift or fate < 2 / 4:
            there_s = SLOWEST_S * luck
            if request.tag and (is_adrift or luck < 0.5):
                there_s = SLOWEST_S
                self._adrift.setdefault(request.tag, []).append((dice.randint(1, FURTHEST_ADRIFT), request))
        request.is_mute = 2 / 4 <= fate < 1
        asyncio.get_running_loop().call_later(there_s, self._arrive, request, context=self._outside)
        return None

    def dice(self, who: str) -> random.Random:
        """Return the dice of a process."""
        found = self._dice.get(who)
        if found is None:
            found = self._dice[who] = random.Random(f"{self._seed} {who}")
        return found

    def _strike(self, who: str, name: str) -> Strike | None:
        """Return the strike that falls at this call."""
        for strike in self.strikes.get(who, ()):
            if name.startswith(strike.call):
                strike.count -= 1
                if strike.count == 0:
                    return strike
        return None

    def _arrive(self, request: _Sent) -> None:
        """Execute a request where it has arrived, and send the answer back."""
        if request.server.is_away or request.is_executed:
            return
        request.is_executed = True
        name = f"{request.who} {request.name}"
        self.trace.note(f"{asyncio.get_running_loop().time():.6f} {name}\n")
        try:
            outcome, error = request.deed(), None
        except Exception as raised:  # noqa: BLE001  # it is the caller's
            outcome, error = None, raised
        if request.fell is not None:
            request.fell()
        if isinstance(outcome, asyncio.Future):
            outcome.add_done_callback(lambda done: self._answer(request, done.result(), None))
        elif not request.is_mute:
            self._answer(request, outcome, error)
        self._wash_ashore(request.tag)

    def _wash_ashore(self, tag: str) -> None:
        """Let what is adrift arrive behind the requests it was to wait for."""
        waiting = self._adrift.get(tag)
        if waiting:
            self._adrift[tag] = [(count - 1, request) for count, request in waiting if count > 1]
            for count, request in waiting:
                if count == 1:
                    self._arrive(request)

    def _answer(self, request: _Sent, outcome: Any, error: Exception | None) -> None:
        settle = partial(_settle, request.reply, outcome, error)
        asyncio.get_running_loop().call_later(request.answered_in_s, settle, context=self._outside)


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
