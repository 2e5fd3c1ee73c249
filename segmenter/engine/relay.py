"""Publishing what a lane has stored: from the outbox to the log, in order, each record once.

`take_over` first (see `takeover`), then `run` as a task beside the lane, `enqueue` after each stored commit, and at
the end `drain` and `close`. What survives a crash is the outbox: the next owner reads from the log how far this one
came.

After an error of the log the relay drops its hold and takes over again by itself, with a pause that grows from 0.1
to 30 s; `enqueue` goes on meanwhile. It never publishes what the store does not hold: the backlog is read from there
anew. It never commits either (see `takeover`), so it shares no lock with the engine.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Sequence

from segmenter.domain.instants import SECOND, Instant
from segmenter.engine.backlog import Backlog, numbered_on
from segmenter.engine.pace import FIRST_PAUSE_S, LONGEST_PAUSE_S, seconds
from segmenter.engine.takeover import Reconciler, Reconciliation, Taken, Takeover
from segmenter.errors import FencedError, InvariantError, OwnershipError, TransientError
from segmenter.ports import (
    Clock,
    LaneLog,
    LaneState,
    LaneStore,
    OutboxPage,
    Output,
    OutputLog,
    Recorder,
    TakeoverOutcome,
    Token,
)

__all__ = ["Reconciler", "Reconciliation", "Relay"]

ACKNOWLEDGE_EVERY_S = 1.0
ACKNOWLEDGE_ENTRIES = 2_000
# Brokers forget a fence after a day without a record; four chances a day, not all lanes in the same minute.
RENEW_AFTER_S = (5 * 3600.0, 7 * 3600.0)

log = logging.getLogger(__name__)


class Relay:
    """One lane's publisher, for as long as `token` owns the lane."""

    def __init__(
        self, lane: int, token: Token, *, store: LaneStore, log: OutputLog, clock: Clock, recorder: Recorder
    ) -> None:
        self._takeover = Takeover(lane, token, store, log)
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._log: LaneLog | None = None
        self._backlog = Backlog()
        self._published: dict[Output, int] = {}
        self._unmarked = 0
        self._marked_at = 0.0
        self._marking = asyncio.Lock()
        self._renew_at = 0.0
        self.renew_after_s = RENEW_AFTER_S
        """How long a takeover serves, at random within these bounds."""
        self._pause_s = FIRST_PAUSE_S
        self._was_fenced = False
        self.trouble = ""
        """Why nothing can be published at present; empty: it can."""
        self._has_work = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def depth(self) -> int:
        """Entries stored and not acknowledged by the broker."""
        return self._backlog.entries

    @property
    def size_bytes(self) -> int:
        """Bytes of their keys and values."""
        return self._backlog.size_bytes

    @property
    def oldest_recorded_at(self) -> Instant | None:
        """When the oldest of them was recorded. None: there is none."""
        return self._backlog.oldest_recorded_at

    @property
    def is_full(self) -> bool:
        """Intake, deadlines and sweeps pause: from the bound of the outbox down to half of it."""
        return self._backlog.is_full

    @property
    def is_holding(self) -> bool:
        """The log is open; otherwise a takeover is under way or being waited for."""
        return self._log is not None

    def bound(self, entries: int, size_bytes: int) -> None:
        """Be full at this much; half of it ends that."""
        self._backlog.most_entries, self._backlog.most_bytes = entries, size_bytes

    async def take_over(self, reconcile: Reconciler) -> LaneState:
        """Fence, reconcile and open; return the lane's state as it then is.

        Raises OwnershipError when the lane is not ours any more, and TransientError when it may be tried again after
        a pause: a server did not answer in time, or another owner came between.
        """
        taken = await self._take(reconcile)
        return taken.state

    def enqueue(self, pages: Sequence[OutboxPage]) -> None:
        """Publish the pages of a stored commit after all before them."""
        self._backlog.add(pages)
        self._note_backlog()

    async def renew_token(self, new: Token, version: int) -> bool:
        """Put `new` in place of our token where it and the lane's version still stand; tell whether they did.

        No takeover is needed then: nobody else had the lane. Raises TransientError when that is not known.
        """
        async with self._marking:
            is_ours = await self._store.renew(self._takeover.lane, self._takeover.token, new, version)
            if is_ours:
                self._takeover.token = new
            return is_ours

    async def run(self) -> None:
        """Publish until cancelled.

        Raises OwnershipError when the lane is not ours any more, FencedError when it is by the store's word and a
        takeover did not help, and RewoundError when the store has lost what it held.
        """
        try:
            while True:
                try:
                    await self._publish()
                except TransientError as error:
                    await self._recover(error)
                except FencedError as error:
                    await self._recover_from_fence(error)
        finally:
            self._is_idle.set()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything is published, or `run` has ended; tell whether nothing is left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._is_idle.wait()
                with contextlib.suppress(TransientError, OwnershipError):
                    await self._mark()
        return not self._backlog.entries

    async def close(self) -> None:
        """Let go of the log, and note what is published if the store can be reached. End `run` first."""
        await self._let_go()
        with contextlib.suppress(TransientError, OwnershipError):
            await self._mark()

    async def _publish(self) -> None:
        """Publish round after round; at once when idle, all that has come meanwhile when not."""
        while True:
            if self._log is None or seconds() >= self._renew_at:
                await self._renew()
            pages = self._backlog.round()
            if pages:
                await self._send(pages)
            if self._is_mark_due():
                with contextlib.suppress(TransientError):  # the store is away: what is published stays so
                    await self._mark()
            if not self._backlog.entries:
                await self._wait_for_work()

    async def _send(self, pages: Sequence[OutboxPage]) -> None:
        """Publish these pages and count them as published."""
        if self._log is None:
            raise InvariantError("the relay was to send without a hold on its log")
        entries = [entry for page in pages for entry in page.entries]
        published = numbered_on(self._published, entries)
        started = time.perf_counter()
        await self._log.send(entries)
        self._recorder.spent("relay", time.perf_counter() - started)
        self._pause_s, self._was_fenced, self.trouble = FIRST_PAUSE_S, False, ""
        self._published = published
        self._unmarked += len(entries)
        self._backlog.drop(len(pages))
        now = self._clock.now()
        for entry in entries:
            if entry.output is Output.CHANGES and entry.caused_at:
                self._recorder.told((now - entry.caused_at) / SECOND)
        self._note_backlog()

    async def _wait_for_work(self) -> None:
        """Sleep until something is enqueued, or a mark or the renewal is due."""
        now = seconds()
        until = min(self._renew_at, self._marked_at + ACKNOWLEDGE_EVERY_S if self._unmarked else self._renew_at)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - now)):
                await self._has_work.wait()

    def _is_mark_due(self) -> bool:
        is_long_ago = seconds() - self._marked_at >= ACKNOWLEDGE_EVERY_S
        return self._unmarked >= ACKNOWLEDGE_ENTRIES or (self._unmarked > 0 and is_long_ago)

    async def _mark(self) -> None:
        """Note in the store what is published, and let it drop those pages."""
        async with self._marking:
            count, self._marked_at = self._unmarked, seconds()
            if not count:
                return
            published, first_page = dict(self._published), self._backlog.first_page
            if not await self._store.acknowledge(self._takeover.lane, self._takeover.token, published, first_page):
                raise OwnershipError(f"lane {self._takeover.lane} is not owned by {self._takeover.token} any more")
            self._unmarked -= count

    async def _renew(self) -> None:
        """Take over from ourselves: everything sent is acknowledged here, and intake goes on."""
        await self._let_go()
        await self._mark()
        await self._take(None)

    async def _recover(self, error: TransientError) -> None:
        """Wait; the next round takes over again."""
        lane = self._takeover.lane
        log.warning("relay_lost_its_log", extra={"lane": lane, "reason": str(error), "pause_s": self._pause_s})
        self.trouble = f"publishing waits for Kafka: {error}"
        await self._let_go()
        self._note_backlog()
        await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def _recover_from_fence(self, error: FencedError) -> None:
        """Take over again once, if the lane is still ours by the store's word; a second time in a row is the end."""
        self._recorder.fenced()
        await self._let_go()
        with contextlib.suppress(TransientError):  # the takeover asks again
            await self._takeover.own_state()
        if self._was_fenced:
            raise error
        self._was_fenced = True
        await self._recover(TransientError(str(error)))

    async def _let_go(self) -> None:
        lane_log, self._log = self._log, None
        if lane_log is not None:
            await lane_log.close()

    async def _take(self, reconcile: Reconciler | None) -> Taken:
        """Take over, and begin with what the store holds."""
        if reconcile is not None:
            self._backlog = Backlog(self._backlog.most_entries, self._backlog.most_bytes)
        taken = await self._timed(self._takeover.run(reconcile, self._backlog.next_page))
        self._log = taken.log
        async with self._marking:
            self._published = dict(taken.published)
            self._unmarked = 0
            self._backlog.begin(taken.pages, taken.next_page)
        self._renew_at = seconds() + random.uniform(*self.renew_after_s)
        self._note_backlog()
        return taken

    async def _timed(self, takeover: Awaitable[Taken]) -> Taken:
        """Await a takeover and report how it ended."""
        started = time.perf_counter()
        outcome: TakeoverOutcome = "failed"
        try:
            taken = await takeover
            outcome = "done"
        except OwnershipError:
            outcome = "lost"
            raise
        except TransientError as error:
            outcome = "timed_out" if isinstance(error.__cause__, TimeoutError) else "failed"
            raise
        finally:
            self._recorder.taken_over(outcome, time.perf_counter() - started)
        return taken

    def _note_backlog(self) -> None:
        """Wake who waits for work or for its end, and report how much there is."""
        backlog = self._backlog
        wake, rest = (self._has_work, self._is_idle) if backlog.entries else (self._is_idle, self._has_work)
        wake.set()
        rest.clear()
        oldest = backlog.oldest_recorded_at
        age_s = 0.0 if oldest is None else (self._clock.now() - oldest) / SECOND
        self._recorder.outbox(
            self._takeover.lane, entries=backlog.entries, size_bytes=backlog.size_bytes, age_s=age_s
        )
