"""What a commit does beside events: deadlines, sweeps, walks, releases, a new try for whom our code could not bear.

A customer for whom our own code raises is put aside, and the lane goes on: his profile stays as it is, his place in
the queue of deadlines is given up, and the lane's notes name him with the error. Whoever takes the lane next tries
each of them once more, so an update that helps releases them by itself. An event of his that our code cannot bear
either is put aside as a record (see `poison`); one that it can brings him back.
"""

import logging
from dataclasses import replace

from segmenter.domain.causes import Cause, PeersMoved, Redefined, Released, Tick
from segmenter.domain.instants import SECOND, Instant
from segmenter.engine.batch import Batch
from segmenter.engine.sweep import next_sweep, swept_on
from segmenter.engine.terms import Terms
from segmenter.engine.walk import walked_on
from segmenter.engine.work import Work
from segmenter.errors import InvariantError
from segmenter.ports import Aside, LaneNotes, Recorder

# So many in one lane are no odd customers: code or rules are at fault, and going on would put everybody aside.
MOST_ASIDE = 100

log = logging.getLogger(__name__)


def step_work(
    batch: Batch, work: Work, notes: LaneNotes, now: Instant, terms: Terms, recorder: Recorder
) -> LaneNotes:
    """Play deadlines by (time, customer), look at those a boundary may move, release the held; return the notes.

    The bite of a walk was looked at before the events (see `walk.beyond`); here its place moves on.
    Whom our own code cannot bear is left as he is, and is named by `Batch.failed`.
    """
    watermark = notes.watermark
    for customer in work.retried:
        for cause in _retry(batch, customer, notes):
            batch.attempt(customer, cause)
    for at, customer in sorted({*work.ticks, *batch.due_by(watermark)}):
        if batch.holds(customer):
            batch.attempt(customer, Tick(watermark))
        if notes.is_live:
            recorder.deadline_played(max(0, now - at) / SECOND)
    if (sweeping := next_sweep(notes)) is not None:
        for _, customer in work.swept:
            batch.attempt(customer, PeersMoved(watermark, is_first=sweeping[1].is_first))
        recorder.swept(len(work.swept))
        is_cut = len(work.swept) >= terms.sweep_per_commit
        notes = swept_on(notes, sweeping, work.swept[-1] if is_cut else None)
    for customer in work.released:
        batch.attempt(customer, Released(watermark))
    if work.is_passed and len(work.released) < terms.sweep_per_commit:
        notes = replace(notes, recover_upto={})
    if notes.walk is not None and work.is_walking:
        notes = replace(notes, walk=walked_on(notes.walk, work.walked, is_cut=work.is_cut))
    return notes if batch.held == notes.held else replace(notes, held=batch.held)


def _retry(batch: Batch, customer: str, notes: LaneNotes) -> tuple[Cause, Cause]:
    """Return what he has missed: his deadlines, and a boundary, a release or other rules that may have come."""
    at, is_to_release = notes.watermark, batch.is_held(customer) and not notes.recover_upto
    return Released(at) if is_to_release else PeersMoved(at), Redefined(at, is_announced=False)


def with_asides(notes: LaneNotes, batch: Batch, lane: int, now: Instant) -> LaneNotes:
    """Return the notes with those whom this commit puts aside, and without those whom it brings back.

    Raises InvariantError where they become too many.
    """
    failed, restored = batch.failed, batch.restored()
    if not failed and not restored:
        return notes
    aside = {customer: found for customer, found in notes.aside.items() if customer not in restored}
    for customer, error in failed.items():
        if customer not in aside:
            aside[customer] = Aside(error=error, since=now)
            log.error("customer_put_aside", extra={"lane": lane, "error": error, "aside": len(aside)})
            log.debug("customer_put_aside", extra={"lane": lane, "customer": customer})
    if len(aside) > MOST_ASIDE:
        raise InvariantError(f"more than {MOST_ASIDE} customers would be put aside; the last: {error}")
    if restored:
        log.info("customers_restored", extra={"lane": lane, "restored": len(restored), "aside": len(aside)})
    return replace(notes, aside=aside)
