"""A commit as the arguments of `lua/commit.lua`."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from segmenter.adapters.keys import LaneKeys, bucket_of_customer, held_slice
from segmenter.adapters.profile_codec import encode
from segmenter.adapters.redis_outbox import pack_page
from segmenter.adapters.redis_state import pack_notes, pack_outputs, size_field
from segmenter.domain.instants import DAY, Instant
from segmenter.domain.value import bucket_of, coarse_of
from segmenter.errors import InvariantError
from segmenter.ports import Commit, ProfileWrite

# Scores are doubles. The last instant they hold exactly lies in 2255: a deadline beyond is put there.
LAST_DEADLINE: Instant = 2**53 - 1
_REVENUE_LIMIT = 2**53

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
        before, after = _bounded(write.wake_before), _bounded(write.wake_after)
        if before != after:
            if before is not None:
                self._woken[before // DAY].append(name)
            if after is not None:
                self._wakes[after // DAY] += (b"%d" % after, name)
        revenue_before, revenue = write.revenue_before, write.revenue_after
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


def _bounded(at: Instant | None) -> Instant | None:
    return None if at is None else min(at, LAST_DEADLINE)


def _held_groups(customers: Iterable[str], *, is_addition: bool) -> _Groups:
    groups: _Groups = defaultdict(list)
    for customer in customers:
        name = customer.encode()
        groups[held_slice(name)] += (b"0", name) if is_addition else (name,)
    return groups


def _histogram_moves(writes: Iterable[ProfileWrite]) -> dict[int, list[int]]:
    """Return the change of count and sum by log bucket."""
    moves: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for write in writes:
        before, after = write.revenue_before, write.revenue_after
        if before == after:
            continue
        for revenue, sign in ((before, -1), (after, 1)):
            if revenue is not None:
                if not 0 < revenue < _REVENUE_LIMIT:
                    raise InvariantError(f"ranked revenue is {revenue}; expected between 1 and {_REVENUE_LIMIT - 1}")
                move = moves[bucket_of(revenue)]
                move[0] += sign
                move[1] += sign * revenue
    return moves


def _coarse_counts(fine: Mapping[int, Sequence[int]]) -> list[bytes]:
    moves: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for bucket, (count, total) in fine.items():
        move = moves[coarse_of(bucket)]
        move[0] += count
        move[1] += total
    return [part for coarse, (count, total) in moves.items() for part in _counts(coarse, count, total)]


def _fine_counts(fine: Mapping[int, Sequence[int]]) -> _Groups:
    groups: _Groups = defaultdict(list)
    for bucket, (count, total) in fine.items():
        groups[coarse_of(bucket)] += _counts(bucket, count, total)
    return groups


def _counts(bucket: int, count: int, total: int) -> tuple[bytes, ...]:
    if count == total == 0:
        return ()
    return b"%d:n" % bucket, b"%d" % count, b"%d:s" % bucket, b"%d" % total
