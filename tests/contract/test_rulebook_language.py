"""What is written is what is meant: every leaf as YAML and as the value it becomes."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from segmenter.adapters.rulebook_file import parse_rulebook
from segmenter.domain.conditions import (
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
    Sequence,
    State,
)
from segmenter.domain.instants import DAY, HOUR, MINUTE, instant_of
from segmenter.domain.rulebook import CareRule, EngagementRule, InterestRule, RfmRule, RhythmRule, Rulebook
from segmenter.domain.windows import ALL_HISTORY, Window

ONE = Bound(Comparison.AT_LEAST, Decimal(1))
CLICKED = Measured(Measure.CLICKS, ONE)
RFM = "rfm: {recency: [1d, 2d, 3d, 4d], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4], groups: {best: {r: 5}}}"


def rulebook_of(text: str) -> Rulebook:
    return parse_rulebook(f"rulebook: 1\n{text}".encode(), "r.yaml", 400 * DAY)


def condition_of(condition: str, head: str = "") -> Condition:
    text = f"{head}\nsegments:\n  s: {{when: {condition}}}\n  other: {{when: {{measure: clicks, at_least: 1}}}}\n"
    return next(definition.when for definition in rulebook_of(text).segments if definition.name == "s")


def at(number: str) -> Bound:
    return Bound(Comparison.AT_LEAST, Decimal(number))


def instant(year: int, month: int, day: int, hour: int) -> int:
    return instant_of(datetime(year, month, day, hour, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{measure: clicks, at_least: 1}", CLICKED),
        ("{measure: clicks, within: all, at_least: 1}", CLICKED),
        ("{measure: clicks, within: 90m, at_least: 1}", Measured(Measure.CLICKS, ONE, Window(90 * MINUTE))),
        ("{measure: orders, equals: 0}", Measured(Measure.ORDERS, Bound(Comparison.EQUALS, Decimal(0)))),
        (
            "{measure: nps, between: [-1.5, 6]}",
            Measured(Measure.NPS, Bound(Comparison.BETWEEN, Decimal("-1.5"), Decimal(6))),
        ),
        ("{measure: net_revenue, at_least: 250.106}", Measured(Measure.NET_REVENUE, at("25010.6"))),
        (
            "{measure: average_order, less_than: -123456789012345678.123456789012345678}",
            Measured(
                Measure.AVERAGE_ORDER, Bound(Comparison.LESS_THAN, Decimal("-12345678901234567812.3456789012345678"))
            ),
        ),
        (
            "{measure: ticket_open_for, more_than: PT48H}",
            Measured(Measure.TICKET_OPEN_FOR, Bound(Comparison.MORE_THAN, Decimal(48 * HOUR))),
        ),
        (
            "{measure: refund_rate, at_most: 0.25}",
            Measured(Measure.REFUND_RATE, Bound(Comparison.AT_MOST, Decimal("0.25"))),
        ),
        ("{measure: days_between_orders, at_least: 14.5}", Measured(Measure.DAYS_BETWEEN_ORDERS, at("14.5"))),
        ("{in: {lifecycle: [repeat, new, repeat]}}", InDimension("lifecycle", ("new", "repeat"))),
        ("{in: {value: A}}", InDimension("value", ("A",))),
        (
            "{in: {value: [A, B], lifecycle: inactive}}",
            All((InDimension("value", ("A", "B")), InDimension("lifecycle", ("inactive",)))),
        ),
        ("{absent: order, for: 60d}", Absent(Activity.ORDER, Window(60 * DAY))),
        ("{absent: any, for: 36h, include_never: true}", Absent(Activity.ANY, Window(36 * HOUR), True)),
        (
            "{sequence: [{event: click, where: {kind: view}}, {not: order}], within: 7d}",
            Sequence(
                (Follow("click", Filter(((Field.KIND, ("view",)),))), Follow("order", is_missing=True)), 7 * DAY
            ),
        ),
        (
            "{sequence: [{event: support.opened}, {not: {event: contact, where: {channel: mail}}},"
            " {event: order.placed}], within: 2h}",
            Sequence(
                (
                    Follow("support.opened"),
                    Follow("contact", Filter(((Field.CHANNEL, ("mail",)),)), is_missing=True),
                    Follow("order.placed"),
                ),
                2 * HOUR,
            ),
        ),
        ("{attribute: town, equals: Ulm}", HasAttribute("town", OneOf(("Ulm",)))),
        (
            "{attribute: land, one_of: [NO, 'true', null-ish]}",
            HasAttribute("land", OneOf(("NO", "true", "null-ish"))),
        ),
        ("{attribute: x, one_of: [true, 1, 1.5, '1', 1]}", HasAttribute("x", OneOf((True, 1, 1.5, "1")))),
        ("{attribute: x, exists: false}", HasAttribute("x", Exists(False))),
        ("{attribute: staff, at_least: 50}", HasAttribute("staff", Number(at("50")))),
        (
            "{attribute: staff, between: [1.5, 9]}",
            HasAttribute("staff", Number(Bound(Comparison.BETWEEN, Decimal("1.5"), Decimal(9)))),
        ),
        ("{attribute: since, age: {at_least: 30d}}", HasAttribute("since", Age(at(str(30 * DAY))))),
        ("{attribute: born, anniversary: 7d}", HasAttribute("born", Anniversary(7 * DAY, "UTC"))),
        ("{attribute: born, anniversary: {within: 0d}}", HasAttribute("born", Anniversary(0, "UTC"))),
        (
            "{attribute: since, date: {in: [2026-01-01, 2026-02-01]}}",
            HasAttribute("since", DateIn(instant(2026, 1, 1, 0), instant(2026, 2, 2, 0), "UTC")),
        ),
        ("{segment: other}", InSegment("other")),
        ("{not: {segment: other}}", Not(InSegment("other"))),
        (
            "{any: [{segment: other}, {all: [{measure: clicks, at_least: 1}]}]}",
            AnyOf((InSegment("other"), All((CLICKED,)))),
        ),
    ],
)
def test_a_condition_means_what_is_written(text: str, expected: Condition) -> None:
    read = condition_of(text)

    assert read == expected
    # 1, 1.0 and true are equal in Python.
    assert repr(read) == repr(expected)


def test_thresholds_are_in_minor_units_of_the_currency_of_the_rulebook() -> None:
    written = "{measure: net_revenue, at_least: 1500.5}"

    assert condition_of(written, "currency: JPY") == Measured(Measure.NET_REVENUE, at("1500.5"))
    assert condition_of(written, "currency: KWD") == Measured(Measure.NET_REVENUE, at("1500500"))


def test_filters_that_are_written_differently_and_mean_the_same_are_equal() -> None:
    one = condition_of("{measure: clicks, where: {item: [b, a, b], channel: web}, at_least: 1}")
    other = condition_of("{at_least: 1, where: {channel: [web], item: [a, b]}, measure: clicks}")

    assert (
        one
        == other
        == Measured(Measure.CLICKS, ONE, ALL_HISTORY, Filter(((Field.CHANNEL, ("web",)), (Field.ITEM, ("a", "b")))))
    )


@pytest.mark.parametrize(
    ("head", "segment", "zone"),
    [
        ("", "", None),
        ("calendar: Europe/Berlin", "", "Europe/Berlin"),
        ("calendar: Europe/Berlin", "calendar: America/New_York,", "America/New_York"),
        ("calendar: Europe/Berlin", "calendar: none,", None),
        ("", "calendar: Asia/Tokyo,", "Asia/Tokyo"),
    ],
)
def test_a_calendar_makes_windows_of_whole_local_days(head: str, segment: str, zone: str | None) -> None:
    when = "{all: [{measure: orders, within: 30d, at_least: 1}, {absent: click, for: 48h}]}"

    rulebook = rulebook_of(f"{head}\nsegments: {{s: {{{segment} when: {when}}}}}")

    assert rulebook.segments[0].when == All(
        (
            Measured(Measure.ORDERS, ONE, Window(30 * DAY, zone)),
            Absent(Activity.CLICK, Window(2 * DAY, zone)),
        )
    )


def test_dates_are_those_of_the_calendar() -> None:
    text = "{attribute: since, date: {in: [2026-03-29, 2026-03-29]}}"

    # The day has 23 hours in Berlin.
    assert condition_of(text, "calendar: Europe/Berlin") == HasAttribute(
        "since", DateIn(instant(2026, 3, 28, 23), instant(2026, 3, 29, 22), "Europe/Berlin")
    )


def test_a_segment_has_all_its_rules() -> None:
    text = """
