"""A fence that stops between (a) and (b), as a process does that is paused there."""

import asyncio
from collections.abc import Sequence

from segmenter.adapters.fence import Fence, Identity
from segmenter.adapters.kafka_wire import Partition, Wire


class StallingFence(Fence):
    """Stops when its markers are written, until it is woken."""

    def __init__(self, wire: Wire, transactional_id: str, partitions: Sequence[Partition]) -> None:
        super().__init__(wire, transactional_id, partitions)
        self.is_marked = asyncio.Event()
        self.woken = asyncio.Event()

    async def mark(self, identity: Identity) -> None:
        """Write the markers, and stop."""
        await super().mark(identity)
        self.is_marked.set()
        await self.woken.wait()
