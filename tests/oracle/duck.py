"""What the raw files say, by DuckDB: a second implementation in another language, from the raw bytes on.

Amounts become pence or cents per invoice, rounded half away from zero, by integers only. Instants are the
file's own, read as UTC.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from tests.oracle.cdnow import cdnow_path
from tests.oracle.uk import RAW

# Ten-thousandths hold every amount of both files exactly; `//` on magnitudes with 50 added is half away from zero.
_CENTS = "sign(tenths) * ((abs(tenths) + 50) // 100)"
_UK_FACTS = f"""
    create table facts as
    with raw as (
        select *, cast(cast(amount as decimal(18, 4)) * 10000 as bigint) as tenths
        from read_csv($path, header = true, all_varchar = true)
        where customer_id is not null
    )
    select customer_id as customer, strptime(occurred_at, '%Y-%m-%dT%H:%M:%SZ') as happened_at,
           kind = 'placed' and tenths > 0 as is_order, cast({_CENTS} as bigint) as cents
    from raw
    where (kind = 'placed' and (tenths > 0 or $with_free)) or (kind = 'cancelled' and $with_refunds)
"""
_CDNOW_FACTS = rf"""
    create table facts as
    with words as (
        select regexp_split_to_array(trim(line), '\s+') as word
        from read_csv($path, skip = 1, header = false, delim = '|', columns = {{'line': 'varchar'}})
    ), raw as (
        select *, cast(cast(word[4] as decimal(18, 4)) * 10000 as bigint) as tenths from words
    )
    select word[1] as customer, strptime(word[2], '%Y%m%d') as happened_at,
           tenths > 0 as is_order, cast({_CENTS} as bigint) as cents
    from raw
"""
# A tie group is in A when those above it hold less than `a`: then it is needed to reach `a`, or reaches it.
_STATES = """
    with known as (
        select * from facts where happened_at <= $now
    ), totals as (
        select customer,
               count(*) filter (is_order) as orders,
               sum(cents) as net,
               coalesce(sum(cents) filter ($window is null or $now < happened_at + $window), 0) as window_net,
               min(happened_at) filter (is_order) as first_order_at,
               max(happened_at) filter (is_order) as last_order_at
        from known group by customer
    ), tie_groups as (
        select window_net, sum(window_net) as held from totals where orders > 0 and window_net > 0 group by window_net
    ), runs as (
        select window_net,
               sum(held) over () as total,
               sum(held) over (order by window_net desc rows unbounded preceding) - held as above
        from tie_groups
    )
    select customer, orders, cast(net as bigint), cast(window_net as bigint), first_order_at, last_order_at,
           case when orders = 0 then 'prospect'
                when $now >= last_order_at + $inactive_after then 'inactive'
                when orders = 1 then 'new'
                else 'repeat' end as lifecycle,
           case when orders = 0 then null
                when window_net <= 0 then 'C'
                when above * 100 < 80 * total then 'A'
                when above * 100 < 95 * total then 'B'
                else 'C' end as class
    from totals left join runs using (window_net)
    order by customer
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a customer stands at an instant; money in minor units, instants naive UTC as in the files.

    `value` None: who never ordered has no class. A buyer with nothing left in the window is C.
    """

    orders: int
    net: int
    window_net: int
    first_order_at: datetime | None
    last_order_at: datetime | None
    lifecycle: str
    value: str | None


class RawFacts:
    """One raw file in a DuckDB of its own: purchases above 0, and refunds as negative amounts."""

    def __init__(self, create: str, **parameters: str | bool) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("set threads = 1")
        self._connection.execute(create, parameters)

    def states_at(
        self, now: datetime, *, inactive_after: timedelta, window: timedelta | None = None
    ) -> dict[str, State]:
        """Return every customer with a row at or before `now` (naive UTC), by id.

        Classes are those of shares 80 % and 95 % without band and dwell; `window` None is all history.
        """
        parameters = {"now": now, "inactive_after": inactive_after, "window": window}
        rows = self._connection.execute(_STATES, parameters).fetchall()
        return {
            customer: State(
                orders=orders,
                net=net,
                window_net=window_net,
                first_order_at=first_order_at,
                last_order_at=last_order_at,
                lifecycle=lifecycle,
                value=value,
            )
            for customer, orders, net, window_net, first_order_at, last_order_at, lifecycle, value in rows
        }

    def exact_sum(self, where: str) -> int:
        """Return the sum of minor units of the facts that meet an SQL condition."""
        row = self._connection.execute(f"select cast(sum(cents) as bigint) from facts where {where}").fetchone()
        assert row is not None
        return int(row[0])


def uk_facts(*, with_refunds: bool = True, with_free: bool = False, path: Path = RAW) -> RawFacts:
    """Return the UK file: valid orders, refunds if asked, and free orders as mere contacts if asked."""
    return RawFacts(_UK_FACTS, path=str(path), with_refunds=with_refunds, with_free=with_free)


def cdnow_facts() -> RawFacts:
    """Return the CDNOW file; purchases over 0.00 make a customer known and are no orders."""
    return RawFacts(_CDNOW_FACTS, path=str(cdnow_path()))
