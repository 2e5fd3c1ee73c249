"""One lane at work: what was read is stepped, stored in one write, and handed to the relay.

What survives a crash is what the store holds: profiles, positions, deadlines and outbox move together or not
at all. A lane whose write was refused, or whose outcome is unknown, is of no use any more: it is taken again.

More than 300 lines, as all that one commit is made of comes together here.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from segmenter.domain.causes import Arrived, Verdict
from segmenter.domain.instants import MILLISECOND, SECOND, Instant
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import ORDER_FACTS
from segmenter.domain.value import Boundary
from segmenter.engine.batch import Batch
from segmenter.engine.due_work import step_work, with_asides
from segmenter.engine.kept import KeptProfiles
from segmenter.engine.orders import Offer, notes_adopting, notes_obeying
from segmenter.engine.outbox import Outbox
from segmenter.engine.reading import Reading, place_of
from segmenter.engine.state import state_after
from segmenter.engine.storm import StormWatch
from segmenter.engine.sweep import further_sweeps, is_sweeping, next_sweep, sweep_for
from segmenter.engine.terms import Terms
from segmenter.engine.walk import Ahead, beyond, share_done
from segmenter.engine.work import Work, bite_of
from segmenter.errors import OwnershipError, SegmenterError
from segmenter.ports import (
    WATERMARK,
    Commit,
    Decoded,
    Encoder,
    HoldOrder,
    LaneNotes,
    LaneState,
    LaneStore,
    OutboxPage,
    ProfileWrite,
    Record,
    Recorder,
    Refused,
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


class Lane:
    """The owner's hold on a lane. One call at a time; `publish` takes the pages of each stored commit."""

    def __init__(
        self,
        state: LaneState,
        token: Token,
        terms: Terms,
        services: Services,
        publish: Callable[[Sequence[OutboxPage]], None],
        rulebook: Rulebook | None = None,
    ) -> None:
        self.state = state
        self.may_walk = True
        """A commit takes a bite of an unfinished walk."""
        self.rulebook = terms.rulebook if rulebook is None else rulebook
        """The rules by which it decides."""
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
        self._storms = StormWatch(terms.partitions)
        self._ahead = Ahead()
        services.recorder.rulebook_adopted(state.lane, state.notes.revision)
        if state.notes.walk is not None:
            services.recorder.backfilled(state.lane, customers=0, share=share_done(state.notes.walk))
        self._retry = sorted(state.notes.aside)
        services.recorder.aside(state.lane, len(state.notes.aside))

    async def advance(self, reading: Reading, watermark: Instant, now: Instant) -> None:
        """Work off what was read and what has become due by `watermark`, in one commit.

        Raises Refusal when the store did not take it, TransientError when it is not known whether it did.
        """
        notes = self._notes(watermark, now)
        work = await self._due_work(reading, notes)
        if not self._is_worth_a_commit(reading, work, notes):
            self.has_more = False
            return
        batch, commit = await self._prepared(reading, work, notes, now)
        await self._commit(commit, passing=frozenset(work.walked))
        self._ahead.note_met(self.state.notes.walk, [c for c in batch.stored() if c not in batch.failed])
        self._storms = batch.storms
        for dimension in set(self.state.notes.held) - set(notes.held):
            self._services.recorder.stormed(dimension)
        await self._note_progress(work, commit.profiles)

    async def _prepared(self, reading: Reading, work: Work, notes: LaneNotes, now: Instant) -> tuple[Batch, Commit]:
        """Return the commit, and what it was made of.

        Where something cannot be written, find out by a second try whether time or a walk has said it.
        """
        batch = await self._load(reading, work, notes, now)
        try:
            return batch, self._stepped(batch, reading, work, notes)
        except SegmenterError:
            raise
        except Exception:
            if not work.customers() and notes.walk is None:
                raise
        batch = await self._load(reading, work, notes, now)
        batch.is_careful = True
        return batch, self._stepped(batch, reading, work, notes)

    def _stepped(self, batch: Batch, reading: Reading, work: Work, notes: LaneNotes) -> Commit:
        """Step events, then all that time and others bring, and return what that comes to."""
        started, now, recorder = time.perf_counter(), batch.recorded_at, self._services.recorder
        if notes.walk is not None:
            beyond(batch, notes.walk, self._ahead)
        self._step_arrivals(batch, reading, FOREVER if self.is_live_at(now) else notes.watermark)
        notes = step_work(batch, work, notes, now, self._terms, recorder)
        for record, rejection in reading.rejected:
            batch.reject(record, rejection)
            recorder.events("none", Verdict.REJECTED)
        recorder.spent("step", time.perf_counter() - started)
        return self._commit_of(batch, reading, with_asides(notes, batch, self.state.lane, now), work)

    async def adopt(self, boundary: Boundary) -> None:
        """Compute with this boundary from now on, and begin to look at those whom it can move."""
        notes = self.state.notes
        sweep = sweep_for(notes.boundary, boundary, notes.sweep)
        further = further_sweeps(notes.boundary, boundary, notes.further_sweeps)
        await self._note(replace(notes, boundary=boundary, sweep=sweep, further_sweeps=further))
        self.has_more = self.has_more or is_sweeping(self.state.notes)
        self._services.recorder.boundary_adopted(self.state.lane, boundary.number)

    async def adopt_rules(self, offer: Offer) -> None:
        """Decide by these rules from now on, and begin to look at everybody."""
        await self._note(notes_adopting(self.state.notes, offer, self.rulebook))
        self.rulebook, self._ahead = offer.rulebook, Ahead()
        self._services.recorder.rulebook_adopted(self.state.lane, offer.rulebook.revision)

    async def obey(self, orders: Mapping[str, HoldOrder]) -> None:
        """Hold what is to be held from now on, and begin to let go of what is not any more."""
        before = self.state.notes.held
        await self._note(notes_obeying(self.state.notes, orders))
        self._ahead = Ahead()
        for dimension in set(before) - set(self.state.notes.held):
            self._storms.forget(dimension)

    async def _note(self, notes: LaneNotes) -> None:
        """Store other notes, in a commit of their own."""
        await self._commit(Commit(lane=self.state.lane, token=self.token, version=self.state.version, notes=notes))

    @property
    def is_settled(self) -> bool:
        """Every deadline up to the stored watermark was played, by the rules that held when it came."""
        is_new = self.state.version == 0
        is_played = self._next_due is None or self._next_due > self.state.notes.watermark
        return is_new or (is_played and not self._retry)

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

    async def _due_work(self, reading: Reading, notes: LaneNotes) -> Work:
        """Return which deadlines have come, whom a sweep looks at next, and who is released."""
        store, lane, terms, work = self._services.store, self.state.lane, self._terms, Work()
        if self._next_due is not None and self._next_due <= notes.watermark:
            due = await store.due(lane, notes.watermark, terms.ticks_per_commit)
            work.ticks = [(entry.at, entry.customer) for entry in due]
            if not due:
                self._next_due = await store.next_due(lane)
        work.retried = self._retry[: terms.ticks_per_commit]
        if notes.walk is not None and self.may_walk:
            work.is_walking = True
            work.walked, work.is_cut = await self._ahead.bite(store, lane, notes.walk, terms.walk_per_commit)
        if (sweeping := next_sweep(notes)) is not None:
            work.swept = await bite_of(store, lane, sweeping, terms.sweep_per_commit)
        work.is_passed = bool(notes.recover_upto) and self._has_passed(reading, notes)
        if work.is_passed:
            work.released = await store.held(lane, terms.sweep_per_commit)
        return work

    def _has_passed(self, reading: Reading, notes: LaneNotes) -> bool:
        """Tell whether the lane has come to where it was before the rewind, in every source it still has."""
        reached = {**self.state.positions, **reading.positions, WATERMARK: notes.watermark}
        return all(reached[s] >= offset for s, offset in notes.recover_upto.items() if s in reached)

    def _is_worth_a_commit(self, reading: Reading, work: Work, notes: LaneNotes) -> bool:
        before = self.state.notes
        moved = any(self.state.positions.get(source) != offset for source, offset in reading.positions.items())
        return bool(
            moved
            or reading.markers
            or work.ticks
            or work.retried
            or is_sweeping(notes)
            or work.is_walking
            or work.is_passed
            or notes.is_live != before.is_live
            or notes.watermark >= before.watermark + STORED_EVERY
        )

    async def _load(self, reading: Reading, work: Work, notes: LaneNotes, now: Instant) -> Batch:
        """Return a batch that holds every profile this commit can touch, from one round trip."""
        outbox = Outbox(self.state.next_seq, self.state.next_page)
        services = self._services
        batch = Batch(self._terms, self.rulebook, notes, outbox, services.encoder, services.recorder)
        batch.storms, batch.sizes_before = self._storms.copy(), self.state.sizes
        # What an operator sets counts, also where the first start had caught up before he set it.
        is_set = self._terms.announce_from is not None
        batch.announce_from = self._terms.announce_from if is_set else notes.announce_from
        batch.recorded_at, batch.aside = now, notes.aside.keys()
        batch.upto = {**self.state.positions, **reading.positions, WATERMARK: notes.watermark}
        customers = batch.missing([*(decoded.customer for decoded, _ in reading.arrivals), *work.customers()])
        kept, unknown = self._kept.among(customers)
        batch.add(kept)
        if unknown:
            started = time.perf_counter()
            loaded = await services.store.load(self.state.lane, unknown)
            batch.add(zip(unknown, loaded, strict=True))
            services.recorder.spent("load", time.perf_counter() - started)
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

    def _commit_of(self, batch: Batch, reading: Reading, notes: LaneNotes, work: Work) -> Commit:
        writes = batch.writes()
        if any(write.moves_rank for write in writes):
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

    async def _commit(self, commit: Commit, passing: Collection[str] = ()) -> None:
        """Store, and only then go on and publish. Who is only `passing` displaces nobody who is kept at hand."""
        recorder, started = self._services.recorder, time.perf_counter()
        outcome = await self._services.store.commit(commit)
        recorder.spent("commit", time.perf_counter() - started)
        if isinstance(outcome, Refused):
            recorder.refused(outcome.kind)
            raise Refusal(outcome)
        recorder.committed()
        self.state = state_after(self.state, commit)
        self._kept.note(commit.profiles, passing)
        recorder.aside(commit.lane, len(commit.notes.aside))
        if commit.pages:
            self._publish(commit.pages)

    async def _note_progress(self, work: Work, writes: Sequence[ProfileWrite]) -> None:
        """Remember when to look at the queue of deadlines again, and whether there is more to do at once."""
        terms, notes = self._terms, self.state.notes
        del self._retry[: len(work.retried)]
        if work.is_walking:
            share = share_done(notes.walk)
            self._services.recorder.backfilled(self.state.lane, customers=len(work.walked), share=share)
        if work.ticks:
            self._next_due = await self._services.store.next_due(self.state.lane)
        else:
            wakes = [write.wake_after for write in writes if write.wake_after is not None]
            self._next_due = min([*wakes, *([] if self._next_due is None else [self._next_due])], default=None)
        is_due = self._next_due is not None and self._next_due <= notes.watermark
        is_releasing = work.is_passed and bool(notes.recover_upto)
        self.has_more = (
            is_due
            or bool(self._retry)
            or is_sweeping(notes)
            or is_releasing
            or len(work.ticks) >= terms.ticks_per_commit
        )


def _time_and_id(arrival: tuple[Decoded, Record]) -> tuple[Instant, str]:
    return arrival[0].at, arrival[0].event_id
