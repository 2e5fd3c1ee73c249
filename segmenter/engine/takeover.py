"""Taking a lane's output over: nobody else writes it any more, and what is left to say is known.

The steps, in the order that makes them safe:

(a), (b) The log fences every older owner. From here on its tails can only grow by our own hand.
(c) Token, state and outbox are read again. Not our token: stop. Who acquired the lane after us fences after us.
(d) The tails are read: per output, the highest number in the log.
(e) What the log holds beyond the store's next number, the store once held and has lost (it was put back): these
    records are *facts*. The reconciler says what profiles, holds and notes follow from them, and they are stored.
    Entries the log has are dropped; numbers go on from the greater of the log's and the store's. Where the log says
    something else under their numbers (see `fork`), all that is left to say is dropped: it was never said.
(f) The log is opened for writing. Connections for that are made beside (c) to (e): it is what takes longest in (f).

**Reconciling in several commits.** One commit takes at most 4,000 profiles and holds. Only the last one moves
`next_seq`, and until that has moved a takeover finds the same facts; so a crash between two commits repeats all of
it, over profiles of which some have learned the facts already. A reconciler must therefore give the same for these.
Intake has not started, so nobody else commits meanwhile, and a refused version means that we know the lane wrongly.

**Taking over again, while the engine works.** After a failed send, and to renew the fence, the relay does the same
steps without a reconciler, and then nothing here commits: an owner whose store has lost nothing has no facts to
reconcile, and marks what is published by `acknowledge`, which leaves the lane's version alone. So the relay and the
engine's commits never contend, and need no lock. Facts, or a page the store no longer has, mean that the store was
put back under us: RewoundError, and the engine acquires the lane again.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import TypeAlias

from segmenter.engine.fork import fork_of
from segmenter.errors import InvariantError, OwnershipError, RewoundError, TransientError
from segmenter.ports import (
    Commit,
    LaneLog,
    LaneNotes,
    LaneState,
    LaneStore,
    LoggedRecord,
    OutboxEntry,
    OutboxPage,
    Output,
    OutputLog,
    ProfileWrite,
    RefusalKind,
    Refused,
    Tail,
    Token,
)

WRITES_PER_COMMIT = 4_000
_PAGES_AT_ONCE = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What the log knows better than the store: profiles to write, customers to hold, and the lane's notes."""

    profiles: Sequence[ProfileWrite] = ()
    hold: Sequence[str] = ()
    waiting: Sequence[Mapping[tuple[str, str], int]] = ()
    """By how much the lane's counts of moves that wait to be told grow with each of these profiles."""
    notes: LaneNotes


Facts: TypeAlias = Mapping[Output, Sequence[LoggedRecord]]
Reconciler: TypeAlias = Callable[[LaneState, Facts, Sequence[OutboxEntry]], Awaitable[Reconciliation]]
"""Called with facts only, never without, and with what the store wrongly took for said; again after a crash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """What is left to publish, and what of it is to be stored yet."""

    pages: Sequence[OutboxPage]
    is_new: bool
    published: Mapping[Output, int]
    first_page: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The result: an opened log, the state as stored, what is left to publish, and what is published.

    `pages` are read up to `next_page`; where the engine is at work, `state` may have come further since.
    """

    log: LaneLog
    state: LaneState
    pages: Sequence[OutboxPage]
    next_page: int
    published: Mapping[Output, int]


