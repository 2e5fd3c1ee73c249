"""A commit as the arguments of `lua/commit.lua`."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from segmenter.adapters.keys import LaneKeys, bucket_of_customer, held_slice
from segmenter.adapters.lane_limits import queued_at, ranked_by
from segmenter.adapters.profile_codec import encode
from segmenter.adapters.redis_outbox import pack_page
from segmenter.adapters.redis_state import pack_notes, pack_outputs, size_field
from segmenter.domain.instants import DAY
from segmenter.domain.value import bucket_of, coarse_of
from segmenter.errors import InvariantError
from segmenter.ports import Commit, ProfileWrite

# A sum of revenues is kept in two numbers, of their low 40 bits and of the rest, as HINCRBY counts in 64 bits.
LOW_BITS = 40
_LOW = 2**LOW_BITS - 1

_Groups = dict[int, list[bytes]]


def commit_keys(keys: LaneKeys) -> list[str]:
    """Return the keys in the order of the script."""
    hashes = [keys.lane, keys.positions, keys.taken, keys.markers, keys.sizes, keys.coarse]
    return [*hashes, keys.due, keys.ranks, keys.held, keys.profiles, keys.fine, keys.outbox]


def commit_args(commit: Commit, buckets: int) -> list[bytes]:
    """Return the arguments of the script: its fixed ones, then the sections it describes."""
    fine = _histogram_moves(commit.profiles)
    sections: list[bytes] = []
    _put(sections, _fields(commit))
    _put(sections, _positions(commit))
    _put(sections, _coarse_counts(fine))
    _put(sections, _named_numbers(commit.taken))
    _put(sections, _named_numbers(commit.markers))
    _put(sections, [part for place, by in commit.sizes.items() if by for part in (size_field(place), b"%d" % by)])
    _put(sections, [part for page in commit.pages for part in (b"%d" % page.number, pack_page(page))])
    moves = _Moves(buckets)
    for write in commit.profiles:
        moves.add(write)
    moves.put(sections)
    _put_groups(sections, _held_groups(commit.release, is_addition=False))
    _put_groups(sections, _held_groups(commit.hold, is_addition=True))
    _put_groups(sections, _fine_counts(fine))
    keep_from = b"" if commit.first_page is None else b"%d" % commit.first_page
    head = [str(commit.token).encode(), b"", b"%d" % commit.version, b"%d" % buckets, keep_from]
    head[1] = _commit_id(head, sections)
    return head + sections


def _commit_id(head: Sequence[bytes], sections: Sequence[bytes]) -> bytes:
    """Return what tells this commit from any other of the same owner at the same version: a hash of it all."""
    return hashlib.blake2b(b"\0".join((*head, *sections)), digest_size=12).hexdigest().encode()


def _put(sections: list[bytes], values: Sequence[bytes]) -> None:
    sections.append(b"%d" % len(values))
    sections += values


def _put_groups(sections: list[bytes], groups: Mapping[int, Sequence[bytes]]) -> None:
    sections.append(b"%d" % len(groups))
    for name, values in groups.items():
        sections += (b"%d" % name, b"%d" % len(values), *values)


def _fields(commit: Commit) -> list[bytes]:
    numbers = pack_outputs(b"seq:", commit.next_seq) + pack_outputs(b"published:", commit.published)
    return pack_notes(commit.notes) + numbers


def _positions(commit: Commit) -> list[bytes]:
    values = []
    for source, (before, after) in commit.positions.items():
        values += [source.encode(), b"" if before is None else b"%d" % before, b"%d" % after]
    return values


def _named_numbers(numbers: Mapping[str, int]) -> list[bytes]:
    return [part for name, number in numbers.items() for part in (name.encode(), b"%d" % number)]


class _Moves:
    """Profiles by bucket, and moves of deadlines and ranks by slice: what goes to one key goes in one command."""

    def __init__(self, buckets: int) -> None:
        self._buckets = buckets
        self._put: _Groups = defaultdict(list)
        self._dropped: _Groups = defaultdict(list)
        self._woken: _Groups = defaultdict(list)
        self._wakes: _Groups = defaultdict(list)
        self._unranked: _Groups = defaultdict(list)
        self._ranked: _Groups = defaultdict(list)

    def add(self, write: ProfileWrite) -> None:
        """Sort one customer in."""
        name = write.customer.encode()
        bucket = bucket_of_customer(name, self._buckets)
        profile = write.profile
        if profile is None:
            self._dropped[bucket].append(name)
        else:
            self._put[bucket] += (name, encode(profile))
        before, after = queued_at(write.wake_before), queued_at(write.wake_after)
        if before != after:
            if before is not None:
                self._woken[before // DAY].append(name)
            if after is not None:
                self._wakes[after // DAY] += (b"%d" % after, name)
        revenue_before, revenue = ranked_by(write.revenue_before), ranked_by(write.revenue_after)
        if revenue_before != revenue:
            if revenue_before is not None:
                self._unranked[bucket_of(revenue_before)].append(name)
            if revenue is not None:
                self._ranked[bucket_of(revenue)] += (b"%d" % revenue, name)

    def put(self, sections: list[bytes]) -> None:
        """Append the groups in the order of the script."""
        moves = (self._put, self._dropped, self._woken, self._wakes, self._unranked, self._ranked)
        for groups in moves:
            _put_groups(sections, groups)


def _held_groups(customers: Iterable[str], *, is_addition: bool) -> _Groups:
    groups: _Groups = defaultdict(list)
    for customer in customers:
        name = customer.encode()
        groups[held_slice(name)] += (b"0", name) if is_addition else (name,)
    return groups


class _Count:
    """How a bucket's count and sum change."""

    __slots__ = ("customers", "high", "low")

    def __init__(self) -> None:
        self.customers = self.low = self.high = 0

    def move(self, customers: int, low: int, high: int) -> None:
        """Add to all three."""
        self.customers += customers
        self.low += low
        self.high += high

    def parts(self, bucket: int) -> tuple[bytes, ...]:
        """Return the bucket's fields with their changes."""
        if not (self.customers or self.low or self.high):
            return ()
        return b"%d" % bucket, b"%d" % self.customers, b"%d" % self.low, b"%d" % self.high


def _histogram_moves(writes: Iterable[ProfileWrite]) -> dict[int, _Count]:
    """Return the change of count and sum by log bucket."""
    counts: dict[int, _Count] = defaultdict(_Count)
    for write in writes:
        before, after = ranked_by(write.revenue_before), ranked_by(write.revenue_after)
        if before == after:
            continue
        for revenue, sign in ((before, -1), (after, 1)):
            if revenue is not None and revenue < 0:
                raise InvariantError(f"indexed revenue is {revenue}; expected 0 or more")
            if revenue:
                counts[bucket_of(revenue)].move(sign, sign * (revenue & _LOW), sign * (revenue >> LOW_BITS))
    return counts


def _coarse_counts(fine: Mapping[int, _Count]) -> list[bytes]:
    counts: dict[int, _Count] = defaultdict(_Count)
    for bucket, count in fine.items():
        counts[coarse_of(bucket)].move(count.customers, count.low, count.high)
    return [part for coarse, count in counts.items() for part in count.parts(coarse)]


def _fine_counts(fine: Mapping[int, _Count]) -> _Groups:
    groups: _Groups = defaultdict(list)
    for bucket, count in fine.items():
        groups[coarse_of(bucket)] += count.parts(bucket)
    return groups
