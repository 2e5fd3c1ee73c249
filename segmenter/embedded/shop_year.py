"""One customer's past: orders and what follows, clicks, tickets and mailings, in daily and weekly rhythm."""

from collections.abc import Iterator
from random import Random

from segmenter.domain.instants import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Instant, Span
from segmenter.embedded.shop_goods import CAMPAIGNS, Basket, attributes, clicked, dear_basket, filled_basket
from segmenter.embedded.shop_records import CURRENCY, Json, Scribe, ShopRecord, money
from segmenter.embedded.shop_roster import Fate, Shopper, Year

# From Monday to Sunday, and by hour from midnight (UTC).
WEEKDAY_WEIGHTS = (0.75, 0.75, 0.8, 0.85, 1.0, 1.0, 0.9)
HOUR_WEIGHTS = (1, 1, 1, 1, 1, 2, 4, 6, 8, 9, 10, 11, 12, 11, 10, 10, 10, 11, 13, 15, 16, 13, 8, 3)
# 1970-01-01 was a Thursday.
EPOCH_WEEKDAY = 3

MAX_IDLE_SESSIONS = 12
MAILINGS = 12
MAILING_SHARE = 0.25
CANCELLED_SHARE, REFUNDED_SHARE, TICKET_SHARE = 0.03, 0.06, 0.08


def past_of(shopper: Shopper, seed: int, year: Year) -> list[ShopRecord]:
    """Return all that happened to the customer within the year, in no order of time.

    The same seed gives the same records, whoever else is on the roster.
    """
    written = _Past(shopper, seed, year).records()
    return [record for record in written if year.begins_at <= record.occurred_at < year.ends_at]


