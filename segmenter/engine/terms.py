"""What a worker was told to keep to: the rules, the topics it reads, its patience and its bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from segmenter.domain.instants import DAY, MINUTE, SECOND, Instant, Span
from segmenter.domain.rulebook import Rulebook

LEARNED: Literal["learned"] = "learned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one worker.

    `direct` topics are keyed by customer and have `partitions` partitions; `others` go through the repartition
    stage and come home on `rekeyed`. `lateness` is what is allowed by topic, `default_lateness` else. A topic in
    `max_silence` holds time when it is silent for longer than that, or than what was learned of it.
    """

    rulebook: Rulebook = Rulebook()
    partitions: int = 8
    direct: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    rekeyed: str = "segmenter.rekeyed"
    lateness: Mapping[str, Span] = field(default_factory=dict)
    default_lateness: Span = 2 * SECOND
    max_silence: Mapping[str, Span | Literal["learned"]] = field(default_factory=dict)
    live_within: Span = MINUTE
    behind_after: Span = 5 * MINUTE
    announce_from: Instant | None = None
    announce_horizon: Span = DAY
    breaks_storms: bool = True
    """Moves of a segment that too many leave are held; not where nobody could release them."""
    # Redis answers nobody else meanwhile: 1,500 events of the usual mix or 700 deadlines take its script 5 ms.
    events_per_commit: int = 1_500
    ticks_per_commit: int = 700
    sweep_per_commit: int = 700
    # Live events wait for one bite: looking at a customer and storing him takes 100 to 200 µs, the commit 2 ms.
    walk_per_commit: int = 25
    # The customers that were last at work in a lane, 2 KB each, are not read from the store again.
    profiles_kept: int = 4_000
    outbox_entries: int = 200_000
    outbox_bytes: int = 64 * 1024 * 1024

    def lateness_of(self, topic: str) -> Span:
        """Return how late a record of this topic may be."""
        return self.lateness.get(topic, self.default_lateness)

    @property
    def greatest_lateness(self) -> Span:
        """The lateness by which a lane as a whole trails the clock."""
        return max([self.default_lateness, *self.lateness.values()])
