"""Where a customer stands at an instant, when that can change by time alone, and why."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from segmenter.domain.changes import Change, Reason
from segmenter.domain.conditions import Definition, Score, is_declared
from segmenter.domain.dimensions import dimensions_of
from segmenter.domain.evaluation import segments_of, touched_until
from segmenter.domain.instants import Instant, rfc3339, span_text
from segmenter.domain.lifecycle import Lifecycle, inactive_at, lifecycle_at
from segmenter.domain.money import money_text
from segmenter.domain.populations import boundary_for, population_of, ranking_of
from segmenter.domain.profile import LIFECYCLE, VALUE, Profile
from segmenter.domain.ranking import HIGHEST_PLACE
from segmenter.domain.reasons import further_reasons
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.sight import Sight
from segmenter.domain.value import A, B, Boundary, C, grade, is_fall, share_above
from segmenter.domain.windows import NEVER


@dataclass(slots=True)
class Answer:
    """A segment in every dimension, and the moment at which any of them can change although nothing happens."""

    segments: dict[str, str]
    valid_until: Instant | None
    held: tuple[str, ...] = ()
    """Dimensions in which a move is held back by a stay or a cooldown."""
    scores: dict[str, int] = field(default_factory=dict)
    in_by_rules: dict[str, bool | None] = field(default_factory=dict)
    """By segment, where the rules have him beneath a put; None: the put is over."""
    places: dict[int, int] = field(default_factory=dict)
    """Under which number he is to be kept in each ranking beside that by value."""
    numbers: dict[Score, int] = field(default_factory=dict)
    """What was scored."""


def standing_at(now: Instant, profile: Profile, rulebook: Rulebook, boundary: Boundary | None) -> Answer:
    """Return where the customer stands at `now`, given the totals of that instant."""
    answer = _class_at(now, profile, rulebook, boundary)
    if rulebook.plan.is_plain or not answer.segments:
        return answer
    sight = Sight(profile, now, rulebook, answer.segments, boundary)
    until = dimensions_of(sight)
    segments_until, held = segments_of(sight)
    valid_until = _sooner(answer.valid_until, min(until, segments_until))
    places = answer.places | sight.places
    return Answer(answer.segments, valid_until, held, sight.scores, sight.in_by_rules, places, sight.numbers)


def standing_still_until(
    asked: Iterable[Definition], profile: Profile, now: Instant, rulebook: Rulebook, boundary: Boundary | None
) -> Answer | None:
    """Return until when the customer stands where he does, given which segments alone can have changed.

    None where something did change. Those that are not asked have their expiry in the profile's next deadline.
    """
    answer = _class_at(now, profile, rulebook, boundary)
    if not answer.segments:
        return answer if not profile.present else None
    sight = Sight(profile, now, rulebook, answer.segments, boundary)
    until = dimensions_of(sight)
    stood_in = {dimension: one.segment for dimension, one in profile.present.items() if not is_declared(dimension)}
    if stood_in != answer.segments:
        return None
    sight.segments = {dimension: standing.segment for dimension, standing in profile.present.items()}
    segments_until = touched_until(asked, sight)
    if segments_until is None:
        return None
    valid_until = _sooner(answer.valid_until, min(until, segments_until))
    wake_at = earliest(profile.wake_at, valid_until)
    return Answer(sight.segments, wake_at, scores=sight.scores, places=answer.places | sight.places)


def _sooner(moment: Instant | None, until: Instant) -> Instant | None:
    return moment if until >= NEVER else earliest(moment, until)


def _class_at(now: Instant, profile: Profile, rulebook: Rulebook, boundary: Boundary | None) -> Answer:
    """Return lifecycle and value."""
    if profile.is_anonymous or profile.is_excluded or not profile.is_known:
        return Answer({}, None)
    totals = profile.totals
    lifecycle = lifecycle_at(now, totals, rulebook.lifecycle)
    segments: dict[str, str] = {LIFECYCLE: lifecycle.value}
    if lifecycle is Lifecycle.PROSPECT:
        return Answer(segments, totals.leaves_at)
    silent_at = inactive_at(totals, rulebook.lifecycle) if lifecycle is not Lifecycle.INACTIVE else None
    value, held_until = _value_at(now, profile, rulebook, boundary)
    if value is not None:
        segments[VALUE] = value
    return Answer(
        segments,
        earliest(earliest(totals.leaves_at, silent_at), held_until),
        places=_places_by_value(profile, rulebook),
    )


def _places_by_value(profile: Profile, rulebook: Rulebook) -> dict[int, int]:
    """Return under which revenue a buyer is kept in the ranking of his population, where there are any."""
    population, revenue = rulebook.value.population, profile.ranked_revenue
    if population is None or revenue is None:
        return {}
    return {ranking_of(population_of(profile, population), population): min(revenue, HIGHEST_PLACE)}


def earliest(one: Instant | None, other: Instant | None) -> Instant | None:
    """Return the earlier of two moments, either of which may never come."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _value_at(
    now: Instant, profile: Profile, rulebook: Rulebook, boundary: Boundary | None
) -> tuple[str | None, Instant | None]:
    """Return the class, and until when the dwell holds back a fall that is due."""
    present, boundary = profile.present.get(VALUE), boundary_for(profile, rulebook, boundary)
    before, revenue = None if present is None else present.segment, profile.totals.window_net
    if boundary is None:
        # Who holds no revenue is C whatever the others hold; for the rest there is nothing to compare with yet.
        return (C if revenue <= 0 else before), None
    after = grade(revenue, before, boundary.marks)
    if present is None or not is_fall(before, after):
        return after, None
    held_until = present.since + rulebook.value.dwell
    return (after, None) if now >= held_until else (before, held_until)


