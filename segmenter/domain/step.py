"""The one door: `step` is the only way a profile changes.

Before a cause is recorded the profile is *settled*: every deadline up to the cause is played, each at its own
time. What is said therefore depends on events, their times and the rulebook, never on when a timer ran.
Moves of cause `peers` depend on when a boundary came as well: they are explainable, not repeatable.
"""

from segmenter.domain.causes import (
    Arrived,
    Cause,
    Expired,
    PeersMoved,
    Rejection,
    RejectReason,
    Released,
    Tick,
    Transition,
    Verdict,
)
from segmenter.domain.changes import CauseKind, CauseNote
from segmenter.domain.events import (
    CustomerUpdated,
    Event,
    OrderCancelled,
    OrderDelivered,
    OrderFact,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
    SupportClosed,
    SupportOpened,
)
from segmenter.domain.facts import Known, recorded
from segmenter.domain.instants import Instant, instant_of
from segmenter.domain.ledger import Ledger, folded_before, id_hash, totals_of
from segmenter.domain.profile import ATTRIBUTES_KEPT, RECENT_IDS_KEPT, Attribute, Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.telling import Telling
from segmenter.domain.value import Boundary
from segmenter.errors import InvariantError

ORDER_FACTS = frozenset([OrderPlaced, OrderPaid, OrderDelivered, OrderCancelled, OrderUpdated, OrderRefunded])


def step(profile: Profile, cause: Cause, rulebook: Rulebook, boundary: Boundary | None = None) -> Transition:
    """Return the next profile and what is to be said; the given profile stays as it is.

    `boundary` is the one the lane has adopted. Raises InvariantError when settling at an instant leaves a
    deadline at or before it.
    """
    work = profile.copy()
    transition = Transition(profile=work)
    telling = Telling(work, transition, rulebook, boundary)
    match cause:
        case Arrived():
            _settle(telling, cause.settle_to)
            _arrive(telling, cause)
        case Tick(at=at):
            _settle(telling, at)
        case PeersMoved(at=at, is_first=is_first):
            _settle(telling, at)
            note = CauseNote(kind=CauseKind.PEERS)
            telling.evaluate(telling.profile.settled_at, at, note, is_history=is_first)
        case Released(at=at):
            _settle(telling, at)
            telling.release(telling.profile.settled_at)
    return transition


def _settle(telling: Telling, to: Instant) -> None:
    """Play every deadline up to `to`, each at its own time; never goes back."""
    profile = telling.profile
    while profile.wake_at is not None and profile.wake_at <= to:
        deadline = profile.wake_at
        if _has_expired(profile, deadline, telling.rulebook):
            telling.forget()
            return
        profile.settled_at = max(profile.settled_at, deadline)
        _expire_waiting(telling, deadline)
        _total(profile, telling.rulebook)
        telling.evaluate(profile.settled_at, profile.settled_at, CauseNote(kind=CauseKind.TIME))
        if profile.wake_at is not None and profile.wake_at <= deadline:
            raise InvariantError(f"settling at {deadline} left a deadline at {profile.wake_at}; expected a later one")
    profile.settled_at = max(profile.settled_at, to)


def _has_expired(profile: Profile, now: Instant, rulebook: Rulebook) -> bool:
    last_seen_at = profile.last_seen_at
    return profile.is_anonymous and last_seen_at is not None and now >= last_seen_at + rulebook.anonymous_expiry


def _expire_waiting(telling: Telling, now: Instant) -> None:
    """Give up on facts that have waited for their order as long as orders are kept."""
    horizon, profile = telling.rulebook.dedupe_horizon, telling.profile
    since = profile.totals.waiting_since
    if horizon is None or since is None or now < since + horizon:
        return
    gone = {
        key: order
        for key, order in profile.ledger.waiting()
        if order.waiting_since is not None and now >= order.waiting_since + horizon
    }
    orders = {key: order for key, order in profile.ledger.orders.items() if key not in gone}
    profile.ledger = Ledger(orders=orders, loose_refunds=profile.ledger.loose_refunds, folded=profile.ledger.folded)
    expired = tuple(Expired(order.place, order.waiting_since or now) for order in gone.values())
    telling.transition.expired += expired


def _total(profile: Profile, rulebook: Rulebook) -> None:
    profile.totals = totals_of(
        profile.ledger, profile.settled_at, rulebook.lifecycle.counts_from, rulebook.value.window
    )


