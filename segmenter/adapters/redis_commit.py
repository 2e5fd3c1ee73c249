"""A commit as the arguments of `lua/commit.lua`."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from segmenter.adapters.keys import LaneKeys, bucket_of_customer, held_slice, rank_slice
from segmenter.adapters.lane_limits import queued_at, ranked_by
from segmenter.adapters.profile_codec import encode
from segmenter.adapters.redis_outbox import pack_page
from segmenter.adapters.redis_state import pack_notes, pack_outputs, size_field
from segmenter.domain.instants import DAY, Instant
from segmenter.domain.ranking import APART, BY_VALUE, scale_of
from segmenter.ports import Commit, ProfileWrite

# A sum of revenues is kept as two, of their low 26 bits and of the rest: see `lua/histogram.lua`.
LOW_BITS = 26
_LOW = 2**LOW_BITS - 1

_Groups = dict[int, list[bytes]]


def commit_keys(keys: LaneKeys) -> list[str]:
    """Return the keys in the order of the script."""
    hashes = [keys.lane, keys.positions, keys.taken, keys.markers, keys.sizes, keys.coarse]
    return [*hashes, keys.due, keys.ranks, keys.held, keys.profiles, keys.fine, keys.outbox]


def commit_args(commit: Commit, buckets: int) -> list[bytes]:
    """Return the arguments of the script: its fixed ones, then the sections it describes."""
    moves = _Moves(buckets)
    for write in commit.profiles:
        moves.add(write)
    sections: list[bytes] = []
    _put(sections, _fields(commit))
    _put(sections, _positions(commit))
    _put(sections, moves.coarse_counts())
    _put(sections, _named_numbers(commit.taken))
    _put(sections, _named_numbers(commit.markers))
    _put(sections, [part for place, by in commit.sizes.items() if by for part in (size_field(place), b"%d" % by)])
    _put(sections, [part for page in commit.pages for part in (b"%d" % page.number, pack_page(page))])
    for groups in moves.groups():
        _put_groups(sections, groups)
    _put_groups(sections, _held_groups(commit.release, is_addition=False))
    _put_groups(sections, _held_groups(commit.hold, is_addition=True))
    _put_groups(sections, moves.fine_counts())
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
        # By ranking and bucket: change of customers, of the low and of the high part of their places.
        self._counts: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])

    def add(self, write: ProfileWrite) -> None:
        """Sort one customer in."""
        name = write.customer.encode()
        bucket = bucket_of_customer(name, self._buckets)
        profile = write.profile
        if profile is None:
            self._dropped[bucket].append(name)
        else:
            self._put[bucket] += (name, encode(profile))
        before, after = write.wake_before, write.wake_after
        if before != after:
            self._move_deadline(name, queued_at(before), queued_at(after))
        before, after = write.revenue_before, write.revenue_after
        if before != after:
            self._move_rank(name, BY_VALUE, ranked_by(before), ranked_by(after))
        for ranking in write.places_before.keys() | write.places_after.keys():
            self._move_rank(name, ranking, write.places_before.get(ranking), write.places_after.get(ranking))

    def _move_deadline(self, name: bytes, before: Instant | None, after: Instant | None) -> None:
        if before is not None:
            self._woken[before // DAY].append(name)
        if after is not None:
            self._wakes[after // DAY] += (b"%d" % after, name)

    def _move_rank(self, name: bytes, ranking: int, before: int | None, after: int | None) -> None:
        if before == after:
            return
        if before is not None:
            self._unranked[rank_slice(before, ranking)].append(name)
            self._count(ranking, before, -1)
        if after is not None:
            self._ranked[rank_slice(after, ranking)] += (b"%d" % after, name)
            self._count(ranking, after, 1)

    def _count(self, ranking: int, place: int, sign: int) -> None:
        if place <= 0:  # indexed for sweeps, but not ranked
            return
        count = self._counts[ranking, scale_of(ranking).bucket_of(place)]
        count[0] += sign
        count[1] += sign * (place & _LOW)
        count[2] += sign * (place >> LOW_BITS)

    def groups(self) -> tuple[_Groups, ...]:
        """Return the groups in the order of the script."""
        return self._put, self._dropped, self._woken, self._wakes, self._unranked, self._ranked

    def coarse_counts(self) -> list[bytes]:
        """Return the changes of the coarse histogram."""
        changes: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        for (ranking, bucket), change in self._counts.items():
            coarse = coarse_number(ranking, bucket)
            changes[coarse] = [a + b for a, b in zip(changes[coarse], change, strict=True)]
        return [b"%d" % number for coarse, change in changes.items() for number in (coarse, *change)]

    def fine_counts(self) -> _Groups:
        """Return the changes of the fine histograms, by coarse bucket."""
        groups: _Groups = defaultdict(list)
        for (ranking, bucket), (customers, low, high) in self._counts.items():
            number = ranking * APART + bucket
            groups[coarse_number(ranking, bucket)] += (b"%d" % number, b"%d" % customers, b"%d" % low, b"%d" % high)
        return groups


def coarse_number(ranking: int, bucket: int) -> int:
    """Return the number of the coarse bucket, among those of all rankings, that a bucket belongs to."""
    return ranking * APART + bucket // scale_of(ranking).fine


def _held_groups(customers: Iterable[str], *, is_addition: bool) -> _Groups:
    groups: _Groups = defaultdict(list)
    for customer in customers:
        name = customer.encode()
        groups[held_slice(name)] += (b"0", name) if is_addition else (name,)
    return groups
