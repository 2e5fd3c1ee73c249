"""What to believe after Redis was put back: the log is ahead of the lane, and its records are facts.

Their values and sequences become *announced* for their customers. These are held, nothing is said of them,
until the lane has read past the point at which the records were made; then one set tells what differs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from segmenter.domain.instants import SECOND, Span
from segmenter.domain.profile import WAITING, Profile
from segmenter.engine.relay import Reconciliation
from segmenter.ports import (
    NO_PLACES,
    WATERMARK,
    Encoder,
    LaneState,
    LaneStore,
    LoggedChange,
    LoggedRecord,
    OutboxEntry,
    Output,
    ProfileWrite,
    Source,
)

# The boundary went back too. The leader computes it once a second, lanes adopt it within another, then they sweep:
# who spoke before that would often be told a class that he has left again a second later.
CLASSED_AFTER: Span = 5 * SECOND


class Recovery:
    """Turns what the log knows better into profiles that are held."""

    def __init__(self, store: LaneStore, encoder: Encoder) -> None:
        self._store = store
        self._encoder = encoder

    async def reconcile(
        self,
        state: LaneState,
        beyond: Mapping[Output, Sequence[LoggedRecord]],
        unsaid: Sequence[OutboxEntry] = (),
    ) -> Reconciliation:
        """Return the profiles to hold, given the records of each output that the store does not know.

        `unsaid` is what the profiles take for announced and the log does not hold; that is taken back first.

        Who only has a newer membership there moved silently. He is held too, for his release writes where he is
        now: else a compacted topic would show for ever where he was before the store was put back.
        """
        changes = list(self._changes(beyond.get(Output.CHANGES, ())))
        taken_back = _by_customer(self._changes(entry for entry in unsaid if entry.output is Output.CHANGES))
        memberships: list[LoggedRecord | OutboxEntry] = [*beyond.get(Output.MEMBERSHIPS, ())]
        memberships += [entry for entry in unsaid if entry.output is Output.MEMBERSHIPS]
        named = [record.key.decode() for record in memberships if record.key is not None]
        by_customer = {customer: list[LoggedChange]() for customer in [*named, *taken_back]}
        by_customer.update(_by_customer(changes))
        customers = list(by_customer)
        profiles = await self._store.load(state.lane, customers) if customers else []
        writes = [
            ProfileWrite(
                customer=customer,
                profile=_held(profile or Profile(customer=customer), told, taken_back.get(customer, ())),
                wake_before=None if profile is None else profile.wake_at,
                revenue_before=None if profile is None else profile.ranked_revenue,
                places_before=NO_PLACES if profile is None else profile.places,
            )
            for (customer, told), profile in zip(by_customer.items(), profiles, strict=True)
        ]
        come_to = max([state.notes.watermark, *(change.upto.get(WATERMARK, 0) for change in changes)])
        patience = {WATERMARK: come_to + CLASSED_AFTER}
        upto = _furthest([state.notes.recover_upto, patience, *(change.upto for change in changes)])
        waiting = [_waiting(before, write.profile) for before, write in zip(profiles, writes, strict=True)]
        notes = replace(state.notes, recover_upto=upto)
        return Reconciliation(profiles=writes, hold=customers, waiting=waiting, notes=notes)

    def _changes(self, records: Iterable[LoggedRecord | OutboxEntry]) -> Iterator[LoggedChange]:
        for record in records:
            change = None if record.value is None else self._encoder.read_change(record.value, record.headers)
            if change is not None:
                yield change


def _by_customer(changes: Iterable[LoggedChange]) -> dict[str, list[LoggedChange]]:
    by_customer: dict[str, list[LoggedChange]] = {}
    for change in changes:
        by_customer.setdefault(change.customer, []).append(change)
    return by_customer


def _held(profile: Profile, changes: Sequence[LoggedChange], taken_back: Sequence[LoggedChange]) -> Profile:
    """Return the profile as the log left it announced: its newest sequence, and what each set said."""
    held = profile.copy()
    announced = {dimension: profile.segment_in(dimension) for dimension in profile.present} | dict(
        profile.unannounced
    )
    for change in reversed(taken_back):
        held.sequence = change.sequence - 1
        announced.update(change.before)
    for change in changes:
        if (change.life, change.sequence) > (held.life, held.sequence):
            held.life, held.sequence = change.life, change.sequence
            announced.update(change.after)
    held.unannounced = {
        dimension: value for dimension, value in announced.items() if value != profile.segment_in(dimension)
    }
    held.is_held = True
    return held


def _waiting(before: Profile | None, after: Profile | None) -> dict[tuple[str, str], int]:
    """Return by how much more wait to be told of each dimension."""
    counts = dict[tuple[str, str], int]()
    for profile, by in ((before, -1), (after, 1)):
        for dimension in () if profile is None else profile.unannounced:
            counts[WAITING, dimension] = counts.get((WAITING, dimension), 0) + by
    return counts


def _furthest(positions: Sequence[Mapping[Source, int]]) -> dict[Source, int]:
    furthest: dict[Source, int] = {}
    for reached in positions:
        for source, offset in reached.items():
            furthest[source] = max(offset, furthest.get(source, 0))
    return furthest
