"""The rules of RFM, engagement, interest, care and rhythm, answered for one customer."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import ceil, log2

from segmenter.domain.account_quintiles import cut_scores
from segmenter.domain.account_rule import RuleAccount, all_parts, any_parts, known
from segmenter.domain.behaviour import Warmth
from segmenter.domain.conditions import Bound, Comparison, Measure, Measured, Score
from segmenter.domain.dimensions import (
    AT_RISK,
    COLD,
    HOT,
    INTEREST,
    NONE,
    OPEN_ISSUE,
    OTHERS,
    REGULAR,
    UNHAPPY,
    WARM,
    last_order_at,
    silence_of,
)
from segmenter.domain.explanation import Explained, explained, must_end
from segmenter.domain.instants import Instant, Span, rfc3339, span_text, span_words
from segmenter.domain.rulebook import CareRule, EngagementRule, Quintiles
from segmenter.domain.sight import Sight


def rfm_rules(sight: Sight) -> tuple[RuleAccount, ...]:
    """Return every group with the scores it asks for; the first that holds is his."""
    rule = sight.rulebook.rfm
    if rule is None:
        return ()
    if not sight.scores:
        lacks = Explained("orders", False, "0", ">= 1", None, "1 more")
        if sight.numbers:
            lacks = Explained("quintiles", False, "none yet", "the first ones", None, "the first quintiles")
        return tuple(RuleAccount(name, lacks) for name in [*(name for name, _ in rule.groups), OTHERS])
    groups = [(name, explained(group, sight)) for name, group in rule.groups]
    rules, earlier = list[RuleAccount](), list[str]()
    for name, tree in groups:
        rules.append(RuleAccount(name, all_parts(tree, _taken(earlier[0])) if earlier else tree))
        if tree.holds:
            earlier.append(name)
    scores = " ".join(f"{letter}{sight.scores[letter]}" for letter in Score)
    nowhere = Explained("in none of the groups", not earlier, scores, "no group before it", None)
    rules.append(RuleAccount(OTHERS, nowhere if not earlier else _taken(earlier[0])))
    return tuple(rules)


def _taken(name: str) -> Explained:
    return Explained("first group that holds", False, name, "this one", None, f"{name}, which comes first, must end")


def rfm_notes(sight: Sight) -> Iterable[str]:
    """Say of each score what it was made from, what the next better one takes, and what keeps it silent."""
    rule, cuts = sight.rulebook.rfm, None if sight.boundary is None else sight.boundary.cuts
    if rule is None or not sight.scores:
        return
    if rule.cut_scores and cuts is not None and not cuts.is_announced:
        min_ranked = sight.rulebook.value.min_ranked
        few = f"{cuts.ranked} customers are ranked, min_ranked is {min_ranked}"
        yield f"groups are computed but not announced: {few}"
    for cut in cut_scores(sight):
        yield f"{cut.score}{cut.number}: {cut.condition}, {cut.actual}, which is {cut.threshold}"
    if not isinstance(rule.recency, Quintiles):
        yield _recency_note(rule.recency, sight)
    counted = (
        (Score.FREQUENCY, Measure.ORDERS, rule.frequency),
        (Score.MONETARY, Measure.NET_REVENUE, rule.monetary),
    )
    for letter, measure, bounds in counted:
        score = sight.scores[letter]
        if isinstance(bounds, Quintiles):
            continue
        bound = Decimal(bounds[min(score, 4) - 1])
        leaf = explained(Measured(measure, Bound(Comparison.MORE_THAN, bound), rule.window), sight)
        better = f"; {letter}{score + 1} takes {leaf.missing}" if score < 5 else ""
        yield f"{letter}{score}: {leaf.condition} {leaf.actual}{better}"


def _recency_note(bounds: tuple[Span, ...], sight: Sight) -> str:
    score, last_at = sight.scores[Score.RECENCY], sight.numbers[Score.RECENCY]
    falls_at = None if score == 1 else last_at + bounds[5 - score] + 1
    falls = "" if falls_at is None else f"; r{score - 1} at {rfc3339(falls_at)} unless an order"
    return f"r{score}: last order {rfc3339(last_at)}{falls}"


def engagement_rules(sight: Sight) -> tuple[RuleAccount, ...]:
    """Return hot, warm and cold with the warmth they take, and about how many clicks are missing."""
    rule = sight.rulebook.engagement
    if rule is None:
        return ()
    warmth = sight.behaviour.warmth
    score = 0.0 if warmth is None else warmth.faded_to(sight.now, rule.half_life)
    hot, warm = _warm(float(rule.hot), score, warmth, rule), _warm(float(rule.warm), score, warmth, rule)
    return (
        RuleAccount(HOT, hot),
        RuleAccount(WARM, all_parts(warm, _not(hot))),
        RuleAccount(COLD, _not(warm)),
    )


def _warm(least: float, score: float, warmth: Warmth | None, rule: EngagementRule) -> Explained:
    holds = score >= least
    until = None
    if holds and warmth is not None and least > 0:
        until = warmth.at + int(rule.half_life * log2(warmth.weight / least))
    missing = "" if holds else f"{_clicks(least - score)} of weight 1"
    asked = f"warmth of clicks, halved each {span_text(rule.half_life)}"
    return Explained(asked, holds, f"{score:.3f}", f">= {least:g}", until, missing)


def _clicks(lacking: float) -> str:
    count = max(1, ceil(lacking))
    return f"{count} more click{'s' if count > 1 else ''}"


def leader_rules(dimension: str, sight: Sight) -> tuple[RuleAccount, ...]:
    """Return every topic or channel that is remembered, with its weight against that of the leader."""
    rule = sight.rulebook.interest
    if rule is None:
        return ()
    weights = sight.behaviour.topics if dimension == INTEREST else sight.behaviour.channels
    faded = _faded(weights, sight.now, rule.half_life)
    leader = sight.segments.get(dimension)
    most = faded.get(leader or "", 0.0)
    needed = float(rule.margin) * most
    rules = []
    for name, weight in sorted(faded.items(), key=lambda one: (-one[1], one[0])):
        is_leader = name == leader
        threshold = "leads" if is_leader else f"> {needed:.3f} ({rule.margin} times {leader})"
        missing = "" if is_leader else f"{_clicks(needed - weight)} of weight 1"
        rules.append(RuleAccount(name, Explained("weight", is_leader, f"{weight:.3f}", threshold, None, missing)))
    return tuple(rules)


def _faded(weights: Mapping[str, Warmth], now: Instant, half_life: Span) -> dict[str, float]:
    return {name: warmth.faded_to(now, half_life) for name, warmth in weights.items()}


def care_rules(sight: Sight) -> tuple[RuleAccount, ...]:
    """Return unhappy, open_issue and none, with answers, returns and tickets."""
    rule = sight.rulebook.care
    if rule is None:
        return ()
    tickets = sum(1 for t in sight.behaviour.tickets.values() if t.opened_at is not None and t.closed_at is None)
    is_open = Explained("open tickets", tickets > 0, str(tickets), ">= 1", None, "" if tickets else "1 more")
    unhappy = any_parts(*_answers(rule, sight), _returns(rule, sight))
    return (
        RuleAccount(UNHAPPY, unhappy),
        RuleAccount(OPEN_ISSUE, all_parts(is_open, _not(unhappy))),
        RuleAccount(NONE, all_parts(_not(is_open), _not(unhappy))),
    )


def _answers(rule: CareRule, sight: Sight) -> Iterable[Explained]:
    for scale, worst in (("csat", rule.csat_at_most), ("nps", rule.nps_at_most)):
        last = [rating for rating in sight.behaviour.ratings if rating.scale == scale][-1:]
        until = last[0].at + rule.unhappy_for if last else None
        holds = bool(last) and last[0].score <= worst and until is not None and until > sight.now
        actual = f"{last[0].score} at {rfc3339(last[0].at)}" if last else "no answer"
        asked = f"last {scale} answer within {span_text(rule.unhappy_for)}"
        yield Explained(asked, holds, actual, f"<= {worst}", until if holds else None)


def _returns(rule: CareRule, sight: Sight) -> Explained:
    times = [at for order in sight.ledger.orders.values() for _, _, at in order.refunds]
    times += [refund.at for refund in sight.ledger.loose_refunds.values()]
    exits = sorted(at + rule.returns_within for at in times if at + rule.returns_within > sight.now)
    holds = len(exits) >= rule.returns
    until = exits[len(exits) - rule.returns] if holds else None
    missing = "" if holds else f"{rule.returns - len(exits)} more"
    asked = f"returns within {span_text(rule.returns_within)}"
    return Explained(asked, holds, str(len(exits)), f">= {rule.returns}", known(until), missing)


def rhythm_rules(sight: Sight) -> tuple[RuleAccount, ...]:
    """Return regular and at_risk with the silence since the last order, and none for who never ordered."""
    rule = sight.rulebook.rhythm
    if rule is None:
        return ()
    last_at = last_order_at(sight)
    never = Explained("orders", last_at is None, "0" if last_at is None else "some", "== 0", None)
    if last_at is None:
        lacks = Explained("orders", False, "0", ">= 1", None, "1 more")
        return (RuleAccount(REGULAR, lacks), RuleAccount(AT_RISK, lacks), RuleAccount(NONE, never))
    limit = silence_of(rule, sight)
    silent_at = last_at + limit
    is_silent = sight.now >= silent_at
    has_own = len(sight.orders) >= max(2, rule.orders)
    source = f"{rule.factor} times his median gap" if has_own else f"fallback below {rule.orders} orders"
    silence = Explained(
        "silence since the last order",
        is_silent,
        span_words(max(0, sight.now - last_at)),
        f">= {span_text(limit)} ({source})",
        None if is_silent else silent_at,
        "" if is_silent else f"no order until {rfc3339(silent_at)}",
    )
    return (RuleAccount(REGULAR, _not(silence)), RuleAccount(AT_RISK, silence), RuleAccount(NONE, never))


def _not(part: Explained) -> Explained:
    missing = must_end(part) if part.holds else ""
    return Explained("not", not part.holds, "", "", part.until, missing, (part,))
