"""Random rulebooks of declared segments and further dimensions, over alphabets so small that everything collides.

Spans are hours and days, as are the distances between events, so that events fall on deadlines.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import product
from random import Random

from hypothesis import strategies as st

from segmenter.domain.conditions import (
    EVERYTHING,
    Absent,
    Activity,
    Age,
    All,
    Anniversary,
    Announce,
    AnyOf,
    AttributeTest,
    Bound,
    Comparison,
    Condition,
    DateIn,
    Definition,
    Exists,
    Field,
    Filter,
    Follow,
    HasAttribute,
    InDimension,
    InSegment,
    Measure,
    Measured,
    Not,
    Number,
    OneOf,
    Score,
    Scored,
    Sequence,
    State,
)
from segmenter.domain.instants import DAY, HOUR, instant_of
from segmenter.domain.rulebook import (
    CareRule,
    CountsFrom,
    EngagementRule,
    InterestRule,
    LifecycleRule,
    RfmRule,
    RhythmRule,
    Rulebook,
    ValueRule,
)
from segmenter.domain.windows import ALL_HISTORY, Window
from tests.properties.histories import RATES
from tests.properties.segment_histories import ATTRIBUTES, AUTUMN, SPRING

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Beirut")
SPANS = (HOUR, 3 * HOUR, 12 * HOUR, DAY, 2 * DAY, 3 * DAY)
VALUES = {
    Field.CHANNEL: ("web", "app"),
    Field.CATEGORY: ("shoes", "hats"),
    Field.CAMPAIGN: ("spring",),
    Field.COUPON: ("TEN",),
    Field.ITEM: ("boot", "cap"),
    Field.PRIORITY: ("high", "low"),
}
OF_ORDERS = (Field.CHANNEL, Field.CATEGORY, Field.CAMPAIGN, Field.COUPON, Field.ITEM)
OF_TICKETS = (Field.PRIORITY, Field.CHANNEL, Field.CATEGORY)
OF_CLICKS = (Field.KIND, Field.ITEM, Field.CATEGORY, Field.CHANNEL, Field.CAMPAIGN)
OF_CONTACTS = (Field.KIND, Field.CHANNEL, Field.CAMPAIGN)
FIELDS = {
    **dict.fromkeys(
        [
            Measure.ORDERS,
            Measure.NET_REVENUE,
            Measure.GROSS_REVENUE,
            Measure.AVERAGE_ORDER,
            Measure.DAYS_BETWEEN_ORDERS,
            Measure.ITEMS,
            Measure.DISCOUNT_SHARE,
            Measure.DISCOUNTED_ORDERS,
            Measure.DELIVERIES,
        ],
        OF_ORDERS,
    ),
    **dict.fromkeys([Measure.TICKETS, Measure.OPEN_TICKETS, Measure.TICKET_OPEN_FOR], OF_TICKETS),
    Measure.CLICKS: OF_CLICKS,
    Measure.CONTACTS: OF_CONTACTS,
    Measure.OPENS: OF_CONTACTS[1:],
}
MONEY = (Measure.NET_REVENUE, Measure.GROSS_REVENUE, Measure.REFUNDED, Measure.AVERAGE_ORDER)
SHARES = (Measure.REFUND_RATE, Measure.DISCOUNT_SHARE)
STEPS = {
    "order": OF_ORDERS,
    "click": OF_CLICKS,
    "contact": OF_CONTACTS,
    "delivery": (),
    "support.opened": OF_TICKETS,
    "support.rated": (),
    "order.refunded": (),
    "customer.updated": (),
}
SEGMENTS = {
    "lifecycle": ("prospect", "new", "repeat", "inactive"),
    "rfm": ("champions", "at_risk", "others"),
    "engagement": ("hot", "warm", "cold"),
    "interest": ("shoes", "hats"),
    "channel": ("web", "app"),
    "care": ("none", "open_issue", "unhappy"),
    "rhythm": ("none", "regular", "at_risk"),
}


def _window(random: Random) -> Window:
    kind = random.randint(0, 3)
    if kind == 0:
        return ALL_HISTORY
    return Window(random.randint(1, 3) * DAY, random.choice(ZONES)) if kind == 1 else Window(random.choice(SPANS))


def _bound(random: Random, numbers: Iterable[str | int]) -> Bound:
    """Make a threshold; `between` has its ends in order."""
    known = [Decimal(number) for number in numbers]
    comparison = random.choice(list(Comparison))
    least, most = sorted((random.choice(known), random.choice(known)))
    return Bound(comparison, least, most) if comparison is Comparison.BETWEEN else Bound(comparison, least)


def _numbers_of(measure: Measure) -> tuple[str | int, ...]:
    if measure in MONEY:
        return ("0", "1", "999.5", "1000", "2000", "3333", "4000")
    if measure in SHARES:
        return ("0", "0.1", "0.5", "1")
    if measure is Measure.TICKET_OPEN_FOR:
        return (0, HOUR, 12 * HOUR, DAY, 2 * DAY)
    if measure is Measure.DAYS_BETWEEN_ORDERS:
        return ("0", "0.5", "1", "2")
    if measure is Measure.NPS:
        return ("0", "6", "7.5", "9")
    return ("0", "1", "1", "2", "2.5", "3", "4")


def _filter(random: Random, fields: tuple[Field, ...], kinds: tuple[str, ...] = ("view", "basket")) -> Filter:
    """Make a filter of at most two fields; half of them have none."""
    if not fields or random.randint(0, 1):
        return EVERYTHING
    named = []
    for field in sorted(random.sample(fields, min(len(fields), random.randint(1, 2)))):
        values = kinds if field is Field.KIND else VALUES[field]
        named.append((field, tuple(random.sample(values, random.randint(1, min(2, len(values)))))))
    return Filter(tuple(named))


CONTACT_KINDS = ("sent", "opened", "clicked")


def _measure(random: Random) -> Condition:
    measure = random.choice(list(Measure))
    kinds = CONTACT_KINDS if measure is Measure.CONTACTS else ("view", "basket")
    where = _filter(random, FIELDS.get(measure, ()), kinds)
    return Measured(measure, _bound(random, _numbers_of(measure)), _window(random), where)


def _absence(random: Random) -> Condition:
    """Make an absence; it always has a span."""
    window = _window(random)
    window = window if window.span is not None else Window(DAY)
    return Absent(random.choice(list(Activity)), window, random.choice([True, False]))


def _sequence(random: Random) -> Condition:
    """Make two to four steps; the first must come."""
    steps = [_step(random, may_miss=place > 0) for place in range(random.randint(2, 4))]
    return Sequence(tuple(steps), random.choice(SPANS))


def _step(random: Random, *, may_miss: bool) -> Follow:
    kind = random.choice(["order", "click", "click", *STEPS])
    where = _filter(random, STEPS[kind], CONTACT_KINDS if kind == "contact" else ("view", "basket"))
    return Follow(kind, where, may_miss and random.randint(0, 2) == 0)


def _attribute(random: Random) -> Condition:
    start = instant_of(random.choice([SPRING, AUTUMN]))
    tests: list[AttributeTest] = [
        Exists(random.choice([True, False])),
        OneOf(random.choice([("Ulm",), (3,), (True, "true"), (2.5, "Bonn")])),
        Number(_bound(random, ("0", "2.5", "3"))),
        Age(_bound(random, (HOUR, DAY, 3 * DAY))),
        Anniversary(random.randint(0, 3) * DAY, random.choice(ZONES)),
        DateIn(start, start + 3 * DAY, random.choice(ZONES)),
    ]
    name = random.choice([*ATTRIBUTES, "born", "born", "consent.mail"])
    return HasAttribute(name, random.choice(tests))


def _in_dimension(random: Random) -> Condition:
    """Ask for another dimension, whether it is there or not."""
    dimension = random.choice(list(SEGMENTS))
    return InDimension(dimension, tuple(random.sample(SEGMENTS[dimension], random.randint(1, 2))))


def _pool() -> list[Condition]:
    # Drawing a leaf part by part takes longer than all that is tested with it: each comes from a pool, made once.
    random = Random(7)
    makers = (_measure, _measure, _measure, _measure, _absence, _sequence, _attribute, _in_dimension)
    return [makers[number % len(makers)](random) for number in range(_LEAVES)]


_LEAVES = 3_000
leaves: st.SearchStrategy[Condition] = st.sampled_from(_pool())


@st.composite
def conditions(draw: st.DrawFn, named: tuple[str, ...], depth: int) -> Condition:
    """Draw a condition, of a depth of at most so many."""
    form = draw(_FORMS) if depth else 0
    if form < 4:
        return InSegment(named[form % len(named)]) if named and form == 3 else draw(leaves)
    if form == 4:
        return Not(draw(conditions(named, depth - 1)))
    parts = tuple(draw(conditions(named, depth - 1)) for _ in range(1 + form % 3))
    return All(parts) if form % 2 else AnyOf(parts)


_FORMS = st.integers(0, 9)
_SPANS = (0, 0, HOUR, 12 * HOUR, 2 * DAY)
# State, announcement, stay, cooldown, and whether there is a condition of its own for leaving.
_MANNERS = st.sampled_from(
    list(
        product(
            (State.LIVE, State.LIVE, State.LIVE, State.SHADOW, State.PAUSED),
            Announce,
            _SPANS,
            _SPANS,
            (True, False, False),
        )
    )
)


@st.composite
def definitions(draw: st.DrawFn, name: str, named: tuple[str, ...]) -> Definition:
    """Draw a segment that may name those before it."""
    state, announce, stay, cooldown, has_leave = draw(_MANNERS)
    return Definition(
        name=name,
        when=draw(conditions(named, 3)),
        leave_when=draw(conditions(named, 1)) if has_leave else None,
        state=state,
        stay_at_least=stay,
        cooldown=cooldown,
        announce=announce,
    )


GROUPS: tuple[tuple[str, Condition], ...] = (
    (
        "champions",
        All(
            (
                Scored(Score.RECENCY, Bound(Comparison.AT_LEAST, Decimal(4))),
                Scored(Score.FREQUENCY, Bound(Comparison.AT_LEAST, Decimal(2))),
            )
        ),
    ),
    (
        "at_risk",
        AnyOf(
            (
                Scored(Score.RECENCY, Bound(Comparison.AT_MOST, Decimal(2))),
                Scored(Score.MONETARY, Bound(Comparison.EQUALS, Decimal(3))),
            )
        ),
    ),
)


def _with_dimensions(random: Random) -> Rulebook:
    """Make a rulebook without segments, with any of the further dimensions."""
    half_life, flip = random.choice([HOUR, 5 * HOUR, DAY]), lambda: random.randint(0, 1)
    return Rulebook(
        rates=RATES,
        lifecycle=LifecycleRule(
            inactive_after=random.choice([12 * HOUR, 2 * DAY]),
            counts_from=random.choice([CountsFrom.PLACED, CountsFrom.PLACED, *CountsFrom]),
        ),
        value=ValueRule(window=random.choice([None, DAY])),
        rfm=RfmRule(
            window=_window(random),
            recency=(HOUR, 12 * HOUR, DAY, 3 * DAY),
            frequency=(1, 2, 3, 4),
            monetary=(999, 1_000, 2_000, 4_000),
            groups=GROUPS,
        )
        if flip()
        else None,
        engagement=EngagementRule(
            half_life=half_life,
            hot=random.choice([Decimal(2), Decimal("2.5"), Decimal(4)]),
            warm=random.choice([Decimal("0.25"), Decimal(1), Decimal(2)]),
            weights=random.choice([(), (("basket", Decimal(3)),), (("view", Decimal("0.5")),)]),
        )
        if flip()
        else None,
        interest=InterestRule(half_life=half_life, margin=random.choice([Decimal(1), Decimal("1.2")]))
        if flip()
        else None,
        care=CareRule(
            unhappy_for=random.choice(SPANS), returns=random.randint(1, 2), returns_within=random.choice(SPANS)
        )
        if flip()
        else None,
        rhythm=RhythmRule(
            factor=random.choice([Decimal("0.5"), Decimal(2)]),
            orders=random.randint(1, 3),
            fallback=random.choice(SPANS),
        )
        if flip()
        else None,
        dedupe_horizon=None,
    )


_RANDOM = Random(11)
_BASES = st.sampled_from([_with_dimensions(_RANDOM) for _ in range(600)])


@st.composite
def rulebooks(draw: st.DrawFn) -> Rulebook:
    """Draw a rulebook with one to six segments, and any of the further dimensions."""
    names = tuple(f"s{number}" for number in range(draw(st.integers(1, 6))))
    segments = tuple(draw(definitions(name, names[:place])) for place, name in enumerate(names))
    return replace(draw(_BASES), segments=segments)
