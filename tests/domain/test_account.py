"""Why and why not: what is told of a customer's rules is what the evaluator makes of them."""

from dataclasses import replace

from segmenter.adapters.rulebook_file import parse_rulebook
from segmenter.domain.account import Account, Inquiry
from segmenter.domain.events import Click, Contact, CustomerUpdated, Event, SupportClosed, SupportOpened, SupportRated
from segmenter.domain.explanation import Explained
from segmenter.domain.outlook import steps_within_reach, turns_ahead
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.value import Boundary, Marks
from tests.domain.shopper import BOUNDARY, after, at, kept, on, placed, record, refunded


def ruled(text: str) -> Rulebook:
    return parse_rulebook(f"rulebook: 1\n{text}".encode(), "test", None)


def asked(*events: Event, rules: Rulebook | None = None, day: float = 0, boundary: Boundary | None = None) -> Inquiry:
    rulebook, profile = rules or Rulebook(), Profile(customer="c1")
    for number, event in enumerate(events):
        profile = kept(record(profile, event, rules=rulebook, boundary=boundary, event_id=f"e{number}"))
    return Inquiry(profile, at(day), rulebook, boundary)


def missing(account: Account, segment: str) -> tuple[str, ...]:
    return next(rule.missing for rule in account.rules if rule.segment == segment)


def leaf(tree: Explained) -> tuple[str, bool, str, str]:
    return tree.condition, tree.holds, tree.actual, tree.threshold


def test_a_new_customer_lacks_one_order_to_be_repeat() -> None:
    account = asked(placed(day=0), day=12).account_of("lifecycle")

    assert (account.segment, account.since) == ("new", at(0))
    assert [rule.segment for rule in account.why()] == ["new"]
    assert missing(account, "repeat") == ("orders >= 2: 1 more order",)
    assert missing(account, "inactive") == (
        "silence since the last order >= 180d: no order until 2026-11-28T00:00:00.000Z",
    )


def test_the_account_is_settled_to_the_moment_that_is_asked_for() -> None:
    account = asked(placed(day=0), day=180).account_of("lifecycle")

    assert (account.segment, account.since) == ("inactive", at(180))
    assert missing(account, "new") == ("silence since the last order < 180d: an order",)


def test_class_b_lacks_the_money_to_the_boundary_of_a() -> None:
    account = asked(placed(amount="62.40"), boundary=BOUNDARY).account_of("value")

    assert account.segment == "B"
    assert missing(account, "A") == ("net revenue within 365d >= 100.00 EUR (share 0.80): 37.60 EUR more",)


def test_a_class_kept_by_the_band_says_so() -> None:
    events = (placed(amount="100.00"), refunded(amount="15.00", day=1))

    account = asked(*events, day=30, boundary=BOUNDARY).account_of("value")

    assert account.segment == "A"
    assert account.notes == ("kept in A by the band of 0.02: by revenue alone it would be B",)
    assert "(share 0.82)" in account.why()[0].tree.threshold


def test_a_fall_held_back_by_the_dwell_says_until_when() -> None:
    events = (placed(amount="100.00"), refunded(amount="50.00", day=1))

    account = asked(*events, day=2, boundary=BOUNDARY).account_of("value")

    assert account.segment == "A"
    assert account.notes == ("a fall to B is held back by dwell 7d until 2026-06-08T00:00:00.000Z",)


def test_classes_that_are_not_announced_yet_name_both_counts() -> None:
    few = replace(BOUNDARY, ranked=12, is_announced=False)

    account = asked(placed(), boundary=few).account_of("value")

    assert account.notes == ("classes are computed but not announced: 12 customers are ranked, min_ranked is 50",)


VIP = """
segments:
  vip:
    title: Best customers
    when:
      all:
        - {measure: orders, within: 365d, at_least: 3}
        - any: [{measure: net_revenue, at_least: "200.00"}, {attribute: vip, equals: true}]
        - not: {measure: open_tickets, at_least: 1}
    stay_at_least: 10d
"""


def test_a_declared_segment_is_told_as_the_tree_it_is_with_every_missing_piece() -> None:
    ticket = SupportOpened(customer_id="c1", occurred_at=on(1), ticket_id="t1")

    account = asked(placed(), ticket, rules=ruled(VIP), day=2).account_of("custom.vip")

    assert (account.title, account.segment) == ("Best customers", "out")
    [rule] = account.why_not()
    assert [part.condition for part in rule.tree.parts] == ["orders within 365d", "any", "not"]
    assert leaf(rule.tree.parts[0]) == ("orders within 365d", False, "1", ">= 3")
    assert leaf(rule.tree.parts[2].parts[0]) == ("open_tickets", True, "1", ">= 1")
    assert rule.missing == (
        "orders within 365d >= 3: 2 more",
        "net_revenue >= 200.00 EUR: 150.00 EUR more or attribute vip true: found nothing",
        "open_tickets no longer >= 1",
    )


