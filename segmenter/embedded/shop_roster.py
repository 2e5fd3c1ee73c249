"""The customers of the simulated shop: who they are, how often they buy, what is planned for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, islice
from random import Random
from typing import TypeAlias

from segmenter.domain.instants import DAY, MILLISECOND, SECOND, Instant, Span
from segmenter.embedded.shop_goods import CATEGORIES

ORDERS_PER_CUSTOMER = 7.5
# Orders by rank: among 1,000 regulars the first buys five days in six, the last seven times a year.
ZIPF_EXPONENT = 0.55
# Of the logarithm of quantities: with it, about a third of the customers bring 80 % of the revenue.
TASTE_SPREAD = 0.8
# Of all customers; the rest are regulars.
BROWSING_SHARE, ONCE_SHARE, FADING_SHARE, LEAVING_SHARE = 0.12, 0.18, 0.16, 0.03
# Deadlines come every 1 to 3 s for the first four minutes, then ever more seldom: 320 of them last 1.5 hours.
STEADY_GAPS = 120
GAP_GROWTH = 1.02
FIRST_DEADLINE_AFTER = 5 * SECOND
# A dear order leaves the window every 4 to 12 s.
LEAVING_GAP = 4.0
# Of those without a planned deadline; the others come during the year.
KNOWN_BEFORE_SHARE = 0.4


class Fate(StrEnum):
    """What a customer is there to show."""

    REGULAR = "regular"  # buys again and again, some very often
    ONCE = "once"  # bought one time
    BROWSING = "browsing"  # never bought: a prospect
    FADING = "fading"  # turns inactive soon after the history ends
    LEAVING = "leaving"  # its one dear order leaves the trailing window soon after the history ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopper:
    """One customer as planned."""

    customer_id: str
    fate: Fate
    known_at: Instant
    orders: int
    favourite: str
    taste: float  # multiplies quantities; 1 is usual
    turns_at: Instant | None = None  # the planned deadline; None: none is planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """The stretch of time a history covers, and the spans its deadlines are planned by."""

    begins_at: Instant
    ends_at: Instant
    inactive_after: Span
    window: Span


def roster(random: Random, customers: int, year: Year) -> tuple[Shopper, ...]:
    """Plan all customers, in the order of their numbers."""
    # Numbers say nothing of the fate: shuffled, the hottest customer may have any of them.
    plans = _plans(random, customers, year)
    random.shuffle(plans)
    return tuple(_shopper(random, number, plan, year) for number, plan in enumerate(plans, start=1))


def customer_id(number: int) -> str:
    """Return the id of the nth customer: a number, never a name."""
    return f"c-{number:06d}"


_Plan: TypeAlias = tuple[Fate, int, Instant | None]  # fate, orders, turns_at


def _plans(random: Random, customers: int, year: Year) -> list[_Plan]:
    """Share out the fates; those that so short a history cannot show fall to regulars."""
    length = year.ends_at - year.begins_at
    fading = int(customers * FADING_SHARE) if length > year.inactive_after + DAY else 0
    leaving = int(customers * LEAVING_SHARE) if length >= year.window else 0
    once, browsing = int(customers * ONCE_SHARE), int(customers * BROWSING_SHARE)
    regular = customers - fading - leaving - once - browsing
    plans: list[_Plan] = [
        (Fate.REGULAR, orders, None) for orders in _zipf(regular, int(customers * ORDERS_PER_CUSTOMER))
    ]
    plans += [(Fate.ONCE, 1, None)] * once
    plans += [(Fate.BROWSING, 0, None)] * browsing
    plans += [(Fate.FADING, random.randint(1, 4), at) for at in islice(_deadlines(random, year.ends_at, 1.0), fading)]
    plans += [
        (Fate.LEAVING, random.randint(2, 4), at)
        for at in islice(_deadlines(random, year.ends_at, LEAVING_GAP), leaving)
    ]
    return plans


def _zipf(customers: int, orders: int) -> list[int]:
    """Share `orders` out by rank; everybody gets at least two, so the sum is a little higher."""
    weights = [rank**-ZIPF_EXPONENT for rank in range(1, customers + 1)]
    each = orders / sum(weights) if weights else 0.0
    return [max(2, round(each * weight)) for weight in weights]


def _deadlines(random: Random, ends_at: Instant, gap: float) -> Iterator[Instant]:
    """Give instants after `ends_at`, `gap` to three times `gap` seconds apart, later ones ever further."""
    at = ends_at + FIRST_DEADLINE_AFTER
    for number in count():
        yield at - at % MILLISECOND
        growth = GAP_GROWTH ** max(0, number - STEADY_GAPS)
        at += int(random.uniform(1, 3) * gap * growth * SECOND)


def _shopper(random: Random, number: int, plan: _Plan, year: Year) -> Shopper:
    fate, orders, turns_at = plan
    return Shopper(
        customer_id=customer_id(number),
        fate=fate,
        known_at=_known_at(random, fate, turns_at, year),
        orders=orders,
        favourite=random.choice(CATEGORIES),
        taste=random.lognormvariate(0, TASTE_SPREAD),
        turns_at=turns_at,
    )


def _known_at(random: Random, fate: Fate, turns_at: Instant | None, year: Year) -> Instant:
    if turns_at is not None and fate is Fate.LEAVING:
        return turns_at - year.window
    if turns_at is not None:
        return random.randrange(year.begins_at, turns_at - year.inactive_after)
    if random.random() < KNOWN_BEFORE_SHARE:
        return random.randrange(year.begins_at, year.begins_at + DAY)
    return random.randrange(year.begins_at, year.ends_at - (year.ends_at - year.begins_at) // 10)
