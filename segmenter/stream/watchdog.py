"""Looks once a second for what would otherwise stand still for ever, and frees it."""

import logging
from time import monotonic
from typing import TYPE_CHECKING

from segmenter.stream.source_reader import text_of

if TYPE_CHECKING:
    from segmenter.stream.consumer import BatchConsumer

log = logging.getLogger(__name__)

# A poll that no agent has begun for so long sits in a queue that nobody reads.
_UNTAKEN_S = 5.0


class Watchdog:
    """Compares position, expected offset and work in flight. What it puts right is counted and logged."""

    def __init__(self, consumer: "BatchConsumer") -> None:
        self._consumer = consumer
        self._polls = -1
        self._flowed_at = monotonic()

    async def look(self) -> None:
        """Look once. Raises TransientError where reading cannot go on."""
        consumer = self._consumer
        if not consumer.reader_thread.has_begun:
            return
        await consumer.reader_thread.refuse_errors()
        self._free_untaken()
        if not consumer.flow_active:
            await self._rejoin_if_suspended()
            return
        self._flowed_at = monotonic()
        if not consumer.is_polling and consumer.polls == self._polls:
            await self._put_back()
        self._polls = consumer.polls

    def _free_untaken(self) -> None:
        handoff = self._consumer.in_flight
        if handoff is not None and handoff.untaken_s > _UNTAKEN_S:
            log.error("poll_untaken", extra={"seconds": _UNTAKEN_S})
            handoff.take_back()

    async def _rejoin_if_suspended(self) -> None:
        """Leave a rebalance that takes longer than the broker allows any of its steps."""
        settings = self._consumer.binding.settings
        if monotonic() - self._flowed_at > settings.rebalance_timeout_s + settings.session_timeout_s:
            log.error("flow_suspended", extra={"seconds": round(monotonic() - self._flowed_at)})
            self._flowed_at = monotonic()
            await self._consumer.reader_thread.rejoin()

    async def _put_back(self) -> None:
        """Nothing was polled for a second: positions that ran ahead of the engine are put back.

        A poll under way is left alone, however long it takes on a busy machine: it moves positions before the engine
        hears of it, and to put them back would throw away what was fetched.
        """
        binding = self._consumer.binding
        for place, before, after in await self._consumer.reader_thread.put_back(binding.engine.intake()):
            binding.observer.reseeked(place)
            extra = {"source": text_of(place), "position": before, "expected": after}
            log.error("position_ahead", extra=extra)
