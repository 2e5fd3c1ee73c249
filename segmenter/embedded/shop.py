"""A simulated shop: a year of history and then endless live traffic, the same for the same seed.

The shop never asks the clock: every instant is handed in. Its money is EUR, its customers are numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from random import Random

from segmenter.domain.instants import DAY, MILLISECOND, Instant
from segmenter.embedded.shop_records import ShopRecord
from segmenter.embedded.shop_roster import Shopper, Year, roster
from segmenter.embedded.shop_year import past_of

DEFAULT_CUSTOMERS = 2_000
DEFAULT_DAYS = 365
INACTIVE_AFTER = 180 * DAY
WINDOW = 365 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A shop as planned: its customers and the year behind it."""

    seed: int
    year: Year
    shoppers: tuple[Shopper, ...]


def open_shop(seed: int, ends_at: Instant, customers: int = DEFAULT_CUSTOMERS, days: int = DEFAULT_DAYS) -> Shop:
    """Plan a shop whose history covers `days` and ends at `ends_at`.

    Deadlines are planned for the default rulebook (inactive after 180 days, value window of 365 days): with a
    history of a year, customers turn inactive every 1 to 3 s from 5 s after `ends_at` on, and dear orders
    leave the window every 4 to 12 s.
    The default year is about 124,000 records of 26 MB together. As they are published, the fullest of eight
    partitions takes 0.35 of the 5 MiB that the embedded broker keeps, so ten times the customers fit too.
    """
    ends_at -= ends_at % MILLISECOND
    year = Year(begins_at=ends_at - days * DAY, ends_at=ends_at, inactive_after=INACTIVE_AFTER, window=WINDOW)
    return Shop(seed=seed, year=year, shoppers=roster(Random(seed), customers, year))


def history(shop: Shop) -> Iterator[ShopRecord]:
    """Give every record of the shop's past in the order of event time, all good and each once.

    The whole past is written before the first record comes out: about 0.5 kB a record.
    """
    past = [record for shopper in shop.shoppers for record in past_of(shopper, shop.seed, shop.year)]
    past.sort(key=attrgetter("occurred_at"))
    yield from past
