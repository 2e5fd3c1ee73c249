"""Where a customer is now, and his numbers, as they are told."""

from collections.abc import Mapping
from types import MappingProxyType

from segmenter.domain.changes import Membership, Traits
from segmenter.domain.conditions import SHADOW_PREFIX
from segmenter.domain.instants import Instant
from segmenter.domain.money import money_text
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook

NO_SCORES: Mapping[str, int] = MappingProxyType({})


def membership_of(
    profile: Profile, rulebook: Rulebook, next_change_at: Instant | None, scores: Mapping[str, int] = NO_SCORES
) -> Membership:
    """Return where the customer is now; out of each declared segment that he is not in."""
    present = {d: standing for d, standing in profile.present.items() if not d.startswith(SHADOW_PREFIX)}
    segments = {d: standing.segment for d, standing in present.items()}
    if segments and rulebook.plan.outs:
        segments = {**rulebook.plan.outs, **segments}
    return Membership(
        customer=profile.customer,
        # While a first backlog is read the profile is settled to no time yet, but knows what happened.
        as_of=max(profile.settled_at, profile.last_seen_at or 0),
        life=profile.life,
        sequence=profile.sequence,
        segments=tuple(sorted(segments.items())),
        since=tuple(sorted((d, standing.since) for d, standing in present.items())),
        traits=traits_of(profile, rulebook, scores),
        next_change_at=next_change_at,
    )


def traits_of(profile: Profile, rulebook: Rulebook, scores: Mapping[str, int] = NO_SCORES) -> Traits:
    """Return the numbers of a customer as they are told."""
    totals, currency = profile.totals, rulebook.currency
    first = None if rulebook.interest is None else profile.behaviour.first_channel
    return Traits(
        orders=totals.orders,
        net_revenue=money_text(totals.net, currency),
        value_revenue=money_text(totals.window_net, currency),
        currency=currency,
        first_order_at=totals.first_order_at,
        last_order_at=totals.last_order_at,
        over_refund=money_text(totals.over_refund, currency) if totals.over_refund else None,
        scores=(scores["r"], scores["f"], scores["m"]) if scores else None,
        first_channel=None if first is None else first[1],
    )
