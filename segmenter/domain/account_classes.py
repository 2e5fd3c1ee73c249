"""The rules of lifecycle and value, answered for one customer: orders, silence, revenue against the boundary."""

from collections.abc import Iterable
from decimal import Decimal

from segmenter.domain.account_rule import RuleAccount, all_parts
from segmenter.domain.explanation import Explained
from segmenter.domain.instants import Instant, rfc3339, span_text, span_words
from segmenter.domain.lifecycle import Lifecycle, inactive_at
from segmenter.domain.money import money_text
from segmenter.domain.populations import population_of
from segmenter.domain.profile import VALUE
from segmenter.domain.sight import Sight
from segmenter.domain.value import A, B, Boundary, C, grade, is_fall, share_above


def lifecycle_rules(sight: Sight) -> tuple[RuleAccount, ...]:
    """Return prospect, new, repeat and inactive, each with the orders and the silence it asks for."""
    orders, silent_at = sight.profile.totals.orders, inactive_at(sight.profile.totals, sight.rulebook.lifecycle)
    heard = _silence(sight, silent_at, is_asked=False)
    rules = [
        (Lifecycle.PROSPECT, _orders(orders, "== 0", holds=orders == 0, missing="no order that counts")),
        (Lifecycle.NEW, all_parts(_orders(orders, "== 1", holds=orders == 1, missing=_more(1 - orders)), heard)),
        (Lifecycle.REPEAT, all_parts(_orders(orders, ">= 2", holds=orders >= 2, missing=_more(2 - orders)), heard)),
        (Lifecycle.INACTIVE, _silence(sight, silent_at, is_asked=True)),
    ]
    return tuple(RuleAccount(segment.value, tree) for segment, tree in rules)


def _orders(orders: int, threshold: str, *, holds: bool, missing: str) -> Explained:
    return Explained("orders", holds, str(orders), threshold, None, "" if holds else missing)


def _more(count: int) -> str:
    return f"{count} more order{'s' if count > 1 else ''}" if count > 0 else "fewer orders, by cancellations"


def _silence(sight: Sight, silent_at: Instant | None, *, is_asked: bool) -> Explained:
    """Return the silence since the last order, long enough or short enough."""
    limit = span_text(sight.rulebook.lifecycle.inactive_after)
    sign = ">=" if is_asked else "<"
    last_at = sight.profile.totals.last_order_at
    if silent_at is None or last_at is None:
        missing = "an order, and then silence" if is_asked else "an order"
        return Explained("silence since the last order", False, "never ordered", f"{sign} {limit}", None, missing)
    is_silent = sight.now >= silent_at
    actual = span_words(max(0, sight.now - last_at))
    missing = "" if is_silent is is_asked else (f"no order until {rfc3339(silent_at)}" if is_asked else "an order")
    until = None if is_silent else silent_at
    return Explained("silence since the last order", is_silent is is_asked, actual, f"{sign} {limit}", until, missing)


def value_rules(sight: Sight, boundary: Boundary | None) -> tuple[RuleAccount, ...]:
    """Return A, B and C, each with the revenue it takes; nothing to compare with before the first boundary."""
    if boundary is None or sight.profile.totals.orders == 0:
        return tuple(RuleAccount(segment, _uncompared(sight)) for segment in (A, B, C))
    marks, rule, present = boundary.marks, sight.rulebook.value, sight.profile.segment_in(VALUE)
    a = (marks.a_stay, rule.a + rule.band) if present == A else (marks.a, rule.a)
    b = (marks.b_stay, rule.b + rule.band) if present == B else (marks.b, rule.b)
    enough_a, enough_b = _at_least(sight, boundary, *a), _at_least(sight, boundary, *b)
    return (
        RuleAccount(A, enough_a),
        RuleAccount(B, all_parts(enough_b, _below(enough_a, A))),
        RuleAccount(C, all_parts(_below(enough_a, A), _below(enough_b, B))),
    )


def _uncompared(sight: Sight) -> Explained:
    if sight.profile.totals.orders == 0:
        return Explained("orders", False, "0", ">= 1", None, "1 more order")
    actual = f"{_revenue(sight)} {sight.rulebook.currency}"
    return Explained(_asked(sight), False, actual, "no boundary yet", None, "the first boundary")


def _at_least(sight: Sight, boundary: Boundary, mark: int, share: Decimal) -> Explained:
    revenue, currency = sight.profile.totals.window_net, sight.rulebook.currency
    above = share_above(revenue, boundary.shares)
    holds = revenue >= mark
    return Explained(
        _asked(sight),
        holds,
        f"{_revenue(sight)} {currency} (those above hold {above:.3f} of all)",
        f">= {money_text(mark, currency)} {currency} (share {min(share, Decimal(1))})",
        sight.profile.totals.leaves_at,
        "" if holds else f"{money_text(mark - revenue, currency)} {currency} more",
    )


def _below(enough: Explained, segment: str) -> Explained:
    missing = f"to be below the boundary of {segment}" if enough.holds else ""
    return Explained("not", not enough.holds, "", "", enough.until, missing, (enough,))


def _asked(sight: Sight) -> str:
    rule = sight.rulebook.value
    measure = rule.measure.replace("_", " ")
    return measure if rule.window is None else f"{measure} within {span_text(rule.window)}"


def _revenue(sight: Sight) -> str:
    return money_text(sight.profile.totals.window_net, sight.rulebook.currency)


def value_notes(sight: Sight, boundary: Boundary | None) -> Iterable[str]:
    """Say what holds a class back: no boundary, too few ranked, the band, or the dwell."""
    if (population := sight.rulebook.value.population) is not None:
        value = population_of(sight.profile, population)
        whom = (
            f"with {population.attribute} {value}" if value else f"with none of the values of {population.attribute}"
        )
        yield f"ranked among customers {whom}"
    if boundary is None:
        yield "there is no boundary yet: classes come with the first one"
        return
    rule = sight.rulebook.value
    if not boundary.is_announced:
        yield (
            f"classes are computed but not announced: {boundary.ranked} customers are ranked, "
            f"min_ranked is {rule.min_ranked}"
        )
    standing = sight.profile.present.get(VALUE)
    if standing is None:
        return
    revenue = sight.profile.totals.window_net
    unbound, banded = grade(revenue, None, boundary.marks), grade(revenue, standing.segment, boundary.marks)
    held_until = standing.since + rule.dwell
    if is_fall(standing.segment, banded) and sight.now < held_until:
        yield f"a fall to {banded} is held back by dwell {span_text(rule.dwell)} until {rfc3339(held_until)}"
    elif unbound != banded:
        yield f"kept in {banded} by the band of {rule.band}: by revenue alone it would be {unbound}"
