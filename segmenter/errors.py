"""All errors of the product, each with what its catcher should do.

    SegmenterError
    ├── ConfigurationError    wrong settings, topics or rulebook: stop, show every fault with its fix
    ├── InvariantError        our own bug: stop the lane; better idle than wrong
    ├── TransientError        a server is away: the adapter retried to its limit; pause and try again
    └── OwnershipError        somebody else owns the lane now: drop it, never write again under this token
        ├── FencedError       the broker said so
        └── RewoundError      the store went back behind what we stored: acquire the lane again

Bad input is no error: it is a value (`Rejection`), counted and sent aside.
"""

from collections.abc import Sequence


class SegmenterError(Exception):
    """Whatever this product raises by itself."""


class ConfigurationError(SegmenterError):
    """Settings, topics or a rulebook that cannot be used; `faults` holds all of them, one sentence each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class InvariantError(SegmenterError):
    """Something that cannot be is: our own bug. The lane stops."""


class TransientError(SegmenterError):
    """A server did not answer within the adapter's limit. Nothing is known to be lost; try again later."""


class OwnershipError(SegmenterError):
    """The lane belongs to somebody else."""


class FencedError(OwnershipError):
    """The broker refused our producer: a newer owner of the lane has initialised it."""


class RewoundError(OwnershipError):
    """The store has lost what it had taken, under our own token: a failover, or a restored dump."""