def test_a_stay_that_holds_a_customer_is_part_of_what_lets_him_go() -> None:
    rules = ruled(VIP)
    orders = [placed(f"o{n}", "100.00", day=n) for n in range(3)]
    ticket = SupportOpened(customer_id="c1", occurred_at=on(4), ticket_id="t1")

    account = asked(*orders, ticket, rules=rules, day=5).account_of("custom.vip")

    assert account.segment == "in"
    out = next(rule for rule in account.rules if rule.segment == "out")
    assert leaf(out.tree.parts[1]) == ("in for (stay_at_least)", False, "3d", ">= 10d")
    assert account.notes == ("leaving is held back by stay_at_least 10d until 2026-06-13T00:00:00.000Z",)


def test_a_cooldown_that_keeps_a_customer_out_is_part_of_what_lets_him_in() -> None:
    rules = ruled("segments: {asking: {when: {measure: open_tickets, at_least: 1}, cooldown: 5d}}")
    events = (
        SupportOpened(customer_id="c1", occurred_at=on(0), ticket_id="t1"),
        SupportClosed(customer_id="c1", occurred_at=on(1), ticket_id="t1"),
        SupportOpened(customer_id="c1", occurred_at=on(2), ticket_id="t2"),
    )

    account = asked(*events, rules=rules, day=3).account_of("custom.asking")

    assert account.segment == "out"
    assert missing(account, "in") == (
        "out since the last time (cooldown) >= 5d: time until 2026-06-07T00:00:00.000Z",
    )


def test_a_segment_that_was_declared_after_the_profile_was_stored_is_told_as_not_looked_at() -> None:
    profile = after(placed())

    account = Inquiry(profile, at(1), ruled("segments: {any: {when: {measure: orders, at_least: 1}}}"), None)

    [note] = account.account_of("custom.any").notes
    assert note.startswith("stored is out, by this rulebook it would be in")


def test_clicks_in_buckets_say_how_coarse_they_are() -> None:
    rules = ruled("segments: {keen: {when: {measure: clicks, within: 60d, at_least: 3}}}")

    account = asked(placed(), rules=rules).account_of("custom.keen")

    assert account.notes == ("clicks within 60d is counted in steps of 1d",)


ALL = """
rfm:
  recency: [14d, 33d, 72d, 180d]
  frequency: [1, 2, 3, 6]
  monetary: ["250.00", "500.00", "1000.00", "2000.00"]
  groups:
    champions: {r: ">=4", f: ">=4", m: ">=4"}
    fresh: {r: ">=4"}
engagement: {half_life: 7d, hot: 5, warm: 1}
interest: {half_life: 30d, margin: 1.2}
care: {}
rhythm: {factor: 2, orders: 3, fallback: 90d}
"""


def test_rfm_says_what_each_score_was_made_from_and_what_the_next_takes() -> None:
    account = asked(placed(amount="300.00"), rules=ruled(ALL), day=20).account_of("rfm")

    assert account.segment == "fresh"
    assert missing(account, "champions") == ("score f >= 4: found 1", "score m >= 4: found 2")
    assert account.notes == (
        "r4: last order 2026-06-01T00:00:00.000Z; r3 at 2026-07-04T00:00:00.000001Z unless an order",
        "f1: orders 1; f2 takes 1 more",
        "m2: net_revenue 300.00 EUR; m3 takes more than 200.00 EUR more",
    )


def test_engagement_says_how_many_clicks_are_missing() -> None:
    clicks = [Click(customer_id="c1", kind="view", category="bikes", occurred_at=on(0)) for _ in range(2)]
    inquiry = asked(*clicks, rules=ruled(ALL))

    account = inquiry.account_of("engagement")

    assert account.segment == "warm"
    assert missing(account, "hot") == ("warmth of clicks, halved each 7d >= 5: 3 more clicks of weight 1",)
    assert inquiry.account_of("interest").why()[0].tree.actual == "2.000"