class _Past:
    """Writes one customer's records; a random source and a scribe of its own keep them repeatable."""

    def __init__(self, shopper: Shopper, seed: int, year: Year) -> None:
        self._shopper = shopper
        self._year = year
        self._random = Random(f"{seed}/{shopper.customer_id}")
        self._scribe = Scribe(f"h{shopper.customer_id[2:]}")
        self._order_number = 0

    def records(self) -> Iterator[ShopRecord]:
        yield self._write("customer.updated", self._shopper.known_at, **attributes(self._random))
        for at in self._order_times():
            yield from self._order(at)
        for _ in range(self._random.randint(1, MAX_IDLE_SESSIONS)):
            yield from self._session(self._moment(self._shopper.known_at, self._year.ends_at))
        yield from self._mailings()

    def _order_times(self) -> list[Instant]:
        """Return when the orders were placed; what a planned deadline hangs on is exact."""
        shopper, ends_at = self._shopper, self._year.ends_at
        if shopper.turns_at is None:
            return [self._moment(shopper.known_at, ends_at) for _ in range(shopper.orders)]
        if shopper.fate is Fate.FADING:
            last_at = shopper.turns_at - self._year.inactive_after
            return [self._moment(shopper.known_at, last_at) for _ in range(shopper.orders - 1)] + [last_at]
        # Later orders keep the customer active, and only their own sums are left when the dear one goes.
        recent = ends_at - self._year.inactive_after // 2
        return [shopper.known_at] + [self._moment(recent, ends_at) for _ in range(shopper.orders - 1)]

    def _order(self, at: Instant) -> Iterator[ShopRecord]:
        order_id = self._next_order_id()
        basket = self._basket(at)
        for _ in range(self._random.randint(1, 2)):
            yield self._click(at - self._within(MINUTE, HOUR))
        yield self._write("order.placed", at, order_id=order_id, **basket.own)
        if self._shopper.turns_at is None and self._random.random() < CANCELLED_SHARE:
            yield self._write("order.cancelled", at + self._within(HOUR, 20 * HOUR), order_id=order_id)
            return
        paid_at = at + self._within(20 * SECOND, 2 * HOUR)
        delivered_at = paid_at + self._within(DAY, 5 * DAY)
        yield self._write("order.paid", paid_at, order_id=order_id)
        yield self._write("order.delivered", delivered_at, order_id=order_id)
        # A refund could take a planned deadline back.
        if self._shopper.turns_at is None and self._random.random() < REFUNDED_SHARE:
            yield self._refund(delivered_at + self._within(DAY, 14 * DAY), order_id, basket.cents)
        if self._random.random() < TICKET_SHARE:
            yield from self._ticket(delivered_at + self._within(HOUR, 3 * DAY))

    def _basket(self, at: Instant) -> Basket:
        if self._shopper.fate is Fate.LEAVING and at == self._shopper.known_at:
            return dear_basket(self._random, self._random.randint(40_000, 180_000))
        return filled_basket(self._random, self._shopper.favourite, self._shopper.taste)

    def _refund(self, at: Instant, order_id: str, cents: int) -> ShopRecord:
        is_whole = self._random.random() < 0.4
        back = cents if is_whole else max(1, int(cents * self._random.uniform(0.2, 0.6)))
        own = {"refund_id": f"r-{order_id[2:]}", "order_id": order_id}
        return self._write("order.refunded", at, **own, amount=money(back), currency=CURRENCY)

    def _ticket(self, at: Instant) -> Iterator[ShopRecord]:
        ticket_id = f"t-{self._shopper.customer_id[2:]}-{self._order_number}"
        priority = self._random.choice(("low", "normal", "normal", "high"))
        category = self._random.choice(("delivery", "product", "payment"))
        yield self._write(
            "support.opened", at, ticket_id=ticket_id, priority=priority, channel="email", category=category
        )
        closed_at = at + self._within(2 * HOUR, 3 * DAY)
        yield self._write("support.closed", closed_at, ticket_id=ticket_id)
        if self._random.random() < 0.6:
            scale, scores = self._random.choice((("csat", (1, 2, 3, 4, 4, 5, 5)), ("nps", tuple(range(11)))))
            rated_at = closed_at + self._within(MINUTE, DAY)
            score = self._random.choice(scores)
            yield self._write("support.rated", rated_at, score=score, scale=scale, ticket_id=ticket_id)

    def _session(self, at: Instant) -> Iterator[ShopRecord]:
        for _ in range(self._random.randint(1, 5)):
            yield self._click(at)
            at += self._within(5 * SECOND, 3 * MINUTE)

    def _click(self, at: Instant) -> ShopRecord:
        return self._write("click", at, **clicked(self._random, self._shopper.favourite))

    def _mailings(self) -> Iterator[ShopRecord]:
        every = (self._year.ends_at - self._year.begins_at) // MAILINGS
        for number in range(MAILINGS):
            sent_at = self._year.begins_at + number * every + 9 * HOUR
            if sent_at < self._shopper.known_at or self._random.random() > MAILING_SHARE:
                continue
            own = {"channel": "email", "campaign": CAMPAIGNS[number % len(CAMPAIGNS)]}
            yield self._write("contact", sent_at, kind="sent", **own)
            if self._random.random() < 0.35:
                opened_at = sent_at + self._within(MINUTE, DAY)
                yield self._write("contact", opened_at, kind="opened", **own)
                if self._random.random() < 0.3:
                    yield self._write("contact", opened_at + self._within(SECOND, MINUTE), kind="clicked", **own)

    def _next_order_id(self) -> str:
        self._order_number += 1
        return f"o-{self._shopper.customer_id[2:]}-{self._order_number}"

    def _write(self, kind: str, at: Instant, /, **own: Json) -> ShopRecord:
        return self._scribe.write(kind, self._shopper.customer_id, at, **own)

    def _within(self, least: Span, most: Span) -> Span:
        return self._random.randrange(least // MILLISECOND, most // MILLISECOND) * MILLISECOND

    def _moment(self, first: Instant, last: Instant) -> Instant:
        return rhythmic_moment(self._random, first, last)


def rhythmic_moment(random: Random, first: Instant, last: Instant) -> Instant:
    """Return a moment in [first, last], likelier at busy hours and days; a short stretch is drawn evenly."""
    for _ in range(8):
        day = random.randrange(first // DAY, last // DAY + 1)
        if random.random() > WEEKDAY_WEIGHTS[(day + EPOCH_WEEKDAY) % 7]:
            continue
        hour = random.choices(range(24), HOUR_WEIGHTS)[0]
        at = day * DAY + hour * HOUR + random.randrange(HOUR // MILLISECOND) * MILLISECOND
        if first <= at <= last:
            return at
    return random.randrange(first, last + 1)
