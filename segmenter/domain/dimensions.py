"""The dimensions beyond lifecycle and value: RFM, engagement, interest, channel, care and rhythm."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from math import log2
from statistics import median_low

from segmenter.domain.behaviour import Rating, Warmth, leading
from segmenter.domain.conditions import Score
from segmenter.domain.evaluation import find
from segmenter.domain.instants import DAY, Instant
from segmenter.domain.quintiles import scored
from segmenter.domain.ranking import BY_SCORE, HIGHEST_PLACE
from segmenter.domain.rulebook import CareRule, EngagementRule, Quintiles, RfmRule, RhythmRule
from segmenter.domain.sight import Sight
from segmenter.domain.windows import NEVER

RFM, ENGAGEMENT, INTEREST, CHANNEL, CARE, RHYTHM = "rfm", "engagement", "interest", "channel", "care", "rhythm"
OTHERS = "others"
HOT, WARM, COLD = "hot", "warm", "cold"
OPEN_ISSUE, UNHAPPY, NONE = "open_issue", "unhappy", "none"
REGULAR, AT_RISK = "regular", "at_risk"
# Two orders of one minute make no rhythm: nobody is at risk sooner than after a day.
_LEAST_SILENCE = DAY


def dimensions_of(sight: Sight) -> Instant:
    """Put the customer into a segment of every further dimension; return until when all stay as they are."""
    rulebook, until = sight.rulebook, NEVER
    if rulebook.rfm is not None:
        until = min(until, _rfm(rulebook.rfm, sight))
    if rulebook.engagement is not None:
        until = min(until, _engagement(rulebook.engagement, sight))
    if rulebook.interest is not None:
        _lead(sight)
    if rulebook.care is not None:
        until = min(until, _care(rulebook.care, sight))
    if rulebook.rhythm is not None:
        until = min(until, _rhythm(rulebook.rhythm, sight))
    return until


def _rfm(rule: RfmRule, sight: Sight) -> Instant:
    last_at = last_order_at(sight)
    if last_at is None:
        return NEVER
    exits = [(rule.window.exit_at(at), order.net) for at, order in sight.orders]
    inside = [one for one in exits if one[0] > sight.now]
    loose = [(rule.window.exit_at(one.at), -one.amount) for one in sight.ledger.loose_refunds.values()]
    orders, net = len(inside), sum(part for at, part in [*inside, *loose] if at > sight.now)
    if rule.window.span is None:
        orders, net = orders + sight.folded.orders, net + sight.folded.net
    sight.numbers = {Score.RECENCY: last_at, Score.FREQUENCY: orders, Score.MONETARY: net}
    until = min((at for at, _ in [*inside, *loose] if at > sight.now), default=NEVER)
    if rule.cut_scores and not _place(rule, sight):
        return until
    until = min(until, _score(rule, sight))
    sight.segments[RFM] = next((name for name, group in rule.groups if find(group, sight).holds), OTHERS)
    return until


def _place(rule: RfmRule, sight: Sight) -> bool:
    """Put him into the rankings that quintiles are cut from; tell whether there are any quintiles yet."""
    # Net revenue below 0 is nothing: nobody is worth less than one who sent everything back.
    sight.numbers[Score.MONETARY] = min(max(0, sight.numbers[Score.MONETARY]), HIGHEST_PLACE - 1)
    for score in rule.cut_scores:
        sight.places[BY_SCORE[score]] = sight.numbers[score] + 1
    cuts = None if sight.boundary is None else sight.boundary.cuts
    return cuts is not None and all(score in cuts.bounds for score in rule.cut_scores)


def _score(rule: RfmRule, sight: Sight) -> Instant:
    """Score what he comes to, and return until when time alone leaves that as it is."""
    counted = ((Score.FREQUENCY, rule.frequency), (Score.MONETARY, rule.monetary))
    for score, bounds in counted:
        sight.scores[score] = scored(sight.numbers[score], _bounds(score, bounds, sight))
    last_at = sight.numbers[Score.RECENCY]
    if isinstance(rule.recency, Quintiles):
        # Bounds of recency are instants: time passes for all alike.
        sight.scores[Score.RECENCY] = scored(last_at, _bounds(Score.RECENCY, rule.recency, sight))
        return NEVER
    place = next((place for place, bound in enumerate(rule.recency) if sight.now - last_at <= bound), None)
    sight.scores[Score.RECENCY] = 1 if place is None else 5 - place
    return NEVER if place is None else last_at + rule.recency[place] + 1


def _bounds(score: Score, bounds: tuple[int, ...] | Quintiles, sight: Sight) -> tuple[int, ...]:
    """Return the bounds of the rule, or those the leader has found."""
    if not isinstance(bounds, Quintiles):
        return bounds
    assert sight.boundary is not None  # noqa: S101 - asked for only where there are quintiles
    assert sight.boundary.cuts is not None  # noqa: S101
    return sight.boundary.cuts.bounds[score]


def last_order_at(sight: Sight) -> Instant | None:
    """Return the time of the last order that counts."""
    times = [at for at, _ in sight.orders]
    return max([*times, sight.folded.last_at] if sight.folded.last_at is not None else times, default=None)


def _engagement(rule: EngagementRule, sight: Sight) -> Instant:
    """Return until when a customer stays as warm as he is."""
    segment = sight.segments[ENGAGEMENT] = engagement_of(rule, sight.behaviour.warmth, sight.now)
    floor = {HOT: rule.hot, WARM: rule.warm, COLD: None}[segment]
    warmth = sight.behaviour.warmth
    return NEVER if floor is None or warmth is None else _fades_at(warmth, float(floor), rule)


def engagement_of(rule: EngagementRule, warmth: Warmth | None, now: Instant) -> str:
    """Return how warm a customer is at an instant."""
    score = 0.0 if warmth is None else warmth.faded_to(now, rule.half_life)
    return HOT if score >= float(rule.hot) else WARM if score >= float(rule.warm) else COLD


def _fades_at(warmth: Warmth, floor: float, rule: EngagementRule) -> Instant:
    """Return the first instant at which a weight is below a floor. Source: w · 2 ** (-t / h) = f, solved for t."""
    at = warmth.at + int(rule.half_life * log2(warmth.weight / floor)) - 2
    while warmth.faded_to(at, rule.half_life) >= floor:
        at += 1
    return at


def _lead(sight: Sight) -> None:
    for dimension, leader in leaders_of(sight).items():
        if leader is not None:
            sight.segments[dimension] = leader


def leaders_of(sight: Sight) -> dict[str, str | None]:
    """Return the leading topic and channel."""
    rule, behaviour, profile = sight.rulebook.interest, sight.behaviour, sight.profile
    if rule is None:
        return {}
    return {
        dimension: leading(weights, profile.segment_in(dimension), rule.margin, rule.half_life)
        for dimension, weights in ((INTEREST, behaviour.topics), (CHANNEL, behaviour.channels))
    }


def _care(rule: CareRule, sight: Sight) -> Instant:
    behaviour, now = sight.behaviour, sight.now
    bad_until = [
        at + rule.unhappy_for
        for at, score, worst in (
            *_last_answer(behaviour.ratings, "csat", rule.csat_at_most),
            *_last_answer(behaviour.ratings, "nps", rule.nps_at_most),
        )
        if score <= worst and at + rule.unhappy_for > now
    ]
    returns = sorted(exit_at for at in _refund_times(sight) if (exit_at := at + rule.returns_within) > now)
    if len(returns) >= rule.returns:
        bad_until.append(returns[len(returns) - rule.returns])
    if bad_until:
        sight.segments[CARE] = UNHAPPY
        return max(bad_until)
    is_open = any(t.opened_at is not None and t.closed_at is None for t in behaviour.tickets.values())
    sight.segments[CARE] = OPEN_ISSUE if is_open else NONE
    return NEVER


def _last_answer(ratings: Iterable[Rating], scale: str, worst: int) -> list[tuple[Instant, int, int]]:
    """Return time and score of the newest answer on a scale, and what is still bad there."""
    return [(rating.at, rating.score, worst) for rating in ratings if rating.scale == scale][-1:]


def _refund_times(sight: Sight) -> Iterable[Instant]:
    yield from (at for order in sight.ledger.orders.values() for _, _, at in order.refunds)
    yield from (refund.at for refund in sight.ledger.loose_refunds.values())


def _rhythm(rule: RhythmRule, sight: Sight) -> Instant:
    last_at = last_order_at(sight)
    if last_at is None:
        sight.segments[RHYTHM] = NONE
        return NEVER
    silent_at = last_at + silence_of(rule, sight)
    sight.segments[RHYTHM] = AT_RISK if sight.now >= silent_at else REGULAR
    return silent_at if sight.now < silent_at else NEVER


def silence_of(rule: RhythmRule, sight: Sight) -> int:
    """Return the silence after which a customer is at risk, by his own median gap where he has one."""
    times = sorted(at for at, _ in sight.orders)
    if len(times) < max(2, rule.orders):
        return rule.fallback
    gap = median_low([later - earlier for earlier, later in pairwise(times)])
    return max(_LEAST_SILENCE, int(Decimal(gap) * rule.factor))
