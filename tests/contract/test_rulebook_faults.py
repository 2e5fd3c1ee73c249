# ruff: noqa: E501 - whole sentences, as users see them
import pytest

from segmenter.adapters.rulebook_file import parse_rulebook
from segmenter.domain.instants import DAY
from segmenter.errors import ConfigurationError

RFM = "rfm: {recency: [1d, 2d, 3d, 4d], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4]"
OTHERS = """rulebook: 1
segments:
  other: {when: {measure: clicks, at_least: 1}}
  off: {state: draft, when: {measure: clicks, at_least: 1}}
  shy: {state: shadow, when: {measure: clicks, at_least: 1}}
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        parse_rulebook(text.encode(), "r.yaml", 400 * DAY)
    return list(refused.value.faults)


@pytest.mark.parametrize(
    ("condition", "fault"),
    [
        ("{measure: ordrs, at_least: 1}", "r.yaml:6:23: segments.s.when.measure: found 'ordrs', expected a measure; did you mean orders?"),
        ("{measure: zzz, at_least: 1}", "r.yaml:6:23: segments.s.when.measure: found 'zzz', expected one of orders, net_revenue, gross_revenue, refunds, refunded, refund_rate, average_order, days_between_orders, items, discount_share, discounted_orders, deliveries, clicks, contacts, opens, tickets, open_tickets, ticket_open_for, csat, nps"),
        ("{measure: [orders], at_least: 1}", "r.yaml:6:23: segments.s.when.measure: found a list, expected one of orders, net_revenue, gross_revenue, refunds, refunded, refund_rate, average_order, days_between_orders, items, discount_share, discounted_orders, deliveries, clicks, contacts, opens, tickets, open_tickets, ticket_open_for, csat, nps"),
        ("{measure: orders}", "r.yaml:6:13: segments.s.when: has no comparison, expected one of at_least, more_than, at_most, less_than, equals, between"),
        ("{measure: orders, at_leest: 1}", "r.yaml:6:31: segments.s.when.at_leest: no such name; did you mean at_least?"),
        ("{measure: orders, at_least: 1, at_most: 3}", "r.yaml:6:53: segments.s.when.at_most: is a second comparison beside at_least; keep one, or use `between: [a, b]`"),
        ("{measure: orders, at_least: 1, within: 7}", "r.yaml:6:52: segments.s.when.within: found '7', expected a duration such as 90d, 36h or 15m, from 1s to 36500d or `all`"),
        ("{measure: orders, at_least: 1, within: 10ms}", "r.yaml:6:52: segments.s.when.within: found '10ms', expected a duration such as 90d, 36h or 15m, from 1s to 36500d or `all`"),
        ("{measure: orders, at_least: 1, within: 500d}", "r.yaml:6:52: segments.s.when.within: window of 500d is longer than the 400d we keep; raise SEGMENTER_DEDUPE_HORIZON or shorten it"),
        ("{measure: refunded, at_least: 1, within: 500d}", "r.yaml:6:54: segments.s.when.within: window of 500d is longer than the 400d we keep; raise SEGMENTER_DEDUPE_HORIZON or shorten it"),
        ("{measure: clicks, at_least: 1, within: 500d}", "r.yaml:6:52: segments.s.when.within: window of 500d is longer than the 400d for which clicks, messages and sequences are kept; shorten it"),
        ("{measure: orders, at_least: 1.5}", "r.yaml:6:41: segments.s.when.at_least: found '1.5', expected a whole number"),
        ("{measure: orders, at_least: -1}", "r.yaml:6:41: segments.s.when.at_least: found '-1', expected a whole number"),
        ("{measure: net_revenue, at_least: 1e3}", "r.yaml:6:46: segments.s.when.at_least: found '1e3', expected a decimal amount such as \"250.00\" in EUR, at most 18 digits"),
        ("{measure: refund_rate, at_least: -0.1}", "r.yaml:6:46: segments.s.when.at_least: found '-0.1', expected a share of at least 0 such as 0.25"),
        ("{measure: days_between_orders, at_most: 30d}", "r.yaml:6:53: segments.s.when.at_most: found '30d', expected a number of days such as 30 or 14.5"),
        ("{measure: ticket_open_for, at_least: 48}", "r.yaml:6:50: segments.s.when.at_least: found '48', expected a duration such as 90d, 36h or 15m, from 0d to 36500d"),
        ("{measure: csat, at_most: bad}", "r.yaml:6:38: segments.s.when.at_most: found 'bad', expected a decimal number of at most 18 digits"),
        ("{measure: orders, between: 3}", "r.yaml:6:40: segments.s.when.between: found '3', expected `[a, b]`, both ends included"),
        ("{measure: orders, between: [1, 2, 3]}", "r.yaml:6:40: segments.s.when.between: found a list of 3, expected `[a, b]`, both ends included"),
        ("{measure: orders, between: [5, 3]}", "r.yaml:6:40: segments.s.when.between: found '5' before '3', expected the lower end first"),
        ("{measure: orders, between: [a, 3]}", "r.yaml:6:41: segments.s.when.between[0]: found 'a', expected a whole number"),
        ("{measure: orders, at_least: 1, where: {channel: web}}", "r.yaml:6:51: segments.s.when.where: `orders` over all history cannot be told apart, as lines of old orders are not kept; add `within`, at most SEGMENTER_DEDUPE_HORIZON"),
        ("{measure: orders, at_least: 1, where: {chanel: web}, within: 30d}", "r.yaml:6:52: segments.s.when.where.chanel: no such name; did you mean channel?"),
        ("{measure: orders, at_least: 1, where: {kind: view}, within: 30d}", "r.yaml:6:52: segments.s.when.where.kind: no such name; expected one of channel, category, campaign, coupon, item"),
        ("{measure: orders, at_least: 1, where: {}, within: 30d}", "r.yaml:6:51: segments.s.when.where: is empty, expected one of channel, category, campaign, coupon, item"),
        ("{measure: orders, at_least: 1, where: web, within: 30d}", "r.yaml:6:51: segments.s.when.where: found 'web', expected a section with channel, category, campaign, coupon, item"),
        ("{measure: clicks, at_least: 1, where: {channel: []}}", "r.yaml:6:61: segments.s.when.where.channel: is empty, expected at least one value"),
        ("{measure: clicks, at_least: 1, where: {channel: [web, {a: b}]}}", "r.yaml:6:67: segments.s.when.where.channel[1]: found a section, expected a text"),
        ("{measure: clicks, at_least: 1, where: {channel:}}", "r.yaml:6:60: segments.s.when.where.channel: found nothing, expected a text"),
        ("{measure: contacts, at_least: 1, where: {kind: open}}", "r.yaml:6:60: segments.s.when.where.kind: found 'open', expected one of sent, opened, clicked, bounced, unsubscribed; did you mean opened?"),
        ("{measure: csat, at_most: 2, where: {channel: web}}", "r.yaml:6:48: segments.s.when.where: is not known for csat, which cannot be told apart; remove it"),
        ("{measure: refunds, at_least: 2, where: {channel: web}}", "r.yaml:6:52: segments.s.when.where: is not known for refunds, which cannot be told apart; remove it"),
        ("{measure: tickets, at_least: 1, where: {item: x}}", "r.yaml:6:53: segments.s.when.where.item: no such name; expected one of channel, category, priority"),
        ("{in: {value: [a]}}", "r.yaml:6:27: segments.s.when.in.value[0]: found 'a', expected one of A, B, C"),
        ("{in: {value: []}}", "r.yaml:6:26: segments.s.when.in.value: is empty, expected at least one value"),
        ("{in: {}}", "r.yaml:6:18: segments.s.when.in: is empty, expected one of lifecycle, value, rfm, engagement, care, rhythm, interest, channel"),
        ("{in: [A]}", "r.yaml:6:18: segments.s.when.in: found a list, expected a section with lifecycle, value, rfm, engagement, care, rhythm, interest, channel"),
        ("{in: {vallue: [A]}}", "r.yaml:6:19: segments.s.when.in.vallue: no such name; did you mean value?"),
        ("{in: {rfm: [champions]}}", "r.yaml:6:24: segments.s.when.in.rfm: is not a dimension of this rulebook; add the section `rfm`"),
        ("{in: {channel: [web]}}", "r.yaml:6:28: segments.s.when.in.channel: is not a dimension of this rulebook; add the section `interest`"),
        ("{in: {lifecycle: [new, old]}}", "r.yaml:6:36: segments.s.when.in.lifecycle[1]: found 'old', expected one of prospect, new, repeat, inactive"),
        ("{absent: ordr, for: 30d}", "r.yaml:6:22: segments.s.when.absent: found 'ordr', expected one of order, click, delivery, contact, any; did you mean order?"),
        ("{absent: order}", "r.yaml:6:13: segments.s.when.for: is missing, expected a duration such as `for: 60d`"),
        ("{absent: order, for: soon}", "r.yaml:6:34: segments.s.when.for: found 'soon', expected a duration such as 90d, 36h or 15m, from 1s to 36500d"),
        ("{absent: order, for: all}", "r.yaml:6:34: segments.s.when.for: found 'all', expected a duration such as 90d, 36h or 15m, from 1s to 36500d"),
        ("{absent: order, for: 30d, include_never: maybe}", "r.yaml:6:54: segments.s.when.include_never: found 'maybe', expected true or false"),
        ("{absent: delivery, for: 500d}", "r.yaml:6:37: segments.s.when.for: window of 500d is longer than the 400d we keep; raise SEGMENTER_DEDUPE_HORIZON or shorten it"),
        ("{absent: order, within: 30d}", "r.yaml:6:29: segments.s.when.within: no such name; expected one of absent, for, include_never"),
        ("{sequence: [{event: click}, {not: order}]}", "r.yaml:6:13: segments.s.when.within: is missing, expected a duration such as `within: 7d`"),
        ("{sequence: [{event: click}], within: 7d}", "r.yaml:6:24: segments.s.when.sequence: found a list of 1, expected a list of 2 to 10 steps"),
        ("{sequence: click, within: 7d}", "r.yaml:6:24: segments.s.when.sequence: found 'click', expected a list of 2 to 10 steps"),
        ("{sequence: [{not: order}, {event: click}], within: 7d}", "r.yaml:6:25: segments.s.when.sequence[0]: is a `not`, expected an event: a sequence begins with one"),
        ("{sequence: [{event: clik}, {event: order}], within: 7d}", "r.yaml:6:33: segments.s.when.sequence[0].event: found 'clik', expected an event; did you mean click?"),
        ("{sequence: [click, {event: order}], within: 7d}", "r.yaml:6:25: segments.s.when.sequence[0]: found 'click', expected a section with event, not, where"),
        ("{sequence: [{event: click, not: order}, {event: order}], within: 7d}", "r.yaml:6:25: segments.s.when.sequence[0]: found both `event` and `not`, expected `event: NAME` or `not: NAME`"),
        ("{sequence: [{where: {kind: view}}, {event: order}], within: 7d}", "r.yaml:6:25: segments.s.when.sequence[0]: found a step without an event, expected `event: NAME` or `not: NAME`"),
        ("{sequence: [{event: click}, {not: order, where: {channel: web}}], within: 7d}", "r.yaml:6:61: segments.s.when.sequence[1].where: stands beside `not`; write `not: {event: NAME, where: …}`"),
        ("{sequence: [{event: click}, {not: {where: {channel: web}}}], within: 7d}", "r.yaml:6:47: segments.s.when.sequence[1].not: found a step without an event, expected `event: NAME`"),
        ("{sequence: [{event: click, where: {coupon: x}}, {event: order}], within: 7d}", "r.yaml:6:48: segments.s.when.sequence[0].where.coupon: no such name; expected one of channel, category, campaign, kind, item"),
        ("{sequence: [{event: click}, {event: support.rated, where: {channel: x}}], within: 7d}", "r.yaml:6:71: segments.s.when.sequence[1].where: is not known for support.rated, which cannot be told apart; remove it"),
        ("{sequence: [{event: click}, {event: contact, where: {kind: seen}}], within: 7d}", "r.yaml:6:72: segments.s.when.sequence[1].where.kind: found 'seen', expected one of sent, opened, clicked, bounced, unsubscribed; did you mean sent?"),
        ("{sequence: [{event: click}, {event: order}], within: 500d}", "r.yaml:6:66: segments.s.when.within: window of 500d is longer than the 400d for which clicks, messages and sequences are kept; shorten it"),
        ("{sequence: [{event: click}, {event: order}], within: 0s}", "r.yaml:6:66: segments.s.when.within: found '0s', expected a duration such as 90d, 36h or 15m, from 1s to 36500d"),
        ("{attribute: town}", "r.yaml:6:13: segments.s.when: has no test, expected one of equals, one_of, exists, at_least, more_than, at_most, less_than, between, age, anniversary, date"),
        ("{attribute: '', exists: true}", "r.yaml:6:25: segments.s.when.attribute: found '', expected the name of an attribute, at most 128 bytes"),
        ("{attribute: town, is: Ulm}", "r.yaml:6:31: segments.s.when.is: no such name; expected one of attribute, equals, one_of, exists, at_least, more_than, at_most, less_than, between, age, anniversary, date"),
        ("{attribute: town, equals: Ulm, exists: true}", "r.yaml:6:52: segments.s.when.exists: is a second test beside equals; put each in a condition of its own, under `all`"),
        ("{attribute: town, equals: [Ulm]}", "r.yaml:6:39: segments.s.when.equals: found a list, expected a text, a number, true or false"),
        ("{attribute: town, one_of: []}", "r.yaml:6:39: segments.s.when.one_of: is empty, expected at least one value"),
        ("{attribute: town, exists: yes}", "r.yaml:6:39: segments.s.when.exists: found 'yes', expected true or false"),
        ("{attribute: size, at_least: big}", "r.yaml:6:41: segments.s.when.at_least: found 'big', expected a decimal number of at most 18 digits"),
        ("{attribute: size, between: [9, 1]}", "r.yaml:6:40: segments.s.when.between: found '9' before '1', expected the lower end first"),
        ("{attribute: since, age: 30d}", "r.yaml:6:37: segments.s.when.age: found '30d', expected a section with at_least, more_than, at_most, less_than, between"),
        ("{attribute: since, age: {equals: 30d}}", "r.yaml:6:38: segments.s.when.age.equals: no such name; expected one of at_least, more_than, at_most, less_than, between"),
        ("{attribute: since, age: {at_least: 30}}", "r.yaml:6:48: segments.s.when.age.at_least: found '30', expected a duration such as 90d, 36h or 15m, from 0d to 36500d"),
        ("{attribute: since, age: {}}", "r.yaml:6:37: segments.s.when.age: has no comparison, expected one of at_least, more_than, at_most, less_than, between"),
        ("{attribute: born, anniversary: 36h}", "r.yaml:6:44: segments.s.when.anniversary: found '36h', expected whole days from 0d to 365d, such as 7d"),
        ("{attribute: born, anniversary: {within: 400d}}", "r.yaml:6:53: segments.s.when.anniversary.within: found '400d', expected whole days from 0d to 365d, such as 7d"),
        ("{attribute: born, anniversary: {}}", "r.yaml:6:44: segments.s.when.anniversary.within: is missing, expected whole days such as `within: 7d`"),
        ("{attribute: since, date: 2026-01-01}", "r.yaml:6:38: segments.s.when.date: found '2026-01-01', expected a section with in"),
        ("{attribute: since, date: {}}", "r.yaml:6:38: segments.s.when.date.in: is missing, expected `in: [2026-01-01, 2026-01-31]`"),
        ("{attribute: since, date: {in: 2026-01-01}}", "r.yaml:6:43: segments.s.when.date.in: found '2026-01-01', expected `[first, last]`, both days included"),
        ("{attribute: since, date: {in: [2026-01-01, 2026-02-30]}}", "r.yaml:6:56: segments.s.when.date.in[1]: found '2026-02-30', expected a day such as 2026-01-31, from 1900 to 2200"),
        ("{attribute: since, date: {in: [2026-02-01, 2026-01-01]}}", "r.yaml:6:43: segments.s.when.date.in: found 2026-02-01 before 2026-01-01, expected the earlier day first"),
        ("{segment: othr}", "r.yaml:6:23: segments.s.when.segment: found 'othr', which is no segment; did you mean other?"),
        ("{segment: [other]}", "r.yaml:6:23: segments.s.when.segment: found a list, expected the name of a segment"),
        ("{segment: off}", "r.yaml:6:23: segments.s.when.segment: found 'off', whose state is draft, expected a live segment; set it live, or take it out here"),
        ("{segment: shy}", "r.yaml:6:23: segments.s.when.segment: found 'shy', whose state is shadow, expected a live segment; set it live, or take it out here"),
        ("{segment: s}", "r.yaml:6:23: segments.s.when.segment: is a cycle: s → s; take one of them out"),
        ("{}", "r.yaml:6:13: segments.s.when: found a section without a condition, expected one of measure, in, absent, sequence, attribute, segment, all, any, not"),
        ("{mesure: orders, at_least: 1}", "r.yaml:6:14: segments.s.when.mesure: no such name; did you mean measure?"),
        ("{foo: orders}", "r.yaml:6:13: segments.s.when: found a section with foo, expected one of measure, in, absent, sequence, attribute, segment, all, any, not"),
        ("orders", "r.yaml:6:13: segments.s.when: found 'orders', expected a condition"),
        ("", "r.yaml:6:12: segments.s.when: found nothing, expected a condition"),
        ("[{measure: orders, at_least: 1}]", "r.yaml:6:13: segments.s.when: found a list, expected a condition; put its conditions under `all` or `any`"),
        ("{measure: orders, at_least: 1, segment: other}", "r.yaml:6:13: segments.s.when: found measure and segment in one condition, expected one of them; put both under `all`"),
        ("{all: []}", "r.yaml:6:19: segments.s.when.all: is empty, expected at least one value"),
        ("{all: {measure: orders, at_least: 1}}", "r.yaml:6:19: segments.s.when.all: found a section, expected a list of conditions"),
        ("{any: orders}", "r.yaml:6:19: segments.s.when.any: found 'orders', expected a list of conditions"),
        ("{not: [{segment: other}]}", "r.yaml:6:19: segments.s.when.not: found a list, expected a condition; put its conditions under `all` or `any`"),
        ("{all: [{measure: orders, at_least: 1}], any: [{segment: other}]}", "r.yaml:6:13: segments.s.when: found all and any in one condition, expected one of them; put both under `all`"),
        ("{all: [{segment: other}], at_least: 1}", "r.yaml:6:39: segments.s.when.at_least: no such name; expected one of all"),
    ],
)  # fmt: skip
def test_a_fault_in_a_condition_is_told_with_its_place_and_what_is_expected(condition: str, fault: str) -> None:
    assert faults_of(f"{OTHERS}  s: {{when: {condition}}}\n") == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("segments: [a]", "r.yaml:2:11: segments: found a list, expected a section with a name for each segment"),
        ("segments: {A: {when: {measure: orders, at_least: 1}}}", "r.yaml:2:15: segments.A: found the name 'A', expected a name of small letters, digits and _, beginning with a letter, at most 64"),
        ("segments: {a: {}}", "r.yaml:2:15: segments.a.when: is missing, expected a condition"),
        ("segments: {a: }", "r.yaml:2:14: segments.a: found nothing, expected a section with title, state, when, leave_when, stay_at_least, cooldown, announce, storm, calendar"),
        ("segments: {a: {whn: {measure: orders, at_least: 1}}}", "r.yaml:2:16: segments.a.whn: no such name; did you mean when?"),
        ("segments: {a: {when: {measure: orders, at_least: 1}, state: lve}}", "r.yaml:2:61: segments.a.state: found 'lve', expected one of draft, shadow, live, paused; did you mean live?"),
        ("segments: {a: {when: {measure: orders, at_least: 1}, announce: always}}", "r.yaml:2:64: segments.a.announce: found 'always', expected one of changes, all, never"),
        ("segments: {a: {when: {measure: orders, at_least: 1}, title: [x]}}", "r.yaml:2:61: segments.a.title: found a list, expected a text of at most 200 characters"),
        ("segments: {a: {when: {measure: orders, at_least: 1}, stay_at_least: long}}", "r.yaml:2:69: segments.a.stay_at_least: found 'long', expected a duration such as 90d, 36h or 15m, from 0d to 36500d"),
        ("segments: {a: {when: {measure: orders, at_least: 1}, cooldown: -1d}}", "r.yaml:2:64: segments.a.cooldown: found '-1d', expected a duration such as 90d, 36h or 15m, from 0d to 36500d"),
        ("segments: {a: {when: {segment: b}}, b: {when: {segment: a}}}", "r.yaml:2:57: segments.b.when.segment: is a cycle: a → b → a; take one of them out"),
        ("segments: {a: {when: {segment: b}}, b: {when: {segment: c}}, c: {when: {not: {segment: a}}}}", "r.yaml:2:88: segments.c.when.not.segment: is a cycle: a → b → c → a; take one of them out"),
        ("segments: {a: {when: {measure: orders, at_least: 1}, leave_when: {segment: a}}}", "r.yaml:2:76: segments.a.leave_when.segment: is a cycle: a → a; take one of them out"),
        ("calendar: Europe/Berln", "r.yaml:2:11: calendar: found 'Europe/Berln', expected an IANA time zone such as Europe/Berlin; did you mean Europe/Berlin?"),
        ("calendar: Mars", "r.yaml:2:11: calendar: found 'Mars', expected an IANA time zone such as Europe/Berlin"),
        ("calendar: [UTC]", "r.yaml:2:11: calendar: found a list, expected an IANA time zone such as Europe/Berlin"),
        ("calendar: UTC\nsegments: {a: {when: {measure: clicks, within: 36h, at_least: 1}}}", "r.yaml:3:48: segments.a.when.within: found 36h, expected whole days, as the calendar is UTC; use whole days, or `calendar: none` in this segment"),
        ("calendar: UTC\nsegments: {a: {when: {absent: click, for: 30m}}}", "r.yaml:3:43: segments.a.when.for: found 30m, expected whole days, as the calendar is UTC; use whole days, or `calendar: none` in this segment"),
        ("calendar: Europe/Berlin\nsegments: {a: {when: {measure: orders, within: 400d, at_least: 1}}}", "r.yaml:3:48: segments.a.when.within: window of 400d is longer than the 399d of whole local days we keep; raise SEGMENTER_DEDUPE_HORIZON or shorten it"),
        ("segments: {a: {calendar: Europe/Paris, when: {measure: orders, within: 90m, at_least: 1}}}", "r.yaml:2:72: segments.a.when.within: found 90m, expected whole days, as the calendar is Europe/Paris; use whole days, or `calendar: none` in this segment"),
        ("value: {population: kind}", "r.yaml:2:21: value.population: found 'kind', expected {attribute: kind, values: [b2b, b2c]}, which names the at most 8 values"),
        ("value: {population: [b2b]}", "r.yaml:2:21: value.population: found a list, expected {attribute: kind, values: [b2b, b2c]}, which names the at most 8 values"),
        ("value: {population: {values: [b2b]}}", "r.yaml:2:21: value.population.attribute: is missing, expected the name of an attribute"),
        ("value: {population: {attribute: kind}}", "r.yaml:2:21: value.population.values: is missing, expected the values to be ranked apart"),
        ("value: {population: {attribut: kind, values: [b2b]}}", "r.yaml:2:22: value.population.attribut: no such name; did you mean attribute?"),
        ("value: {population: {attribute: kind, values: []}}", "r.yaml:2:47: value.population.values: is empty, expected at least one value"),
        ("value: {population: {attribute: [a], values: [b2b]}}", "r.yaml:2:33: value.population.attribute: found a list, expected the name of an attribute, at most 128 bytes"),
        ("value: {population: {attribute: kind, values: [a, b, c, d, e, f, g, h, i]}}", "r.yaml:2:47: value.population.values: found 9 values, expected at most 8; who has another is ranked among those without"),
        ("rfm: []", "r.yaml:2:6: rfm: found a list, expected a section with window, recency, frequency, monetary, groups"),
        ("rfm: {recency: quintile, frequency: quintiles, monetary: quintiles}", "r.yaml:2:16: rfm.recency: found 'quintile', expected a list of four bounds that rise, or quintiles"),
        ("rfm: {recency: quintiles, frequency: [quintiles], monetary: quintiles}", "r.yaml:2:38: rfm.frequency: found a list of 1, expected a list of four bounds that rise, or quintiles"),
        ("rfm: {recency: quintiles, monetary: quintiles}", "r.yaml:2:6: rfm.frequency: is missing, expected a list of four bounds that rise, or quintiles"),
        ("rfm: {recency: [1d, 2d, 3d], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4]}", "r.yaml:2:16: rfm.recency: found a list of 3, expected a list of four bounds that rise, or quintiles"),
        ("rfm: {recency: [1d, 2d, 3d, 4], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4]}", "r.yaml:2:29: rfm.recency[3]: found '4', expected a duration such as 90d, 36h or 15m, from 1ms to 36500d"),
        ("rfm: {recency: [1d, 3d, 2d, 4d], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4]}", "r.yaml:2:25: rfm.recency[2]: found '2d' after '3d', expected bounds that rise"),
        ("rfm: {recency: [1d, 2d, 3d, 4d], frequency: [1, 2, 3, 4.5], monetary: [1, 2, 3, 4]}", "r.yaml:2:55: rfm.frequency[3]: found '4.5', expected a whole number"),
        ("rfm: {recency: [1d, 2d, 3d, 4d], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, much]}", "r.yaml:2:79: rfm.monetary[3]: found 'much', expected a decimal amount in EUR"),
        ("rfm: {recency: quantiles, frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4]}", "r.yaml:2:16: rfm.recency: found 'quantiles', expected a list of four bounds that rise, or quintiles"),
        ("rfm: {window: 500d, recency: [1d, 2d, 3d, 4d], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4]}", "r.yaml:2:15: rfm.window: window of 500d is longer than the 400d we keep; raise SEGMENTER_DEDUPE_HORIZON or shorten it"),
        (RFM + ", groups: {best: {r: 6}}}", "r.yaml:2:102: rfm.groups.best.r: found '6', expected a score from 1 to 5 or a comparison with one, such as \">=4\", \"<=2\" or \"==1\""),
        (RFM + ", groups: {best: {x: 5}}}", "r.yaml:2:99: rfm.groups.best.x: no such name; expected one of r, f, m"),
        (RFM + ", groups: {best: {}}}", "r.yaml:2:98: rfm.groups.best: is empty, expected one of r, f, m, all, any, not"),
        (RFM + ", groups: {best: 5}}", "r.yaml:2:98: rfm.groups.best: found '5', expected a condition"),
        (RFM + ", groups: {Best: {r: 5}}}", "r.yaml:2:98: rfm.groups.Best: found the name 'Best', expected a name of small letters, digits and _, beginning with a letter, at most 64"),
        (RFM + ", groups: {others: {r: 5}}}", "r.yaml:2:100: rfm.groups.others: is the group of all who are in no other; give it another name"),
        (RFM + ", groups: [best]}", "r.yaml:2:91: rfm.groups: found a list, expected a section with a condition for each group"),
        (RFM + ", groups: {best: {r: 5}}}\nsegments: {a: {when: {in: {rfm: [bset]}}}}", "r.yaml:3:34: segments.a.when.in.rfm[0]: found 'bset', expected best or others"),
        ("engagement: {half_life: 0d}", "r.yaml:2:25: engagement.half_life: found '0d', expected a duration such as 90d, 36h or 15m, from 1s to 36500d"),
        ("engagement: {hot: 0}", "r.yaml:2:19: engagement.hot: found '0', expected a number above 0 such as 5"),
        ("engagement: {hot: 1, warm: 2}", "r.yaml:2:28: engagement.warm: found 2, expected less than hot, which is 1"),
        ("engagement: {weights: [view]}", "r.yaml:2:23: engagement.weights: found a list, expected a section with a number for each kind"),
        ("engagement: {weights: {view: -1}}", "r.yaml:2:30: engagement.weights.view: found '-1', expected a number of at least 0 such as 2.5"),
        ("engagement:", "r.yaml:2:12: engagement: found nothing, expected a section with half_life, hot, warm, weights"),
        ("interest: {margin: 0.9}", "r.yaml:2:20: interest.margin: found '0.9', expected a factor of at least 1 such as 1.2"),
        ("care: {csat_at_most: 7}", "r.yaml:2:22: care.csat_at_most: found '7', expected a whole number from 0 to 5"),
        ("care: {nps_at_most: -1}", "r.yaml:2:21: care.nps_at_most: found '-1', expected a whole number from 0 to 10"),
        ("care: {returns: 0}", "r.yaml:2:17: care.returns: found '0', expected a whole number of at least 1"),
        ("care: {returns_within: 500d}", "r.yaml:2:24: care.returns_within: window of 500d is longer than the 400d we keep; raise SEGMENTER_DEDUPE_HORIZON or shorten it"),
        ("rhythm: {factor: 0}", "r.yaml:2:18: rhythm.factor: found '0', expected a factor above 0 such as 2"),
        ("rhythm: {orders: 1}", "r.yaml:2:18: rhythm.orders: found '1', expected a whole number of at least 2"),
        ("rhythm: {fallbck: 90d}", "r.yaml:2:10: rhythm.fallbck: no such name; did you mean fallback?"),
    ],
)  # fmt: skip
def test_a_fault_in_a_section_is_told_with_its_place_and_what_is_expected(text: str, fault: str) -> None:
    assert faults_of(f"rulebook: 1\n{text}") == [fault]


def test_all_faults_of_all_segments_are_told_at_once() -> None:
    text = """rulebook: 1
