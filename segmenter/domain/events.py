"""The facts that shops report, one frozen dataclass a type.

`segmenter.adapters.codec` reads bytes straight into them; the JSON Schemas in `schemas/` are generated from
them, the sentence below a field included. A field with a default may be missing from the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias

AttributeValue: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of an order."""

    item: str
    """What was bought: the shop's own name or number of it."""
    category: str | None = None
    """The kind of goods it belongs to."""
    quantity: int = 1
    """How many pieces, 0 or more."""
    amount: Decimal | None = None
    """What the line came to, all pieces together, in the currency of the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """What all events share."""

    occurred_at: datetime
    """When it happened, with its zone: RFC 3339, from 1970 to 2200, at most 5 minutes after its record's time."""
    event_id: str | None = None
    """An id that no other event has. Without one, the place of the record is taken."""
    customer_id: str | None = None
    """Whose event it is; at most 256 bytes, not beginning with `anon:`."""
    anonymous_id: str | None = None
    """Who it is as long as nobody knows: a cookie or device. Only looked at where there is no `customer_id`."""
    shop: str | None = None
    """The shop within which ids are unique, without a slash; none where there is only one."""
    test: bool = False
    """True for a trial that is to be left out of everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(_Event):
    """A customer ordered."""

    type: Literal["order.placed"] = "order.placed"
    order_id: str
    """The shop's id of the order."""
    amount: Decimal
    """What the customer pays, in `currency`: a decimal text of at most 18 digits, or a number of at most 15."""
    currency: str
    """The currency of all amounts of the order: three capital letters of ISO 4217."""
    items: tuple[Item, ...] = ()
    """The lines of the order."""
    discount: Decimal | None = None
    """What was taken off, in `currency`."""
    coupon: str | None = None
    """The code that was redeemed."""
    tax: Decimal | None = None
    """The tax on it, in `currency`."""
    shipping: Decimal | None = None
    """The shipping, in `currency`."""
    cost: Decimal | None = None
    """What the goods cost the shop, in `currency`."""
    channel: str | None = None
    """Where it was ordered, such as web, app or store."""
    campaign: str | None = None
    """The campaign that led to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid(_Event):
    """An order was paid."""

    type: Literal["order.paid"] = "order.paid"
    order_id: str
    """The shop's id of the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDelivered(_Event):
    """An order reached the customer."""

    type: Literal["order.delivered"] = "order.delivered"
    order_id: str
    """The shop's id of the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(_Event):
    """An order was taken back as a whole."""

    type: Literal["order.cancelled"] = "order.cancelled"
    order_id: str
    """The shop's id of the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUpdated(_Event):
    """An order changed; what is missing here stays as it was. Nothing but these four can change."""

    type: Literal["order.updated"] = "order.updated"
    order_id: str
    """The shop's id of the order."""
    amount: Decimal | None = None
    """What the customer pays now, in the currency of the order."""
    currency: str | None = None
    """The currency of all amounts of the order: three capital letters of ISO 4217."""
    items: tuple[Item, ...] | None = None
    """All lines of the order as they are now."""
    discount: Decimal | None = None
    """What is taken off now, in the currency of the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefunded(_Event):
    """Money went back, for an order in part or whole, or for none in particular."""

    type: Literal["order.refunded"] = "order.refunded"
    refund_id: str
    """The shop's id of the refund."""
    order_id: str | None = None
    """The order it is for; none where it is for no order in particular."""
    amount: Decimal
    """What went back, 0 or more, in `currency`."""
    currency: str
    """Three capital letters of ISO 4217."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Click(_Event):
    """A customer looked at something."""

    type: Literal["click"] = "click"
    kind: str
    """What he did, such as view, search or basket."""
    item: str | None = None
    """What he looked at: the shop's own name or number of it."""
    category: str | None = None
    """The kind of goods he looked at."""
    channel: str | None = None
    """Where, such as web or app."""
    campaign: str | None = None
    """The campaign that led there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportOpened(_Event):
    """A ticket was opened."""

    type: Literal["support.opened"] = "support.opened"
    ticket_id: str
    """The id of the ticket."""
    priority: str | None = None
    """How urgent it is, in the words of the support tool."""
    channel: str | None = None
    """How he wrote, such as mail, chat or phone."""
    category: str | None = None
    """What it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportClosed(_Event):
    """A ticket was closed."""

    type: Literal["support.closed"] = "support.closed"
    ticket_id: str
    """The id of the ticket."""
    priority: str | None = None
    """How urgent it is, in the words of the support tool."""
    channel: str | None = None
    """How he wrote, such as mail, chat or phone."""
    category: str | None = None
    """What it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportRated(_Event):
    """A customer judged: satisfaction (csat, 1 to 5) or recommendation (nps, 0 to 10)."""

    type: Literal["support.rated"] = "support.rated"
    score: int
    """The judgement: 1 to 5 on the scale csat, 0 to 10 on the scale nps."""
    scale: Literal["csat", "nps"]
    """The scale it was asked on."""
    ticket_id: str | None = None
    """The ticket it is about, where it is about one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact(_Event):
    """We wrote to a customer, or he reacted to what we wrote."""

    type: Literal["contact"] = "contact"
    kind: Literal["sent", "opened", "clicked", "bounced", "unsubscribed"]
    """What became of the message."""
    channel: str
    """How it was sent, such as mail, push or post."""
    campaign: str | None = None
    """The campaign it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerUpdated(_Event):
    """What the shop knows of a customer changed. `exclude: true` among the attributes keeps staff out."""

    type: Literal["customer.updated"] = "customer.updated"
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    """What changed: at most 64 names (256 a customer) of 128 bytes, texts of 1,024. Null: not known any more."""
    consent: Mapping[str, bool] = field(default_factory=dict)
    """What he agreed to, by channel or purpose; at most 32."""
    known_since: datetime | None = None
    """When the shop first knew him: RFC 3339 with zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerPut(_Event):
    """Somebody puts a customer in or out of a declared segment by hand, or leaves him to the rules again."""

    type: Literal["customer.put"] = "customer.put"
    segment: str
    """The name of a segment that the rulebook declares. One that it does not declare yet waits for it."""
    to: Literal["in", "out", "auto"]
    """Where he is from now on; `auto`: where the rules have him, and an earlier put ends."""
    until: datetime | None = None
    """When it ends by itself: RFC 3339 with zone, after `occurred_at`. Needed unless `to` is `auto`."""
    because: str | None = None
    """Why, for whoever looks; at most 1,024 bytes. Needed unless `to` is `auto`."""
    by: str | None = None
    """Who did it; at most 256 bytes."""


Event: TypeAlias = (
    OrderPlaced
    | OrderPaid
    | OrderDelivered
    | OrderCancelled
    | OrderUpdated
    | OrderRefunded
    | Click
    | SupportOpened
    | SupportClosed
    | SupportRated
    | Contact
    | CustomerUpdated
    | CustomerPut
)

OrderFact: TypeAlias = OrderPlaced | OrderPaid | OrderDelivered | OrderCancelled | OrderUpdated | OrderRefunded

ANONYMOUS_PREFIX = "anon:"


def identity_of(event: Event) -> str:
    """Return whose event it is: `customer_id`, `shop/customer_id`, or `anon:…` of one not yet known.

    The decoder has seen to it that one of the two ids is there, and that neither a shop nor a customer id
    begins with `anon:`.
    """
    within_shop = "" if event.shop is None else f"{event.shop}/"
    if event.customer_id is not None:
        return within_shop + event.customer_id
    return f"{ANONYMOUS_PREFIX}{within_shop}{event.anonymous_id}"


def home_id_of(event: Event) -> str:
    """Return the id whose murmur2 gives the home partition: the bare customer id, without the shop."""
    return event.customer_id if event.customer_id is not None else event.anonymous_id or ""