def reasons_for(
    change: Change, profile: Profile, now: Instant, rulebook: Rulebook, boundary: Boundary | None
) -> tuple[Reason, ...]:
    """Return the conditions that put the customer where this change says he is now."""
    if change.dimension == LIFECYCLE and change.after is not None:
        return (_lifecycle_reason(profile, now, rulebook),)
    if change.dimension == VALUE and change.after is None:
        orders = str(profile.totals.orders)
        return (Reason(dimension=VALUE, condition="orders", actual=orders, threshold="1"),)
    if change.dimension == VALUE and change.after is not None:
        own = boundary_for(profile, rulebook, boundary)
        return () if own is None else (_value_reason(change.before, change.after, profile, rulebook, own),)
    if change.dimension not in (LIFECYCLE, VALUE):
        return further_reasons(change, profile, now, rulebook, boundary)
    return ()


def _lifecycle_reason(profile: Profile, now: Instant, rulebook: Rulebook) -> Reason:
    segment, totals = profile.segment_in(LIFECYCLE), profile.totals
    if segment == Lifecycle.INACTIVE and totals.last_order_at is not None:
        silence = now - totals.last_order_at
        return Reason(
            dimension=LIFECYCLE,
            condition="silence",
            actual=span_text(silence),
            threshold=span_text(rulebook.lifecycle.inactive_after),
            boundary=rfc3339(totals.last_order_at + rulebook.lifecycle.inactive_after),
        )
    threshold = {Lifecycle.REPEAT: "2", Lifecycle.NEW: "1"}.get(Lifecycle(segment), "1") if segment else "1"
    return Reason(dimension=LIFECYCLE, condition="orders", actual=str(totals.orders), threshold=threshold)


def _value_reason(before: str | None, after: str, profile: Profile, rulebook: Rulebook, boundary: Boundary) -> Reason:
    """Return the share held by those with more revenue, against the share that bounds the class.

    A rise names the boundary that was reached, a fall the one that was missed; who is C for the first time has missed
    that of B.
    """
    revenue, marks, rule = profile.totals.window_net, boundary.marks, rulebook.value
    is_missed = is_fall(before, after) or after == C
    share, mark = {
        (A, False): (rule.a, marks.a),
        (B, False): (rule.b, marks.b),
        (B, True): (rule.a + rule.band, marks.a_stay),
        (C, True): (rule.b if before is None else rule.b + rule.band, marks.b if before is None else marks.b_stay),
    }[after, is_missed]
    return Reason(
        dimension=VALUE,
        condition="cumulative_share",
        actual=f"{share_above(revenue, boundary.shares):.3f}",
        threshold=str(share),
        boundary=money_text(mark, rulebook.currency),
    )
