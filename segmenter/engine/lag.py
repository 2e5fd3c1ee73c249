"""How far the reading of each partition is behind its end, told once a second."""

from segmenter.domain.instants import MILLISECOND, SECOND, Instant
from segmenter.engine.intake import Poll
from segmenter.engine.pace import seconds
from segmenter.ports import Recorder

EVERY_S = 1.0


class LagTeller:
    """Tells the recorder what polls show."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._told_at = 0.0

    def tell(self, poll: Poll, now: Instant) -> None:
        """Tell how many records are left to read of each partition, and how old the newest is that was read."""
        if seconds() < self._told_at + EVERY_S:
            return
        self._told_at = seconds()
        for (topic, partition), seen in poll.evidence.items():
            unread = max(0, (seen.end or 0) - seen.position)
            read = poll.records.get((topic, partition))
            age = (now - read[-1].timestamp * MILLISECOND) / SECOND if unread and read else 0.0
            self._recorder.lag(topic, partition, records=unread, age_s=max(0.0, age))
