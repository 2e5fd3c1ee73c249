"""What can only be seen while it happens: who takes a lane from whom, how full outboxes get, how often is tried."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segmenter.adapters.lane_limits import HEARTBEAT_VALID
from segmenter.domain.instants import Instant
from segmenter.ports import Commit, Output, RefusalKind, Refused, Token
from tests.simulation.rules import TOPIC_BY_OUTPUT

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Silence:
    """A topic whose feed was dead."""

    topic: str
    began_at: Instant
    ended_at: Instant


@dataclass(slots=True)
class Watch:
    """What was seen of a world."""

    silences: list[Silence] = field(default_factory=list)
    acquired: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How often a process has taken a lane."""
    fullest: int = 0
    """The most entries that waited in a lane while whatever it sent was refused."""
    tries: Counter[str] = field(default_factory=Counter)
    """How often each lane's output was claimed while whatever it sent was refused."""
    refused: Counter[int] = field(default_factory=Counter)
    """How often each lane's commits were refused by a store that was full."""
    _before: dict[str, int] = field(default_factory=dict)

    def begin_refusal(self, world: "World") -> None:
        """Count claims from here on."""
        self._before = _epochs(world)

    def end_refusal(self, world: "World") -> None:
        """Count claims up to here; a takeover initialises twice."""
        for name, epoch in _epochs(world).items():
            self.tries[name] += (epoch - self._before.get(name, -1)) // 2


def _epochs(world: "World") -> dict[str, int]:
    return {name: found.epoch for name, found in world.cluster.broker.ids.items()}


def _count(world: "World", output: Output, lane: int) -> int:
    return sum(len(batch.records) for batch in world.cluster.broker.log(TOPIC_BY_OUTPUT[output], lane).batches)


class LanesWitness:
    """A store of lanes as one worker sees it. Nobody takes a lane from a newer owner who shows life."""

    def __init__(self, store: Any, world: "World") -> None:
        self._store = store
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def acquire(self, lane: int, token: Token, partitions: int) -> Any:
        """See the port LaneStore."""
        newer = self._newer_owner(lane, token)
        found = await self._store.acquire(lane, token, partitions)
        if not isinstance(found, Refused):
            self._world.watch.acquired[token.nonce.rpartition("-")[0], lane] += 1
            if newer is not None:
                self._world.faults.append(f"{token} took lane {lane} from {newer}, who is newer and alive")
        return found

    async def renew(self, lane: int, old: Token, new: Token, version: int) -> bool:
        """See the port LaneStore."""
        held = self._lane(lane)
        owner = None if held is None else held.token
        is_renewed: bool = await self._store.renew(lane, old, new, version)
        if is_renewed and owner not in (old, new):
            self._world.faults.append(f"{old} took lane {lane} from {owner} by renewing its own token")
        return is_renewed

    async def commit(self, commit: Commit) -> Any:
        """See the port LaneStore."""
        if self._world.is_store_full:
            self._world.watch.refused[commit.lane] += 1
            return Refused(RefusalKind.FULL, "the store is full")
        outcome = await self._store.commit(commit)
        if self._world.cluster.refused and (held := self._lane(commit.lane)) is not None:
            said = sum(_count(self._world, output, commit.lane) for output in Output)
            waiting = sum(number - 1 for number in held.state.next_seq.values()) - said
            self._world.watch.fullest = max(self._world.watch.fullest, waiting)
        return outcome

    def _lane(self, lane: int) -> Any:
        return self._world.redis.store._world.lanes.get(lane)

    def _newer_owner(self, lane: int, token: Token) -> Token | None:
        held = self._lane(lane)
        if held is None or held.token is None or held.token.generation <= token.generation:
            return None
        owner: Token = held.token
        return owner if self._world.clock.now() - held.heartbeat_at <= HEARTBEAT_VALID else None
