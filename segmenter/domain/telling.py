"""What a step says: the difference between what is present and what was announced, with its reasons.

Publishing is that difference and nothing else. Holding back (a class below `min_ranked`, a rewound store) is
then one mechanism: what is present moves on, what was announced is remembered, and numbers are given only to
what is said, so nothing held leaves a gap.
"""

from collections.abc import Collection, Mapping
from operator import attrgetter
from typing import TypeAlias

from segmenter.domain.causes import Arrived, Redefined, Transition
from segmenter.domain.changes import CauseKind, CauseNote, Change, ChangeSet, Membership
from segmenter.domain.conditions import OUT, SHADOW_PREFIX, Announce, State, is_declared
from segmenter.domain.dimensions import RFM
from segmenter.domain.events import CustomerPut, OrderRefunded
from segmenter.domain.holding import EVERYTHING_HELD, Held
from segmenter.domain.instants import Instant
from segmenter.domain.membership import membership_of, traits_of
from segmenter.domain.plan import Plan
from segmenter.domain.populations import boundary_for
from segmenter.domain.profile import LIFECYCLE, VALUE, Profile, Standing
from segmenter.domain.puts import with_rules_beneath
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.standing import Answer, earliest, reasons_for, standing_at, standing_still_until
from segmenter.domain.value import Boundary

EventCause: TypeAlias = tuple[Arrived, bool]
"""An event, and whether it was late; what is told of it is only made where there is something to tell."""

Because: TypeAlias = CauseNote | EventCause

RECOVERY = CauseNote(kind=CauseKind.RECOVERY)
DEFINITION = CauseNote(kind=CauseKind.DEFINITION)
MANUAL = CauseNote(kind=CauseKind.MANUAL)


