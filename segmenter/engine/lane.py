"""One lane at work: what was read is stepped, stored in one write, and handed to the relay.

What survives a crash is what the store holds: profiles, positions, deadlines and outbox move together or not
at all. A lane whose write was refused, or whose outcome is unknown, is of no use any more: it is taken again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from segmenter.domain.causes import Arrived, PeersMoved, Released, Tick, Verdict
from segmenter.domain.instants import MILLISECOND, SECOND, Instant
from segmenter.domain.step import ORDER_FACTS
from segmenter.domain.value import Boundary
from segmenter.engine.batch import Batch
from segmenter.engine.kept import KeptProfiles
from segmenter.engine.outbox import Outbox
from segmenter.engine.reading import Reading, place_of
from segmenter.engine.state import state_after
from segmenter.engine.sweep import left_of, sweep_for, walked
from segmenter.engine.terms import Terms
from segmenter.errors import OwnershipError
from segmenter.ports import (
    WATERMARK,
    Commit,
    Decoded,
    Encoder,
    LaneNotes,
    LaneState,
    LaneStore,
    OutboxPage,
    ProfileWrite,
    Record,
    Recorder,
    Refused,
    Sweep,
    Token,
)

FOREVER: Instant = 2**62
STORED_EVERY: Instant = SECOND
"""An idle lane stores its watermark this often: leader and successor read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a lane works with."""

    store: LaneStore
    encoder: Encoder
    recorder: Recorder


class Refusal(OwnershipError):
    """The store did not take a commit; `kind` says why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.kind = refused.kind


