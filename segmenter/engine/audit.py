"""Rebuilding profiles from the log, through the same door as the worker's, to hold them against what is stored.

Only what does not depend on arrival is rebuilt: facts in any order of arrival end in the same profile, so events
are stepped as they are read and settled once, to the instant at which the stored profile was settled. Where even a
fact depends on when it arrived (orders about which it may have come too late, limits that were reached) the customer
is named as one of whom it cannot be told.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum

from segmenter.domain.causes import Arrived, RejectReason, Tick
from segmenter.domain.events import OrderFact, OrderRefunded
from segmenter.domain.instants import BEGINNING, MILLISECOND, Instant
from segmenter.domain.ledger import Order, id_hash
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import ORDER_FACTS, step
from segmenter.engine.intake import Place
from segmenter.engine.reading import place_of
from segmenter.ports import Decoded, Record


class Doubt(StrEnum):
    """Why it cannot be told of a customer whether his profile is right."""

    LOG_BEGINS_LATER = "log_begins_later"
    OLDER_THAN_HORIZON = "older_than_horizon"
    TOO_MANY_FACTS = "too_many_facts"
    FORGOTTEN_BETWEEN = "forgotten_between"
    RULES_ON_THEIR_WAY = "rules_on_their_way"


@dataclass(slots=True)
class Rebuilder:
    """Takes events in the order of each source partition. `profiles` may keep them packed."""

    rulebook: Rulebook
    profiles: MutableMapping[str, Profile]
    doubt_by_customer: dict[str, Doubt] = field(default_factory=dict)
    _newest_by_place: dict[Place, Instant] = field(default_factory=dict)

    def pass_by(self, place: Place, shown_at: Instant) -> None:
        """Note how far a partition had come, by a record of whomever."""
        if shown_at > self._newest_by_place.get(place, BEGINNING):
            self._newest_by_place[place] = shown_at

    def take(self, decoded: Decoded, record: Record) -> None:
        """Record one event in its customer's profile."""
        customer, event = decoded.customer, decoded.event
        # Held, he has nothing to say, which is a third of what a step costs.
        profile = self.profiles.get(customer) or Profile(customer=customer, is_held=True)
        is_order_fact = type(event) in ORDER_FACTS
        cause = Arrived(
            event=event,
            at=decoded.at,
            event_id=decoded.event_id,
            settle_to=BEGINNING,
            watermark=BEGINNING,
            place=place_of(record) if is_order_fact else "",
        )
        if is_order_fact and self._may_have_been_too_old(profile, cause, record):
            self.doubt_by_customer[customer] = Doubt.OLDER_THAN_HORIZON
        transition = step(profile, cause, self.rulebook)
        if transition.rejection is not None and transition.rejection.reason is RejectReason.TOO_MANY_FACTS:
            self.doubt_by_customer[customer] = Doubt.TOO_MANY_FACTS
        if transition.profile is not None and transition.profile.is_known:
            self.profiles[customer] = transition.profile

    def settled(self, customer: str, at: Instant) -> Profile | None:
        """Return a customer as time has left him at `at`; None: nothing is known of him, or he was forgotten."""
        profile = self.profiles.get(customer)
        return None if profile is None else step(profile, Tick(at), self.rulebook).profile

    def doubt_of(self, customer: str, live: Profile | None, rebuilt: Profile | None) -> Doubt | None:
        """Return why a customer cannot be compared, as far as his own events tell."""
        if customer in self.doubt_by_customer:
            return self.doubt_by_customer[customer]
        known = self.profiles.get(customer)
        spans = [_span(profile) for profile in (live, rebuilt, known) if profile is not None and profile.is_anonymous]
        # Whether he was forgotten in between depends on whether a lane was behind when he came back.
        return Doubt.FORGOTTEN_BETWEEN if max(spans, default=0) >= self.rulebook.anonymous_expiry else None

    def _may_have_been_too_old(self, profile: Profile, cause: Arrived, record: Record) -> bool:
        """Tell whether a lane could have been a horizon beyond this fact, or its order, when it arrived."""
        horizon = self.rulebook.dedupe_horizon
        if horizon is None:
            return False
        newest = self._newest_by_place.get((record.topic, record.partition), BEGINNING)
        oldest_kept = max(newest, record.timestamp * MILLISECOND) - horizon
        order = _order_of(profile, cause.event) if isinstance(cause.event, OrderFact) else None
        if cause.at < oldest_kept or order is None:
            return cause.at < oldest_kept
        began_at = order.waiting_since if order.placed_at is None else order.placed_at
        return began_at is not None and began_at < oldest_kept


def _order_of(profile: Profile, fact: OrderFact) -> Order | None:
    if isinstance(fact, OrderRefunded) and fact.order_id is None:
        return None
    return profile.ledger.orders.get(id_hash(fact.order_id or ""))


def _span(profile: Profile) -> Instant:
    if profile.first_seen_at is None or profile.last_seen_at is None:
        return 0
    return profile.last_seen_at - profile.first_seen_at
