"""A customer as conditions see him at an instant: what is asked for is looked up once."""

from collections.abc import Mapping
from functools import cached_property

from segmenter.domain.behaviour import Behaviour
from segmenter.domain.conditions import Score
from segmenter.domain.instants import Instant
from segmenter.domain.ledger import Folded, Ledger, Order
from segmenter.domain.profile import Profile
from segmenter.domain.puts import Put
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.value import Boundary


class Sight:
    """One look at a profile. `segments` holds where he stands in every dimension that was answered before."""

    def __init__(
        self,
        profile: Profile,
        now: Instant,
        rulebook: Rulebook,
        segments: dict[str, str],
        boundary: Boundary | None = None,
    ) -> None:
        self.profile = profile
        self.now = now
        self.rulebook = rulebook
        self.segments = segments
        self.boundary = boundary
        self.places: dict[int, int] = {}
        """Under which number he is to be kept in each ranking that quintiles are cut from."""
        self.scores: dict[str, int] = {}
        """The scores of RFM, by letter."""
        self.numbers: dict[Score, int] = {}
        """What is scored: the time of the last order, the number of orders, and what they came to."""
        self.in_by_rules: dict[str, bool | None] = {}
        """By segment, where the rules have him beneath a put; None: the put is over."""

    @cached_property
    def ledger(self) -> Ledger:
        """Return all orders and refunds."""
        return self.profile.ledger

    @cached_property
    def open_puts(self) -> Mapping[str, Put]:
        """Return what somebody says by hand, by segment, and what has just ended."""
        return {name: put for name, put in self.profile.puts.items() if put.is_open}

    @property
    def folded(self) -> Folded:
        """Return the totals of what lies behind the horizon."""
        return self.ledger.folded

    @cached_property
    def behaviour(self) -> Behaviour:
        """Return what he did beyond ordering."""
        return self.profile.behaviour

    @cached_property
    def sold(self) -> list[tuple[Instant, Order]]:
        """Return every order that came as far as it must to count and was not cancelled, whatever is left of it."""
        counts_from = self.rulebook.lifecycle.counts_from
        orders = self.ledger.orders.values()
        placed = (order for order in orders if order.placed_at is not None and order.cancelled_at is None)
        return [(at, order) for order in placed if (at := order.fact_at(counts_from)) is not None]

    @cached_property
    def orders(self) -> list[tuple[Instant, Order]]:
        """Return every order that counts, with the time of the fact from which it does."""
        return [(at, order) for at, order in self.sold if order.net > 0]
