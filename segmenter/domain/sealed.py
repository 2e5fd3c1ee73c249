"""Parts of a profile that stay packed until somebody looks into them: most events touch none of these."""

from collections.abc import Callable
from typing import Generic, TypeVar

from segmenter.domain.instants import Instant
from segmenter.domain.ledger import Ledger, Order

Part = TypeVar("Part")


class Sealed(Generic[Part]):
    """A part as it is stored, under the `flags` of its form; it goes back as it came when nobody changed it."""

    __slots__ = ("_opened", "_opener", "flags", "packed")

    def __init__(
        self, packed: bytes, flags: int, opener: Callable[[bytes, int], Part], opened: Part | None = None
    ) -> None:
        self.packed = packed
        self.flags = flags
        self._opener = opener
        self._opened = opened

    def opened(self) -> Part:
        """Return what is in it; unpacked once."""
        opened = self._opened
        if opened is None:
            opened = self._opened = self._opener(self.packed, self.flags)
        return opened


class SealedLedger:
    """A ledger as it is stored, opened when somebody looks into it. It can grow by new orders without that.

    In `packed` the hash of each id stands as 8 bytes, little-endian; `is_plain` tells that it holds nothing but
    orders. `added` are orders that came since.
    """

    __slots__ = ("_opened", "_opener", "added", "flags", "is_plain", "oldest_at", "packed")

    def __init__(
        self,
        packed: bytes,
        flags: int,
        oldest_at: Instant,
        opener: Callable[[bytes, int], Ledger],
        *,
        is_plain: bool,
    ) -> None:
        self.packed = packed
        self.flags = flags
        self.oldest_at = oldest_at
        self.is_plain = is_plain
        self.added: tuple[tuple[int, Order], ...] = ()
        self._opener = opener
        self._opened: Ledger | None = None

    def opened(self) -> Ledger:
        """Return what is in it, with what was added; unpacked once."""
        opened = self._opened
        if opened is None:
            opened = self._opener(self.packed, self.flags)
            if self.added:
                orders = {**opened.orders, **dict(self.added)}
                opened = Ledger(orders=orders, loose_refunds=opened.loose_refunds, folded=opened.folded)
            self._opened = opened
        return opened

    @property
    def orders_at_hand(self) -> int:
        """Return how many orders take the memory of opened ones, roughly; packed bytes count as some."""
        opened = 0 if self._opened is None else len(self._opened.orders)
        return opened + len(self.added) + len(self.packed) // 256

    def may_hold(self, key: int) -> bool:
        """Tell whether there may be something under this hash; False is certain."""
        return key.to_bytes(8, "little") in self.packed or any(added == key for added, _ in self.added)

    def repack(self, packed: bytes) -> None:
        """Take over the bytes that hold what was added as well."""
        self.packed, self.added = packed, ()

    def grown(self, key: int, order: Order) -> "SealedLedger":
        """Return one that holds a new order as well."""
        oldest_at = self.oldest_at if order.placed_at is None else min(self.oldest_at, order.placed_at)
        other = SealedLedger(self.packed, self.flags, oldest_at, self._opener, is_plain=self.is_plain)
        other.added = (*self.added, (key, order))
        return other
