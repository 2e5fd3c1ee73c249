"""Where a customer is at home: the partition that the default partitioner of Java and aiokafka gives his id."""

from collections.abc import Callable
from functools import lru_cache

from aiokafka.partitioner import murmur2

# murmur2 in plain Python costs 3 to 8 µs an id; at about 150 bytes an entry this is 15 MB.
REMEMBERED_HOMES = 100_000


def homes_among(partitions: int) -> Callable[[str], int]:
    """Return what gives the home of an id: `home_of` for a fixed number of partitions, asked for every event."""

    @lru_cache(maxsize=REMEMBERED_HOMES)
    def home(home_id: str) -> int:
        return _home_of(home_id, partitions)

    return home


@lru_cache(maxsize=REMEMBERED_HOMES)
def home_of(home_id: str, partitions: int) -> int:
    """Return the partition of a customer id (without its shop), as `murmur2(id) % partitions`."""
    return _home_of(home_id, partitions)


def _home_of(home_id: str, partitions: int) -> int:
    hashed: int = murmur2(home_id.encode())
    return (hashed & 0x7FFFFFFF) % partitions
