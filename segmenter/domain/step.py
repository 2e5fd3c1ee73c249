"""The one door: `step` is the only way a profile changes.

Before a cause is recorded the profile is *settled*: every deadline up to the cause is played, each at its own
time. What is said therefore depends on events, their times and the rulebook, never on when a timer ran.
Moves of cause `peers` depend on when a boundary came as well: they are explainable, not repeatable.
"""

from zlib import crc32

from segmenter.domain.causes import (
    Arrived,
    Cause,
    Expired,
    PeersMoved,
    Redefined,
    Rejection,
    RejectReason,
    Released,
    Tick,
    Transition,
    Unheld,
    Verdict,
)
from segmenter.domain.changes import CauseKind, CauseNote
from segmenter.domain.details import details_of
from segmenter.domain.events import (
    Click,
    Contact,
    CustomerPut,
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
    SupportRated,
)
from segmenter.domain.facts import Known, recorded
from segmenter.domain.folding import folded_before
from segmenter.domain.holding import NOTHING_HELD, Held
from segmenter.domain.instants import Instant, Span, instant_of
from segmenter.domain.ledger import Ledger, Order, id_hash
from segmenter.domain.money import minor_units
from segmenter.domain.noting import noted, put_noted, rating_noted, ticket_noted
from segmenter.domain.profile import ATTRIBUTES_KEPT, RECENT_IDS_KEPT, Attribute, Profile
from segmenter.domain.rulebook import CountsFrom, RankedBy, Rulebook
from segmenter.domain.sealed import SealedLedger
from segmenter.domain.telling import Telling
from segmenter.domain.totals import totals_of, totals_with
from segmenter.domain.value import Boundary
from segmenter.errors import InvariantError

TIME = CauseNote(kind=CauseKind.TIME)
PEERS = CauseNote(kind=CauseKind.PEERS)
FREQUENT = frozenset([Click, Contact])
ORDER_FACTS = frozenset([OrderPlaced, OrderPaid, OrderDelivered, OrderCancelled, OrderUpdated, OrderRefunded])


def step(
    profile: Profile, cause: Cause, rulebook: Rulebook, boundary: Boundary | None = None, held: Held = NOTHING_HELD
) -> Transition:
    """Return the next profile and what is to be said; the given profile stays as it is.

    `boundary` is the one the lane has adopted, `held` what it does not tell now. Raises InvariantError when settling
    at an instant leaves a deadline at or before it.
    """
    work = profile.copy()
    transition = Transition(work)
    telling = Telling(work, transition, rulebook, boundary, held)
    match cause:
        case Arrived():
            _settle(telling, cause.settle_to)
            _arrive(telling, cause)
        case Tick(at=at):
            _settle(telling, at)
        case PeersMoved(at=at, is_first=is_first):
            _settle(telling, at)
            # An event may have brought him further than the lane: what peers do to him then comes after it.
            now = telling.profile.settled_at
            if rulebook.plan.is_plain:
                telling.evaluate(now, now, PEERS, is_history=is_first)
            else:
                telling.evaluate_touched((), now, now, PEERS, is_history=is_first)
        case Released(at=at):
            _settle(telling, at)
            telling.release(telling.profile.settled_at)
        case Redefined(at=at):
            # No deadline is played by rules that did not hold when it came: a lane adopts others behind its last one.
            work.settled_at = max(work.settled_at, at)
            _total(work, rulebook)
            telling.redefine(work.settled_at, cause)
        case Unheld(at=at, dropped=dropped):
            telling.let_go(at, dropped)
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
        telling.evaluate(profile.settled_at, profile.settled_at, TIME)
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
    profile.totals = totals_of(profile.ledger, profile.settled_at, rulebook)


def _arrive(telling: Telling, cause: Arrived) -> None:
    """Record an event and say what it moved."""
    profile, event, transition, at = telling.profile, cause.event, telling.transition, cause.at
    transition.profile = profile
    is_late = at < profile.settled_at
    first, last = profile.first_seen_at, profile.last_seen_at
    was_excluded = profile.is_excluded
    # A look into a set takes a quarter of what `isinstance` takes for the most frequent event, which is none of them.
    is_order_fact = type(event) in ORDER_FACTS
    if not (_record_order(telling, cause, event) if is_order_fact else _record_other(telling, cause, event)):
        if not (profile.is_known or profile.sequence or profile.is_held):
            transition.profile = None
        return
    if is_late:
        transition.verdict = Verdict.LATE
    if first is None or at < first:
        # An update may have told since when the shop knew him.
        profile.first_seen_at = at if profile.first_seen_at is None else min(profile.first_seen_at, at)
    if last is None or at > last:
        profile.last_seen_at = at
    if profile.is_excluded != was_excluded:
        # Nobody has kept the totals of who was excluded.
        _total(profile, telling.rulebook)
    now, effective_at, because = profile.settled_at, max(at, profile.settled_at), (cause, is_late)
    is_other = profile.first_seen_at != first or profile.is_excluded != was_excluded
    if telling.rulebook.plan.is_plain:
        if is_order_fact or is_other:
            telling.evaluate(now, effective_at, because)
        return
    touched = noted(profile, event, cause, telling.rulebook, last)
    if is_other or touched is None or telling.rulebook.plan.is_eager:
        telling.evaluate(now, effective_at, because)
    elif touched or type(event) not in FREQUENT:
        telling.evaluate_touched(touched, now, effective_at, because)


