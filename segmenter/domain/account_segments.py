"""A declared segment, answered for one customer: what lets him in, what lets him go, and what holds either back."""

from collections.abc import Iterable

from segmenter.domain.account_rule import RuleAccount, all_parts
from segmenter.domain.conditions import IN, OUT, All, Announce, Definition, Not, State, leaves_of
from segmenter.domain.evaluation import membership
from segmenter.domain.explanation import Explained, bucket_note, explained, name_of
from segmenter.domain.instants import Instant, Span, rfc3339, span_text, span_words
from segmenter.domain.sight import Sight


def segment_rules(definition: Definition, sight: Sight) -> tuple[RuleAccount, ...]:
    """Return what lets a customer in and, where it is more than the opposite, what lets him go."""
    standing = sight.profile.present.get(definition.dimension)
    since = None if standing is None else standing.since
    is_in = standing is not None and standing.segment == IN
    when = explained(definition.when, sight)
    # What is asked beside `when` is told on its level.
    enters = [*when.parts] if isinstance(definition.when, All) else [when]
    if definition.leave_when is not None:
        enters.append(explained(Not(definition.leave_when), sight))
    if definition.cooldown and not is_in and since is not None:
        enters.append(_waited("out since the last time (cooldown)", since, definition.cooldown, sight.now))
    leave = Not(definition.when) if definition.leave_when is None else definition.leave_when
    leaves = [explained(leave, sight)]
    if definition.stay_at_least and is_in and since is not None:
        leaves.append(_waited("in for (stay_at_least)", since, definition.stay_at_least, sight.now))
    rules = [RuleAccount(IN, all_parts(*enters))]
    if is_in and (definition.leave_when is not None or len(leaves) > 1):
        rules.append(RuleAccount(OUT, all_parts(*leaves)))
    return tuple(rules)


def _waited(condition: str, since: Instant, least: Span, now: Instant) -> Explained:
    over_at = since + least
    is_over = now >= over_at
    actual = span_words(now - since)
    missing = "" if is_over else f"time until {rfc3339(over_at)}"
    return Explained(condition, is_over, actual, f">= {span_text(least)}", None if is_over else over_at, missing)


def segment_notes(definition: Definition, sight: Sight) -> Iterable[str]:
    """Say what holds a move back or keeps it silent, and how coarse a count is."""
    standing = sight.profile.present.get(definition.dimension)
    _, is_held = membership(definition, sight)
    if is_held and standing is not None:
        kept = definition.stay_at_least if standing.segment == IN else definition.cooldown
        name, way = ("stay_at_least", "leaving") if standing.segment == IN else ("cooldown", "entering")
        yield f"{way} is held back by {name} {span_text(kept)} until {rfc3339(standing.since + kept)}"
    yield from _put_notes(definition, sight)
    if definition.state is State.SHADOW:
        yield "in state shadow: counted, and told to nobody"
    if definition.announce is Announce.NEVER:
        yield "announce: never, so its moves are told to nobody"
    more = [] if definition.leave_when is None else leaves_of(definition.leave_when)
    for leaf in dict.fromkeys([*leaves_of(definition.when), *more]):
        if note := bucket_note(leaf):
            yield f"{name_of(leaf)} is {note}"


def _put_notes(definition: Definition, sight: Sight) -> Iterable[str]:
    """Say who has put him in or out by hand, until when and why, and where the rules alone would have him."""
    put = sight.profile.puts.get(definition.name)
    if put is None or not put.holds_at(sight.now):
        return
    by = f" by {put.by}" if put.by else ""
    said = f"put {put.to} by hand{by} at {rfc3339(put.at)}, until {rfc3339(put.until)}"
    yield f"{said}: {put.because}"
    yield f"by the rules alone he would be {IN if put.is_in_by_rules else OUT}"
