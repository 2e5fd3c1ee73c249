"""A small shop that does everything at once: few customers and amounts, much that is late, twice, or no event."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from segmenter.adapters.home import home_of
from segmenter.domain.instants import SECOND, Instant, Span, rfc3339
from segmenter.engine.intake import Place
from tests.simulation.rules import CLICKS, EPOCH, MAIL, MAILS, ORDERS, PARTITIONS

_NAMES = (*(f"c-{number}" for number in range(14)), "ü/é", "c 'quoted\" {x}")
# Orders only in a currency without a rate, so nobody ever gets to know him.
_ABROAD = "c-yen"
_AMOUNTS = ("0", "0.01", "5", "10", "10", "10.005", "20", "20", "250")
_KINDS = ("order", "fact", "click", "loose", "staff", "visitor")
_WEIGHTS = (6, 6, 3, 1, 1, 1)
_ADDING = (6, 0, 3, 0, 0, 1)
# Two events of one customer never have the same time: their order would be that of the ids, then of arrival.
_APART: Instant = 7

Said = dict[str, Any]


class Fate(StrEnum):
    """What must become of a record."""

    KNOWN = "known"
    REPEAT = "repeat"
    ASIDE = "aside"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Written:
    """A record to write."""

    place: Place
    value: bytes | None
    key: bytes | None
    fate: Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a shop writes."""

    mail_share: float = 0.35
    """How much comes in a topic of any key."""
    latest: Span = SECOND
    """By how much an event is late at most, where order counts."""
    bad_share: float = 0.04
    """How much of what it writes is no event."""
    only_adds: bool = False
    """Nothing is ever taken back: there are orders, clicks and visitors."""


@dataclass(slots=True)
class Shop:
    """Makes records. Each event has its own id, and each fact of an order is told once (but may be repeated)."""

    dice: random.Random
    is_exact: bool
    habits: Habits = Habits()
    orders: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    last_at: dict[str, Instant] = field(default_factory=dict)
    made: int = 0

    def next(self, at_s: float) -> Iterator[Written]:
        """Yield what the shop writes at this second of the story: mostly one event."""
        now = EPOCH + int(at_s * SECOND)
        chance = self.dice.random()
        if chance < self.habits.bad_share:
            yield self._garbage(now)
        elif chance < self.habits.bad_share + 0.03:
            yield self._stray(now)
        else:
            written = self._event(now)
            yield written
            for _ in range(self.dice.choice((0, 0, 0, 0, 1))):
                yield Written(written.place, written.value, written.key, Fate.REPEAT)

    def _event(self, now: Instant) -> Written:
        dice = self.dice
        kind = dice.choices(_KINDS, _ADDING if self.habits.only_adds else _WEIGHTS)[0]
        who = f"cookie-{dice.randrange(3)}" if kind == "visitor" else dice.choice(_NAMES)
        said = self._said(kind, who, self._moment(who, now))
        place = self._place(who, said["type"])
        if dice.random() < 0.03:
            said["test"] = True
            return Written(place, _written(said), self._key(place), Fate.NOTHING)
        return Written(place, _written(said), self._key(place), Fate.KNOWN)

    def _said(self, kind: str, who: str, at: Instant) -> Said:
        self.made += 1
        named = "anonymous_id" if kind == "visitor" else "customer_id"
        said: Said = {"event_id": f"e{self.made}", named: who, "occurred_at": rfc3339(at)}
        match kind:
            case "order":
                return said | self._order(who)
            case "fact" if self.orders.get(who):
                return said | self._fact(self.dice.choice(self.orders[who]))
            case "loose":
                return said | {"type": "order.refunded", "refund_id": f"r{self.made}", **self._money()}
            case "staff":
                return said | {"type": "customer.updated", "attributes": {"exclude": self.dice.random() < 0.4}}
            case _:
                return said | {"type": "click", "kind": "view"}

    def _moment(self, who: str, now: Instant) -> Instant:
        """Mostly just now; where order counts, never more than lateness allows and never before the last one."""
        dice = self.dice
        if self.is_exact:
            at = max(now - dice.choice((0, 0, dice.randrange(self.habits.latest))), self.last_at.get(who, 0) + _APART)
            self.last_at[who] = at
            return at
        past = dice.choice((0, 0, 0, dice.randrange(SECOND), 3 * SECOND, dice.randrange(40 * SECOND)))
        return (now - past) // SECOND * SECOND if dice.random() < 0.3 else now - past

    def _order(self, who: str) -> Said:
        order_id = f"o{self.made}"
        self.orders.setdefault(who, []).append(order_id)
        return {"type": "order.placed", "order_id": order_id, **self._money()}

    def _fact(self, order_id: str) -> Said:
        kind = self.dice.choice(("paid", "paid", "delivered", "cancelled", "refunded", "updated"))
        said: Said = {"type": f"order.{kind}", "order_id": order_id}
        if kind == "refunded":
            said |= {"refund_id": f"r{self.made}", **self._money()}
        if kind == "updated":
            said |= self._money()
        return said

    def _money(self) -> Said:
        return {"amount": self.dice.choice(_AMOUNTS), "currency": self.dice.choice(("EUR", "EUR", "USD"))}

    def _place(self, who: str, type_: str) -> Place:
        """Orders and clicks lie at home; some of all comes in a topic of any key."""
        topic = ORDERS if type_.startswith("order") else CLICKS
        is_mail = self.dice.random() < self.habits.mail_share
        place = (MAIL, self.dice.randrange(MAILS)) if is_mail else (topic, home_of(who, PARTITIONS))
        return self.places.setdefault(who, place) if self.is_exact else place

    def _key(self, place: Place) -> bytes | None:
        return self.dice.choice((b"any", b"k-1", None)) if place[0] == MAIL else None

    def _garbage(self, now: Instant) -> Written:
        """Make something that is no event, or one that no rule can take."""
        self.made += 1
        order = {"event_id": f"e{self.made}", "type": "order.placed", "occurred_at": rfc3339(now)}
        value = self.dice.choice(
            (
                b"\xff\xfe not json %d" % self.made,
                None,
                _written({**order, "order_id": f"o{self.made}", "amount": "1", "currency": "EUR"}),
                _written({**order, "customer_id": _ABROAD, "order_id": "x", "amount": "1", "currency": "JPY"}),
            )
        )
        mail = [(MAIL, 0)] if self.habits.mail_share else []
        place = self.dice.choice([*mail, *((CLICKS, lane) for lane in range(PARTITIONS))])
        if value is not None and b"JPY" in value and place[0] == CLICKS:
            place = CLICKS, home_of(_ABROAD, PARTITIONS)
        return Written(place, value, self._key(place), Fate.ASIDE)

    def _stray(self, now: Instant) -> Written:
        """Make an event that lies in a partition which is not its customer's home."""
        who = self.dice.choice(_NAMES)
        wrong = (home_of(who, PARTITIONS) + self.dice.randrange(1, PARTITIONS)) % PARTITIONS
        said = self._said("click", who, now)
        return Written((CLICKS, wrong), _written(said), None, Fate.ASIDE)


def everybody() -> list[str]:
    """Return all who may be stored."""
    return [*_NAMES, *(f"anon:cookie-{number}" for number in range(3))]


def _written(said: Said) -> bytes:
    return json.dumps(said).encode()
