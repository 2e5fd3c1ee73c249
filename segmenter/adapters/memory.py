"""Lanes, the board and the tasks in dicts: what `simulate` and fast tests run on.

It keeps what the Redis adapter keeps, refuses what that refuses, and stores profiles as bytes, so that nobody
holds a part of the store in his hands. Nothing survives the process.
"""

import copy
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from segmenter.adapters.lane_limits import is_ranking_anew
from segmenter.adapters.memory_lanes import MemoryLaneStore, World, new_state
from segmenter.adapters.memory_order import OrderedPairs
from segmenter.adapters.memory_rules import MemoryHoldBoard, MemoryRulebookSource
from segmenter.adapters.memory_sources import MemorySourceBoard
from segmenter.domain.instants import Instant
from segmenter.domain.ranking import BY_VALUE
from segmenter.domain.value import Boundary
from segmenter.ports import LaneState, LaneSummary, Range, Source, Token


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a store held at a moment."""

    world: World


class MemoryStore:
    """The three stores over the same dicts; `snapshot` and `restore` play a Redis that loses what came after."""

    def __init__(self, partitions: int, now: Callable[[], Instant] = lambda: time.time_ns() // 1_000) -> None:
        self._world = World()
        self.lanes = MemoryLaneStore(self._world, now)
        self.board = MemoryBoard(self._world, partitions)
        self.tasks = MemoryTaskStore(self._world)
        self.sources = MemorySourceBoard()
        self.rulebooks = MemoryRulebookSource(self._world)
        self.holds = MemoryHoldBoard(self._world)

    def snapshot(self) -> Snapshot:
        """Return what is held now."""
        return Snapshot(copy.deepcopy(self._world))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, which may be used again."""
        then = copy.deepcopy(snapshot.world)
        self._world.lanes, self._world.boundary, self._world.positions = then.lanes, then.boundary, then.positions
        self._world.incarnations = then.incarnations
        self._world.revisions, self._world.orders = then.revisions, then.orders


class MemoryBoard:
    """GlobalBoard over the lanes of the same store."""

    def __init__(self, world: World, partitions: int) -> None:
        self._world = world
        self._partitions = partitions

    async def summaries(self) -> list[LaneSummary]:
        """Return a summary of every lane."""
        states = [_state_of(self._world, lane) for lane in range(self._partitions)]
        return [
            LaneSummary(
                lane=state.lane,
                is_live=state.notes.is_live,
                rank_version=state.notes.rank_version,
                watermark=state.notes.watermark,
                rules=None if is_ranking_anew(state.notes) else state.notes.revision,
            )
            for state in states
        ]

    async def coarse(self, lane: int, ranking: int = BY_VALUE) -> Mapping[int, Range]:
        """Return one of the lane's rankings by coarse bucket."""
        sums = {} if (ranks := self._ranks(lane, ranking)) is None else ranks.group_sums()
        return {coarse: Range(count, total) for coarse, (count, total) in sums.items() if coarse >= 0}

    async def fine(self, lane: int, coarse: Sequence[int], ranking: int = BY_VALUE) -> Mapping[int, Range]:
        """Return the ranking by bucket, inside these coarse ones."""
        ranks = self._ranks(lane, ranking)
        if ranks is None:
            return {}
        inside = {bucket: sums for number in coarse for bucket, sums in ranks.sums_of(number)}
        return {bucket: Range(count, total) for bucket, (count, total) in inside.items()}

    async def parts(self, lane: int, edges: Sequence[int], ranking: int = BY_VALUE) -> list[Range]:
        """Return the ranking between consecutive edges."""
        ranks = self._ranks(lane, ranking)
        places = [] if ranks is None else [place for place, _ in ranks.between(edges[0], edges[-1] - 1)]
        ends = [bisect_left(places, edge) for edge in edges]
        return [Range(end - start, sum(places[start:end])) for start, end in pairwise(ends)]

    async def boundary(self) -> Boundary | None:
        """Return the boundary in force."""
        return self._world.boundary

    async def publish(self, token: Token, boundary: Boundary) -> bool:
        """Put this boundary in force, if lane 0 is ours and the number before it is in force."""
        held, present = self._world.lanes.get(0), self._world.boundary
        if held is None or held.token != token:
            return False
        if present != boundary and (0 if present is None else present.number) != boundary.number - 1:
            return False
        self._world.boundary = boundary
        return True

    def _ranks(self, lane: int, ranking: int) -> OrderedPairs | None:
        held = self._world.lanes.get(lane)
        return None if held is None else held.ranks(ranking)


def _state_of(world: World, lane: int) -> LaneState:
    return world.lanes[lane].state if lane in world.lanes else new_state(lane, 0)


class MemoryTaskStore:
    """TaskStore in a dict."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def position(self, source: Source) -> int | None:
        """Return the next offset to read."""
        return self._world.positions.get(source)

    async def advance(self, source: Source, offset: int) -> None:
        """Note how far the task has come."""
        self._world.positions[source] = offset

    async def incarnation(self, source: Source) -> int:
        """Return how often an operator has put the task back."""
        return self._world.incarnations.get(source, 0)

    async def put(self, source: Source, offset: int, incarnation: int) -> None:
        """Put a task to an offset."""
        self._world.positions[source], self._world.incarnations[source] = offset, incarnation

    async def positions(self) -> Mapping[Source, int]:
        """Return the next offset of every task that ever ran."""
        return dict(self._world.positions)
