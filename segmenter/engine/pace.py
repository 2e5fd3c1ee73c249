"""The seconds by which the engine paces itself: those of its loop, so that a loop of simulated time paces it too."""

import asyncio
import random
from collections.abc import Hashable

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0


def seconds() -> float:
    """Return the running loop's time, which never goes back; only differences mean anything."""
    return asyncio.get_running_loop().time()


class Pauses:
    """How long to leave alone what fails: from 0.1 to 30 s, longer with each failure in a row, never all at once."""

    def __init__(self) -> None:
        self._next_s: dict[Hashable, float] = {}

    def after_failure(self, what: Hashable) -> float:
        """Return how many seconds to wait before the next try."""
        pause_s = self._next_s.get(what, FIRST_PAUSE_S)
        self._next_s[what] = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s * random.uniform(0.5, 1.0)

    def forget(self, what: Hashable) -> None:
        """Begin with the shortest pause again: it has worked."""
        self._next_s.pop(what, None)