def _record_order(telling: Telling, cause: Arrived, event: Event) -> bool:
    """Put an order fact into the ledger and the totals; False when it was there already or cannot be."""
    profile, rulebook, transition = telling.profile, telling.rulebook, telling.transition
    if type(event) is OrderPlaced and _add_order(profile, event, cause, rulebook):
        return True
    if rulebook.dedupe_horizon is not None:
        profile.ledger = folded_before(profile.ledger, _horizon_at(profile, cause, rulebook.dedupe_horizon), rulebook)
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
    over_refund_before = profile.totals.over_refund
    _total(profile, rulebook)
    transition.over_refunded = max(0, profile.totals.over_refund - over_refund_before)
    return True


def _horizon_at(profile: Profile, cause: Arrived, dedupe_horizon: Span) -> Instant:
    """Return the instant before which orders are folded.

    What is folded has left every window: that of a profile which is yet to be settled up to the watermark too.
    """
    return min(cause.watermark, profile.settled_at) - dedupe_horizon


def _add_order(profile: Profile, event: OrderPlaced, cause: Arrived, rulebook: Rulebook) -> bool:
    """Add a new plain order without looking into the ledger; False where it has to be looked into.

    The totals only grow by it: they hold until the next deadline, which is no later than when they next change.
    """
    ledger, at, totals = profile.ledger_part, cause.at, profile.totals
    if not isinstance(ledger, SealedLedger) or not ledger.is_plain:
        return False
    is_by_worth = rulebook.value.measure is RankedBy.NET_REVENUE
    if not (
        is_by_worth and rulebook.lifecycle.counts_from is CountsFrom.PLACED and event.currency == rulebook.currency
    ):
        return False
    if totals.leaves_at is not None and (profile.wake_at is None or profile.wake_at > totals.leaves_at):
        return False
    if rulebook.dedupe_horizon is not None:
        horizon_at = cause.watermark - rulebook.dedupe_horizon
        if at < horizon_at or ledger.oldest_at < horizon_at:
            return False
    key = id_hash(event.order_id)
    minor = minor_units(event.amount, event.currency)
    if minor.rounded or minor.units <= 0 or ledger.may_hold(key):
        return False
    profile.ledger_part = ledger.grown(key, Order(placed_at=at, gross=minor.units, details=details_of(event)))
    profile.totals = totals_with(totals, at, minor.units, profile.settled_at, rulebook.value.window)
    return True


def _record_other(telling: Telling, cause: Arrived, event: Event) -> bool:
    """Remember any other event; False when it was among the last ones already or cannot be."""
    if not isinstance(event, CustomerUpdated) and not isinstance(event, CustomerPut):
        # A ticket has its states once, under whatever event ids.
        if isinstance(event, SupportOpened) or isinstance(event, SupportClosed):  # noqa: SIM101 - twice as fast as a tuple
            return ticket_noted(telling.profile, event, cause.at)
        if isinstance(event, SupportRated):
            return rating_noted(telling.profile, event, cause.at, cause.event_id)
        return _remember(telling.profile, cause.event_id)
    if _repeat_key(cause.event_id) in telling.profile.recent_ids:
        return False
    if isinstance(event, CustomerPut):
        rejection = put_noted(telling.profile, cause, event)
    else:
        rejection = _update(telling.profile, cause, event)
    if rejection is not None:
        telling.transition.verdict, telling.transition.rejection = Verdict.REJECTED, rejection
        return False
    return _remember(telling.profile, cause.event_id)


def _remember(profile: Profile, repeat_id: str) -> bool:
    """Put an id among the last ones; False when it is there already."""
    key = _repeat_key(repeat_id)
    recent = profile.recent_ids
    if key in recent:
        return False
    if len(recent) >= RECENT_IDS_KEPT:
        recent = recent[1 - RECENT_IDS_KEPT :]
    profile.recent_ids = (*recent, key)
    return True


def _repeat_key(repeat_id: str) -> int:
    # Nearly every event asks for one; a cryptographic hash takes eight times as long and recognises no more.
    return crc32(repeat_id.encode())


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
