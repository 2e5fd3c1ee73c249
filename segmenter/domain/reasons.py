"""Why somebody moved in a dimension beyond lifecycle and value, or in a declared segment."""

from segmenter.domain.account_dimensions import care_rules
from segmenter.domain.account_quintiles import cut_scores
from segmenter.domain.changes import Change, Reason
from segmenter.domain.conditions import IN, Definition
from segmenter.domain.dimensions import (
    CARE,
    CHANNEL,
    ENGAGEMENT,
    INTEREST,
    OPEN_ISSUE,
    RFM,
    RHYTHM,
    UNHAPPY,
    dimensions_of,
    last_order_at,
    silence_of,
)
from segmenter.domain.explanation import leaves_explained
from segmenter.domain.instants import Instant, rfc3339, span_text
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.sight import Sight
from segmenter.domain.value import Boundary

# A rule of a hundred leaves is told by its first ones; `segmenter customer --why` tells them all.
REASONS_TOLD = 20


def further_reasons(
    change: Change, profile: Profile, now: Instant, rulebook: Rulebook, boundary: Boundary | None
) -> tuple[Reason, ...]:
    """Return the conditions that put the customer where this change says he is now."""
    present = {dimension: standing.segment for dimension, standing in profile.present.items()}
    sight = Sight(profile, now, rulebook, present, boundary)
    definition = rulebook.plan.definition_by_dimension.get(change.dimension)
    if definition is not None:
        if (by_hand := _put_reason(definition, sight)) is not None:
            return (by_hand,)
        leaves = leaves_explained(definition, sight, is_in=change.after == IN)
        told = [
            Reason(dimension=change.dimension, condition=leaf.condition, actual=leaf.actual, threshold=leaf.threshold)
            for leaf in leaves
        ]
        return tuple(told[:REASONS_TOLD])
    found = _found(change, sight)
    if found is None:
        return ()
    condition, actual, threshold = found
    told = [Reason(dimension=change.dimension, condition=condition, actual=actual, threshold=threshold)]
    if change.dimension == RFM:
        told += [
            Reason(
                dimension=RFM, condition=cut.condition, actual=f"{cut.number}: {cut.actual}", threshold=cut.threshold
            )
            for cut in cut_scores(sight)
        ]
    return tuple(told)


def _put_reason(definition: Definition, sight: Sight) -> Reason | None:
    """Return the put that holds; where one has just ended the rules decide again."""
    put = sight.profile.puts.get(definition.name)
    if put is None or not put.holds_at(sight.now):
        return None
    threshold = f"until {rfc3339(put.until)}"
    return Reason(
        dimension=definition.dimension, condition=f"put {put.to} by hand", actual=put.because, threshold=threshold
    )


def _found(change: Change, sight: Sight) -> tuple[str, str, str] | None:
    """Return condition, actual and threshold of one of our own dimensions."""
    rulebook, behaviour = sight.rulebook, sight.behaviour
    if change.dimension == RFM and rulebook.rfm is not None:
        dimensions_of(sight)
        actual = " ".join(f"{letter}{number}" for letter, number in sorted(sight.scores.items(), reverse=True))
        return "scores", actual, change.after or ""
    if change.dimension == ENGAGEMENT and rulebook.engagement is not None:
        warmth, rule = behaviour.warmth, rulebook.engagement
        score = 0.0 if warmth is None else warmth.faded_to(sight.now, rule.half_life)
        return "warmth", f"{score:.3f}", f"warm >= {rule.warm}, hot >= {rule.hot}"
    if change.dimension in (INTEREST, CHANNEL) and rulebook.interest is not None:
        topics = behaviour.topics if change.dimension == INTEREST else behaviour.channels
        known = topics.get(change.after or "")
        weight = 0.0 if known is None else known.faded_to(sight.now, rulebook.interest.half_life)
        return "leading weight", f"{weight:.3f}", f"{rulebook.interest.margin} times the one before"
    if change.dimension == CARE and rulebook.care is not None:
        return _care(change.after, sight)
    if change.dimension == RHYTHM and rulebook.rhythm is not None:
        last_at = last_order_at(sight)
        silence = "never ordered" if last_at is None else span_text(max(0, sight.now - last_at))
        return "silence", silence, span_text(silence_of(rulebook.rhythm, sight))
    return None


def _care(after: str | None, sight: Sight) -> tuple[str, str, str]:
    """Return the answer or the returns that make somebody unhappy; for all others, how many tickets are open."""
    rules = {rule.segment: rule.tree for rule in care_rules(sight)}
    found = next((part for part in rules[UNHAPPY].parts if part.holds), None) if after == UNHAPPY else None
    if found is not None:
        return found.condition, found.actual, found.threshold
    tickets = sum(1 for t in sight.behaviour.tickets.values() if t.opened_at is not None and t.closed_at is None)
    return "open tickets", str(tickets), ">= 1" if after == OPEN_ISSUE else "== 0"
