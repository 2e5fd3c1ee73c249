"""When topics spoke, in a dict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from segmenter.domain.instants import BEGINNING, HOUR, Instant
from segmenter.ports import Heard, SourceRecord

REMEMBERED_HOURS = 4 * 7 * 24


@dataclass(slots=True, kw_only=True)
class _Topic:
    last_at: Instant
    hours: set[int] = field(default_factory=set)
    resumed_at: Instant = BEGINNING
    resumed_last: Instant = BEGINNING


class MemorySourceBoard:
    """SourceBoard in a dict."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}

    async def hear(self, heard: Mapping[str, Heard]) -> Mapping[str, SourceRecord]:
        """Add what was heard, and return what is known of every topic that ever spoke."""
        for name, more in heard.items():
            topic = self._topics.setdefault(name, _Topic(last_at=more.last_at))
            topic.last_at = max(topic.last_at, more.last_at)
            newest = max(topic.hours | more.hours)
            topic.hours = {hour for hour in topic.hours | more.hours if hour > newest - REMEMBERED_HOURS}
        return {name: _record_of(topic) for name, topic in self._topics.items()}

    async def resume(self, topic: str, at: Instant) -> bool:
        """Do not wait for this topic until it speaks again."""
        known = self._topics.get(topic)
        if known is None:
            return False
        known.resumed_at, known.resumed_last = at, known.last_at
        return True


def _record_of(topic: _Topic) -> SourceRecord:
    gaps = [after - before for before, after in pairwise(sorted(topic.hours))]
    return SourceRecord(
        last_at=topic.last_at,
        longest_gap=max(gaps, default=0) * HOUR,
        resumed_at=topic.resumed_at,
        is_resumed=topic.resumed_last == topic.last_at,
    )
