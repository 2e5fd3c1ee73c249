"""The memory adapters as a bad network shows them: slow, away, and silent about what they have done."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from segmenter.adapters.memory_log import MemoryLaneLog, MemoryOutputLog
from segmenter.errors import TransientError
from segmenter.ports import Forward, Forwarder, OutboxEntry, Output


class Trouble:
    """What befalls the calls of one process. `rate` is the share of calls that fail, half of them after the deed."""

    def __init__(self, dice: random.Random, rate: float) -> None:
        self.dice = dice
        self.rate = rate
        self.is_dead = False
        self.failures = 0

    async def befall(self, deed: Callable[[], Awaitable[Any]]) -> Any:
        """Do it after a while, or not, or do it and lose the answer; a dead process does nothing any more."""
        await self._wait()
        fate = self.dice.random()
        if fate < self.rate / 2:
            self.failures += 1
            raise TransientError("the server is away")
        outcome = await deed()
        if fate < self.rate:
            self.failures += 1
            raise TransientError("the answer is lost")
        await self._wait()
        return outcome

    async def _wait(self) -> None:
        await asyncio.sleep(self.dice.choice([0, 0, 0.001, 0.01, 0.2]))
        if self.is_dead:
            await asyncio.Event().wait()


class Troubled:
    """Any port whose methods all are coroutines, in trouble."""

    def __init__(self, port: object, trouble: Trouble) -> None:
        self._port = port
        self._trouble = trouble

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._port, name)

        async def call(*args: Any, **named: Any) -> Any:
            return await self._trouble.befall(lambda: method(*args, **named))

        return call


class TroubledOutput:
    """An output log whose holds are in trouble too."""

    def __init__(self, log: MemoryOutputLog, trouble: Trouble) -> None:
        self._log = log
        self._trouble = trouble

    async def take_over(self, lane: int) -> "TroubledLaneLog":
        """See the port OutputLog."""
        held = await self._trouble.befall(lambda: self._log.take_over(lane))
        return TroubledLaneLog(held, self._trouble)


class TroubledLaneLog:
    """A hold on one lane. A batch may arrive in part, and a failed hold is of no use."""

    def __init__(self, held: MemoryLaneLog, trouble: Trouble) -> None:
        self.producer_id = held.producer_id
        self._held = held
        self._trouble = trouble
        self.tails = Troubled(held, trouble).tails
        self.beyond = Troubled(held, trouble).beyond
        self.open = Troubled(held, trouble).open
        self._is_broken = False

    async def send(self, entries: Sequence[OutboxEntry]) -> None:
        """See the port LaneLog: each output in its order, cut short at any place."""
        assert not self._is_broken, "a hold was used after it had failed"
        self._is_broken = True
        dice = self._trouble.dice
        if dice.random() < self._trouble.rate:
            for output in Output:
                mine = [entry for entry in entries if entry.output is output]
                await self._trouble.befall(partial(self._held.send, mine[: dice.randint(0, len(mine))]))
            raise TransientError("the broker took a part")
        await self._trouble.befall(lambda: self._held.send(entries))
        self._is_broken = False

    async def close(self) -> None:
        """See the port LaneLog."""


class TroubledForwarder:
    """The way home, of which a part may be gone when the rest fails; each partition keeps its order."""

    def __init__(self, forwarder: Forwarder, trouble: Trouble) -> None:
        self._forwarder = forwarder
        self._trouble = trouble

    async def forward(self, records: Sequence[Forward]) -> None:
        """See the port Forwarder."""
        dice = self._trouble.dice
        for partition in sorted({record.partition for record in records}):
            mine = [record for record in records if record.partition == partition]
            is_cut = dice.random() < self._trouble.rate
            part = mine[: dice.randint(0, len(mine))] if is_cut else mine
            await self._trouble.befall(partial(self._forwarder.forward, part))
            if is_cut:
                raise TransientError("the broker took a part")
