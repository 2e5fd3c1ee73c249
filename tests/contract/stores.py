"""The lane stores under contract, and short ways to write profiles and commits."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from segmenter.domain.instants import Instant
from segmenter.domain.ledger import Totals
from segmenter.domain.profile import Profile
from segmenter.ports import (
    Commit,
    GlobalBoard,
    HoldBoard,
    LaneNotes,
    LaneStore,
    OutboxEntry,
    OutboxPage,
    Output,
    ProfileWrite,
    Refused,
    RulebookSource,
    SourceBoard,
    Stored,
    TaskStore,
    Token,
)
from tests.domain.profiles import profile_of

PARTITIONS = 4
OURS = Token(7, "ours")
NOTES = LaneNotes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The stores of one adapter; `silence(lane, seconds)` makes a lane's heartbeat that old."""

    lanes: LaneStore
    board: GlobalBoard
    tasks: TaskStore
    sources: SourceBoard
    rulebooks: RulebookSource
    holds: HoldBoard
    silence: Callable[[int, int], Awaitable[None]]


def profile(customer: str, wake_at: Instant | None = None, revenue: int | None = None) -> Profile:
    """Return a customer who wakes at an instant and is ranked by a revenue."""
    totals = Totals() if revenue is None else Totals(orders=1, net=revenue, window_net=revenue)
    return profile_of(customer, first_seen_at=1, wake_at=wake_at, totals=totals)


def page(number: int, *entries: OutboxEntry) -> OutboxPage:
    return OutboxPage(number, entries)


def entry(lane_seq: int, value: bytes | None = b"value") -> OutboxEntry:
    return OutboxEntry(
        output=Output.CHANGES,
        lane_seq=lane_seq,
        key=b"key",
        value=value,
        headers=(("ce_type", b"changed"), ("lane_seq", b"%d" % lane_seq)),
        recorded_at=10**15,
    )


@dataclass(slots=True, kw_only=True)
class Owner:
    """The owner of a lane: he knows its version and what it holds of each customer."""

    lanes: LaneStore
    lane: int = 0
    token: Token = OURS
    version: int = 0
    known: dict[str, Profile] = field(default_factory=dict)

    async def acquire(self) -> "Owner":
        state = await self.lanes.acquire(self.lane, self.token, PARTITIONS)
        assert not isinstance(state, Refused), state
        self.version = state.version
        return self

    def commit_of(self, profiles: Sequence[Profile] = (), forget: Sequence[str] = ()) -> Commit:
        """Return the commit that brings these customers to these profiles."""
        writes = [self._write(written.customer, written) for written in profiles]
        writes += [self._write(customer, None) for customer in forget]
        return Commit(lane=self.lane, token=self.token, version=self.version, notes=NOTES, profiles=writes)

    async def store(self, commit: Commit) -> None:
        """Store a commit, which must be taken."""
        assert await self.lanes.commit(commit) == Stored(self.version + 1)
        self.version += 1
        for write in commit.profiles:
            if write.profile is None:
                self.known.pop(write.customer, None)
            else:
                self.known[write.customer] = write.profile

    async def write(self, *profiles: Profile) -> None:
        """Bring customers to these profiles."""
        await self.store(self.commit_of(profiles))

    async def note(self, **parts: object) -> None:
        """Store a commit with these parts and no profiles."""
        await self.store(replace(self.commit_of(), **parts))  # type: ignore[arg-type]

    def _write(self, customer: str, after: Profile | None) -> ProfileWrite:
        before = self.known.get(customer)
        return ProfileWrite(
            customer=customer,
            profile=after,
            wake_before=None if before is None else before.wake_at,
            revenue_before=None if before is None else before.ranked_revenue,
            places_before={} if before is None else before.places,
        )


def revenues_of(owner: Owner) -> Mapping[str, int]:
    """Return who is ranked, by which revenue."""
    ranked = {customer: known.ranked_revenue for customer, known in owner.known.items()}
    return {customer: revenue for customer, revenue in ranked.items() if revenue is not None}
