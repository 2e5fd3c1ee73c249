"""The order in which all customers of a lane are walked: by their hash, its lowest bit first.

A lane's profiles lie in buckets by the low bits of the same hash, which are halved as the lane grows. In this order
every bucket is one stretch, and halving cuts it in two: a walk that has come to a place has seen all before it, and
nobody twice, however the lane has grown meanwhile.
"""

from typing import TypeAlias
from zlib import crc32

HASH_BITS = 32
END_OF_WALK = 1 << HASH_BITS

Stop: TypeAlias = tuple[int, str]
"""Where a walk has come to: a customer, behind the reversed bits of his hash."""


def stop_of(customer: str) -> Stop:
    """Return a customer's place in the walk."""
    return reversed_bits(crc32(customer.encode())), customer


def reversed_bits(number: int) -> int:
    """Return 32 bits in the reverse order."""
    return int(f"{number:032b}"[::-1], 2)


def share_walked(stop: Stop | None) -> float:
    """Return which share of the customers lies up to here, by the even spread of the hash."""
    return 0.0 if stop is None else stop[0] / END_OF_WALK
