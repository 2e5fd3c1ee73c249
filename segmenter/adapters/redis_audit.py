"""Reading lanes to hold them against the log and against themselves, while workers go on writing.

A bucket of profiles comes with the positions of its lane as of one moment, so it can be rebuilt exactly. Deadlines
and ranks are streamed, and what does not fit is looked at again as of one moment: what does not fit then is wrong.
Nothing here blocks the server for more than a bucket of about 1,000 profiles takes.
"""

import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from segmenter.adapters import profile_codec
from segmenter.adapters.keys import LEAST_BUCKETS, LaneKeys, bucket_of_customer, held_slice, rank_slice
from segmenter.adapters.lane_limits import queued_at, ranked_by
from segmenter.adapters.redis_board import RedisBoard
from segmenter.adapters.redis_client import Client
from segmenter.adapters.redis_pairs import MOST_A_CALL, Pair, pairs_between
from segmenter.adapters.redis_scripts import STANDING, STATE
from segmenter.adapters.redis_state import unpack_notes
from segmenter.domain.conditions import OUT, is_declared
from segmenter.domain.instants import DAY, Instant
from segmenter.domain.profile import WAITING, Profile
from segmenter.domain.value import bucket_of, coarse_of
from segmenter.errors import InvariantError
from segmenter.ports import Source, Walk

DEADLINE, RANK, HELD = "deadline", "rank", "held"
_HIGHEST = 2**53 - 1
# Beyond the ranking by value lie those that quintiles are cut from.
_LAST_SLICE = {DEADLINE: 2**31, RANK: rank_slice(_HIGHEST), HELD: 2**31}
_LEAST = -1


@dataclass(frozen=True, slots=True)
class LaneSize:
    """How many customers a lane says it has, in how many buckets, of how many partitions."""

    lane: int
    customers: int
    buckets: int
    partitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket of packed profiles, and how far its lane had come: all as of one moment."""

    lane: int
    number: int
    buckets: int
    watermark: Instant
    revision: int
    """Of the rulebook by which the lane decides."""
    walk: Walk | None
    """The unfinished pass over its customers."""
    positions: Mapping[str, int]
    taken: Mapping[Source, int]
    """Highest offset taken from each origin, of the topic as it was made last."""
    packed: Mapping[bytes, bytes]


@dataclass(slots=True)
class Counters:
    """What a lane counts of its customers; equal to the sums over its profiles."""

    customers: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    histogram: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Count and sum of ranked revenues, by log bucket."""
    coarse: Counter[tuple[int, str]] = field(default_factory=Counter)
    """The same by factor of two."""

    def add(self, profile: Profile) -> None:
        """Count one customer."""
        self.customers += 1
        self.sizes.update(f"{WAITING}.{dimension}" for dimension in profile.unannounced)
        for dimension, standing in profile.present.items():
            if standing.segment != OUT or not is_declared(dimension):
                self.sizes[f"{dimension}.{standing.segment}"] += 1
        revenue = ranked_by(profile.ranked_revenue)
        if revenue is not None and revenue > 0:
            bucket = bucket_of(revenue)
            for counts, number in ((self.histogram, bucket), (self.coarse, coarse_of(bucket))):
                counts[number, "customers"] += 1
                counts[number, "revenue"] += revenue

    def named(self) -> dict[str, int]:
        """Return all of it by name, without what is zero."""
        numbers = {"customers": self.customers, **{f"size {name}": count for name, count in self.sizes.items()}}
        for kind, counts in (("histogram", self.histogram), ("coarse", self.coarse)):
            numbers.update({f"{kind} {bucket} {what}": count for (bucket, what), count in counts.items()})
        return {name: number for name, number in numbers.items() if number}


