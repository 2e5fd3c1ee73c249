"""Noting what rules need of an event, and telling which of them have to be asked again because of it."""

from collections.abc import Collection

from segmenter.domain.behaviour import (
    Rating,
    Ticket,
    Trail,
    Warmth,
    closed,
    counted,
    opened,
    with_rating,
    with_ticket,
    with_topic,
)
from segmenter.domain.causes import Arrived, Rejection, RejectReason
from segmenter.domain.conditions import CUSTOM_PREFIX, IN, SHADOW_PREFIX, Activity, Bound, Comparison
from segmenter.domain.dimensions import ENGAGEMENT, engagement_of, leaders_of
from segmenter.domain.events import (
    Click,
    Contact,
    CustomerPut,
    Event,
    OrderPlaced,
    SupportClosed,
    SupportOpened,
    SupportRated,
)
from segmenter.domain.following import steps_met, with_step
from segmenter.domain.instants import Instant
from segmenter.domain.ledger import id_hash
from segmenter.domain.plan import Plan, Tally
from segmenter.domain.profile import Profile
from segmenter.domain.puts import PUTS_KEPT, with_put
from segmenter.domain.rulebook import EngagementRule, InterestRule, Rulebook
from segmenter.domain.sealed import SealedLedger
from segmenter.domain.sight import Sight

_NO_TICKET = Ticket()
_NO_TRAIL = Trail()


def ticket_noted(profile: Profile, event: SupportOpened | SupportClosed, at: Instant) -> bool:
    """Keep what happened to a ticket; False where it was known."""
    key = id_hash(event.ticket_id)
    before = profile.behaviour.tickets.get(key, _NO_TICKET)
    labels = (event.priority, event.channel, event.category)
    after = opened(before, at, labels) if isinstance(event, SupportOpened) else closed(before, at)
    if after is None:
        return False
    own = profile.own_behaviour()
    own.tickets = with_ticket(own.tickets, key, after)
    return True


def rating_noted(profile: Profile, event: SupportRated, at: Instant, event_id: str) -> bool:
    """Keep an answer; False where it was known."""
    after = with_rating(profile.behaviour.ratings, Rating(at, event_id, event.scale, event.score))
    if after is None:
        return False
    profile.own_behaviour().ratings = after
    return True


def put_noted(profile: Profile, cause: Arrived, event: CustomerPut) -> Rejection | None:
    """Keep what somebody says by hand; return why it cannot be."""
    is_in = IN in (profile.segment_in(f"{prefix}{event.segment}") for prefix in (CUSTOM_PREFIX, SHADOW_PREFIX))
    puts = with_put(profile.puts, event, cause.at, cause.event_id, is_in=is_in, now=profile.settled_at)
    if puts is None:
        found = f"{PUTS_KEPT} segments are kept in which this customer is put by hand, and this is another"
        return Rejection(RejectReason.TOO_MANY_FACTS, f"segment: {found}; expected at most {PUTS_KEPT}")
    if puts is not profile.puts:
        profile.puts = puts
    return None


def noted(
    profile: Profile, event: Event, cause: Arrived, rulebook: Rulebook, last_seen_at: Instant | None
) -> Collection[int] | None:
    """Keep what rules need of an event that is new; return which definitions may answer otherwise now, None: all.

    Of clicks and messages there are many: one that brings no count across any bound asks nothing. `last_seen_at` is
    when he was seen before.
    """
    plan, at = rulebook.plan, cause.at
    touched: set[int] = set()
    if event.type in plan.track_types:
        _follow(profile, event, at, rulebook, touched)
    if plan.absences:
        _end_absences(profile, event, at, plan, last_seen_at, touched)
    if isinstance(event, Click):
        if not plan.watches_clicks:
            return touched
        _count(profile, (plan.click_tallies, plan), event, at, touched)
        return None if _has_other_dimension(profile, event, at, rulebook) else touched
    if isinstance(event, Contact):
        _count(profile, (plan.contact_tallies, plan), event, at, touched)
        return touched
    if isinstance(event, CustomerPut):
        return touched | plan.places_of(event.segment)
    if isinstance(event, OrderPlaced):
        if rulebook.interest is not None and event.channel is not None:
            _note_channel(profile, event.channel, at, rulebook.interest)
        if _is_amended(profile, event):
            return None
    touched.update(touch.place for touch in plan.touches.get(event.type, ()) if touch.meets(event))
    return touched


def _is_amended(profile: Profile, event: OrderPlaced) -> bool:
    """Tell whether something was known of an order before it came, which may say other than the event does."""
    ledger = profile.ledger_part
    if isinstance(ledger, SealedLedger):
        return False
    details = ledger.orders[id_hash(event.order_id)].details
    return details is not None and details.lines_by is not None


