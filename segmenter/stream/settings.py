"""What the stream must be told, and the rules its timeouts must keep."""

from collections.abc import Iterator
from dataclasses import dataclass

from segmenter.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Settings of the Faust app. Times are in seconds unless the name says otherwise.

    `lane_topics` are those read at home, the repartition topic among them: `partitions` partitions each, so that
    partition p of all of them is lane p. `other_topics` pass the repartition stage and may have any count.
    """

    bootstrap: str
    """`host:port`, more of them separated by commas."""
    group: str
    lane_topics: tuple[str, ...]
    other_topics: tuple[str, ...] = ()
    partitions: int
    instance_id: str | None = None
    """Static membership: this worker's own name in the group, stable over restarts and never used twice."""
    session_timeout_s: float = 10.0
    heartbeat_s: float = 3.0
    rebalance_timeout_s: float = 60.0
    request_timeout_s: float = 90.0
    fetch_max_wait_ms: int = 100
    """Bounds pauses and rebalances, and is how often an idle partition's time advances."""
    max_partition_fetch_bytes: int = 1_048_576
    max_partition_records: int = 8_192
    """A poll holds at most this many of a partition: compressed, 1 MiB can be 70,000 events."""
    check_crcs: bool = True
    """Only librdkafka's mock cluster needs it off: its control records carry no checksum."""
    is_read_committed: bool = True
    shutdown_budget_s: float = 10.0

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics that are read."""
        return (*self.lane_topics, *self.other_topics)

    def refuse_faults(self) -> None:
        """Raise ConfigurationError with every rule that is broken."""
        if faults := list(self._faults()):
            raise ConfigurationError(faults)

    def _faults(self) -> Iterator[str]:
        if not self.lane_topics:
            yield "no topic is read at home; at least the repartition topic must be"
        if twice := sorted({topic for topic in self.topics if self.topics.count(topic) > 1}):
            yield f"topics are named twice: {', '.join(twice)}"
        # aiokafka gives a JoinGroup the request timeout, and the broker answers it only when the rebalance is over.
        if self.request_timeout_s <= self.rebalance_timeout_s:
            yield (
                f"the request timeout of {self.request_timeout_s} s must be longer than "
                f"the rebalance timeout of {self.rebalance_timeout_s} s"
            )
        if self.session_timeout_s >= self.request_timeout_s:
            yield (
                f"the session timeout of {self.session_timeout_s} s must be shorter than "
                f"the request timeout of {self.request_timeout_s} s"
            )
        if self.heartbeat_s * 3 > self.session_timeout_s:
            yield (
                f"a heartbeat every {self.heartbeat_s} s is too rare for "
                f"a session timeout of {self.session_timeout_s} s: at most a third of it"
            )