def _arrive(telling: Telling, cause: Arrived) -> None:
    """Record an event and say what it moved."""
    profile, event, transition = telling.profile, cause.event, telling.transition
    transition.profile = profile
    is_late = cause.at < profile.settled_at
    was_known, was_excluded = profile.is_known, profile.is_excluded
    # A look into a set takes a quarter of what `isinstance` takes for the most frequent event, which is none of them.
    is_order_fact = type(event) in ORDER_FACTS
    if not (_record_order(telling, cause, event) if is_order_fact else _record_other(telling, cause, event)):
        if not (profile.is_known or profile.sequence or profile.is_held):
            transition.profile = None
        return
    transition.verdict = Verdict.LATE if is_late else Verdict.ACCEPTED
    first, last = profile.first_seen_at, profile.last_seen_at
    profile.first_seen_at = cause.at if first is None else min(first, cause.at)
    profile.last_seen_at = cause.at if last is None else max(last, cause.at)
    if is_order_fact or not was_known or profile.is_excluded != was_excluded:
        over_refund_before = profile.totals.over_refund
        _total(profile, telling.rulebook)
        transition.over_refunded = max(0, profile.totals.over_refund - over_refund_before)
        telling.evaluate(profile.settled_at, max(cause.at, profile.settled_at), _note(cause, is_late))


def _note(cause: Arrived, is_late: bool) -> CauseNote:
    kind = CauseKind.REFUND if isinstance(cause.event, OrderRefunded) else CauseKind.EVENT
    return CauseNote(
        kind=CauseKind.LATE_EVENT if is_late else kind, type=cause.event.type, event_ids=(cause.event_id,)
    )


def _record_order(telling: Telling, cause: Arrived, event: Event) -> bool:
    """Put an order fact into the ledger; False when it was there already or cannot be."""
    profile, rulebook, transition = telling.profile, telling.rulebook, telling.transition
    if rulebook.dedupe_horizon is not None:
        # What is folded has left every window: that of a profile which is yet to be settled up to the watermark too.
        horizon_at = min(cause.watermark, profile.settled_at) - rulebook.dedupe_horizon
        profile.ledger = folded_before(profile.ledger, horizon_at, rulebook.lifecycle.counts_from)
    assert isinstance(event, OrderFact)  # noqa: S101 - narrows the union for the type checker
    is_repeat = isinstance(event, OrderUpdated) and _repeat_key(cause.event_id) in profile.recent_ids
    outcome = Known() if is_repeat else recorded(profile.ledger, event, cause, rulebook)
    if isinstance(outcome, Known):
        transition.verdict = Verdict.DUPLICATE
        return False
    if isinstance(outcome, Rejection):
        transition.verdict, transition.rejection = Verdict.REJECTED, outcome
        return False
    profile.ledger, transition.rounded = outcome.ledger, outcome.rounded
    if isinstance(event, OrderUpdated):
        _remember(profile, cause.event_id)
    return True


def _record_other(telling: Telling, cause: Arrived, event: Event) -> bool:
    """Remember any other event; False when it was among the last ones already or cannot be."""
    if not isinstance(event, CustomerUpdated):
        return _remember(telling.profile, _repeat_id(cause, event))
    rejection = _update(telling.profile, cause, event)
    if rejection is not None:
        telling.transition.verdict, telling.transition.rejection = Verdict.REJECTED, rejection
    return rejection is None


def _remember(profile: Profile, repeat_id: str) -> bool:
    """Put an id among the last ones; False when it is there already."""
    key = _repeat_key(repeat_id)
    if key in profile.recent_ids:
        return False
    profile.recent_ids = (*profile.recent_ids, key)[-RECENT_IDS_KEPT:]
    return True


def _repeat_key(repeat_id: str) -> int:
    return id_hash(repeat_id) >> 32


def _repeat_id(cause: Arrived, event: Event) -> str:
    """Return what a repeat of this event has in common with it: a ticket's state, or the event id."""
    if isinstance(event, (SupportOpened, SupportClosed)):
        return f"{event.type} {event.ticket_id}"
    return cause.event_id


def _update(profile: Profile, cause: Arrived, event: CustomerUpdated) -> Rejection | None:
    """Take over attributes and consent, the newest of each by (time, event id); return why they cannot be."""
    named = {**event.attributes, **{f"consent.{channel}": given for channel, given in event.consent.items()}}
    newer = {
        name: Attribute(cause.at, cause.event_id, value)
        for name, value in named.items()
        if (known := profile.attributes.get(name)) is None or (cause.at, cause.event_id) > (known.at, known.by)
    }
    if newer:
        attributes = {**profile.attributes, **newer}
        if len(attributes) > max(ATTRIBUTES_KEPT, len(profile.attributes)):
            found = f"{len(profile.attributes)} of this customer are kept and this event brings others"
            return Rejection(RejectReason.TOO_MANY_FACTS, f"attributes: {found}; expected at most {ATTRIBUTES_KEPT}")
        profile.attributes = attributes
    if event.known_since is not None:
        since, first = instant_of(event.known_since), profile.first_seen_at
        profile.first_seen_at = since if first is None else min(since, first)
    return None
