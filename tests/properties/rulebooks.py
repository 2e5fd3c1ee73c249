"""Random rulebooks over every leaf, for histories in the small world of `histories`.

Thresholds are small, windows short and multiples of twelve hours, filters come from the alphabets below: whoever
draws histories with channels, categories, kinds and attributes from the same ones sees customers move.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

from hypothesis import strategies as st

from segmenter.domain.conditions import (
    UNIT_OF,
    Absent,
    Activity,
    Age,
    All,
    Anniversary,
    Announce,
    AnyOf,
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
    State,
    Unit,
)
from segmenter.domain.conditions import Sequence as EventSequence
from segmenter.domain.filters import FIELDS_OF_TYPE, TRACKED_TYPES, type_of
from segmenter.domain.instants import DAY, HOUR, Span
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
from segmenter.domain.windows import ALL_HISTORY, Window, local_midnight

HALF_DAY: Span = 12 * HOUR
RATES = {"USD": Decimal("0.92"), "JPY": Decimal("0.0061")}
ZONE = "Europe/Berlin"
UTC_ZONE = "UTC"

CHANNELS = ("app", "web")
CATEGORIES = ("hats", "shoes")
CAMPAIGNS = ("spring",)
COUPONS = ("TEN",)
CLICK_KINDS = ("basket", "view")
CONTACT_KINDS = ("clicked", "opened", "sent")
ITEMS = ("i1", "i2", "i3")
PRIORITIES = ("high", "low")
ALPHABETS: dict[Field, tuple[str, ...]] = {
    Field.CHANNEL: CHANNELS,
    Field.CATEGORY: CATEGORIES,
    Field.CAMPAIGN: CAMPAIGNS,
    Field.COUPON: COUPONS,
    Field.KIND: CLICK_KINDS,
    Field.ITEM: ITEMS,
    Field.PRIORITY: PRIORITIES,
}
TEXT_ATTRIBUTE, NUMBER_ATTRIBUTE, DATE_ATTRIBUTE = "town", "size", "since"
TOWNS = ("Bonn", "Ulm")
SIZES = (0, 1, 2.5, 40)
DAYS = tuple(date(2026, 2, 27) + timedelta(days=number) for number in range(28))
"""Days of the attribute `since`, around which the tests of dates lie."""
NAMES = ("one", "two", "three", "four", "five", "six")

_ORDER_FIELDS = (Field.CHANNEL, Field.CATEGORY, Field.CAMPAIGN, Field.COUPON, Field.ITEM)
_TICKET_FIELDS = (Field.CHANNEL, Field.CATEGORY, Field.PRIORITY)
FIELDS: dict[Measure, tuple[Field, ...]] = {
    Measure.ORDERS: _ORDER_FIELDS,
    Measure.NET_REVENUE: _ORDER_FIELDS,
    Measure.GROSS_REVENUE: _ORDER_FIELDS,
    Measure.AVERAGE_ORDER: _ORDER_FIELDS,
    Measure.DAYS_BETWEEN_ORDERS: _ORDER_FIELDS,
    Measure.ITEMS: _ORDER_FIELDS,
    Measure.DISCOUNT_SHARE: _ORDER_FIELDS,
    Measure.DISCOUNTED_ORDERS: _ORDER_FIELDS,
    Measure.DELIVERIES: _ORDER_FIELDS,
    Measure.CLICKS: (Field.CHANNEL, Field.CATEGORY, Field.CAMPAIGN, Field.KIND, Field.ITEM),
    Measure.CONTACTS: (Field.CHANNEL, Field.CAMPAIGN, Field.KIND),
    Measure.OPENS: (Field.CHANNEL, Field.CAMPAIGN),
    Measure.TICKETS: _TICKET_FIELDS,
    Measure.OPEN_TICKETS: _TICKET_FIELDS,
    Measure.TICKET_OPEN_FOR: _TICKET_FIELDS,
}
_GROUPS = ("champions", "sleepy")
_SEGMENTS: dict[str, tuple[str, ...]] = {
    "lifecycle": ("inactive", "new", "prospect", "repeat"),
    "value": ("A", "B", "C"),
    "engagement": ("cold", "hot", "warm"),
    "care": ("none", "open_issue", "unhappy"),
    "rhythm": ("at_risk", "none", "regular"),
    "interest": CATEGORIES,
    "channel": CHANNELS,
}
_NUMBERS: dict[Unit, tuple[Decimal, ...]] = {
    Unit.COUNT: tuple(Decimal(number) for number in range(4)),
    Unit.MONEY: tuple(Decimal(text) for text in ("-1000", "0", "1", "1000", "1234", "2000.5", "4000")),
    Unit.SHARE: tuple(Decimal(text) for text in ("0", "0.1", "0.25", "0.5", "1")),
    Unit.DAYS: tuple(Decimal(text) for text in ("0", "0.5", "1", "2.25", "5")),
    Unit.SPAN: tuple(Decimal(number * HALF_DAY) for number in (0, 1, 2, 5)),
    Unit.SCORE: tuple(Decimal(text) for text in ("1", "2.5", "3", "6", "9")),
}
_GROUPED = 3
_KINDS = st.integers(0, _GROUPED + 2)
_FEW = st.integers(1, 3)
_SPANS = tuple(number * HALF_DAY for number in (1, 2, 3, 6, 9))


@dataclass(frozen=True, slots=True)
class _World:
    """What the conditions of one segment may name."""

    dimensions: tuple[tuple[str, tuple[str, ...]], ...]
    zone: str | None
    segments: tuple[str, ...]


@st.composite
def rulebooks(draw: st.DrawFn, *, has_dimensions: bool = True, most: int = len(NAMES)) -> Rulebook:
    """Draw rules with short spans and one to `most` segments, each after those it names; nothing is ever folded."""
    plain = Rulebook(
        rates=RATES,
        lifecycle=LifecycleRule(
            inactive_after=draw(st.sampled_from([2, 5, 9])) * HALF_DAY,
            counts_from=draw(st.sampled_from(list(CountsFrom))),
        ),
        value=ValueRule(
            window=draw(st.sampled_from([None, 3 * HALF_DAY, 9 * HALF_DAY])),
            band=Decimal(0),
            dwell=0,
            min_ranked=1,
        ),
        dedupe_horizon=None,
    )
    rulebook = draw(with_dimensions(plain)) if has_dimensions else plain
    return replace(rulebook, segments=draw(definitions(rulebook, most=most)))


@st.composite
def with_dimensions(draw: st.DrawFn, rulebook: Rulebook) -> Rulebook:
    """Draw the rules with some of the dimensions that have sections of their own."""
    return replace(
        rulebook,
        rfm=draw(st.none() | rfm_rules()),
        engagement=draw(st.none() | _engagement_rules()),
        interest=draw(st.none() | _interest_rules()),
        care=draw(st.none() | _care_rules()),
        rhythm=draw(st.none() | _rhythm_rules()),
    )


@lru_cache(maxsize=1_024)
@st.composite
def rfm_rules(draw: st.DrawFn) -> RfmRule:
    """Draw bounds that small histories cross, and up to two groups."""
    spans = draw(st.lists(st.sampled_from(_SPANS), min_size=4, max_size=4))
    counts = draw(st.lists(st.integers(0, 4), min_size=4, max_size=4))
    cents = draw(st.lists(st.sampled_from([0, 1_000, 1_234, 2_000, 4_000]), min_size=4, max_size=4))
    names = _GROUPS[: draw(st.integers(0, 2))]
    return RfmRule(
        window=draw(_windows(None)),
        recency=tuple(sorted(spans)),
        frequency=tuple(sorted(counts)),
        monetary=tuple(sorted(cents)),
        groups=tuple((name, draw(_grown(_scored()))) for name in names),
    )


@lru_cache(maxsize=1_024)
def _scored() -> st.SearchStrategy[Condition]:
    comparisons = st.sampled_from([one for one in Comparison if one is not Comparison.BETWEEN])
    bounds = st.builds(Bound, comparisons, st.integers(1, 5).map(Decimal))
    return st.builds(Scored, st.sampled_from(list(Score)), bounds)


@lru_cache(maxsize=1_024)
def _engagement_rules() -> st.SearchStrategy[EngagementRule]:
    weights = st.dictionaries(st.sampled_from(CLICK_KINDS), st.sampled_from([Decimal("0.5"), Decimal(2)]))
    return st.builds(
        EngagementRule,
        half_life=st.sampled_from(_SPANS),
        hot=st.sampled_from([Decimal(2), Decimal("2.5")]),
        warm=st.sampled_from([Decimal("0.5"), Decimal(1)]),
        weights=weights.map(lambda found: tuple(sorted(found.items()))),
    )


@lru_cache(maxsize=1_024)
def _interest_rules() -> st.SearchStrategy[InterestRule]:
    margins = st.sampled_from([Decimal(1), Decimal("1.2"), Decimal(2)])
    return st.builds(InterestRule, half_life=st.sampled_from(_SPANS), margin=margins)


@lru_cache(maxsize=1_024)
def _care_rules() -> st.SearchStrategy[CareRule]:
    return st.builds(
        CareRule,
        unhappy_for=st.sampled_from(_SPANS),
        csat_at_most=st.integers(1, 3),
        nps_at_most=st.integers(0, 6),
        returns=st.integers(1, 2),
        returns_within=st.sampled_from(_SPANS),
    )


@lru_cache(maxsize=1_024)
def _rhythm_rules() -> st.SearchStrategy[RhythmRule]:
    return st.builds(
        RhythmRule,
        factor=st.sampled_from([Decimal("0.5"), Decimal("1.5"), Decimal(2)]),
        orders=st.integers(2, 4),
        fallback=st.sampled_from(_SPANS),
    )


@st.composite
def definitions(draw: st.DrawFn, rulebook: Rulebook, *, most: int = len(NAMES)) -> tuple[Definition, ...]:
    """Draw one to `most` segments over the dimensions of a rulebook, each after those it names."""
    drawn: list[Definition] = []
    for name in NAMES[: draw(st.integers(1, most))]:
        live = tuple(definition.name for definition in drawn if definition.state is State.LIVE)
        zone = draw(st.sampled_from([None, None, ZONE]))
        drawn.append(draw(_definitions(name, _World(_dimensions_of(rulebook), zone, live))))
    return tuple(drawn)


def _dimensions_of(rulebook: Rulebook) -> tuple[tuple[str, tuple[str, ...]], ...]:
    names = ["lifecycle", "value"]
    names += [name for name in ("engagement", "care", "rhythm") if getattr(rulebook, name) is not None]
    names += ["interest", "channel"] if rulebook.interest is not None else []
    found = [(name, _SEGMENTS[name]) for name in names]
    if rulebook.rfm is not None:
        found.append(("rfm", (*(name for name, _ in rulebook.rfm.groups), "others")))
    return tuple(found)


@lru_cache(maxsize=1_024)
@st.composite
def _definitions(draw: st.DrawFn, name: str, world: _World) -> Definition:
    return Definition(
        name=name,
        when=draw(conditions(world)),
        leave_when=draw(st.none() | st.none() | conditions(world)),
        title=draw(st.sampled_from(["", "A title"])),
        state=draw(st.sampled_from([State.LIVE] * 5 + [State.SHADOW, State.DRAFT, State.PAUSED])),
        stay_at_least=draw(st.sampled_from([0, 0, HALF_DAY, DAY])),
        cooldown=draw(st.sampled_from([0, 0, HALF_DAY, 3 * HALF_DAY])),
        announce=draw(st.sampled_from(list(Announce))),
    )


@lru_cache(maxsize=1_024)
def conditions(world: _World) -> st.SearchStrategy[Condition]:
    """Draw a condition over every leaf that this world has."""
    return _grown(leaves(world))


@lru_cache(maxsize=256)
@st.composite
def _grown(draw: st.DrawFn, leaf: st.SearchStrategy[Condition], depth: int = 3) -> Condition:
    """Draw a leaf, or conditions of leaves; written out, as `st.recursive` takes ten times as long."""
    kind = draw(_KINDS) if depth else 0
    if kind < _GROUPED:
        return draw(leaf)
    part = _grown(leaf, depth - 1)
    if kind == _GROUPED:
        return Not(draw(part))
    parts = tuple(draw(part) for _ in range(draw(_FEW)))
    return All(parts) if kind == _GROUPED + 1 else AnyOf(parts)


@lru_cache(maxsize=1_024)
def leaves(world: _World) -> st.SearchStrategy[Condition]:
    """Draw a leaf of any kind."""
    kinds: list[st.SearchStrategy[Condition]] = [
        measured(world.zone),
        measured(world.zone),
        absences(world.zone),
        sequences(),
        attributes(world.zone),
        st.sampled_from(world.dimensions).flatmap(_in_dimension),
    ]
    if world.segments:
        kinds.append(st.sampled_from(world.segments).map(InSegment))
    return st.one_of(kinds)


@lru_cache(maxsize=1_024)
def _in_dimension(dimension: tuple[str, tuple[str, ...]]) -> st.SearchStrategy[Condition]:
    name, segments = dimension
    return st.builds(InDimension, st.just(name), _some(segments))


@lru_cache(maxsize=1_024)
def _some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True).map(lambda found: tuple(sorted(found)))


@lru_cache(maxsize=1_024)
@st.composite
def measured(draw: st.DrawFn, zone: str | None) -> Condition:
    """Draw a measure with a window, a filter and a bound."""
    measure = draw(st.sampled_from(list(Measure)))
    where = draw(filters(FIELDS.get(measure, ()), is_contact=measure is Measure.CONTACTS))
    return Measured(measure, draw(bounds(UNIT_OF.get(measure, Unit.COUNT))), draw(_windows(zone)), where)


@lru_cache(maxsize=1_024)
@st.composite
def bounds(draw: st.DrawFn, unit: Unit, *, has_equals: bool = True) -> Bound:
    """Draw a threshold that small histories cross."""
    comparison = draw(st.sampled_from([one for one in Comparison if has_equals or one is not Comparison.EQUALS]))
    if comparison is Comparison.BETWEEN:
        least, most = sorted(draw(st.lists(st.sampled_from(_NUMBERS[unit]), min_size=2, max_size=2)))
        return Bound(comparison, least, most)
    return Bound(comparison, draw(st.sampled_from(_NUMBERS[unit])))


@lru_cache(maxsize=1_024)
def _windows(zone: str | None) -> st.SearchStrategy[Window]:
    spans = [span for span in _SPANS if zone is None or span % DAY == 0]
    return st.just(ALL_HISTORY) | st.sampled_from(spans).map(lambda span: Window(span, zone))


@lru_cache(maxsize=1_024)
@st.composite
def filters(draw: st.DrawFn, fields: tuple[Field, ...], *, is_contact: bool = False) -> Filter:
    """Draw which events are meant: mostly all of them."""
    if not fields or draw(st.booleans()):
        return Filter()
    named = draw(st.lists(st.sampled_from(fields), max_size=2, unique=True))
    alphabets = ALPHABETS | ({Field.KIND: CONTACT_KINDS} if is_contact else {})
    return Filter(tuple((field, draw(_some(alphabets[field]))) for field in Field if field in named))


@lru_cache(maxsize=1_024)
def absences(zone: str | None) -> st.SearchStrategy[Condition]:
    """Draw what is missed, and for how long."""
    windows = _windows(zone).filter(lambda window: window != ALL_HISTORY)
    return st.builds(Absent, st.sampled_from(list(Activity)), windows, st.booleans())


@lru_cache(maxsize=1_024)
@st.composite
def sequences(draw: st.DrawFn) -> Condition:
    """Draw two to four steps, of which the first must come."""
    first = draw(_steps(may_be_missing=False))
    others = draw(st.lists(_steps(may_be_missing=True), min_size=1, max_size=3))
    return EventSequence((first, *others), draw(st.sampled_from(_SPANS)))


@lru_cache(maxsize=1_024)
@st.composite
def _steps(draw: st.DrawFn, *, may_be_missing: bool) -> Follow:
    common = ["click", "order", "contact", "delivery", "support.opened"]
    name = draw(st.sampled_from(common) | st.sampled_from(sorted(TRACKED_TYPES)))
    known = FIELDS_OF_TYPE.get(type_of(Follow(name)), frozenset())
    where = draw(filters(tuple(field for field in Field if field in known), is_contact=name == "contact"))
    return Follow(name, where, may_be_missing and draw(st.booleans()))


@lru_cache(maxsize=1_024)
@st.composite
def attributes(draw: st.DrawFn, zone: str | None) -> Condition:
    """Draw a test of what the shop told."""
    kind = draw(st.sampled_from(["text", "number", "date", "there"]))
    if kind == "text":
        return HasAttribute(TEXT_ATTRIBUTE, OneOf(draw(_some(TOWNS))))
    if kind == "number":
        numbers = st.builds(Number, bounds(Unit.COUNT, has_equals=False)) | st.sampled_from(
            [OneOf((n,)) for n in SIZES]
        )
        return HasAttribute(NUMBER_ATTRIBUTE, draw(numbers))
    if kind == "there":
        named = draw(st.sampled_from([TEXT_ATTRIBUTE, NUMBER_ATTRIBUTE, DATE_ATTRIBUTE]))
        return HasAttribute(named, Exists(draw(st.booleans())))
    return HasAttribute(DATE_ATTRIBUTE, draw(_date_tests(zone or UTC_ZONE)))


@lru_cache(maxsize=1_024)
@st.composite
def _date_tests(draw: st.DrawFn, zone: str) -> Age | Anniversary | DateIn:
    kind = draw(st.sampled_from(["age", "anniversary", "in"]))
    if kind == "age":
        return Age(draw(bounds(Unit.SPAN, has_equals=False)))
    if kind == "anniversary":
        return Anniversary(draw(st.sampled_from([0, 1, 3, 7])) * DAY, zone)
    first, last = sorted(draw(st.lists(st.sampled_from(DAYS), min_size=2, max_size=2)))
    return DateIn(local_midnight(_number(first), zone), local_midnight(_number(last) + 1, zone), zone)


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days