class RedisAudit:
    """Looks at lanes without touching them."""

    def __init__(self, client: Client, namespace: str, partitions: int) -> None:
        self._client = client
        self._board = RedisBoard(client, namespace, partitions)
        self._keys = [LaneKeys(namespace, lane) for lane in range(partitions)]

    async def lanes(self) -> list[LaneSize]:
        """Return the lanes that were ever used."""
        found = []
        for lane, keys in enumerate(self._keys):
            [fields] = [_fields(flat) for flat in await STATE.run(self._client, [keys.lane], [])]
            if fields:
                customers, buckets = int(fields.get(b"customers", 0)), int(fields.get(b"buckets", LEAST_BUCKETS))
                found.append(LaneSize(lane, customers, buckets, int(fields[b"partitions"])))
        return found

    async def bucket(self, lane: int, number: int) -> Bucket:
        """Return a bucket with all that is needed to rebuild it."""
        keys = self._keys[lane]
        wanted = [keys.lane, keys.positions, keys.taken, f"{keys.profiles}{number}"]
        fields, positions, taken, packed = [_fields(flat) for flat in await STATE.run(self._client, wanted, [])]
        notes = unpack_notes(fields)
        return Bucket(
            lane=lane,
            number=number,
            buckets=int(fields.get(b"buckets", LEAST_BUCKETS)),
            watermark=notes.watermark,
            revision=notes.revision,
            walk=notes.walk,
            positions={name.decode(): int(offset) for name, offset in positions.items()},
            taken=_newest(taken),
            packed=packed,
        )

    async def entries(self, lane: int, kind: str) -> AsyncIterator[Pair]:
        """Give all (number, customer) of one of the lane's indexes."""
        family, slice_of = self._index(lane, kind)
        low, after = _LEAST, None
        while True:
            slices = (low, _LAST_SLICE[kind])
            pairs = await pairs_between(self._client, family, slices, _HIGHEST, after, MOST_A_CALL)
            for pair in pairs:
                yield pair
            if len(pairs) < MOST_A_CALL:
                return
            after = pairs[-1]
            low = slice_of(after)

    async def counters(self, lane: int) -> Counters:
        """Return what the lane counts, as of about now."""
        keys, counted = self._keys[lane], Counters()
        fields, sizes = [_fields(flat) for flat in await STATE.run(self._client, [keys.lane, keys.sizes], [])]
        counted.customers = int(fields.get(b"customers", 0))
        counted.sizes = Counter({_name(place): int(count) for place, count in sizes.items()})
        coarse = await self._board.coarse(lane)
        for counts, ranges in (
            (counted.coarse, coarse),
            (counted.histogram, await self._board.fine(lane, list(coarse))),
        ):
            for bucket, found in ranges.items():
                counts[bucket, "customers"], counts[bucket, "revenue"] = found.count, found.total
        return counted

    async def standing(self, lane: int, name: bytes, buckets: int, look_in: Mapping[str, set[int]]) -> "Standing":
        """Return a customer and what the indexes hold of him, as of one moment."""
        keys = self._keys[lane]
        while True:
            families = [self._index(lane, kind)[0] for kind in look_in]
            bucket = f"{keys.profiles}{bucket_of_customer(name, buckets)}"
            args: list[bytes | str | int] = [name]
            for slices in look_in.values():
                args += [len(slices), *sorted(slices)]
            found, packed, *scores = await STANDING.run(self._client, [keys.lane, bucket, *families], args)
            if not found or int(found) == buckets:
                numbers = [tuple(int(score) for score in of) for of in scores]
                return Standing(packed, dict(zip(look_in, numbers, strict=True)))
            buckets = int(found)

    def _index(self, lane: int, kind: str) -> tuple[str, Callable[[Pair], int]]:
        keys = self._keys[lane]
        return {DEADLINE: keys.due, RANK: keys.ranks, HELD: keys.held}[kind], partial(slice_of_entry, kind)


@dataclass(frozen=True, slots=True)
class Standing:
    """One customer as stored, and the numbers under which each index holds him."""

    packed: bytes | None
    numbers: Mapping[str, tuple[int, ...]]


def read_profile(name: bytes, packed: bytes) -> Profile | None:
    """Return a stored profile with all its parts opened; None: it cannot be read."""
    try:
        profile = profile_codec.decode(name.decode(), packed)
        len(profile.ledger.orders)
    except (InvariantError, struct.error, ValueError, IndexError, TypeError):
        return None
    return profile


def expected_numbers(profile: Profile | None) -> dict[str, int | None]:
    """Return under which number each index must hold a customer; None: not at all."""
    if profile is None:
        return dict.fromkeys((DEADLINE, RANK, HELD))
    return {
        DEADLINE: queued_at(profile.wake_at),
        RANK: ranked_by(profile.ranked_revenue),
        HELD: 0 if profile.is_held else None,
    }


def slice_of_entry(kind: str, entry: Pair) -> int:
    """Return the slice of an index in which an entry stands."""
    number, name = entry
    match kind:
        case "deadline":
            return number // DAY
        case "rank":
            return rank_slice(number)
        case _:
            return held_slice(name)


def _fields(flat: Sequence[Any]) -> dict[bytes, bytes]:
    return dict(zip(flat[0::2], flat[1::2], strict=True))


def _name(place: bytes) -> str:
    return place.decode().replace("\x1f", ".")


def _newest(taken: Mapping[bytes, bytes]) -> dict[Source, int]:
    """Return the marks by source, those of its newest incarnation: the log holds nothing of the ones before."""
    newest: dict[Source, tuple[int, int]] = {}
    for name, offset in taken.items():
        source, _, incarnation = name.decode().rpartition("@")
        newest[source] = max(newest.get(source, (-1, -1)), (int(incarnation), int(offset)))
    return {source: offset for source, (_, offset) in newest.items()}
