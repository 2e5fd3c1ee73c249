"""The real worker in a process of its own, with a clock that the test holds: to be killed, paused and cut off.

Usage: python -m tests.integration.worker_process SETTINGS_AS_JSON CLOCK_FILE
"""

import asyncio
import json
import mmap
import sys
import time
from pathlib import Path

from segmenter.domain.instants import Instant, Span
from segmenter.logs import set_up_logging
from segmenter.observability import Metrics
from segmenter.settings import LogFormat, LogLevel, Settings
from segmenter.stream.run import stopping_on_signals
from segmenter.wiring.rules import rulebook_of
from segmenter.wiring.worker import Circumstances, look_for_cycles_rarely, work

_WIDTH = 8


class SharedClock:
    """Real time, moved by a span that stands in a file: who moves it moves it for all processes at once."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_WIDTH))
        with path.open("r+b") as file:
            self._span = mmap.mmap(file.fileno(), _WIDTH)

    def now(self) -> Instant:
        """Return the instant it is."""
        return time.time_ns() // 1_000 + self._moved()

    def show(self, instant: Instant) -> None:
        """Show this instant now, and go on from there."""
        self.advance(instant - self.now())

    def advance(self, span: Span) -> None:
        """Jump by a span."""
        self._span[:_WIDTH] = (self._moved() + span).to_bytes(_WIDTH, "little", signed=True)

    def _moved(self) -> Span:
        return int.from_bytes(self._span[:_WIDTH], "little", signed=True)


async def _work(settings: Settings, clock: SharedClock) -> None:
    circumstances = Circumstances(clock=clock, metrics=Metrics(), rulebook=rulebook_of(settings))
    with stopping_on_signals() as stop:
        await work(settings, circumstances, stop)


def main() -> None:
    settings, clock_file = sys.argv[1:]
    set_up_logging(LogLevel.INFO, LogFormat.TEXT)
    look_for_cycles_rarely()
    asyncio.run(_work(Settings.model_validate(json.loads(settings)), SharedClock(Path(clock_file))))


if __name__ == "__main__":
    main()
