"""Time of a lane: how far every source has come that could still refute a conclusion from silence."""

from collections.abc import Collection, Iterable, Mapping
from copy import copy

from segmenter.domain.instants import Instant
from segmenter.engine.intake import Evidence
from segmenter.engine.terms import Terms
from segmenter.ports import Source

FOREVER: Instant = 2**62


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
        other = copy(self)
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

    def advance(
        self, markers: Mapping[Source, Instant], limit: Instant = FOREVER, left_out: Collection[Source] = ()
    ) -> Instant:
        """Return the watermark, given the time each repartition task has sent.

        It goes no further than `limit`. Sources that an operator has left out are not waited for.
        """
        times = [time for source, time in self.times(markers).items() if source not in left_out]
        known = [time for time in times if time is not None]
        if times and len(known) == len(times):
            self.at = max(self.at, min(*known, limit))
        return self.at

    def times(self, markers: Mapping[Source, Instant]) -> dict[Source, Instant | None]:
        """Return how far every source has come; None: it has shown nothing."""
        return {**self._time_by_source, **{task: markers.get(task) for task in self._tasks}}


def source_time(evidence: Evidence | None, newest: Instant | None, now: Instant) -> Instant | None:
    """Return how far a source has come, lateness not yet taken off; None: it has shown nothing.

    A record that a wrong clock has stamped with the future shows no more than `now`, and a fetch that a clock set
    back since has stamped with the future shows nothing.
    """
    shown = None if newest is None else min(newest, now)
    if evidence is None or evidence.asked_at is None or evidence.asked_at > now:
        return shown
    return shown if evidence.end is None or evidence.position < evidence.end else evidence.asked_at
