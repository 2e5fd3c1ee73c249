"""Holding a lane's own indexes against its profiles: deadlines, ranks, who is held, and all it counts."""

from collections.abc import Callable, Mapping

from segmenter.adapters.keys import bucket_of_customer
from segmenter.adapters.redis_audit import (
    DEADLINE,
    HELD,
    RANK,
    Bucket,
    Counters,
    RedisAudit,
    expected_numbers,
    read_profile,
    slice_of_entry,
)
from segmenter.engine.audit_compare import Difference

Tell = Callable[[Difference], None]

_KINDS = (DEADLINE, RANK, HELD)
# A customer who is written again and again between two looks is looked at this often; then he is left alone.
_LOOKS = 20
_SCANS = 5


class IndexAudit:
    """The indexes of one lane, as far as they are about the customers of some of its buckets."""

    def __init__(self, lane: int, views: Mapping[int, Bucket], redis: RedisAudit, tell: Tell) -> None:
        self._lane = lane
        self._views = views
        self._redis = redis
        self._tell = tell
        self._buckets = next(iter(views.values())).buckets
        self._numbers: dict[str, dict[bytes, tuple[int, ...]]] = {kind: {} for kind in _KINDS}

    async def run(self) -> None:
        """Tell of every customer whom an index holds otherwise than his profile says."""
        for kind in _KINDS:
            numbers = self._numbers[kind]
            async for number, name in self._redis.entries(self._lane, kind):
                if bucket_of_customer(name, self._buckets) in self._views:
                    # One that moves while we read may be met twice; he is looked at again.
                    numbers[name] = (*numbers.get(name, ()), number)
        for view in self._views.values():
            for name, packed in view.packed.items():
                if not self._fits(name, packed):
                    await self._look_again(name, packed)
        unknown = {name for numbers in self._numbers.values() for name in numbers}
        for name in unknown:
            if name not in self._views[bucket_of_customer(name, self._buckets)].packed:
                await self._look_again(name, None)

    def _fits(self, name: bytes, packed: bytes) -> bool:
        profile = read_profile(name, packed)
        if profile is None:
            return True  # that he cannot be read is told elsewhere
        expected = expected_numbers(profile)
        return all(self._numbers[kind].get(name, ()) == _as_held(expected[kind]) for kind in _KINDS)

    async def _look_again(self, name: bytes, packed: bytes | None) -> None:
        """Look at one customer as of one moment: in it profile and indexes must agree."""
        for _ in range(_LOOKS):
            expected = expected_numbers(None if packed is None else read_profile(name, packed))
            look_in = {kind: self._slices(kind, name, expected[kind]) for kind in _KINDS}
            standing = await self._redis.standing(self._lane, name, self._buckets, look_in)
            if standing.packed == packed:
                for kind in _KINDS:
                    found, wanted = standing.numbers[kind], _as_held(expected[kind])
                    if found != wanted:
                        self._differ(name, kind, found, wanted)
                return
            packed = standing.packed

    def _slices(self, kind: str, name: bytes, expected: int | None) -> set[int]:
        numbers = [*self._numbers[kind].get(name, ()), *_as_held(expected)]
        return {slice_of_entry(kind, (number, name)) for number in numbers}

    def _differ(self, name: bytes, kind: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        customer = name.decode(errors="backslashreplace")
        live, rebuilt = _shown(found), _shown(wanted)
        self._tell(Difference(lane=self._lane, customer=customer, field=f"index {kind}", live=live, rebuilt=rebuilt))


async def check_counters(redis: RedisAudit, lane: int, tell: Tell) -> bool:
    """Tell where the counts of a lane are not the sums over its profiles; False: it was written all the time.

    Profiles cannot be summed as of one moment, so it counts only where the lane's own numbers have not moved while
    they were summed; a difference must show twice.
    """
    suspected: dict[str, tuple[int, int]] | None = None
    for _ in range(_SCANS):
        before = (await redis.counters(lane)).named()
        summed = (await _summed(redis, lane)).named()
        if (await redis.counters(lane)).named() != before:
            continue
        names = sorted(before.keys() | summed.keys())
        found = {n: (before.get(n, 0), summed.get(n, 0)) for n in names if before.get(n, 0) != summed.get(n, 0)}
        if not found or found == suspected:
            for name, (live, rebuilt) in found.items():
                tell(Difference(lane=lane, customer=None, field=name, live=live, rebuilt=rebuilt))
            return True
        suspected = found
    return False


async def _summed(redis: RedisAudit, lane: int) -> Counters:
    """Return the sums over all profiles of a lane, bucket by bucket."""
    counted, number, buckets = Counters(), 0, 1
    while number < buckets:
        view = await redis.bucket(lane, number)
        number, buckets = number + 1, view.buckets
        for name, packed in view.packed.items():
            if (profile := read_profile(name, packed)) is not None:
                counted.add(profile)
    return counted


def _as_held(number: int | None) -> tuple[int, ...]:
    return () if number is None else (number,)


def _shown(numbers: tuple[int, ...]) -> str | None:
    return ", ".join(map(str, numbers)) or None
