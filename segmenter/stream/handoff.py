"""One poll on its way to the engine: carried by Faust as a single event, taken once or not at all."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

from segmenter.engine.intake import Poll
from segmenter.stream.intake import Engine


@dataclass(frozen=True, slots=True)
class Taken:
    """The engine is done with it; where it stands now, `Engine.intake` says."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Nobody took it. It is read again, for the engine's offsets have not moved."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A server was away (TransientError) or the engine has a bug. It is read again."""

    error: Exception


Outcome: TypeAlias = Taken | Dropped | Failed


class Handoff:
    """The value of the event. The sender waits for `outcome`; the agent calls `carry_out`, which never raises.

    Faust acknowledges an event whose agent raises, and loses it; and it clears the queue before an agent when the
    group rebalances. So the sender may take back a poll that nobody has begun, and only such a one.
    """

    def __init__(self, engine: Engine, poll: Poll) -> None:
        self._engine = engine
        self._poll = poll
        self._is_begun = False
        self._made_at = monotonic()
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def untaken_s(self) -> float:
        """The seconds it has waited for an agent; 0 once one has begun."""
        return 0.0 if self._is_begun else monotonic() - self._made_at

    @property
    def records(self) -> int:
        """Count the records in the poll."""
        return sum(map(len, self._poll.records.values()))

    async def carry_out(self) -> None:
        """Let the engine take the poll, unless it was taken back."""
        if self._is_begun or self.outcome.done():
            return
        self._is_begun = True
        try:
            await self._engine.take(self._poll)
        except asyncio.CancelledError:
            self._settle(Dropped())
            raise
        except Exception as error:  # noqa: BLE001  # the agent must not raise; the sender judges
            self._settle(Failed(error))
        else:
            self._settle(Taken())

    def take_back(self) -> None:
        """Drop the poll if nobody has begun it."""
        if not self._is_begun:
            self._settle(Dropped())

    def _settle(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)
