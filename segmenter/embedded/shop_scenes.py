"""The scenes that live traffic is made of: what one customer does within a minute, and what it is to show.

A scene is a generator of records, each with the instant it is due at. Hours and days of a real shop pass in
seconds here (an order is delivered within half a minute), so that whoever watches sees every move.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate
from math import exp, log
from operator import attrgetter
from random import Random
from typing import TypeAlias

from segmenter.domain.instants import DAY, MILLISECOND, MINUTE, SECOND, Instant, Span
from segmenter.embedded.shop_faults import FaultyPen
from segmenter.embedded.shop_goods import (
    CAMPAIGNS,
    CATEGORIES,
    Basket,
    attributes,
    clicked,
    dear_basket,
    filled_basket,
)
from segmenter.embedded.shop_records import CURRENCY, Json, Oddity, Scribe, ShopRecord, money
from segmenter.embedded.shop_roster import Fate, Shopper, customer_id

Due: TypeAlias = tuple[Instant, ShopRecord]
Scene: TypeAlias = Callable[["Stage", Instant], Iterator[Due]]

# So long a customer is seen as inactive before it comes back.
SEEN_INACTIVE = 8 * SECOND
DEAR_CENTS = (20_000, 250_000)
LATE_BY = (2 * MINUTE, 3 * DAY)


class Stage:
    """The customers to choose from and the pens to write with; one random source keeps it repeatable."""

    def __init__(self, shoppers: tuple[Shopper, ...], seed: int) -> None:
        self.random = Random(f"{seed}/live")
        self.faulty = FaultyPen(Scribe("x"))
        self._scribe = Scribe("l")
        self._everybody = shoppers
        self._regulars = [shopper for shopper in shoppers if shopper.fate is Fate.REGULAR] or list(shoppers)
        self._weights = list(accumulate(1 + shopper.orders for shopper in self._regulars))
        self._fading = deque(sorted((one for one in shoppers if one.fate is Fate.FADING), key=attrgetter("turns_at")))
        self._came = 0
        self._ordered = 0

    def regular(self) -> Shopper:
        """Choose a customer as likely as it buys: few are chosen very often."""
        return self.random.choices(self._regulars, cum_weights=self._weights)[0]

    def one_of(self, fate: Fate) -> Shopper:
        """Choose a customer of this fate, all alike; a shop without any gives a regular."""
        for _ in range(64):
            shopper = self.random.choice(self._everybody)
            if shopper.fate is fate:
                return shopper
        return self.regular()

    def returning(self, at: Instant) -> Shopper:
        """Choose one that turned inactive a while ago and has not come back; none left gives a regular."""
        if self._fading and (self._fading[0].turns_at or at) <= at - SEEN_INACTIVE:
            return self._fading.popleft()
        return self.regular()

    def newcomer(self, at: Instant) -> Shopper:
        """Invent a customer nobody has seen before."""
        self._came += 1
        return Shopper(
            customer_id=customer_id(len(self._everybody) + self._came),
            fate=Fate.REGULAR,
            known_at=at,
            orders=0,
            favourite=self.random.choice(CATEGORIES),
            taste=1.0,
        )

    def basket(self, shopper: Shopper) -> Basket:
        """Fill a usual basket for the customer."""
        return filled_basket(self.random, shopper.favourite, shopper.taste)

    def next_order_id(self) -> str:
        """Return an order id of its own."""
        self._ordered += 1
        return f"o-live-{self._ordered}"

    def write(self, kind: str, shopper: Shopper, at: Instant, /, **own: Json) -> Due:
        """Write an event that is due when it happens."""
        return at, self._scribe.write(kind, shopper.customer_id, at, **own)

    def order(self, shopper: Shopper, at: Instant, order_id: str, basket: Basket) -> Iterator[Due]:
        """Write an order as it is placed, paid and delivered."""
        yield self.write("order.placed", shopper, at, order_id=order_id, **basket.own)
        yield self.write("order.paid", shopper, at + self.pause(2, 6), order_id=order_id)
        yield self.write("order.delivered", shopper, at + self.pause(10, 30), order_id=order_id)

    def refund(self, shopper: Shopper, at: Instant, order_id: str, cents: int) -> Due:
        """Write a refund against an order."""
        own = {"refund_id": f"r{order_id[1:]}", "order_id": order_id}
        return self.write("order.refunded", shopper, at, **own, amount=money(cents), currency=CURRENCY)

    def click(self, shopper: Shopper, at: Instant) -> Due:
        """Write a click."""
        return self.write("click", shopper, at, **clicked(self.random, shopper.favourite))

    def pause(self, least_s: int, most_s: int) -> Span:
        """Return a span between two numbers of seconds, in whole milliseconds."""
        return self.random.randrange(least_s * 1_000, most_s * 1_000) * MILLISECOND

    def between(self, least: int, most: int) -> int:
        """Return a number between the two, small ones likelier: its logarithm is even."""
        return int(exp(self.random.uniform(log(least), log(most))))


def browse(stage: Stage, at: Instant) -> Iterator[Due]:
    """A visit of a few clicks and no order."""
    shopper = stage.regular() if stage.random.random() < 0.7 else stage.one_of(Fate.BROWSING)
    for _ in range(stage.random.randint(1, 5)):
        yield stage.click(shopper, at)
        at += stage.pause(1, 6)


def buy(stage: Stage, at: Instant) -> Iterator[Due]:
    """A click, then an order."""
    shopper = stage.regular()
    yield stage.click(shopper, at)
    yield from stage.order(shopper, at + stage.pause(1, 8), stage.next_order_id(), stage.basket(shopper))


def arrive(stage: Stage, at: Instant) -> Iterator[Due]:
    """A customer nobody knew: prospect, new after seconds, and more often than not repeat within a minute."""
    shopper = stage.newcomer(at)
    yield stage.write("customer.updated", shopper, at, **attributes(stage.random))
    yield stage.click(shopper, at + stage.pause(1, 3))
    at += stage.pause(4, 12)
    yield from stage.order(shopper, at, stage.next_order_id(), stage.basket(shopper))
    if stage.random.random() < 0.6:
        at += stage.pause(32, 50)
        yield from stage.order(shopper, at, stage.next_order_id(), stage.basket(shopper))


def come_back(stage: Stage, at: Instant) -> Iterator[Due]:
    """An order of one who had turned inactive: reactivated."""
    shopper = stage.returning(at)
    yield from stage.order(shopper, at, stage.next_order_id(), stage.basket(shopper))


def send_back(stage: Stage, at: Instant) -> Iterator[Due]:
    """An order, and a part of its money back; for two in five all of it."""
    shopper, order_id = stage.regular(), stage.next_order_id()
    basket = stage.basket(shopper)
    yield from stage.order(shopper, at, order_id, basket)
    share = 1.0 if stage.random.random() < 0.4 else stage.random.uniform(0.2, 0.6)
    yield stage.refund(shopper, at + stage.pause(32, 60), order_id, max(1, int(basket.cents * share)))


def think_again(stage: Stage, at: Instant) -> Iterator[Due]:
    """An order that is cancelled at once: a first one takes a new customer back to prospect."""
    shopper, order_id = stage.one_of(Fate.BROWSING), stage.next_order_id()
    yield stage.write("order.placed", shopper, at, order_id=order_id, **stage.basket(shopper).own)
    yield stage.write("order.cancelled", shopper, at + stage.pause(5, 15), order_id=order_id)


def splurge(stage: Stage, at: Instant) -> Iterator[Due]:
    """A dear order that lifts a small customer to B or A; three in five take it back and fall again."""
    shopper, order_id = stage.one_of(Fate.ONCE), stage.next_order_id()
    basket = dear_basket(stage.random, stage.between(*DEAR_CENTS))
    yield from stage.order(shopper, at, order_id, basket)
    if stage.random.random() < 0.6:
        yield stage.refund(shopper, at + stage.pause(32, 60), order_id, basket.cents)


def complain(stage: Stage, at: Instant) -> Iterator[Due]:
    """A ticket: opened, closed, and more often than not rated."""
    shopper = stage.regular()
    ticket_id = f"t{stage.next_order_id()[1:]}"
    own = {"priority": stage.random.choice(("low", "normal", "high")), "channel": "chat"}
    yield stage.write("support.opened", shopper, at, ticket_id=ticket_id, category="delivery", **own)
    at += stage.pause(10, 60)
    yield stage.write("support.closed", shopper, at, ticket_id=ticket_id)
    if stage.random.random() < 0.7:
        score = stage.random.choice((1, 2, 3, 4, 4, 5))
        at += stage.pause(3, 10)
        yield stage.write("support.rated", shopper, at, score=score, scale="csat", ticket_id=ticket_id)


def hear_from_us(stage: Stage, at: Instant) -> Iterator[Due]:
    """A mailing, opened by two in five."""
    shopper = stage.regular()
    own = {"channel": "email", "campaign": stage.random.choice(CAMPAIGNS)}
    yield stage.write("contact", shopper, at, **own, kind="sent")
    if stage.random.random() < 0.4:
        yield stage.write("contact", shopper, at + stage.pause(3, 30), **own, kind="opened")


def arrive_late(stage: Stage, at: Instant) -> Iterator[Due]:
    """An order that a till reports minutes to days after it was placed."""
    shopper = stage.regular() if stage.random.random() < 0.5 else stage.one_of(Fate.ONCE)
    happened_at = at - stage.between(*LATE_BY)
    own = stage.basket(shopper).own
    _, record = stage.write("order.placed", shopper, happened_at, order_id=stage.next_order_id(), **own)
    yield at, replace(record, oddity=Oddity.LATE)


def talk_nonsense(stage: Stage, at: Instant) -> Iterator[Due]:
    """A record that no reader can accept."""
    yield at, stage.faulty.write(stage.regular().customer_id, at)


# How often each scene begins, and how many records it has on average.
SCENES: tuple[tuple[Scene, float, float], ...] = (
    (browse, 50, 3.0),
    (buy, 14, 4.0),
    (hear_from_us, 8, 1.4),
    (complain, 4, 2.7),
    (arrive, 3, 6.8),
    (send_back, 3, 4.0),
    (splurge, 1.5, 3.6),
    (arrive_late, 1.5, 1.0),
    (talk_nonsense, 1.5, 1.0),
    (come_back, 1.2, 3.0),
    (think_again, 1.2, 2.0),
)
