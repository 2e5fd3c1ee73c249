"""The group's coordinator, as the eager protocol has it: all partitions are given up, then given anew.

A member that is silent for the session time-out is out, and does not know. A rebalance waits for everyone who was in,
at most for the rebalance time-out; who came too late begins as a stranger.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from segmenter.engine.intake import Place

SESSION_S = 6.0
HEARTBEAT_S = 1.0
REBALANCE_S = 8.0


class Word(StrEnum):
    """What a member is answered."""

    STEADY = "steady"
    REBALANCE = "rebalance"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a member was given, and in which generation. No places: join again."""

    member: str
    generation: int
    places: frozenset[Place] | None


@dataclass(slots=True)
class _Member:
    seen_at: float
    waiting: "asyncio.Future[Assignment] | None" = None


@dataclass(kw_only=True)
class Coordinator:
    """One group. Every method is one request."""

    dice: random.Random
    now_s: Callable[[], float]
    later: Callable[[float, Callable[[], None]], object]
    lane_topics: Sequence[str]
    lanes: int
    others: Sequence[Place]
    generation: int = 0
    is_rebalancing: bool = False
    assigned: dict[str, frozenset[Place]] = field(default_factory=dict)
    history: list[tuple[int, dict[str, frozenset[Place]]]] = field(default_factory=list)
    _members: dict[str, _Member] = field(default_factory=dict)
    _names: int = 0
    _round: int = 0

    def join(self, member: str | None) -> "asyncio.Future[Assignment]":
        """Come in, or come again; answered when everyone has."""
        if member is None or member not in self._members:
            self._names += 1
            member = f"member {self._names}"
            self._members[member] = _Member(self.now_s())
            self._watch(member)
        if not self.is_rebalancing:
            self._begin()
        found = self._members[member]
        if found.waiting is not None and not found.waiting.done():
            found.waiting.set_result(Assignment(member, self.generation, None))
        found.waiting = asyncio.get_running_loop().create_future()
        answer = found.waiting
        self._complete_if_all_are_here()
        return answer

    def heartbeat(self, member: str, generation: int) -> Word:
        """Show life."""
        found = self._members.get(member)
        if found is None or (generation != self.generation and not self.is_rebalancing):
            return Word.UNKNOWN
        found.seen_at = self.now_s()
        return Word.REBALANCE if self.is_rebalancing else Word.STEADY

    def leave(self, member: str) -> None:
        """Go."""
        if self._members.pop(member, None) is not None:
            self._begin()

    def shuffle(self) -> None:
        """Rebalance without a reason of ours, as an operator's tool or a new topic does."""
        if self._members and not self.is_rebalancing:
            self._begin()

    def _begin(self) -> None:
        if not self.is_rebalancing:
            self.is_rebalancing = True
            self._round += 1
            round_ = self._round
            self.later(REBALANCE_S, lambda: self._complete(round_))
        self._complete_if_all_are_here()

    def _complete_if_all_are_here(self) -> None:
        if self._members and all(member.waiting is not None for member in self._members.values()):
            # Who comes at the same moment comes in.
            round_ = self._round
            self.later(0.05, lambda: self._complete(round_, is_early=True))

    def _complete(self, round_: int, *, is_early: bool = False) -> None:
        if not self.is_rebalancing or round_ != self._round:
            return
        if is_early and not all(member.waiting is not None for member in self._members.values()):
            return
        self._members = {name: member for name, member in self._members.items() if member.waiting is not None}
        self.is_rebalancing = False
        self.generation += 1
        self.assigned = dict(zip(self._members, self._parts(len(self._members)), strict=True))
        self.history.append((self.generation, self.assigned))
        for name, member in self._members.items():
            member.seen_at = self.now_s()
            if member.waiting is not None and not member.waiting.done():
                member.waiting.set_result(Assignment(name, self.generation, self.assigned[name]))
            member.waiting = None

    def _watch(self, name: str) -> None:
        """Put a member out when it has been silent for the session time-out; who waits for the others is excused."""
        member = self._members.get(name)
        if member is None:
            return
        silent_s = 0.0 if member.waiting is not None else self.now_s() - member.seen_at
        if silent_s >= SESSION_S:
            self.leave(name)
            return
        self.later(SESSION_S - silent_s + 0.01, lambda: self._watch(name))

    def _parts(self, count: int) -> list[frozenset[Place]]:
        """Lanes stay whole, as with co-partitioned topics, and evenly spread; the rest goes anywhere."""
        if not count:
            return []
        owners = [lane % count for lane in range(self.lanes)]
        self.dice.shuffle(owners)
        parts: list[set[Place]] = [set() for _ in range(count)]
        for lane, owner in enumerate(owners):
            parts[owner].update((topic, lane) for topic in self.lane_topics)
        for place in self.others:
            parts[self.dice.randrange(count)].add(place)
        return [frozenset(part) for part in parts]


def lanes_of(places: Collection[Place], lane_topics: Collection[str]) -> frozenset[int]:
    """Return the lanes among these partitions."""
    return frozenset(number for topic, number in places if topic in lane_topics)
