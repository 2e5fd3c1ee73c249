"""For how long sources have made no progress in time."""

from collections.abc import Mapping

from segmenter.domain.instants import HOUR, Instant, Span
from segmenter.ports import Source

STUCK_AFTER: Span = HOUR


class Standing:
    """Remembers how far each source had come, and since when."""

    def __init__(self) -> None:
        self._seen: dict[Source, tuple[Instant | None, Instant]] = {}

    def look(self, times: Mapping[Source, Instant | None], now: Instant) -> dict[Source, Span]:
        """Return for how long the time of each source has been what it is, as far as it was looked at."""
        for source, time in times.items():
            seen = self._seen.get(source)
            if seen is None or seen[0] != time or seen[1] > now:
                self._seen[source] = time, now
        return {source: now - self._seen[source][1] for source in times}
