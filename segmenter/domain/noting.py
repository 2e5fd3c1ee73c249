"""Noting what rules need of an event, and telling whether they have to be looked at again because of it."""

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
from segmenter.domain.dimensions import leaders_of
from segmenter.domain.events import Click, Contact, Event, OrderPlaced, SupportClosed, SupportOpened, SupportRated
from segmenter.domain.following import steps_met, with_step
from segmenter.domain.instants import Instant
from segmenter.domain.ledger import id_hash
from segmenter.domain.plan import Tally
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import EngagementRule, InterestRule, Rulebook
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


def noted(profile: Profile, event: Event, at: Instant, rulebook: Rulebook) -> bool:
    """Keep what rules need of an event that is new; return whether any of them may answer otherwise now.

    Of clicks and messages there are many: as long as fewer have come than could change an answer, none is asked.
    """
    plan = rulebook.plan
    has_trail = event.type in plan.track_types and _follow(profile, event, at, rulebook)
    if isinstance(event, Click):
        return (_click(profile, event, at, rulebook) or has_trail) if plan.watches_clicks else False
    if isinstance(event, Contact):
        return (_contact(profile, event, at, rulebook) or has_trail) if plan.watches_contacts else False
    if isinstance(event, OrderPlaced) and rulebook.interest is not None and event.channel is not None:
        _lead_channel(profile, event.channel, at, rulebook.interest)
    return not plan.is_plain


def _follow(profile: Profile, event: Event, at: Instant, rulebook: Rulebook) -> bool:
    is_met = False
    for track in rulebook.plan.tracks:
        if steps := steps_met(track, event):
            own = profile.own_behaviour()
            trail = with_step(own.trails.get(track.key, _NO_TRAIL), track.sequence, at, steps)
            own.trails = {**own.trails, track.key: trail}
            is_met = True
    return is_met


def _click(profile: Profile, event: Click, at: Instant, rulebook: Rulebook) -> bool:
    plan, own = rulebook.plan, profile.own_behaviour()
    _count(profile, plan.click_tallies, event, at)
    if plan.asks_for_clicks:
        own.clicked_at = at if own.clicked_at is None else max(own.clicked_at, at)
    if rulebook.engagement is not None:
        _warm_up(profile, event, at, rulebook.engagement)
    own.slack -= 1
    has_other_leader = rulebook.interest is not None and _note_topic(profile, event, at, rulebook)
    return own.slack <= 0 or has_other_leader


def _contact(profile: Profile, event: Contact, at: Instant, rulebook: Rulebook) -> bool:
    plan, own = rulebook.plan, profile.own_behaviour()
    _count(profile, plan.contact_tallies, event, at)
    if plan.asks_for_contacts and event.kind == "sent":
        own.contacted_at = at if own.contacted_at is None else max(own.contacted_at, at)
    own.slack -= 1
    return own.slack <= 0


def _count(profile: Profile, tallies: tuple[Tally, ...], event: Click | Contact, at: Instant) -> None:
    own = profile.own_behaviour()
    matching = [tally for tally in tallies if tally.counts(event)]
    if matching:
        counts = dict(own.tallies)
        for tally in matching:
            counts[tally.key] = counted(counts.get(tally.key, ()), tally, at, profile.settled_at)
        own.tallies = counts


def _warm_up(profile: Profile, event: Click, at: Instant, rule: EngagementRule) -> None:
    weight = next((float(weight) for kind, weight in rule.weights if kind == event.kind), 1.0)
    own = profile.own_behaviour()
    own.warmth = Warmth(at, weight) if own.warmth is None else own.warmth.plus(at, weight, rule.half_life)


def _note_topic(profile: Profile, event: Click, at: Instant, rulebook: Rulebook) -> bool:
    """Keep topic and channel of a click; return whether another leads now."""
    rule, own = rulebook.interest, profile.own_behaviour()
    assert rule is not None  # noqa: S101 - asked before
    if event.category is not None:
        own.topics = with_topic(own.topics, event.category, at, 1.0, rule.half_life)
    if event.channel is not None:
        _lead_channel(profile, event.channel, at, rule)
    leaders = leaders_of(Sight(profile, at, rulebook, {}))
    return any(leader != profile.segment_in(dimension) for dimension, leader in leaders.items())


def _lead_channel(profile: Profile, channel: str, at: Instant, rule: InterestRule) -> None:
    own = profile.own_behaviour()
    own.channels = with_topic(own.channels, channel, at, 1.0, rule.half_life)
    if own.first_channel is None or (at, channel) < own.first_channel:
        own.first_channel = (at, channel)
