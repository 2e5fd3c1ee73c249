"""Is the clock of this machine right? It is held against the store's every few seconds, and against itself between.

While it is off, no conclusion is drawn from silence: an hour that has not passed proves nothing.
"""

import time
from collections.abc import Callable

from segmenter.domain.instants import SECOND, Instant, Span
from segmenter.ports import Recorder, TimeReference

ALLOWED: Span = 5 * SECOND
LOOK_EVERY_S = 5.0


class SureClock:
    """Trusts the clock as it is: for engines whose time is given to them."""

    @property
    def is_trusted(self) -> bool:
        """Time may be believed now."""
        return True

    @property
    def fault(self) -> str:
        """What is wrong with the clock, for the operator; empty: nothing."""
        return ""

    def corrected(self, now: Instant) -> Instant:
        """Return what a clock that is known to be off should have said, so that records tell the right time."""
        return now

    async def look(self) -> None:
        """Compare, where the last time is some seconds ago. Raises TransientError."""


class ClockCheck(SureClock):
    """Compares the system's clock, `system`, with the reference.

    Between two looks a leap is noticed by the clock that only runs forward, `monotonic_s`: until the next look has
    judged it, time is not believed. Nothing is believed before the first look either.
    """

    def __init__(
        self,
        system: Callable[[], Instant],
        reference: TimeReference,
        recorder: Recorder,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._system = system
        self._reference = reference
        self._recorder = recorder
        self._monotonic_s = monotonic_s
        self._offset: Span | None = None
        self._started_at: Instant = 0
        self._looked_at_s = 0.0

    @property
    def is_trusted(self) -> bool:
        """Time may be believed: it was right at the last look, and has run evenly since."""
        return self._offset is not None and abs(self._offset) <= ALLOWED and not self._has_leapt()

    @property
    def fault(self) -> str:
        """What is wrong with the clock, for the operator; empty: nothing."""
        if self._offset is None:
            return "the clock was not compared with that of Redis yet"
        if abs(self._offset) > ALLOWED:
            side = "ahead of" if self._offset > 0 else "behind"
            return f"the clock of this machine is {abs(self._offset) / SECOND:.0f} s {side} that of Redis"
        return "the clock of this machine has leapt" if self._has_leapt() else ""

    def corrected(self, now: Instant) -> Instant:
        """Return what a clock that is known to be off should have said, so that records tell the right time."""
        return now - self._offset if self._offset is not None and abs(self._offset) > ALLOWED else now

    async def look(self) -> None:
        """Compare, where the last time is some seconds ago or the clock has leapt. Raises TransientError."""
        is_recent = self._monotonic_s() - self._looked_at_s < LOOK_EVERY_S
        if self._offset is not None and is_recent and not self._has_leapt():
            return
        asked_s, before = self._monotonic_s(), self._system()
        there = await self._reference.now()
        after = self._system()
        # The answer was given somewhere between: what that can explain is no offset.
        self._offset = before - there if there < before else min(0, after - there)
        self._started_at, self._looked_at_s = before - _span(asked_s), asked_s
        self._recorder.clock_offset(self._offset / SECOND)

    def _has_leapt(self) -> bool:
        return abs(self._system() - _span(self._monotonic_s()) - self._started_at) > ALLOWED


def _span(seconds: float) -> Span:
    return int(seconds * SECOND)
