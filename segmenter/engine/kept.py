"""The profiles a lane keeps at hand: who was last at work need not be read from the store again.

They are what the store holds, for nobody else writes to it; a write that fails, or whose outcome is unknown, ends the
hold on the lane, and them with it.
"""

from collections.abc import Collection, Iterable, Sequence

from segmenter.domain.profile import Profile
from segmenter.ports import ProfileWrite

# An order that was looked into takes some 280 bytes: a lane's ledgers may take 6 MB.
ORDERS_KEPT = 20_000


class KeptProfiles:
    """At most `most` profiles with `most_orders` orders in their ledgers, those that were stored last."""

    def __init__(self, most: int, most_orders: int = ORDERS_KEPT) -> None:
        self._most, self._most_orders = most, most_orders
        self._profile_by_customer: dict[str, Profile] = {}
        self._orders_by_customer: dict[str, int] = {}
        self._orders = 0

    def among(self, customers: Iterable[str]) -> tuple[list[tuple[str, Profile]], list[str]]:
        """Return who of these is kept, and who has to be read."""
        kept, found, unknown = self._profile_by_customer, [], []
        for customer in customers:
            profile = kept.get(customer)
            if profile is None:
                unknown.append(customer)
            else:
                found.append((customer, profile))
        return found, unknown

    def note(self, writes: Sequence[ProfileWrite], passing: Collection[str] = ()) -> None:
        """Remember what was stored, the newest last; of who is only `passing`, those who are kept already."""
        kept = self._profile_by_customer
        for write in writes:
            if write.customer in passing and write.customer not in kept:
                continue
            self._drop(write.customer)
            if (profile := write.profile) is not None:
                kept[write.customer] = profile
                if orders := profile.ledger_part.orders_at_hand:
                    self._orders_by_customer[write.customer] = orders
                    self._orders += orders
        while kept and (len(kept) > self._most or self._orders > self._most_orders):
            self._drop(next(iter(kept)))

    def _drop(self, customer: str) -> None:
        self._profile_by_customer.pop(customer, None)
        self._orders -= self._orders_by_customer.pop(customer, 0)
