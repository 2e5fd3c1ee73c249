"""Lifecycle: prospect → new → repeat → inactive, and when silence will be inactivity."""

from enum import StrEnum

from segmenter.domain.instants import Instant
from segmenter.domain.ledger import Totals
from segmenter.domain.rulebook import LifecycleRule


class Lifecycle(StrEnum):
    """The segments of the dimension `lifecycle`."""

    PROSPECT = "prospect"
    NEW = "new"
    REPEAT = "repeat"
    INACTIVE = "inactive"


def lifecycle_at(now: Instant, totals: Totals, rule: LifecycleRule) -> Lifecycle:
    """Return the segment at `now`; at the very instant of the deadline the customer is inactive."""
    if totals.last_order_at is None:
        return Lifecycle.PROSPECT
    if now >= totals.last_order_at + rule.inactive_after:
        return Lifecycle.INACTIVE
    return Lifecycle.NEW if totals.orders == 1 else Lifecycle.REPEAT


def inactive_at(totals: Totals, rule: LifecycleRule) -> Instant | None:
    """Return when silence becomes inactivity, None for who never ordered."""
    return None if totals.last_order_at is None else totals.last_order_at + rule.inactive_after
