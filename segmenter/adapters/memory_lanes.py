"""The lane store in dicts: what it keeps and refuses is what the Redis adapter keeps and refuses.

More than 300 lines, as it is the whole of the port LaneStore.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import nsmallest
from itertools import islice

from segmenter.adapters import profile_codec
from segmenter.adapters.lane_limits import HEARTBEAT_VALID, queued_at, ranked_by
from segmenter.adapters.memory_order import OrderedPairs, Pair
from segmenter.domain.instants import BEGINNING, DAY, Instant, Span
from segmenter.domain.profile import Profile
from segmenter.domain.ranking import BY_VALUE, scale_of
from segmenter.domain.revision import Revision
from segmenter.domain.value import Boundary
from segmenter.domain.walking import Stop, stop_of
from segmenter.errors import InvariantError
from segmenter.ports import (
    Commit,
    Due,
    HoldOrder,
    LaneState,
    OutboxPage,
    Output,
    ProfileWrite,
    RefusalKind,
    Refused,
    Source,
    Stored,
    Token,
)

log = logging.getLogger(__name__)


def _day_of(at: Instant) -> int:
    return at // DAY


@dataclass(slots=True, kw_only=True)
class Lane:
    """All that is kept of one lane."""

    state: LaneState
    token: Token | None = None
    heartbeat_at: Instant = BEGINNING
    commit_id: bytes = b""
    profiles: dict[str, bytes] = field(default_factory=dict)
    deadlines: OrderedPairs = field(default_factory=lambda: OrderedPairs("deadlines", _day_of))
    rankings: dict[int, OrderedPairs] = field(default_factory=dict)
    held: dict[str, None] = field(default_factory=dict)
    pages: dict[int, OutboxPage] = field(default_factory=dict)

    def ranks(self, ranking: int) -> OrderedPairs:
        """Return who is kept in a ranking."""
        if ranking not in self.rankings:
            self.rankings[ranking] = _new_ranks(ranking)
        return self.rankings[ranking]


def _new_ranks(ranking: int) -> OrderedPairs:
    scale = scale_of(ranking)
    return OrderedPairs("ranks", scale.bucket_of, partial(_coarse_of, scale.fine))


def _coarse_of(fine: int, bucket: int) -> int:
    return bucket // fine


@dataclass(slots=True, kw_only=True)
class World:
    """All that is kept."""

    lanes: dict[int, Lane] = field(default_factory=dict)
    boundary: Boundary | None = None
    positions: dict[Source, int] = field(default_factory=dict)
    incarnations: dict[Source, int] = field(default_factory=dict)
    revisions: list[Revision] = field(default_factory=list)
    orders: dict[str, HoldOrder] = field(default_factory=dict)


class MemoryLaneStore:
    """LaneStore: a commit is checked first and then done without a pause, so it is whole or not at all."""

    def __init__(self, world: World, now: Callable[[], Instant]) -> None:
        self._world = world
        self._now = now

    async def acquire(self, lane: int, token: Token, partitions: int) -> LaneState | Refused:
        """Make `token` the owner, unless a higher generation with a heartbeat of the last 10 minutes is."""
        held = self._world.lanes.get(lane) or Lane(state=new_state(lane, partitions))
        if held.state.partitions != partitions:
            return Refused(
                RefusalKind.PARTITIONS, f"lane {lane} was made for {held.state.partitions}, expected {partitions}"
            )
        is_newer = held.token is not None and held.token.generation > token.generation
        if is_newer and self._now() - held.heartbeat_at <= HEARTBEAT_VALID:
            return Refused(
                RefusalKind.NEWER_TOKEN, f"token of lane {lane} is {held.token}, expected {token} or older"
            )
        if is_newer:
            log.warning(
                "lane_taken_from_silent_owner", extra={"lane": lane, "before": str(held.token), "token": str(token)}
            )
        held.token, held.heartbeat_at = token, self._now()
        self._world.lanes[lane] = held
        return held.state

    async def renew(self, lane: int, old: Token, new: Token, version: int) -> bool:
        """Put `new` in place of `old`, if the lane is still ours and at this version."""
        held = self._lane(lane)
        if held.token not in (old, new) or held.state.version != version:
            return False
        held.token, held.heartbeat_at = new, self._now()
        return True

    async def state(self, lane: int) -> tuple[Token | None, LaneState]:
        """Return owner and state."""
        held = self._lane(lane)
        return held.token, held.state

    async def heartbeat(self, lane: int, token: Token) -> bool:
        """Renew the heartbeat, if the lane is ours."""
        held = self._lane(lane)
        if held.token != token:
            return False
        held.heartbeat_at = self._now()
        return True

    async def release(self, lane: int, token: Token) -> bool:
        """Give the lane up, if it is ours."""
        held = self._lane(lane)
        if held.token != token:
            return False
        held.heartbeat_at = BEGINNING
        return True

    async def silence(self, lane: int) -> Span | None:
        """Return how long ago the owner gave a sign of life."""
        held = self._lane(lane)
        return None if held.token is None or not held.heartbeat_at else self._now() - held.heartbeat_at

    async def load(self, lane: int, customers: Sequence[str]) -> list[Profile | None]:
        """Return the profiles in this order."""
        profiles = self._lane(lane).profiles
        return [
            None if packed is None else profile_codec.decode(customer, packed)
            for customer, packed in zip(customers, map(profiles.get, customers), strict=True)
        ]

    async def commit(self, commit: Commit) -> Stored | Refused:
        """Store all of it or nothing."""
        held = self._lane(commit.lane)
        packed = [None if write.profile is None else profile_codec.encode(write.profile) for write in commit.profiles]
        commit_id = _commit_id(commit, packed)
        if (token_refusal := _check_token(held.token, commit)) is not None:
            return token_refusal
        if held.state.version == commit.version + 1 and held.commit_id == commit_id:
            return Stored(held.state.version)
        if (refusal := _check_version_and_positions(held.state, commit)) is not None:
            return refusal
        _check_pages(held.state, commit)
        _check_moves(held, commit)
        held.commit_id = commit_id
        _write_profiles(held, commit, packed)
        _write_pages(held, commit)
        held.state = _next_state(held, commit)
        return Stored(held.state.version)

    async def due(self, lane: int, up_to: Instant, limit: int) -> list[Due]:
        """Return the earliest deadlines ≤ `up_to`, by (time, customer)."""
        return [Due(at, customer) for at, customer in islice(self._lane(lane).deadlines.between(0, up_to), limit)]

    async def next_due(self, lane: int) -> Instant | None:
        """Return the earliest deadline."""
        return self._lane(lane).deadlines.first()

    async def ranked(
        self, lane: int, low: int, high: int, after: tuple[int, str] | None, limit: int, ranking: int = BY_VALUE
    ) -> list[tuple[int, str]]:
        """Return (place, customer) with low ≤ place ≤ high beyond `after`, rising."""
        return list(islice(self._lane(lane).ranks(ranking).between(low, high, after), limit))

    async def held(self, lane: int, limit: int) -> list[str]:
        """Return held customers, in no order."""
        return list(islice(self._lane(lane).held, limit))

    async def stored(self, lane: int, after: Stop | None, limit: int) -> list[str]:
        """Return customers beyond a place of the walk, in its order."""
        stops = (stop_of(customer) for customer in self._lane(lane).profiles)
        return [customer for _, customer in nsmallest(limit, (s for s in stops if after is None or s > after))]

    async def outbox(self, lane: int, first: int, count: int) -> list[OutboxPage]:
        """Return stored pages from number `first` on."""
        held = self._lane(lane)
        return [held.pages[number] for number in range(first, first + count) if number in held.pages]

    async def acknowledge(self, lane: int, token: Token, published: Mapping[Output, int], first_page: int) -> bool:
        """Note what was acknowledged and drop the pages before `first_page`."""
        held = self._lane(lane)
        if held.token != token:
            return False
        _drop_pages(held, first_page)
        held.state = replace(held.state, published={**held.state.published, **published})
        return True

    def _lane(self, lane: int) -> Lane:
        """Return what is held of a lane; of one never used, something that is thrown away."""
        return self._world.lanes.get(lane) or Lane(state=new_state(lane, 0))


def new_state(lane: int, partitions: int) -> LaneState:
    """Return the state of a lane that nothing was written to."""
    return LaneState(
        lane=lane, partitions=partitions, next_seq=dict.fromkeys(Output, 1), published=dict.fromkeys(Output, 0)
    )


def _commit_id(commit: Commit, packed: Sequence[bytes | None]) -> bytes:
    """Return what tells a commit from another of the same owner at the same version."""
    marks = [(page.number, page.size) for page in commit.pages]
    names = (commit.positions, commit.taken, commit.next_seq, marks, [write.customer for write in commit.profiles])
    digest = hashlib.blake2b(repr(names).encode("utf-8", "surrogatepass"), digest_size=16)
    digest.update(b"".join(profile or b"" for profile in packed))
    return digest.digest()


def _check_token(stored: Token | None, commit: Commit) -> Refused | None:
    if stored == commit.token:
        return None
    is_older = stored is None or stored.generation < commit.token.generation
    kind = RefusalKind.OLDER_TOKEN if is_older else RefusalKind.NEWER_TOKEN
    return Refused(kind, f"token of lane {commit.lane} is {stored or 'none'}, expected {commit.token}")


def _check_version_and_positions(state: LaneState, commit: Commit) -> Refused | None:
    if state.version != commit.version:
        return Refused(
            RefusalKind.VERSION, f"version of lane {commit.lane} is {state.version}, expected {commit.version}"
        )
    for source, (before, _) in commit.positions.items():
        found = state.positions.get(source)
        if found != before:
            return Refused(
                RefusalKind.POSITION, f"position of {source} in lane {commit.lane} is {found}, expected {before}"
            )
    return None


def _check_pages(state: LaneState, commit: Commit) -> None:
    found = [page.number for page in commit.pages]
    expected = list(range(state.next_page, state.next_page + len(found)))
    if found != expected:
        raise InvariantError(f"outbox pages {found} were to be stored; expected {expected}")


def _moves(held: Lane, write: ProfileWrite) -> Iterator[tuple[OrderedPairs, Pair | None, Pair | None]]:
    """Yield what moves of a customer: in which order, from where, to where."""
    places, after_by_ranking = write.places_before, write.places_after
    numbers = (
        (held.deadlines, queued_at(write.wake_before), queued_at(write.wake_after)),
        (held.ranks(BY_VALUE), ranked_by(write.revenue_before), ranked_by(write.revenue_after)),
        *((held.ranks(r), places.get(r), after_by_ranking.get(r)) for r in places.keys() | after_by_ranking.keys()),
    )
    for pairs, before, after in numbers:
        if before != after:
            yield (
                pairs,
                None if before is None else (before, write.customer),
                None if after is None else (after, write.customer),
            )


def _check_moves(held: Lane, commit: Commit) -> None:
    for write in commit.profiles:
        for pairs, before, _ in _moves(held, write):
            if before is not None:
                pairs.require(before)


def _write_profiles(held: Lane, commit: Commit, packed: Sequence[bytes | None]) -> None:
    for write, value in zip(commit.profiles, packed, strict=True):
        if value is None:
            held.profiles.pop(write.customer, None)
        else:
            held.profiles[write.customer] = value
        for pairs, before, after in _moves(held, write):
            if before is not None:
                pairs.remove(before)
            if after is not None:
                pairs.add(after)
    held.held.update(dict.fromkeys(commit.hold))
    for customer in commit.release:
        held.held.pop(customer, None)


def _write_pages(held: Lane, commit: Commit) -> None:
    held.pages.update({page.number: page for page in commit.pages})
    held.state = replace(
        held.state,
        next_page=held.state.next_page + len(commit.pages),
        outbox_entries=held.state.outbox_entries + sum(len(page.entries) for page in commit.pages),
        outbox_bytes=held.state.outbox_bytes + sum(page.size for page in commit.pages),
    )
    if commit.first_page is not None:
        _drop_pages(held, commit.first_page)


def _drop_pages(held: Lane, first_page: int) -> None:
    first_page = min(max(first_page, held.state.first_page), held.state.next_page)
    dropped = [held.pages.pop(number) for number in range(held.state.first_page, first_page)]
    held.state = replace(
        held.state,
        first_page=first_page,
        outbox_entries=held.state.outbox_entries - sum(len(page.entries) for page in dropped),
        outbox_bytes=held.state.outbox_bytes - sum(page.size for page in dropped),
    )


def _next_state(held: Lane, commit: Commit) -> LaneState:
    state = held.state
    sizes = {
        place: state.sizes.get(place, 0) + commit.sizes.get(place, 0) for place in {**state.sizes, **commit.sizes}
    }
    return replace(
        state,
        version=commit.version + 1,
        notes=replace(commit.notes, recover_upto=dict(commit.notes.recover_upto)),
        positions={**state.positions, **{source: after for source, (_, after) in commit.positions.items()}},
        taken={**state.taken, **commit.taken},
        markers={**state.markers, **commit.markers},
        next_seq={**state.next_seq, **commit.next_seq},
        published={**state.published, **commit.published},
        sizes={place: size for place, size in sizes.items() if size},
    )