def test_interest_says_what_another_topic_lacks() -> None:
    topics = ["bikes", "bikes", "bikes", "tents"]
    clicks = [Click(customer_id="c1", kind="view", category=topic, occurred_at=on(0)) for topic in topics]

    account = asked(*clicks, rules=ruled(ALL)).account_of("interest")

    assert account.segment == "bikes"
    assert missing(account, "tents") == ("weight > 3.600 (1.2 times bikes): 3 more clicks of weight 1",)


def test_care_tells_answers_returns_and_tickets() -> None:
    answer = SupportRated(customer_id="c1", occurred_at=on(0), score=1, scale="csat")

    account = asked(placed(), answer, rules=ruled(ALL), day=3).account_of("care")

    [rule] = account.why()
    assert (account.segment, rule.segment) == ("unhappy", "unhappy")
    assert leaf(rule.tree.parts[0]) == (
        "last csat answer within 30d", True, "1 at 2026-06-01T00:00:00.000Z", "<= 2",
    )  # fmt: skip
    assert missing(account, "open_issue") == (
        "open tickets >= 1: 1 more",
        "the end of `any` (by time alone at 2026-07-01T00:00:00.000Z)",
    )


def test_rhythm_says_by_which_gap_a_customer_is_measured() -> None:
    orders = [placed(f"o{n}", day=10 * n) for n in range(3)]

    account = asked(*orders, rules=ruled(ALL), day=25).account_of("rhythm")

    assert account.segment == "regular"
    assert missing(account, "at_risk") == (
        "silence since the last order >= 20d (2 times his median gap): no order until 2026-07-11T00:00:00.000Z",
    )


def test_the_next_move_by_time_is_played_and_says_what_prevents_it() -> None:
    inquiry = asked(placed(day=0), day=12, boundary=BOUNDARY)

    [turn] = turns_ahead(inquiry)

    assert (turn.dimension, turn.before, turn.after, turn.at) == ("lifecycle", "new", "inactive", at(180))
    assert turn.unless == ("an order",)


def test_deadlines_that_move_nobody_are_passed_over() -> None:
    events = (placed("o1", amount="100.00", day=0), placed("o2", amount="100.00", day=190))

    turns = turns_ahead(asked(*events, rules=ruled("value: {window: 200d}"), day=195, boundary=BOUNDARY))

    assert [(turn.after, turn.at) for turn in turns] == [("inactive", at(370))]


def test_nothing_comes_by_time_for_a_prospect() -> None:
    contact = Contact(customer_id="c1", kind="sent", channel="mail", occurred_at=on(0))

    assert turns_ahead(asked(contact)) == ()


def test_what_is_within_reach_names_the_one_piece_that_is_missing() -> None:
    rules = ruled("segments: {buyer: {when: {measure: orders, at_least: 3}}}")

    steps = steps_within_reach(asked(placed(amount="62.40"), rules=rules, boundary=BOUNDARY))

    assert [(step.dimension, step.segment, step.missing) for step in steps] == [
        ("lifecycle", "repeat", "1 more order"),
        ("value", "A", "37.60 EUR more"),
        ("custom.buyer", "in", "orders >= 3: 2 more"),
    ]


def test_an_absence_is_prevented_by_what_is_missed() -> None:
    rules = ruled("segments: {quiet: {when: {absent: click, for: 10d}}}")
    click = Click(customer_id="c1", kind="view", occurred_at=on(0))

    [turn] = turns_ahead(asked(click, rules=rules))

    assert (turn.dimension, turn.after, turn.at, turn.unless) == ("custom.quiet", "in", at(10), ("a click",))


def test_asking_leaves_the_profile_as_it_is() -> None:
    profile = after(placed())
    before = profile.copy()

    inquiry = Inquiry(
        profile,
        at(400),
        Rulebook(),
        Boundary(number=1, marks=Marks(a=1, a_stay=1, b=1, b_stay=1), ranked=60, total=1),
    )
    inquiry.account_of("value")
    turns_ahead(inquiry)

    assert profile == before


def test_who_is_kept_out_of_everything_is_told_so() -> None:
    staff = CustomerUpdated(customer_id="c1", occurred_at=on(0), attributes={"exclude": True})
    guest = Inquiry(Profile(customer="anon:x"), at(0), ruled(VIP), None)

    account = asked(placed(), staff, rules=ruled(VIP), day=1).account_of("custom.vip")

    assert account.notes[0] == "excluded by the attribute exclude: kept out of everything"
    assert guest.account_of("custom.vip").notes == ("known by an anonymous id only: no segments until identified",)
    assert turns_ahead(guest) == ()
