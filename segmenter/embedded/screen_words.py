"""Turns a published change-set into the lines of the screen: one move each, with one sentence that says why."""

from decimal import Decimal
from typing import Literal, NotRequired, TypedDict

from segmenter.embedded.screen_frame import ShownChange


class ReasonRecord(TypedDict):
    """One condition of a published change-set."""

    dimension: str
    condition: str
    actual: str
    threshold: str
    boundary: NotRequired[str | None]


class MoveRecord(TypedDict):
    """One dimension's move in a published change-set."""

    dimension: str
    before: str | None
    after: str | None


class CauseRecord(TypedDict):
    """The cause of a published change-set."""

    kind: str
    type: NotRequired[str | None]


class TraitsRecord(TypedDict):
    """The numbers of a customer that a sentence may need."""

    currency: str
    net_revenue: str
    value_revenue: NotRequired[str]


class ChangeRecord(TypedDict):
    """What is read of a value on the topic of changes."""

    customer_id: str
    changes: list[MoveRecord]
    cause: CauseRecord
    reasons: list[ReasonRecord]
    traits: TraitsRecord


def shown_changes(record: ChangeRecord, latency_ms: float | None) -> tuple[ShownChange, ...]:
    """Return the moves of one change-set as the screen shows them, in the order of the record."""
    cause = record["cause"]
    return tuple(
        ShownChange(
            customer=record["customer_id"],
            dimension=move["dimension"],
            before=move["before"],
            after=move["after"],
            reason=_sentence(move, record),
            cause=cause.get("type") or cause["kind"],
            latency_ms=latency_ms,
        )
        for move in record["changes"]
    )


def _sentence(move: MoveRecord, record: ChangeRecord) -> str:
    """Say why; a condition without words of its own is told in its numbers, none at all by the cause."""
    reasons = [reason for reason in record["reasons"] if reason["dimension"] == move["dimension"]]
    return "; ".join(_words(reason, record["traits"]) for reason in reasons) or record["cause"]["kind"]


def _words(reason: ReasonRecord, traits: TraitsRecord) -> str:
    match reason["condition"]:
        case "silence":
            return f"no order for {reason['threshold']}"
        case "orders":
            return _orders(int(reason["actual"]))
        case "cumulative_share" if (boundary := reason.get("boundary")) is not None:
            return _revenue(boundary, traits)
        case _:
            return f"{reason['condition'].replace('_', ' ')} {reason['actual']}, threshold {reason['threshold']}"


def _orders(count: int) -> str:
    match count:
        case 0:
            return "no order that counts"
        case 1:
            return "1 order"
        case _:
            return f"{count:,} orders"


def _revenue(boundary: str, traits: TraitsRecord) -> str:
    revenue = traits.get("value_revenue", traits["net_revenue"])
    relation: Literal["reaches", "is below"] = "reaches" if Decimal(revenue) >= Decimal(boundary) else "is below"
    return f"{revenue} {traits['currency']} {relation} {boundary}"