segments:
  s:
    title: Gone
    state: shadow
    when: {measure: clicks, at_least: 1}
    leave_when: {measure: clicks, equals: 0}
    stay_at_least: 1d
    cooldown: 2h
    announce: never
  plain: {when: {measure: clicks, at_least: 1}}
"""

    assert rulebook_of(text).segments == (
        Definition(
            name="s",
            when=CLICKED,
            leave_when=Measured(Measure.CLICKS, Bound(Comparison.EQUALS, Decimal(0))),
            title="Gone",
            state=State.SHADOW,
            stay_at_least=DAY,
            cooldown=2 * HOUR,
            announce=Announce.NEVER,
        ),
        Definition(name="plain", when=CLICKED),
    )


def test_segments_come_after_those_they_name_and_otherwise_as_in_the_file() -> None:
    text = """
segments:
  d: {when: {measure: clicks, at_least: 1}}
  a: {when: {all: [{segment: c}, {not: {segment: b}}]}}
  b: {when: {measure: clicks, at_least: 2}, leave_when: {segment: c}}
  c: {when: {measure: clicks, at_least: 3}}
"""

    assert [definition.name for definition in rulebook_of(text).segments] == ["d", "c", "b", "a"]


def test_rfm_has_exact_bounds_and_groups_in_order() -> None:
    text = """