class Takeover:
    """What a takeover is done with, and for whom."""

    def __init__(self, lane: int, token: Token, store: LaneStore, log: OutputLog) -> None:
        self.lane = lane
        self.token = token
        self._store = store
        self._log = log

    async def run(self, reconcile: Reconciler | None, next_page: int = 0) -> Taken:
        """Do (a) to (f). Without a reconciler the store must hold all that was stored, pages up to `next_page`.

        Raises OwnershipError when the lane is not ours, RewoundError, or TransientError; nothing is held then.
        """
        # Before (a) too: he who has lost the lane must not displace its owner.
        await self.own_state()
        lane_log = await self._log.take_over(self.lane)
        try:
            return await self._settle(lane_log, reconcile, next_page)
        except BaseException:
            await lane_log.close()
            raise

    async def own_state(self) -> LaneState:
        """Return the lane's state; raises OwnershipError when it is not ours.

        A token that is renewed while the question is under way is ours before and after.
        """
        before = self.token
        token, state = await self._store.state(self.lane)
        if token not in (before, self.token):
            raise OwnershipError(f"lane {self.lane} is owned by {token}, not by {self.token}")
        return state

    async def _settle(self, lane_log: LaneLog, reconcile: Reconciler | None, next_page: int) -> Taken:
        """Do (c) to (f) behind the fence."""
        lane_log.prepare()
        state = await self.own_state()
        if state.next_page < next_page:
            raise RewoundError(f"lane {self.lane}: the store has {state.next_page} pages of {next_page}")
        tails = await lane_log.tails()
        self._warn(lane_log, state, tails)
        published = {output: max(_tail(tails, output), state.published.get(output, 0)) for output in Output}
        stored = await self._outbox(state)
        fork = await fork_of(lane_log, stored, state.published, {output: _tail(tails, output) for output in Output})
        pages = _left(stored, published) if fork is None else fork.said_anew(published, state.next_page)
        first_page = pages[0].number if pages else state.next_page
        rest = _Rest(pages=pages, is_new=fork is not None, published=published, first_page=first_page)
        facts = await self._facts(lane_log, state, tails) if fork is None else fork.facts
        if not facts:
            await self._mark(state, published, first_page)
        elif reconcile is None:
            raise RewoundError(f"lane {self.lane}: the log is ahead of the store on {', '.join(facts)}")
        else:
            learned = await reconcile(state, facts, () if fork is None else fork.unsaid)
            await self._store_facts(state, rest, learned)
        reconciled = await self.own_state()
        _check_numbers(self.lane, reconciled, pages, published)
        await lane_log.open()
        next_page = state.next_page + (len(pages) if rest.is_new else 0)
        return Taken(log=lane_log, state=reconciled, pages=pages, next_page=next_page, published=published)

    async def _facts(
        self, lane_log: LaneLog, state: LaneState, tails: Mapping[Output, Tail]
    ) -> dict[Output, list[LoggedRecord]]:
        """Return what the log holds from the store's next numbers on."""
        known = {output: state.next_seq.get(output, 1) - 1 for output in Output}
        ahead = [output for output in Output if _tail(tails, output) > known[output]]
        return {output: await lane_log.beyond(output, known[output]) for output in ahead}

    async def _outbox(self, state: LaneState) -> list[OutboxPage]:
        """Return the stored pages up to the state's next one."""
        pages: list[OutboxPage] = []
        first = state.first_page
        while first < state.next_page:
            more = await self._store.outbox(self.lane, first, min(_PAGES_AT_ONCE, state.next_page - first))
            numbers = [page.number for page in takewhile(lambda page: page.number < state.next_page, more)]
            if not numbers or numbers != list(range(first, first + len(numbers))):
                await self._refuse_moved(state)
                raise InvariantError(f"lane {self.lane}: outbox page {first} is missing, found {numbers}")
            pages += more[: len(numbers)]
            first += len(numbers)
        return pages

    async def _refuse_moved(self, state: LaneState) -> None:
        """Raise TransientError where the lane is not what it was when we asked: begin anew with what it is now.

        A mark of ours that comes late has dropped pages meanwhile, or the store was put back.
        """
        found = await self.own_state()
        if (found.first_page, found.next_page) != (state.first_page, state.next_page):
            pages = f"{found.first_page} to {found.next_page}, not {state.first_page} to {state.next_page}"
            raise TransientError(f"lane {self.lane}: the store has pages {pages}, since we asked")

    async def _mark(self, state: LaneState, published: Mapping[Output, int], first_page: int) -> None:
        """Note what the log was found to hold, where the store does not know it yet."""
        stored = {output: state.published.get(output, 0) for output in Output}
        if stored == published and first_page == state.first_page:
            return
        token = None
        while token != self.token:  # again where the token was renewed meanwhile
            token = self.token
            if await self._store.acknowledge(self.lane, token, published, first_page):
                return
        raise OwnershipError(f"lane {self.lane} is not owned by {self.token} any more")

    async def _store_facts(self, state: LaneState, rest: _Rest, learned: Reconciliation) -> None:
        """Store what the log knows better; the last commit moves the numbers."""
        slices = max(1, *(-(-len(part) // WRITES_PER_COMMIT) for part in (learned.profiles, learned.hold)))
        for i in range(slices):
            part = slice(i * WRITES_PER_COMMIT, (i + 1) * WRITES_PER_COMMIT)
            is_last = i == slices - 1
            commit = Commit(
                lane=self.lane,
                token=self.token,
                version=state.version + i,
                notes=learned.notes,
                profiles=learned.profiles[part],
                hold=learned.hold[part],
                sizes=_summed(learned.waiting[part]),
                pages=rest.pages if is_last and rest.is_new else (),
                next_seq=_following(state, rest) if is_last else {},
                published=rest.published if is_last else {},
                first_page=rest.first_page if is_last else None,
            )
            _refuse(self.lane, await self._store.commit(commit))

    def _warn(self, lane_log: LaneLog, state: LaneState, tails: Mapping[Output, Tail]) -> None:
        """Raise the alarms that a tail gives: a stranger wrote there, or the log has lost what it acknowledged."""
        for output, tail in tails.items():
            place = {"lane": self.lane, "output": output.value, "lane_seq": tail.lane_seq}
            if tail.producer_id is not None and tail.producer_id != lane_log.producer_id:
                log.warning("foreign_producer", extra={**place, "producer_id": tail.producer_id})
            if tail.lane_seq < state.published.get(output, 0):
                log.warning("log_behind_acknowledged", extra={**place, "published": state.published[output]})


def _summed(counts: Sequence[Mapping[tuple[str, str], int]]) -> dict[tuple[str, str], int]:
    total: Counter[tuple[str, str]] = Counter()
    for growth in counts:
        total.update(growth)
    return {place: by for place, by in total.items() if by}


def _following(state: LaneState, rest: _Rest) -> dict[Output, int]:
    """Return the numbers that come next: behind the log's, and behind what is left to say."""
    if not rest.is_new:
        return {output: max(rest.published[output] + 1, state.next_seq.get(output, 1)) for output in Output}
    left = Counter(entry.output for page in rest.pages for entry in page.entries)
    return {output: rest.published[output] + left[output] + 1 for output in Output}


def _tail(tails: Mapping[Output, Tail], output: Output) -> int:
    return tails[output].lane_seq if output in tails else 0


def _left(pages: Sequence[OutboxPage], published: Mapping[Output, int]) -> list[OutboxPage]:
    """Return the pages from the first unpublished entry on, without the entries that are in the log."""
    left = []
    for page in pages:
        entries = tuple(entry for entry in page.entries if entry.lane_seq > published[entry.output])
        if entries:
            left.append(OutboxPage(page.number, entries))
    return left


def _check_numbers(lane: int, state: LaneState, pages: Sequence[OutboxPage], published: Mapping[Output, int]) -> None:
    """Refuse to publish with a gap: what is left must go on where the log ends."""
    for output in Output:
        numbers = [entry.lane_seq for page in pages for entry in page.entries if entry.output is output]
        expected = [number for number, _ in zip(count(published[output] + 1), numbers, strict=False)]
        follows = published[output] + len(numbers) + 1
        if numbers != expected or state.next_seq.get(output, 1) < follows:
            raise InvariantError(
                f"lane {lane}, {output}: left are {numbers[:1]}..{numbers[-1:]} after {published[output]}, "
                f"next is {state.next_seq.get(output, 1)}"
            )


def _refuse(lane: int, answer: object) -> None:
    """Raise for a commit that was not stored."""
    if isinstance(answer, Refused):
        if answer.kind in (RefusalKind.NEWER_TOKEN, RefusalKind.OLDER_TOKEN):
            raise OwnershipError(f"lane {lane}: {answer.detail}")
        raise TransientError(f"lane {lane}: the reconciling commit was refused: {answer.kind}, {answer.detail}")