@dataclass(slots=True)
class _Work:
    """What one commit is about, beside the records read."""

    ticks: list[tuple[Instant, str]] = field(default_factory=list)
    swept: list[tuple[int, str]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    is_passed: bool = False
    """The lane has come to where it was before a rewind, and may release whom it holds."""

    def customers(self) -> list[str]:
        """Return whose profiles are needed."""
        return [*(c for _, c in self.ticks), *(c for _, c in self.swept), *self.released]


class Lane:
    """The owner's hold on a lane. One call at a time; `publish` takes the pages of each stored commit."""

    def __init__(
        self,
        state: LaneState,
        token: Token,
        terms: Terms,
        services: Services,
        publish: Callable[[Sequence[OutboxPage]], None],
    ) -> None:
        self.state = state
        self.token = token
        self.has_more = True
        """More is due, or left to sweep or release, than one commit took."""
        self._terms = terms
        self._services = services
        self._publish = publish
        if state.notes.boundary is not None:
            services.recorder.boundary_adopted(state.lane, state.notes.boundary.number)
        self._next_due: Instant | None = 0
        self._kept = KeptProfiles(terms.profiles_kept)

    async def advance(self, reading: Reading, watermark: Instant, now: Instant) -> None:
        """Work off what was read and what has become due by `watermark`, in one commit.

        Raises Refusal when the store did not take it, TransientError when it is not known whether it did.
        """
        notes = self._notes(watermark, now)
        work = await self._due_work(reading, notes)
        if not self._is_worth_a_commit(reading, work, notes):
            self.has_more = False
            return
        batch = await self._load(reading, work, notes, now)
        started = time.perf_counter()
        self._step_arrivals(batch, reading, FOREVER if self.is_live_at(now) else notes.watermark)
        notes = self._step_work(batch, work, notes, now)
        for record, rejection in reading.rejected:
            batch.reject(record, rejection)
            self._services.recorder.events("none", Verdict.REJECTED)
        self._services.recorder.spent("step", time.perf_counter() - started)
        commit = self._commit_of(batch, reading, notes, work)
        await self._commit(commit)
        await self._note_progress(work, commit.profiles)

    async def adopt(self, boundary: Boundary) -> None:
        """Compute with this boundary from now on, and begin to look at those whom it can move."""
        notes = self.state.notes
        sweep = sweep_for(notes.boundary, boundary, notes.sweep)
        notes = replace(notes, boundary=boundary, sweep=sweep)
        await self._commit(Commit(lane=self.state.lane, token=self.token, version=self.state.version, notes=notes))
        self.has_more = self.has_more or sweep is not None
        self._services.recorder.boundary_adopted(self.state.lane, boundary.number)

    def is_live_at(self, now: Instant) -> bool:
        """Tell whether the lane was live when last stored, and still is: its worker may have slept since."""
        notes = self.state.notes
        return notes.is_live and now - notes.watermark - self._terms.greatest_lateness <= self._terms.behind_after

    def _notes(self, watermark: Instant, now: Instant) -> LaneNotes:
        """Return the notes at this watermark: is the lane live, and has the first start caught up?"""
        before, terms = self.state.notes, self._terms
        at = max(before.watermark, watermark)
        delay = now - at - terms.greatest_lateness
        is_live = delay <= terms.behind_after if before.is_live else delay <= terms.live_within
        announce_from = now if before.announce_from is None and is_live else before.announce_from
        self._services.recorder.watermark(self.state.lane, (now - at) / SECOND)
        return replace(before, watermark=at, is_live=is_live, announce_from=announce_from)

    async def _due_work(self, reading: Reading, notes: LaneNotes) -> _Work:
        """Return which deadlines have come, whom a sweep looks at next, and who is released."""
        store, lane, terms, work = self._services.store, self.state.lane, self._terms, _Work()
        if self._next_due is not None and self._next_due <= notes.watermark:
            due = await store.due(lane, notes.watermark, terms.ticks_per_commit)
            work.ticks = [(entry.at, entry.customer) for entry in due]
            if not due:
                self._next_due = await store.next_due(lane)
        if notes.sweep is not None:
            work.swept = await self._bite(notes.sweep)
        work.is_passed = bool(notes.recover_upto) and self._has_passed(reading, notes)
        if work.is_passed:
            work.released = await store.held(lane, terms.sweep_per_commit)
        return work

    async def _bite(self, sweep: Sweep) -> list[tuple[int, str]]:
        """Return the next customers of a walk, as many as one commit takes."""
        found: list[tuple[int, str]] = []
        for low, high, after in left_of(sweep):
            more = self._terms.sweep_per_commit - len(found)
            if more <= 0:
                break
            found += await self._services.store.ranked(self.state.lane, low, high, after, more)
        return found

    def _has_passed(self, reading: Reading, notes: LaneNotes) -> bool:
        """Tell whether the lane has come to where it was before the rewind, in every source it still has."""
        reached = {**self.state.positions, **reading.positions, WATERMARK: notes.watermark}
        return all(reached[s] >= offset for s, offset in notes.recover_upto.items() if s in reached)

    def _is_worth_a_commit(self, reading: Reading, work: _Work, notes: LaneNotes) -> bool:
        before = self.state.notes
        moved = any(self.state.positions.get(source) != offset for source, offset in reading.positions.items())
        return bool(
            moved
            or reading.markers
            or work.ticks
            or notes.sweep is not None
            or work.is_passed
            or notes.is_live != before.is_live
            or notes.watermark >= before.watermark + STORED_EVERY
        )

    async def _load(self, reading: Reading, work: _Work, notes: LaneNotes, now: Instant) -> Batch:
        """Return a batch that holds every profile this commit can touch, from one round trip."""
        outbox = Outbox(self.state.next_seq, self.state.next_page)
        batch = Batch(self._terms, notes.boundary, outbox, self._services.encoder, self._services.recorder)
        # What an operator sets counts, also where the first start had caught up before he set it.
        is_set = self._terms.announce_from is not None
        batch.announce_from = self._terms.announce_from if is_set else notes.announce_from
        batch.recorded_at = now
        batch.upto = {**self.state.positions, **reading.positions, WATERMARK: notes.watermark}
        customers = batch.missing([*(decoded.customer for decoded, _ in reading.arrivals), *work.customers()])
        kept, unknown = self._kept.among(customers)
        batch.add(kept)
        if unknown:
            started = time.perf_counter()
            loaded = await self._services.store.load(self.state.lane, unknown)
            batch.add(zip(unknown, loaded, strict=True))
            self._services.recorder.spent("load", time.perf_counter() - started)
        return batch

    def _step_arrivals(self, batch: Batch, reading: Reading, settle_limit: Instant) -> None:
        """Step events by their own time and id. All before the watermark of this commit is read: a safe limit."""
        watermark = self.state.notes.watermark
        verdicts: dict[tuple[str, Verdict], int] = {}
        for decoded, record in sorted(reading.arrivals, key=_time_and_id):
            at, event = decoded.at, decoded.event
            settle_to = at if at <= settle_limit else settle_limit
            place = place_of(record) if type(event) in ORDER_FACTS else ""
            cause = Arrived(event, at, decoded.event_id, settle_to, watermark, place)
            transition = batch.step(decoded.customer, cause, record.timestamp * MILLISECOND)
            verdict, profile = transition.verdict, transition.profile
            if transition.rejection is not None:
                batch.reject(record, transition.rejection)
            elif profile is not None and profile.is_excluded and verdict is Verdict.ACCEPTED:
                verdict = Verdict.EXCLUDED
            met = event.type, verdict
            verdicts[met] = verdicts.get(met, 0) + 1
        for (kind, verdict), count in verdicts.items():
            self._services.recorder.events(kind, verdict, count)

    def _step_work(self, batch: Batch, work: _Work, notes: LaneNotes, now: Instant) -> LaneNotes:
        """Play deadlines by (time, customer), look at those a boundary may have moved, release the held."""
        watermark, recorder = notes.watermark, self._services.recorder
        for at, customer in sorted({*work.ticks, *batch.due_by(watermark)}):
            if batch.holds(customer):
                batch.step(customer, Tick(watermark))
            if notes.is_live:
                recorder.deadline_played(max(0, now - at) / SECOND)
        if notes.sweep is not None:
            for _, customer in work.swept:
                batch.step(customer, PeersMoved(watermark, is_first=notes.sweep.is_first))
            recorder.swept(len(work.swept))
            is_cut = len(work.swept) >= self._terms.sweep_per_commit
            notes = replace(notes, sweep=walked(notes.sweep, work.swept[-1] if is_cut else None))
        for customer in work.released:
            batch.step(customer, Released(watermark))
        if work.is_passed and len(work.released) < self._terms.sweep_per_commit:
            notes = replace(notes, recover_upto={})
        return notes

    def _commit_of(self, batch: Batch, reading: Reading, notes: LaneNotes, work: _Work) -> Commit:
        writes = batch.writes()
        if any(write.revenue_before != write.revenue_after for write in writes):
            notes = replace(notes, rank_version=notes.rank_version + 1)
        pages, next_seq = batch.finish()
        return Commit(
            lane=self.state.lane,
            token=self.token,
            version=self.state.version,
            notes=notes,
            positions={s: (self.state.positions.get(s), offset) for s, offset in reading.positions.items()},
            taken=reading.taken,
            markers=reading.markers,
            profiles=writes,
            pages=pages,
            next_seq=next_seq,
            sizes=batch.sizes(),
            release=work.released,
        )

    async def _commit(self, commit: Commit) -> None:
        """Store, and only then go on and publish."""
        recorder, started = self._services.recorder, time.perf_counter()
        outcome = await self._services.store.commit(commit)
        recorder.spent("commit", time.perf_counter() - started)
        if isinstance(outcome, Refused):
            recorder.refused(outcome.kind)
            raise Refusal(outcome)
        recorder.committed()
        self.state = state_after(self.state, commit)
        self._kept.note(commit.profiles)
        if commit.pages:
            self._publish(commit.pages)

    async def _note_progress(self, work: _Work, writes: Sequence[ProfileWrite]) -> None:
        """Remember when to look at the queue of deadlines again, and whether there is more to do at once."""
        terms, notes = self._terms, self.state.notes
        if work.ticks:
            self._next_due = await self._services.store.next_due(self.state.lane)
        else:
            wakes = [write.wake_after for write in writes if write.wake_after is not None]
            self._next_due = min([*wakes, *([] if self._next_due is None else [self._next_due])], default=None)
        is_due = self._next_due is not None and self._next_due <= notes.watermark
        is_releasing = work.is_passed and bool(notes.recover_upto)
        self.has_more = is_due or notes.sweep is not None or is_releasing or len(work.ticks) >= terms.ticks_per_commit


def _time_and_id(arrival: tuple[Decoded, Record]) -> tuple[Instant, str]:
    return arrival[0].at, arrival[0].event_id