rfm:
  window: 90d
  recency: [14d, 33d, 72d, 180d]
  frequency: [1, 2, 3, 6]
  monetary: ["250.106", "489.724", "941.942", "2057.914"]
  groups:
    champions: {m: ">=4", r: "> 3"}
    lost: {any: [{r: 1}, {not: {f: "==2", m: "<3"}}]}
"""

    assert rulebook_of(text).rfm == RfmRule(
        window=Window(90 * DAY),
        recency=(14 * DAY, 33 * DAY, 72 * DAY, 180 * DAY),
        frequency=(1, 2, 3, 6),
        monetary=(25_010, 48_972, 94_194, 205_791),
        groups=(
            (
                "champions",
                All(
                    (
                        Scored(Score.RECENCY, Bound(Comparison.MORE_THAN, Decimal(3))),
                        Scored(Score.MONETARY, Bound(Comparison.AT_LEAST, Decimal(4))),
                    )
                ),
            ),
            (
                "lost",
                AnyOf(
                    (
                        Scored(Score.RECENCY, Bound(Comparison.EQUALS, Decimal(1))),
                        Not(
                            All(
                                (
                                    Scored(Score.FREQUENCY, Bound(Comparison.EQUALS, Decimal(2))),
                                    Scored(Score.MONETARY, Bound(Comparison.LESS_THAN, Decimal(3))),
                                )
                            )
                        ),
                    )
                ),
            ),
        ),
    )


def test_empty_sections_take_the_defaults() -> None:
    rulebook = rulebook_of("engagement: {}\ninterest: {}\ncare: {}\nrhythm: {}")

    assert (rulebook.engagement, rulebook.interest) == (EngagementRule(), InterestRule())
    assert (rulebook.care, rulebook.rhythm) == (CareRule(), RhythmRule())


def test_sections_that_are_not_there_bring_no_dimension() -> None:
    assert rulebook_of("segments: {}") == Rulebook()


def test_dimensions_have_all_their_rules() -> None:
    rulebook = rulebook_of("""
engagement: {half_life: 3d, hot: 7.5, warm: 2, weights: {view: 0.5, basket: 3}}
interest: {half_life: 10d, margin: 1}
care: {unhappy_for: 7d, csat_at_most: 1, nps_at_most: 0, returns: 2, returns_within: 30d}
rhythm: {factor: 1.5, orders: 4, fallback: 60d}
""")

    assert rulebook.engagement == EngagementRule(
        half_life=3 * DAY,
        hot=Decimal("7.5"),
        warm=Decimal(2),
        weights=(("basket", Decimal(3)), ("view", Decimal("0.5"))),
    )
    assert rulebook.interest == InterestRule(half_life=10 * DAY, margin=Decimal(1))
    assert rulebook.care == CareRule(
        unhappy_for=7 * DAY, csat_at_most=1, nps_at_most=0, returns=2, returns_within=30 * DAY
    )
    assert rulebook.rhythm == RhythmRule(factor=Decimal("1.5"), orders=4, fallback=60 * DAY)


@pytest.mark.parametrize(
    ("head", "dimension", "segment"),
    [
        ("", "lifecycle", "prospect"),
        ("", "value", "C"),
        (RFM, "rfm", "best"),
        (RFM, "rfm", "others"),
        ("engagement: {}", "engagement", "cold"),
        ("care: {}", "care", "open_issue"),
        ("rhythm: {}", "rhythm", "none"),
        ("interest: {}", "interest", "shoes"),
        ("interest: {}", "channel", "web"),
    ],
)
def test_a_segment_may_ask_for_any_dimension_of_the_rulebook(head: str, dimension: str, segment: str) -> None:
    assert condition_of(f"{{in: {{{dimension}: [{segment}]}}}}", head) == InDimension(dimension, (segment,))
