"""A small shop that does everything at once: few customers and amounts, short spans, much that is late or twice."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from segmenter.adapters.home import home_of
from segmenter.domain.instants import SECOND, Instant, rfc3339
from segmenter.domain.rulebook import CountsFrom, LifecycleRule, Rulebook, ValueRule
from segmenter.engine.intake import Place
from segmenter.engine.terms import Terms
from tests.oracle.model import Terms as ModelTerms

PARTITIONS = 3
OTHER_PARTITIONS = 2
MAIL = "mail"
RATES = {"USD": Decimal("0.92")}
CUSTOMERS = (*(f"c-{number}" for number in range(14)), "ü/é", "c 'quoted\" {x}")
_AMOUNTS = ("0", "0.01", "5", "10", "10", "10.005", "20", "20", "250")

Said = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """One set of rules, as the product and as the model have it."""

    terms: Terms
    model: ModelTerms
    is_plain: bool
    """Neither band nor dwell: at rest every class is that of a full sort."""


def rules_of(dice: random.Random) -> Rules:
    """Draw rules with spans of seconds."""
    is_plain = dice.random() < 0.5
    inactive_after, window = dice.choice([15, 40]), dice.choice([None, 25, 60])
    counts_from = dice.choice([CountsFrom.PLACED, CountsFrom.PLACED, CountsFrom.PAID])
    rulebook = Rulebook(
        rates=RATES,
        lifecycle=LifecycleRule(inactive_after=inactive_after * SECOND, counts_from=counts_from),
        value=ValueRule(
            window=None if window is None else window * SECOND,
            band=Decimal(0) if is_plain else Decimal("0.05"),
            dwell=0 if is_plain else 7 * SECOND,
            min_ranked=dice.choice([1, 4]),
        ),
        dedupe_horizon=None,
        anonymous_expiry=20 * SECOND,
    )
    terms = Terms(
        rulebook=rulebook,
        partitions=PARTITIONS,
        direct=frozenset({"orders", "clicks"}),
        others=frozenset({MAIL}),
        events_per_commit=dice.choice([2, 7, 1_500]),
        ticks_per_commit=dice.choice([1, 3, 700]),
        sweep_per_commit=dice.choice([1, 2, 700]),
        outbox_entries=dice.choice([20, 200_000]),
        live_within=10 * SECOND,
        behind_after=30 * SECOND,
    )
    model = ModelTerms(
        rates=RATES,
        inactive_after=timedelta(seconds=inactive_after),
        counts_from=str(counts_from),
        window=None if window is None else timedelta(seconds=window),
    )
    return Rules(terms, model, is_plain)


@dataclass(slots=True)
class Shop:
    """Makes events. Each has its own id, and each fact of an order is told once (but the record may be repeated)."""

    dice: random.Random
    orders: dict[str, list[str]] = field(default_factory=dict)
    made: int = 0

    def next(self, now: Instant) -> tuple[Place, Said]:
        """Return an event of about now, and the partition it is written to."""
        dice = self.dice
        customer = dice.choice(CUSTOMERS)
        self.made += 1
        said: Said = {"event_id": f"e{self.made}", "customer_id": customer, "occurred_at": self._moment(now)}
        kind = dice.choices(("order", "fact", "click", "loose", "staff", "visitor"), (6, 6, 3, 1, 1, 1))[0]
        said |= self._own(kind, customer)
        if kind == "visitor":
            del said["customer_id"]
            said["anonymous_id"] = f"cookie-{dice.randrange(3)}"
        return self._place(said), said

    def _moment(self, now: Instant) -> str:
        """Mostly just now, at times on a full second of the past, where deadlines lie too."""
        past = self.dice.choice([0, 0, 0, self.dice.randrange(SECOND), 3 * SECOND, self.dice.randrange(60 * SECOND)])
        return rfc3339((now - past) // SECOND * SECOND if self.dice.random() < 0.3 else now - past)

    def _own(self, kind: str, customer: str) -> Said:
        match kind:
            case "order":
                return self._order(customer)
            case "fact" if self.orders.get(customer):
                return self._fact(self.dice.choice(self.orders[customer]))
            case "loose":
                return {"type": "order.refunded", "refund_id": f"r{self.made}", **self._money()}
            case "staff":
                return {"type": "customer.updated", "attributes": {"exclude": self.dice.random() < 0.5}}
            case _:
                return {"type": "click", "kind": "view"}

    def _order(self, customer: str) -> Said:
        order_id = f"o{self.made}"
        self.orders.setdefault(customer, []).append(order_id)
        return {"type": "order.placed", "order_id": order_id, **self._money()}

    def _fact(self, order_id: str) -> Said:
        kind = self.dice.choice(["paid", "paid", "delivered", "cancelled", "refunded", "updated"])
        said: Said = {"type": f"order.{kind}", "order_id": order_id}
        if kind == "refunded":
            said |= {"refund_id": f"r{self.made}", **self._money()}
        if kind == "updated":
            said |= self._money()
        return said

    def _money(self) -> Said:
        return {"amount": self.dice.choice(_AMOUNTS), "currency": self.dice.choice(["EUR", "EUR", "USD"])}

    def _place(self, said: Said) -> Place:
        """Orders and clicks lie at home; some of all comes in a topic of any key."""
        if self.dice.random() < 0.3:
            return MAIL, self.dice.randrange(OTHER_PARTITIONS)
        topic = "orders" if said["type"].startswith("order") else "clicks"
        return topic, home_of(said.get("customer_id") or said["anonymous_id"], PARTITIONS)


def all_places(terms: Terms) -> Iterator[Place]:
    """Yield every partition that is read."""
    for lane in range(terms.partitions):
        yield from ((topic, lane) for topic in sorted(terms.direct))
        yield terms.rekeyed, lane
    yield from ((MAIL, number) for number in range(OTHER_PARTITIONS))
