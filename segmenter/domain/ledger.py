"""The order ledger: what is known of every order of a customer, and what it is worth.

Facts about an order may come in any order and more than once; the entry they end in is the same. A fact that
comes before its order waits in the entry. Entries older than the dedupe horizon are folded into totals.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from segmenter.domain.instants import Instant
from segmenter.domain.rulebook import CountsFrom

# A folded order is remembered by 4 bytes, so that a later fact about it is told from one whose order is still
# to come; the newest 1,000 of a customer are kept.
FOLDED_IDS_KEPT = 1_000
# Facts that wait for their order; more of one customer are a broken feed.
WAITING_KEPT = 1_000
REFUNDS_PER_ORDER = 1_000
NEVER: Instant = 2**62


def id_hash(identifier: str) -> int:
    """Return 64 bits that stand for an order or refund id."""
    return int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=8).digest(), "big")


def refund_mark(key: int) -> int:
    """Return the hash of a loose refund's id as `Folded` knows it: shops number refunds and orders alike."""
    return key << 32 & 0xFFFF_FFFF_0000_0000


@dataclass(frozen=True, slots=True)
class Amended:
    """The newest amendment of one field: when, by which event, to what (raw, in its own currency)."""

    at: Instant
    by: str
    to: str


@dataclass(slots=True)
class Line:
    """What was bought in one line of an order; `amount` in the currency of the order."""

    item: str
    category: str | None
    quantity: int
    amount: Decimal | None


@dataclass(slots=True, kw_only=True)
class Details:
    """What an order says beyond its worth; amounts in the currency of the order. Replaced, never changed."""

    channel: str | None = None
    campaign: str | None = None
    coupon: str | None = None
    discount: Decimal | None = None
    tax: Decimal | None = None
    shipping: Decimal | None = None
    cost: Decimal | None = None
    lines: tuple[Line, ...] = ()
    lines_by: tuple[Instant, str] | None = None
    """The newest event that amended the lines: when, and its id."""
    discount_by: tuple[Instant, str] | None = None


NO_DETAILS = Details()


@dataclass(slots=True, kw_only=True)
class Order:
    """One order; replaced, never changed. `placed_at` None: facts wait here for an order that has not come yet.

    Not frozen, as that takes four times as long to make; a fact about one order opens all of its customer.

    `amount` is the decimal that was placed, `currency` its own; both may be amended. Refunds are minor units
    of the rulebook's currency by the hash of their id.
    """

    placed_at: Instant | None = None
    paid_at: Instant | None = None
    delivered_at: Instant | None = None
    cancelled_at: Instant | None = None
    gross: int = 0
    """Worth in minor units of the rulebook's currency, amendments included."""
    quoted: str = ""
    """What was placed, as `amount currency`; kept only for a foreign currency or an amended order."""
    amount: Amended | None = None
    currency: Amended | None = None
    refunds: tuple[tuple[int, int, Instant], ...] = ()
    """Hash of the id, minor units, and time of each."""
    waiting_since: Instant | None = None
    """Time of the newest fact that waits; None once the order is there."""
    place: str = ""
    """Where the newest waiting fact came from: `topic/partition/offset`."""
    details: Details | None = None
    """None where the order said nothing but its worth."""

    @property
    def refunded(self) -> int:
        """Sum of what went back, unclamped."""
        return sum(amount for _, amount, _ in self.refunds)

    @property
    def net(self) -> int:
        """What is left of it, never below 0."""
        if self.placed_at is None or self.cancelled_at is not None:
            return 0
        left = self.gross - self.refunded if self.refunds else self.gross
        return max(0, left)

    @property
    def over_refund(self) -> int:
        """What was refunded beyond its amount; nothing for a cancelled order, whose money just goes back."""
        if not self.refunds or self.placed_at is None or self.cancelled_at is not None:
            return 0
        return max(0, self.refunded - self.gross)

    def fact_at(self, counts_from: CountsFrom) -> Instant | None:
        """Return the time of the fact from which it counts, if it is worth anything; None: not known yet."""
        match counts_from:
            case CountsFrom.PLACED:
                return self.placed_at
            case CountsFrom.PAID:
                return self.paid_at
            case CountsFrom.DELIVERED:
                return self.delivered_at


@dataclass(frozen=True, slots=True)
class LooseRefund:
    """A refund that names no order: it lowers revenue at its own time."""

    at: Instant
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Totals of what lies behind the dedupe horizon."""

    orders: int = 0
    net: int = 0
    first_at: Instant | None = None
    last_at: Instant | None = None
    over_refund: int = 0
    gross: int = 0
    sold: int = 0
    """What the orders came to that were not cancelled, whatever went back."""
    refunds: int = 0
    refunded: int = 0
    items: int = 0
    discount: int = 0
    discounted: int = 0
    deliveries: int = 0
    ids: tuple[int, ...] = ()
    """32 bits of the hash of the newest folded ids: the upper ones of an order, the lower ones of a refund."""

    def knows(self, key: int) -> bool:
        """Tell whether the order with this hash, or the refund with this `refund_mark`, is behind the horizon."""
        return key >> 32 in self.ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Every order within the horizon, refunds without an order, and the totals of all before."""

    orders: dict[int, Order] = field(default_factory=dict)
    loose_refunds: dict[int, LooseRefund] = field(default_factory=dict)
    folded: Folded = Folded()

    @property
    def orders_at_hand(self) -> int:
        """Return how many orders take memory, as a sealed ledger does."""
        return len(self.orders)

    def with_order(self, key: int, order: Order) -> "Ledger":
        """Return the ledger with this entry in place of what stood there."""
        return Ledger(orders={**self.orders, key: order}, loose_refunds=self.loose_refunds, folded=self.folded)

    def with_loose_refund(self, key: int, refund: LooseRefund) -> "Ledger":
        """Return the ledger with one more refund that names no order."""
        loose_refunds = {**self.loose_refunds, key: refund}
        return Ledger(orders=self.orders, loose_refunds=loose_refunds, folded=self.folded)

    def waiting(self) -> Iterator[tuple[int, Order]]:
        """Yield the entries whose order has not come yet."""
        return ((key, order) for key, order in self.orders.items() if order.placed_at is None)

    @property
    def oldest_at(self) -> Instant:
        """Return the time of the oldest that can be behind a horizon: what waits for its order is not."""
        placed = [order.placed_at for order in self.orders.values() if order.placed_at is not None]
        return min([*placed, *(refund.at for refund in self.loose_refunds.values())], default=NEVER)


@dataclass(slots=True, kw_only=True)
class Totals:
    """What a ledger comes to at an instant; money in minor units. Replaced, never changed; not frozen, as `Order`."""

    orders: int = 0
    first_order_at: Instant | None = None
    last_order_at: Instant | None = None
    net: int = 0
    window_net: int = 0
    """Net revenue of the value window; below 0 where refunds without an order outweigh."""
    leaves_at: Instant | None = None
    """When the next order or refund leaves the window."""
    over_refund: int = 0
    waiting_since: Instant | None = None
    """The oldest fact that waits for its order."""


def counting(orders: Iterable[Order], counts_from: CountsFrom) -> list[tuple[Instant, int]]:
    """Return time and net of every order that counts: paid for and delivered if need be, and worth something."""
    if counts_from is CountsFrom.PLACED:  # nearly always, and a third faster than asking for each
        return [(at, net) for order in orders if (at := order.placed_at) is not None and (net := order.net) > 0]
    return [
        (at, net) for order in orders if (net := order.net) > 0 and (at := order.fact_at(counts_from)) is not None
    ]
