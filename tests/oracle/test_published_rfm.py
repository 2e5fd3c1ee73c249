"""The RFM groups that others published of the UK file, and ours to the customer."""

from collections import Counter
from datetime import datetime
from decimal import Decimal

import duckdb
import pytest

from segmenter.domain.conditions import All, AnyOf, Bound, Comparison, Condition, Score, Scored
from segmenter.domain.instants import DAY
from segmenter.domain.rulebook import RfmRule, Rulebook, ValueRule
from tests.oracle.replay import Replay
from tests.oracle.uk import RAW, uk_events

UK_END = datetime(2011, 12, 10)  # noqa: DTZ001 - the file is UTC throughout
PUBLISHED = {
    "champions": 911,
    "at_risk": 512,
    "loyal": 364,
    "potential": 484,
    "new": 237,
    "hibernating": 1_215,
    "others": 616,
}
# Every placed invoice of a known customer is an order here, one over 0.00 too: that is what was published.
_GROUPS = """
    with orders as (
        select customer_id, strptime(occurred_at, '%Y-%m-%dT%H:%M:%SZ') as happened_at,
               cast(amount as decimal(18, 4)) as amount
        from read_csv($path, header = true, all_varchar = true)
        where customer_id is not null and kind = 'placed'
    ), customers as (
        select customer_id, date_diff('second', max(happened_at), $now) / 86400.0 as days, count(*) as orders,
               sum(amount) as spent
        from orders where amount >= $least group by customer_id
    ), scores as (
        select customer_id,
               5 - (days > 14.2)::int - (days > 33)::int - (days > 72)::int - (days > 180)::int as r,
               1 + (orders > 1)::int + (orders > 2)::int + (orders > 3)::int + (orders > 6)::int as f,
               1 + (spent > 250.106)::int + (spent > 489.724)::int + (spent > 941.942)::int
                 + (spent > 2057.914)::int as m
        from customers
    )
    select customer_id,
           case when r >= 4 and f >= 4 and m >= 4 then 'champions'
                when r <= 2 and (f >= 3 or m >= 4) then 'at_risk'
                when f >= 4 and m >= 3 then 'loyal'
                when r >= 4 and f between 2 and 3 then 'potential'
                when r >= 4 and f = 1 then 'new'
                when r <= 2 and f <= 2 and m <= 3 then 'hibernating'
                else 'others' end
    from scores
"""


def test_the_file_gives_the_published_groups_of_4339_customers() -> None:
    groups = groups_in_file(least=Decimal(0))

    assert len(groups) == 4_339
    assert Counter(groups.values()) == PUBLISHED


def test_one_customer_of_the_published_has_only_an_order_of_nothing() -> None:
    published, paying = groups_in_file(least=Decimal(0)), groups_in_file(least=Decimal("0.0001"))

    differing = {c: (group, paying.get(c)) for c, group in published.items() if paying.get(c) != group}

    assert list(differing.values()) == [("new", None)]


@pytest.mark.slow
async def test_every_customer_is_in_the_group_that_the_file_says() -> None:
    replay = Replay(RULES, uk_events(with_refunds=False, with_free=True))

    profiles = await replay.until(UK_END)

    ours = {customer: group for customer, p in profiles.items() if (group := p.segment_in("rfm")) is not None}
    assert ours == groups_in_file(least=Decimal("0.0001"))
    assert Counter(ours.values()) == PUBLISHED | {"new": 236}
    assert len(profiles) == 4_339


def groups_in_file(least: Decimal) -> dict[str, str]:
    """Return the group of every customer with an order of at least so much."""
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        rows = connection.execute(_GROUPS, {"path": str(RAW), "now": UK_END, "least": least}).fetchall()
    return dict(rows)


def at_least(score: Score, number: int) -> Scored:
    """Return that a score is so high."""
    return Scored(score, Bound(Comparison.AT_LEAST, Decimal(number)))


def at_most(score: Score, number: int) -> Scored:
    """Return that a score is no higher."""
    return Scored(score, Bound(Comparison.AT_MOST, Decimal(number)))


R, F, M = Score.RECENCY, Score.FREQUENCY, Score.MONETARY
GROUPS: tuple[tuple[str, Condition], ...] = (
    ("champions", All((at_least(R, 4), at_least(F, 4), at_least(M, 4)))),
    ("at_risk", All((at_most(R, 2), AnyOf((at_least(F, 3), at_least(M, 4)))))),
    ("loyal", All((at_least(F, 4), at_least(M, 3)))),
    ("potential", All((at_least(R, 4), Scored(F, Bound(Comparison.BETWEEN, Decimal(2), Decimal(3)))))),
    ("new", All((at_least(R, 4), at_most(F, 1)))),
    ("hibernating", All((at_most(R, 2), at_most(F, 2), at_most(M, 3)))),
)
RULES = Rulebook(
    currency="GBP",
    value=ValueRule(window=None, min_ranked=1),
    rfm=RfmRule(
        recency=(142 * DAY // 10, 33 * DAY, 72 * DAY, 180 * DAY),
        frequency=(1, 2, 3, 6),
        monetary=(25_010, 48_972, 94_194, 205_791),
        groups=GROUPS,
    ),
)