rfm: {}
segments:
  a:
    when:
      all:
        - {measure: ordrs, at_least: 1}
        - any: [{segment: c}, {absent: click}]
        - not: {in: {care: [none]}}
    leave_when: {attribute: x, age: {at_least: 3}}
  b: {when: {sequence: [{event: click}, {event: odrer}], within: 1y}}
"""

    assert [fault.split(": ")[:2] for fault in faults_of(text)] == [
        ["r.yaml:2:6", "rfm.frequency"],
        ["r.yaml:2:6", "rfm.monetary"],
        ["r.yaml:2:6", "rfm.recency"],
        ["r.yaml:7:21", "segments.a.when.all[0].measure"],
        ["r.yaml:8:27", "segments.a.when.all[1].any[0].segment"],
        ["r.yaml:8:31", "segments.a.when.all[1].any[1].for"],
        ["r.yaml:9:28", "segments.a.when.all[2].not.in.care"],
        ["r.yaml:10:48", "segments.a.leave_when.age.at_least"],
        ["r.yaml:11:49", "segments.b.when.sequence[1].event"],
        ["r.yaml:11:66", "segments.b.when.within"],
    ]


def nested(depth: int) -> str:
    return "{not: " * (depth - 1) + "{segment: other}" + "}" * (depth - 1)


def test_conditions_are_nested_20_deep_and_no_deeper() -> None:
    parse_rulebook(f"{OTHERS}  s: {{when: {nested(20)}}}\n".encode(), "r.yaml", None)

    path = "segments.s.when" + ".not" * 20
    assert faults_of(f"{OTHERS}  s: {{when: {nested(21)}}}\n") == [
        f"r.yaml:6:133: {path}: is nested deeper than 20 conditions; name a part of it as a segment"
    ]


def test_a_segment_has_100_conditions_and_no_more() -> None:
    def text(count: int) -> str:
        leaves = ", ".join(["{segment: other}"] * (count - 1))
        return f"{OTHERS}  s: {{when: {{all: [{leaves}]}}, leave_when: {{segment: other}}}}\n"

    parse_rulebook(text(100).encode(), "r.yaml", None)

    assert faults_of(text(101)) == [
        "r.yaml:6:6: segments.s: has 101 conditions, expected at most 100; name a part of it as a segment"
    ]


def test_a_rulebook_has_200_segments_and_no_more() -> None:
    def text(count: int) -> str:
        segments = "".join(f"  s{number}: {{when: {{measure: orders, at_least: 1}}}}\n" for number in range(count))
        return f"rulebook: 1\nsegments:\n{segments}"

    assert len(parse_rulebook(text(200).encode(), "r.yaml", None).segments) == 200

    assert faults_of(text(201)) == ["r.yaml:3:3: segments: found 201 segments, expected at most 200"]


def test_a_list_has_1000_values_and_no_more() -> None:
    def condition(count: int) -> str:
        return f"{{measure: clicks, at_least: 1, where: {{item: [{', '.join(['x'] * count)}]}}}}"

    parse_rulebook(f"{OTHERS}  s: {{when: {condition(1_000)}}}\n".encode(), "r.yaml", None)

    assert faults_of(f"{OTHERS}  s: {{when: {condition(1_001)}}}\n") == [
        "r.yaml:6:58: segments.s.when.where.item: found 1001 values, expected at most 1000"
    ]


@pytest.mark.parametrize(
    "condition",
    [
        "{measure: orders, at_least: 1, where: {channel: web}}",
        "{measure: orders, at_least: 1, within: 5000d}",
        "{measure: clicks, at_least: 1, within: 5000d}",
        "{absent: delivery, for: 5000d}",
        "{sequence: [{event: click}, {event: order}], within: 5000d}",
    ],
)
def test_where_nothing_is_forgotten_any_window_is_taken(condition: str) -> None:
    text = f"{OTHERS}  s: {{when: {condition}}}\n".encode()

    assert len(parse_rulebook(text, "r.yaml", None).segments) == 4
    assert len(faults_of(text.decode())) == 1


def test_a_segment_that_nobody_moves_in_may_name_another_such() -> None:
    text = f"{OTHERS}  s: {{state: paused, when: {{any: [{{segment: off}}, {{segment: shy}}]}}}}\n"

    assert parse_rulebook(text.encode(), "r.yaml", None).segments[-1].name == "s"