def _follow(profile: Profile, event: Event, at: Instant, rulebook: Rulebook, touched: set[int]) -> None:
    for track in rulebook.plan.tracks:
        if steps := steps_met(track, event):
            own = profile.own_behaviour()
            trail = with_step(own.trails.get(track.key, _NO_TRAIL), track.sequence, at, steps)
            own.trails = {**own.trails, track.key: trail}
            touched |= rulebook.plan.asking_by_track[track.key]


def _end_absences(
    profile: Profile, event: Event, at: Instant, plan: Plan, last_seen_at: Instant | None, touched: set[int]
) -> None:
    """Note when he last clicked or was written to; touched is whoever missed that, or anything, until now."""
    behaviour = profile.behaviour
    last_by_activity = {Activity.ANY: last_seen_at}
    if isinstance(event, Click):
        last_by_activity[Activity.CLICK] = behaviour.clicked_at
    elif isinstance(event, Contact) and event.kind == "sent":
        last_by_activity[Activity.CONTACT] = behaviour.contacted_at
    for absence, place in plan.absences:
        activity = absence.activity
        if activity not in last_by_activity:
            continue
        last_at = last_by_activity[activity]
        since = profile.first_seen_at if last_at is None else last_at
        is_never = last_at is None and absence.include_never
        if is_never or since is None or absence.window.exit_at(since) <= profile.settled_at:
            touched.add(place)
        newest = at if last_at is None else max(last_at, at)
        if activity is Activity.CLICK:
            profile.own_behaviour().clicked_at = newest
        elif activity is Activity.CONTACT:
            profile.own_behaviour().contacted_at = newest


def _count(
    profile: Profile, asking: tuple[tuple[Tally, ...], Plan], event: Click | Contact, at: Instant, touched: set[int]
) -> None:
    """Count an event; touched is whoever holds a count against a bound that this one has brought it across."""
    tallies, plan = asking
    matching = [tally for tally in tallies if tally.counts(event)]
    if not matching:
        return
    own = profile.own_behaviour()
    counts = dict(own.tallies)
    for tally in matching:
        before = counts.get(tally.key, ())
        after = counts[tally.key] = counted(before, tally, at, profile.settled_at)
        total = sum(count for _, count in after)
        touched.update(place for bound, place in plan.bounds_by_tally[tally.key] if _may_differ(bound, total))
    own.tallies = counts


def _may_differ(bound: Bound, total: int) -> bool:
    """Tell whether a count that has risen to this may answer otherwise, now or when the next bucket leaves.

    What has an upper end as well can be passed by a count that falls by several at once, and met with one more.
    """
    if bound.comparison in (Comparison.EQUALS, Comparison.BETWEEN) and total > bound.least:
        return True
    return bound.holds(total) != bound.holds(total - 1)


def _has_other_dimension(profile: Profile, event: Click, at: Instant, rulebook: Rulebook) -> bool:
    """Keep what a click says of engagement and interest; tell whether it moves him there."""
    has_moved = False
    if rulebook.engagement is not None:
        _warm_up(profile, event, at, rulebook.engagement)
        segment = engagement_of(rulebook.engagement, profile.behaviour.warmth, profile.settled_at)
        has_moved = segment != profile.segment_in(ENGAGEMENT)
    if rulebook.interest is not None:
        _note_topic(profile, event, at, rulebook.interest)
        leaders = leaders_of(Sight(profile, at, rulebook, {}))
        has_moved |= any(leader != profile.segment_in(dimension) for dimension, leader in leaders.items())
    return has_moved


def _warm_up(profile: Profile, event: Click, at: Instant, rule: EngagementRule) -> None:
    weight = next((float(weight) for kind, weight in rule.weights if kind == event.kind), 1.0)
    own = profile.own_behaviour()
    own.warmth = Warmth(at, weight) if own.warmth is None else own.warmth.plus(at, weight, rule.half_life)


def _note_topic(profile: Profile, event: Click, at: Instant, rule: InterestRule) -> None:
    if event.category is not None:
        own = profile.own_behaviour()
        own.topics = with_topic(own.topics, event.category, at, 1.0, rule.half_life)
    if event.channel is not None:
        _note_channel(profile, event.channel, at, rule)


def _note_channel(profile: Profile, channel: str, at: Instant, rule: InterestRule) -> None:
    own = profile.own_behaviour()
    own.channels = with_topic(own.channels, channel, at, 1.0, rule.half_life)
    if own.first_channel is None or (at, channel) < own.first_channel:
        own.first_channel = (at, channel)
