"""The order ledger: what is known of every order of a customer, and what it is worth.

Facts about an order may come in any order and more than once; the entry they end in is the same. A fact that
comes before its order waits in the entry. Entries older than the dedupe horizon are folded into totals.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from segmenter.domain.instants import Instant, Span
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
    refunds: tuple[tuple[int, int], ...] = ()
    waiting_since: Instant | None = None
    """Time of the newest fact that waits; None once the order is there."""
    place: str = ""
    """Where the newest waiting fact came from: `topic/partition/offset`."""

    @property
    def refunded(self) -> int:
        """Sum of what went back, unclamped."""
        return sum(amount for _, amount in self.refunds)

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


def totals_of(ledger: Ledger, now: Instant, counts_from: CountsFrom, window: Span | None) -> Totals:
    """Return the totals at `now`: an order is in the window while now < its time + window (None: for ever)."""
    folded, orders = ledger.folded, ledger.orders.values()
    counting = _counting(orders, counts_from)
    loose = [(refund.at, -refund.amount) for refund in ledger.loose_refunds.values()]
    amounts = [*counting, *loose]
    times = [at for at, _ in counting]
    window_net, leaves_at = _in_window(amounts, now, window)
    waiting = [order.waiting_since for order in orders if order.placed_at is None]
    return Totals(
        orders=folded.orders + len(counting),
        first_order_at=min(_known(folded.first_at, times), default=None),
        last_order_at=max(_known(folded.last_at, times), default=None),
        net=folded.net + sum([net for _, net in amounts]),
        window_net=window_net + (folded.net if window is None else 0),
        leaves_at=leaves_at,
        over_refund=folded.over_refund + sum([order.over_refund for order in orders if order.refunds]),
        waiting_since=min([since for since in waiting if since is not None], default=None),
    )


def totals_with(totals: Totals, at: Instant, net: int, now: Instant, window: Span | None) -> Totals:
    """Return the totals at `now` with one order more that counts, given those without it, which must still hold."""
    window_net, leaves_at = totals.window_net, totals.leaves_at
    if window is None:
        window_net += net
    elif at > now - window:
        window_net += net
        leaves_at = at + window if leaves_at is None else min(leaves_at, at + window)
    first, last = totals.first_order_at, totals.last_order_at
    return Totals(
        orders=totals.orders + 1,
        first_order_at=at if first is None else min(first, at),
        last_order_at=at if last is None else max(last, at),
        net=totals.net + net,
        window_net=window_net,
        leaves_at=leaves_at,
        over_refund=totals.over_refund,
        waiting_since=totals.waiting_since,
    )


def _counting(orders: Iterable[Order], counts_from: CountsFrom) -> list[tuple[Instant, int]]:
    """Return time and net of every order that counts: paid for and delivered if need be, and worth something."""
    if counts_from is CountsFrom.PLACED:  # nearly always, and a third faster than asking for each
        return [(at, net) for order in orders if (at := order.placed_at) is not None and (net := order.net) > 0]
    return [
        (at, net) for order in orders if (net := order.net) > 0 and (at := order.fact_at(counts_from)) is not None
    ]


def _known(at: Instant | None, times: list[Instant]) -> list[Instant]:
    return times if at is None else [at, *times]


def _in_window(amounts: list[tuple[Instant, int]], now: Instant, window: Span | None) -> tuple[int, Instant | None]:
    """Return what lies in the window at `now`, and when the next amount leaves it."""
    if window is None:
        return sum([net for _, net in amounts]), None
    start = now - window
    inside = [amount for amount in amounts if amount[0] > start]
    return sum([net for _, net in inside]), min(inside)[0] + window if inside else None


def folded_before(ledger: Ledger, horizon_at: Instant, counts_from: CountsFrom) -> Ledger:
    """Return the ledger with every order and loose refund older than `horizon_at` folded into the totals.

    The same totals come out whenever it is done. Facts that still wait for their order stay.
    """
    # No order is older than it was placed: most need no closer look.
    old_orders = {
        k: o
        for k, o in ledger.orders.items()
        if o.placed_at is not None and o.placed_at < horizon_at and _age_at(o) < horizon_at
    }
    old_refunds = {k: r for k, r in ledger.loose_refunds.items() if r.at < horizon_at}
    if not old_orders and not old_refunds:
        return ledger
    return Ledger(
        orders={k: o for k, o in ledger.orders.items() if k not in old_orders},
        loose_refunds={k: r for k, r in ledger.loose_refunds.items() if k not in old_refunds},
        folded=_folded(ledger.folded, old_orders, old_refunds, counts_from),
    )


def _age_at(order: Order) -> Instant:
    """Return the newest time that makes an order old: waiting facts are never folded."""
    if order.placed_at is None:
        return NEVER
    return max(order.placed_at, order.paid_at or 0, order.delivered_at or 0)


def _folded(
    before: Folded, orders: dict[int, Order], refunds: dict[int, LooseRefund], counts_from: CountsFrom
) -> Folded:
    counting = _counting(orders.values(), counts_from)
    times = [at for at, _ in counting]
    oldest_first = sorted((_age_at(o), k) for k, o in orders.items())
    oldest_first += sorted((r.at, refund_mark(k)) for k, r in refunds.items())
    return Folded(
        orders=before.orders + len(counting),
        net=before.net + sum(net for _, net in counting) - sum(r.amount for r in refunds.values()),
        first_at=min((t for t in (before.first_at, *times) if t is not None), default=None),
        last_at=max((t for t in (before.last_at, *times) if t is not None), default=None),
        over_refund=before.over_refund + sum(order.over_refund for order in orders.values()),
        ids=(*before.ids, *(key >> 32 for _, key in oldest_first))[-FOLDED_IDS_KEPT:],
    )
