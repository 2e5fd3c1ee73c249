"""A few lanes in memory with their leader, driven bite by bite: the engine without a stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from segmenter.adapters.memory import MemoryStore
from segmenter.domain.causes import Rejection
from segmenter.domain.changes import ChangeSet, Membership
from segmenter.domain.events import Event, identity_of
from segmenter.domain.instants import MILLISECOND, Instant, instant_of
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.value import Boundary
from segmenter.engine.lane import Lane, Services
from segmenter.engine.leader import Leader
from segmenter.engine.reading import Reading
from segmenter.engine.terms import Terms
from segmenter.observability import Metrics
from segmenter.ports import Body, Decoded, Headers, LoggedChange, OutboxPage, Record, Refused, Source, Token

OWNER = Token(1, "market")
# Metrics are slow to make, and nobody reads them here.
RECORDER = Metrics()


@dataclass(slots=True)
class Parcel:
    """A record of an event that needs no bytes."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(slots=True)
class Listener:
    """An encoder that keeps what is said."""

    changes: list[ChangeSet] = field(default_factory=list)

    def change_record(
        self, said: ChangeSet, *, recorded_at: Instant, revision: int, backfill: bool, upto: Mapping[Source, int]
    ) -> Body:
        self.changes.append(said)
        return Body(said.customer.encode(), said.change_id.encode(), ())

    def membership_record(self, membership: Membership) -> Body:
        return Body(membership.customer.encode(), b"", ())

    def rejected_record(self, record: Record, rejection: Rejection, rejected_at: Instant) -> Body:
        return Body(record.key, rejection.detail.encode(), ())

    def read_change(self, value: bytes, headers: Headers) -> LoggedChange:
        raise LookupError("nothing is read back here")


def home_of(customer: str, lanes: int) -> int:
    """Return the lane of a customer named `c` and a number."""
    return int(customer[1:]) % lanes


class Market:
    """Lanes, leader and listener; every call is one small piece of work, so that any interleaving can be played."""

    def __init__(self, rulebook: Rulebook, *, lanes: int, bite: int) -> None:
        self.terms = Terms(rulebook=rulebook, partitions=lanes, ticks_per_commit=bite, sweep_per_commit=bite)
        self.listener = Listener()
        self.now: Instant = 0
        self._store = MemoryStore(lanes)
        self._services = Services(store=self._store.lanes, encoder=self.listener, recorder=RECORDER)
        recorder, scores = self._services.recorder, rulebook.cut_scores
        self._leader = Leader(self._store.board, OWNER, lanes, rulebook.value, recorder, scores)
        self._customers: dict[str, int] = {}
        self.lanes: list[Lane] = []

    async def open(self) -> None:
        """Take every lane."""
        for number in range(self.terms.partitions):
            state = await self._store.lanes.acquire(number, OWNER, self.terms.partitions)
            assert not isinstance(state, Refused)
            self.lanes.append(Lane(state, OWNER, self.terms, self._services, _publish))

    async def take(self, event: Event) -> None:
        """Record an event in its customer's lane, at its own time or now, whichever is later."""
        at, customer = instant_of(event.occurred_at), identity_of(event)
        self.now = max(self.now, at)
        number = self._customers.setdefault(customer, home_of(customer, len(self.lanes)))
        source = f"orders/{number}"
        offset = self.lanes[number].state.positions.get(source, 0)
        decoded = Decoded(event=event, customer=customer, home_id=customer, at=at, event_id=event.event_id or "")
        parcel = Parcel("orders", number, offset, at // MILLISECOND)
        reading = Reading(arrivals=[(decoded, parcel)], positions={source: offset + 1})
        await self.lanes[number].advance(reading, self.now, self.now)

    async def work(self, number: int) -> None:
        """Let one lane take one bite of what is due or to be swept."""
        await self.lanes[number].advance(Reading(), self.now, self.now)

    async def lead(self) -> None:
        """Hold a leader's round."""
        await self._leader.round()

    async def adopt(self, number: int) -> None:
        """Let one lane adopt what is in force, where that differs from what it has."""
        boundary, lane = await self._store.board.boundary(), self.lanes[number]
        if boundary is not None and boundary != lane.state.notes.boundary:
            await lane.adopt(boundary)

    async def rest(self) -> None:
        """Let everybody work at this instant until nothing moves any more."""
        for _ in range(20):
            for number, lane in enumerate(self.lanes):
                await self.work(number)
                while lane.has_more:
                    await self.work(number)
            before = await self._store.board.boundary()
            await self.lead()
            if await self._store.board.boundary() == before and all(self._has_adopted(before)):
                return
            for number in range(len(self.lanes)):
                await self.adopt(number)
        raise AssertionError("the market does not come to rest")

    def _has_adopted(self, boundary: Boundary | None) -> list[bool]:
        return [lane.state.notes.boundary == boundary for lane in self.lanes]

    async def profiles(self) -> dict[str, Profile]:
        """Return everybody who is stored."""
        loaded = {c: (await self._store.lanes.load(n, [c]))[0] for c, n in self._customers.items()}
        return {customer: profile for customer, profile in loaded.items() if profile is not None}


def _publish(pages: Sequence[OutboxPage]) -> None:
    """Leave what was said to the listener."""


def enough_for_all(rulebook: Rulebook, min_ranked: int) -> Rulebook:
    """Return the rules with another least number of ranked customers."""
    return replace(rulebook, value=replace(rulebook.value, min_ranked=min_ranked))
