"""Time of a lane: how far every source has come that could still refute a conclusion from silence."""

from collections.abc import Iterable, Mapping

from segmenter.domain.instants import Instant
from segmenter.engine.intake import Evidence
from segmenter.engine.terms import Terms
from segmenter.ports import Source


class Watermark:
    """Watches the sources of one lane. What it tells never goes back.

    `sources` are the partitions read directly, `tasks` the partitions that come over the repartition topic; a
    source that has given no evidence since this object was made holds the watermark where it was stored.
    """

    def __init__(self, stored: Instant, sources: Iterable[Source], tasks: Iterable[Source], terms: Terms) -> None:
        self.at = stored
        self._time_by_source: dict[Source, Instant | None] = dict.fromkeys(sources)
        self._tasks = tuple(tasks)
        self._terms = terms

    def copy(self) -> "Watermark":
        """Return one that can go on without this one."""
        other = Watermark(self.at, (), self._tasks, self._terms)
        other._time_by_source = dict(self._time_by_source)
        return other

    def observe(self, source: Source, evidence: Evidence | None, newest: Instant | None, now: Instant) -> None:
        """Take what a poll has shown of a source, once all its records were read.

        At its end the source has come as far as the moment its fetch was asked for; else as far as the newest
        record read.
        """
        if source not in self._time_by_source:
            return
        time = source_time(evidence, newest, now)
        if time is None:
            return
        time -= self._terms.lateness_of(source.rpartition("/")[0])
        known = self._time_by_source[source]
        self._time_by_source[source] = time if known is None else max(known, time)

    def advance(self, markers: Mapping[Source, Instant]) -> Instant:
        """Return the watermark, given the time each repartition task has sent."""
        times = [*self._time_by_source.values(), *(markers.get(task) for task in self._tasks)]
        known = [time for time in times if time is not None]
        if times and len(known) == len(times):
            self.at = max(self.at, min(known))
        return self.at


def source_time(evidence: Evidence | None, newest: Instant | None, now: Instant) -> Instant | None:
    """Return how far a source has come, lateness not yet taken off; None: it has shown nothing.

    A record that a wrong clock has stamped with the future shows no more than `now`.
    """
    if evidence is None or evidence.asked_at is None or evidence.end is None or evidence.position < evidence.end:
        return None if newest is None else min(newest, now)
    return evidence.asked_at