class Telling:
    """One step at work: the profile being changed, and what there is to say of it."""

    __slots__ = ("boundary", "held", "profile", "rulebook", "scores", "transition", "valid_until")

    def __init__(
        self, profile: Profile, transition: Transition, rulebook: Rulebook, boundary: Boundary | None, held: Held
    ) -> None:
        self.profile = profile
        self.transition = transition
        self.rulebook = rulebook
        self.boundary = boundary
        self.held = held
        self.valid_until: Instant | None = None
        self.scores: Mapping[str, int] = {}

    def evaluate(self, now: Instant, effective_at: Instant, cause: Because, *, is_history: bool = False) -> None:
        """Find out where the customer stands at `now`, set his next deadline, and say what differs."""
        has_moved = self._stand(now, effective_at)
        if self.profile.is_held:
            return
        changes = self._to_announce()
        if changes:
            self._announce(changes, now, effective_at, cause, is_history)
        if changes or has_moved:
            self.transition.said += (self._membership(),)

    def release(self, now: Instant) -> None:
        """Let a customer held since a rewind speak again: one set with all that differs, and his membership."""
        self.profile.is_held = False
        before = len(self.transition.said)
        self.evaluate(now, now, RECOVERY)
        if len(self.transition.said) == before and self.profile.present:
            self.transition.said += (self._membership(),)

    def redefine(self, now: Instant, cause: Redefined) -> None:
        """Put the customer where other rules put him: told as backfill, or counted as told but for what waited."""
        waiting, said, has_moved = self.profile.unannounced, len(self.transition.said), False
        if cause.is_announced:
            self.evaluate(now, now, DEFINITION, is_history=True)
        elif has_moved := self._stand(now, now):
            self.profile.unannounced = {d: v for d, v in self.profile.unannounced.items() if d in waiting}
        is_written = len(self.transition.said) > said or self.profile.is_held
        if not is_written and (has_moved or (cause.is_named_anew and self.profile.present)):
            self.transition.said += (self._membership(),)

    def let_go(self, at: Instant, dropped: frozenset[str]) -> None:
        """Count as told what an operator drops, and tell what else was held and is not any more, in one set."""
        profile = self.profile
        if not profile.unannounced or profile.is_held:
            return
        if EVERYTHING_HELD in dropped:
            dropped |= {dimension for dimension in profile.unannounced if self._may_tell(dimension)}
        profile.unannounced = {d: v for d, v in profile.unannounced.items() if d not in dropped}
        if profile.unannounced:
            self.evaluate(profile.settled_at, max(at, profile.settled_at), MANUAL)

    def forget(self) -> None:
        """Drop the customer; should he come back in this very step, he is new."""
        self.profile = Profile(customer=self.profile.customer, settled_at=self.profile.settled_at)
        self.transition.profile = None

    def set_deadline(self) -> None:
        """Set the next moment at which time alone can change something."""
        profile, moment = self.profile, self.valid_until
        if profile.is_anonymous and profile.last_seen_at is not None:
            moment = earliest(moment, profile.last_seen_at + self.rulebook.anonymous_expiry)
        waiting_since = profile.totals.waiting_since
        if self.rulebook.dedupe_horizon is not None and waiting_since is not None:
            moment = earliest(moment, waiting_since + self.rulebook.dedupe_horizon)
        profile.wake_at = moment

    def _stand(self, now: Instant, effective_at: Instant) -> bool:
        """Put the customer where he stands at `now`, with his next deadline; tell whether he has moved."""
        answer = standing_at(now, self.profile, self.rulebook, self.boundary)
        self.valid_until, self.scores = answer.valid_until, answer.scores
        if not self.rulebook.plan.is_plain:
            self._note_held(answer)
        if answer.places != self.profile.places:
            self.profile.places = answer.places
        if answer.in_by_rules:
            self.profile.puts = with_rules_beneath(self.profile.puts, answer.in_by_rules)
        has_moved = _move(self.profile, answer.segments, effective_at)
        self.set_deadline()
        return has_moved

    def evaluate_touched(
        self,
        touched: Collection[int],
        now: Instant,
        effective_at: Instant,
        cause: Because,
        *,
        is_history: bool = False,
    ) -> None:
        """Do what `evaluate` does, given which segments alone can have changed; mostly nothing moves."""
        profile, plan = self.profile, self.rulebook.plan
        if not (plan.is_eager or profile.unannounced or profile.is_held):
            asked = plan.asked_of(touched)
            answer = standing_still_until(asked, profile, now, self.rulebook, self.boundary)
            if answer is not None:
                self.valid_until = answer.valid_until
                if answer.places != profile.places:
                    profile.places = answer.places
                self.set_deadline()
                return
        self.evaluate(now, effective_at, cause, is_history=is_history)

    def _note_held(self, answer: Answer) -> None:
        """Keep which moves are held, and count those that were and now will not come: they would have flapped."""
        before = self.profile.behaviour.held
        if before == answer.held:
            return
        present = self.profile.segment_in
        self.transition.flaps += tuple(
            dimension
            for dimension in before
            if dimension not in answer.held and answer.segments.get(dimension) == present(dimension)
        )
        self.profile.own_behaviour().held = answer.held

    def _to_announce(self) -> tuple[Change, ...]:
        """Return what differs from what was announced, without what is held or not to be announced yet."""
        profile = self.profile
        if not profile.unannounced:
            return ()
        changes = tuple(
            Change(dimension=dimension, before=announced, after=profile.segment_in(dimension))
            for dimension, announced in sorted(profile.unannounced.items())
            if self._may_tell(dimension)
        )
        if self.rulebook.plan.definitions or any(is_declared(change.dimension) for change in changes):
            return self._without_silent(changes)
        return changes

    def _may_tell(self, dimension: str) -> bool:
        """Tell whether moves in a dimension are told now: relative ones only where enough customers are ranked."""
        if self.held.holds(dimension):
            return False
        if dimension == RFM and self.rulebook.cut_scores:
            cuts = None if self.boundary is None else self.boundary.cuts
            return (cuts is not None and cuts.is_announced) or self.profile.segment_in(RFM) is None
        if dimension != VALUE:
            return True
        boundary = boundary_for(self.profile, self.rulebook, self.boundary)
        is_class_announced = boundary is not None and boundary.is_announced
        return is_class_announced or self.profile.segment_in(VALUE) is None

    def _without_silent(self, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        """Return what is to be told of declared segments, who is out of one for the first time told as out before."""
        plan, unannounced = self.rulebook.plan, self.profile.unannounced
        is_first_sight = LIFECYCLE in unannounced and unannounced[LIFECYCLE] is None
        told = tuple(_told(change, plan, is_first_sight=is_first_sight) for change in changes)
        silent = {change.dimension for change, as_told in zip(changes, told, strict=True) if as_told is None}
        if silent:
            # What is never told counts as told: it is no difference that waits.
            self.profile.unannounced = {d: v for d, v in unannounced.items() if d not in silent}
        outside = self._first_outside(plan) if is_first_sight else []
        return tuple(sorted([change for change in told if change is not None] + outside, key=attrgetter("dimension")))

    def _first_outside(self, plan: Plan) -> list[Change]:
        """Return that a customer seen first is out of the segments in which that is told too.

        It is told but not kept: who was never in a segment has not left it either, and no cooldown holds him.
        """
        return [
            Change(dimension=definition.dimension, before=None, after=OUT)
            for definition in plan.definitions
            if definition.announce is Announce.ALL and definition.state is not State.SHADOW
            if definition.dimension not in self.profile.present
        ]

    def _announce(
        self, changes: tuple[Change, ...], now: Instant, effective_at: Instant, cause: Because, is_history: bool
    ) -> None:
        profile = self.profile
        profile.sequence += 1
        told = {change.dimension for change in changes}
        profile.unannounced = {d: v for d, v in profile.unannounced.items() if d not in told}
        reasons = [
            reason for change in changes for reason in reasons_for(change, profile, now, self.rulebook, self.boundary)
        ]
        self.transition.said += (
            ChangeSet(
                customer=profile.customer,
                life=profile.life,
                sequence=profile.sequence,
                changes=changes,
                cause=cause if isinstance(cause, CauseNote) else _note_of(cause),
                effective_at=effective_at,
                reasons=tuple(reasons),
                traits=traits_of(profile, self.rulebook, self.scores),
                next_change_at=self.valid_until,
                history=is_history,
            ),
        )

    def _membership(self) -> Membership:
        return membership_of(self.profile, self.rulebook, self.valid_until, self.scores)


def _note_of(event: EventCause) -> CauseNote:
    cause, is_late = event
    kind = CauseKind.REFUND if isinstance(cause.event, OrderRefunded) else CauseKind.EVENT
    if isinstance(cause.event, CustomerPut):
        kind = CauseKind.MANUAL
    elif is_late:
        kind = CauseKind.LATE_EVENT
    return CauseNote(kind=kind, type=cause.event.type, event_ids=(cause.event_id,))


def _differ(profile: Profile, segments: dict[str, str]) -> bool:
    """Tell whether these are other segments than those the customer is in."""
    present = profile.present
    if len(present) != len(segments):
        return True
    for dimension, segment in segments.items():
        standing = present.get(dimension)
        if standing is None or standing.segment != segment:
            return True
    return False


def _move(profile: Profile, segments: dict[str, str], effective_at: Instant) -> bool:
    """Put the customer where he stands now, remembering what was announced; tell whether anything moved."""
    if not _differ(profile, segments):
        return False
    moved = {
        dimension: segments.get(dimension)
        for dimension in profile.present.keys() | segments.keys()
        if profile.segment_in(dimension) != segments.get(dimension)
    }
    present, unannounced = dict(profile.present), dict(profile.unannounced)
    for dimension, after in moved.items():
        announced = unannounced.pop(dimension, profile.segment_in(dimension))
        if announced != after:
            unannounced[dimension] = announced
        if after is None:
            del present[dimension]
        else:
            present[dimension] = Standing(after, effective_at)
    profile.present, profile.unannounced = present, unannounced
    return True


def _told(change: Change, plan: Plan, *, is_first_sight: bool) -> Change | None:
    """Return a move of a declared segment as it is told; None where it is not."""
    if not is_declared(change.dimension):
        return change
    definition = plan.definition_by_dimension.get(change.dimension)
    if change.after is None or definition is None or definition.announce is Announce.NEVER:
        return None
    if change.dimension.startswith(SHADOW_PREFIX):
        return None
    before = OUT if change.before is None and not is_first_sight else change.before
    return None if before == change.after else Change(dimension=change.dimension, before=before, after=change.after)
