"""The facts that shops report, one frozen dataclass a type.

`segmenter.adapters.codec` reads bytes straight into them; the JSON Schemas in `schemas/` are generated from
them. A field with a default may be missing from the record.
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
    category: str | None = None
    quantity: int = 1
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """What all events share."""

    occurred_at: datetime
    event_id: str | None = None
    customer_id: str | None = None
    anonymous_id: str | None = None
    shop: str | None = None
    test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(_Event):
    """A customer ordered."""

    type: Literal["order.placed"] = "order.placed"
    order_id: str
    amount: Decimal
    currency: str
    items: tuple[Item, ...] = ()
    discount: Decimal | None = None
    coupon: str | None = None
    tax: Decimal | None = None
    shipping: Decimal | None = None
    cost: Decimal | None = None
    channel: str | None = None
    campaign: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid(_Event):
    """An order was paid."""

    type: Literal["order.paid"] = "order.paid"
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDelivered(_Event):
    """An order reached the customer."""

    type: Literal["order.delivered"] = "order.delivered"
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(_Event):
    """An order was taken back as a whole."""

    type: Literal["order.cancelled"] = "order.cancelled"
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUpdated(_Event):
    """An order changed; what is missing here stays as it was. Nothing but these four can change."""

    type: Literal["order.updated"] = "order.updated"
    order_id: str
    amount: Decimal | None = None
    currency: str | None = None
    items: tuple[Item, ...] | None = None
    discount: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefunded(_Event):
    """Money went back, for an order in part or whole, or for none in particular."""

    type: Literal["order.refunded"] = "order.refunded"
    refund_id: str
    order_id: str | None = None
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Click(_Event):
    """A customer looked at something."""

    type: Literal["click"] = "click"
    kind: str
    item: str | None = None
    category: str | None = None
    channel: str | None = None
    campaign: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportOpened(_Event):
    """A ticket was opened."""

    type: Literal["support.opened"] = "support.opened"
    ticket_id: str
    priority: str | None = None
    channel: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportClosed(_Event):
    """A ticket was closed."""

    type: Literal["support.closed"] = "support.closed"
    ticket_id: str
    priority: str | None = None
    channel: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportRated(_Event):
    """A customer judged: satisfaction (csat, 1 to 5) or recommendation (nps, 0 to 10)."""

    type: Literal["support.rated"] = "support.rated"
    score: int
    scale: Literal["csat", "nps"]
    ticket_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact(_Event):
    """We wrote to a customer, or he reacted to what we wrote."""

    type: Literal["contact"] = "contact"
    kind: Literal["sent", "opened", "clicked", "bounced", "unsubscribed"]
    channel: str
    campaign: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerUpdated(_Event):
    """What the shop knows of a customer changed. `exclude: true` among the attributes keeps staff out."""

    type: Literal["customer.updated"] = "customer.updated"
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    consent: Mapping[str, bool] = field(default_factory=dict)
    known_since: datetime | None = None


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
