"""Which topics have fallen silent: a dead connector looks like a quiet shop.

Time does not go on further than `max_silence` beyond the newest event of a topic, by the earlier of its own time
and Kafka's: not when the topic is silent, and not when it speaks again and brings what it had kept back. What was
heard is known to all workers through the store, and costs one comparison a batch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from segmenter.domain.instants import BEGINNING, HOUR, SECOND, Instant, Span, rfc3339
from segmenter.engine.terms import LEARNED, Terms
from segmenter.ports import Heard, Recorder, SourceBoard, SourceRecord

LEAST_LEARNED: Span = 6 * HOUR
LEARNED_TIMES = 4
FOREVER: Instant = 2**62


class OpenEar:
    """Takes no topic for silent: for engines that read files, or whose tests are about something else."""

    def hear(self, topic: str, at: Instant, now: Instant) -> None:
        """Note the time of the newest event of a batch."""

    def limit(self) -> Instant:
        """Return how far time may go."""
        return FOREVER

    def resumed_at(self, topic: str) -> Instant:
        """Return when an operator last said that the topic need not be waited for."""
        return BEGINNING

    def faults(self, now: Instant) -> Iterable[str]:
        """Return which topics are silent, a sentence each."""
        return ()

    async def refresh(self, now: Instant) -> None:
        """Tell the store what was heard, and learn what others heard. Raises TransientError."""


class Ear(OpenEar):
    """Listens to the topics of the terms; nothing goes on before the first `refresh`."""

    def __init__(self, terms: Terms, board: SourceBoard, recorder: Recorder) -> None:
        self._terms = terms
        self._board = board
        self._recorder = recorder
        self._heard: dict[str, Heard] = {}
        self._known: dict[str, SourceRecord] | None = None

    def hear(self, topic: str, at: Instant, now: Instant) -> None:
        """Note the time of the newest event of a batch. A wrong clock's future shows no more than now."""
        if topic not in self._terms.max_silence:
            return
        at = min(at, now)
        heard = self._heard.get(topic)
        if heard is None:
            heard = self._heard[topic] = Heard(last_at=at)
        heard.last_at = max(heard.last_at, at)
        heard.hours.add(at // HOUR)
        if self._known is not None:
            known = self._known.get(topic) or SourceRecord(last_at=at)
            self._known[topic] = replace(known, last_at=max(at, known.last_at))

    def limit(self) -> Instant:
        """Return how far time may go for the topic that was silent longest."""
        if self._known is None:
            return FOREVER if not self._terms.max_silence else BEGINNING
        limits = [limit for topic in self._known if (limit := self._limit_of(topic)) is not None]
        return min(limits, default=FOREVER)

    def resumed_at(self, topic: str) -> Instant:
        """Return when an operator last said that the topic need not be waited for."""
        known = (self._known or {}).get(topic)
        return BEGINNING if known is None else known.resumed_at

    def faults(self, now: Instant) -> Iterable[str]:
        """Return which topics are silent, a sentence each."""
        for topic, known in (self._known or {}).items():
            limit = self._limit_of(topic)
            if limit is not None and limit < now:
                since, fix = rfc3339(known.last_at), f"`segmenter sources resume {topic}` where the silence is true"
                yield f"topic {topic} is silent since {since}: time stands still at {rfc3339(limit)}; {fix}"

    async def refresh(self, now: Instant) -> None:
        """Tell the store what was heard, and learn what others heard. Raises TransientError."""
        heard, self._heard = self._heard, {}
        try:
            known = await self._board.hear(heard)
        except BaseException:
            self._heard = _united(heard, self._heard)
            raise
        self._known = {topic: record for topic, record in known.items() if topic in self._terms.max_silence}
        for topic in self._terms.max_silence:
            # One that never spoke is shown as one that speaks now: nobody waits for it.
            record = self._known.get(topic, SourceRecord(last_at=now))
            limit = self._limit_of(topic) if topic in self._known else None
            self._recorder.silence(
                topic,
                seconds_since=max(0, now - record.last_at) / SECOND,
                allowed_s=max_silence_of(self._terms, topic, record) / SECOND,
                is_held=limit is not None and limit < now,
            )

    def _limit_of(self, topic: str) -> Instant | None:
        known = (self._known or {})[topic]
        return None if known.is_resumed else known.last_at + max_silence_of(self._terms, topic, known)


def max_silence_of(terms: Terms, topic: str, record: SourceRecord) -> Span:
    """Return how long a topic may be silent: as it was set, or learned of its longest gap."""
    given = terms.max_silence[topic]
    return max(LEAST_LEARNED, LEARNED_TIMES * record.longest_gap) if given == LEARNED else given


def _united(first: Mapping[str, Heard], second: Mapping[str, Heard]) -> dict[str, Heard]:
    united = dict(first)
    for topic, heard in second.items():
        before = united.get(topic)
        united[topic] = heard if before is None else before.with_more(heard)
    return united
