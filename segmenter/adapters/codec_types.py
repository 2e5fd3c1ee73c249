"""What the codec reads: the domain's own event types, with the limits of the wire put on their leaves.

pydantic derives a schema from the dataclasses; here its instants, amounts and ids are narrowed, so that no
type is written twice and no check is made twice. A `RejectReason` as the type of an error names the verdict.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

from segmenter.domain.causes import RejectReason
from segmenter.domain.events import Event, Item

EVENT_TYPES: Mapping[str, type[Event]] = {
    str(field.default): event for event in get_args(Event) for field in fields(event) if field.name == "type"
}
FIELDS_BY_TYPE: Mapping[str, frozenset[str]] = {
    name: frozenset(field.name for field in fields(event)) for name, event in EVENT_TYPES.items()
}
ITEM_FIELDS = frozenset(field.name for field in fields(Item))
ID_FIELDS = frozenset(["customer_id", "anonymous_id", "event_id", "order_id", "refund_id", "ticket_id", "shop"])
# Fields with a meaning of their own when empty: no customer at all, or an id to be made up.
_MAY_BE_EMPTY = frozenset(["customer_id", "anonymous_id", "event_id"])
ID_BYTES = 256
# A double holds every decimal of 15 digits exactly, and readers of JSON differ beyond.
NUMBER_DIGITS = 15
TEXT_DIGITS = 18
_EXPONENT = 18
_QUANTITY = 1_000_000_000
# Told in the schemas; the codec checks them itself, where it can name the reason.
_TOLD: Mapping[str, dict[str, str | int]] = {
    "customer_id": {"pattern": "^(?!anon:)", "minLength": 1},
    "anonymous_id": {"pattern": "^(?!anon:)", "minLength": 1},
    "shop": {"pattern": "^(?!anon:)[^/]*$"},
    "currency": {"pattern": "^[A-Z]{3}$"},
}
_TOLD_ATTRIBUTE = {"type": ["string", "number", "boolean", "null"]}

MOMENT_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
)
AMOUNT_PATTERN = r"^[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_AMOUNT = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)0*([0-9]+))?")
_ORDINARY_AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)


def amount_of(text: str, most_digits: int = TEXT_DIGITS) -> Decimal:
    """Return the amount that a text of JSON number form gives, exactly.

    Raises PydanticCustomError, its type a `RejectReason`, for what is no number, is negative, or has more than
    `most_digits` digits or 18 places on either side of the point. Nothing is computed before that is known.
    """
    if _ORDINARY_AMOUNT.fullmatch(text) and most_digits == TEXT_DIGITS:
        return Decimal(text)
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise _verdict(RejectReason.NOT_A_NUMBER, "a decimal number such as 12.50")
    sign, whole, part, exponent_sign, exponent_digits = match.groups(default="")
    if len(exponent_digits) > 2 or int(exponent_digits or 0) > _EXPONENT:
        raise _verdict(RejectReason.AMOUNT_PRECISION, f"an exponent of at most {_EXPONENT}")
    digits = len((whole + part).lstrip("0"))
    places = len(part) - int(f"{exponent_sign}{exponent_digits}" if exponent_digits else 0)
    if digits > most_digits or max(digits, places, digits - places) > TEXT_DIGITS:
        raise _verdict(RejectReason.AMOUNT_PRECISION, f"at most {most_digits} digits; more go as text, up to 18")
    if sign and digits:
        raise _verdict(RejectReason.NEGATIVE_AMOUNT, "an amount of 0 or more")
    return Decimal(text).copy_abs()


def _read_amount(found: object) -> Decimal:
    match found:
        case str():
            return amount_of(found)
        case bool() | None | list() | dict():
            raise _verdict(RejectReason.INVALID_FIELD, "a decimal number as text or number")
        case float() if not math.isfinite(found):
            raise _verdict(RejectReason.NOT_A_NUMBER, "a finite number")
        case float():
            return amount_of(repr(found), NUMBER_DIGITS)
        case int() if abs(found) < 10**NUMBER_DIGITS:
            return amount_of(str(found), NUMBER_DIGITS)
        case _:
            expected = f"a number of at most {NUMBER_DIGITS} digits; more go as text, up to {TEXT_DIGITS}"
            raise _verdict(RejectReason.AMOUNT_PRECISION, expected)


def _verdict(reason: RejectReason, expected: str) -> PydanticCustomError:
    return PydanticCustomError(reason.value, "{expected}", {"expected": expected})


def _identifier(name: str) -> CoreSchema:
    least = None if name in _MAY_BE_EMPTY else 1
    return core_schema.str_schema(min_length=least, max_length=ID_BYTES, metadata=_told(name))


def _told(name: str) -> dict[str, Any]:
    return {"pydantic_js_updates": _TOLD.get(name, {})}


# fromisoformat answers with datetime.UTC, on which arithmetic is five times faster than on pydantic's own zone.
_MOMENT = core_schema.no_info_after_validator_function(
    datetime.fromisoformat,
    core_schema.str_schema(
        pattern=MOMENT_PATTERN, to_upper=True, metadata={"pydantic_js_updates": {"format": "date-time"}}
    ),
)
_AMOUNT_SCHEMA = core_schema.no_info_plain_validator_function(
    _read_amount,
    json_schema_input_schema=core_schema.union_schema(
        [core_schema.str_schema(pattern=AMOUNT_PATTERN), core_schema.float_schema(ge=0)]
    ),
)
_LEAF_BY_KIND: Mapping[str, CoreSchema] = {"datetime": _MOMENT, "decimal": _AMOUNT_SCHEMA}
_LEAF_BY_FIELD: Mapping[str, Mapping[str, CoreSchema]] = {
    **{name: {"str": _identifier(name)} for name in ID_FIELDS},
    "currency": {"str": core_schema.str_schema(metadata=_told("currency"))},
    "quantity": {"int": core_schema.int_schema(ge=0, le=_QUANTITY)},
    "score": {"int": core_schema.int_schema(ge=0, le=10)},
    # Looked at by `codec_limits` after their number: pydantic would build an error for each of 100,000 entries.
    "attributes": {"nullable": core_schema.any_schema(metadata={"pydantic_js_updates": _TOLD_ATTRIBUTE})},
    "consent": {"bool": core_schema.any_schema(metadata={"pydantic_js_updates": {"type": "boolean"}})},
}


def wire_schema(kind: Any, config: ConfigDict) -> CoreSchema:
    """Return pydantic's schema of a type with the limits of the wire; it reads JSON strictly."""
    strict = ConfigDict(strict=True, allow_inf_nan=False)
    adapter: TypeAdapter[Any] = TypeAdapter(kind, config=strict | config)
    narrowed: CoreSchema = _narrowed(adapter.core_schema, _LEAF_BY_KIND)
    return narrowed


@cache
def event_validator(unknown: Literal["forbid", "ignore"]) -> SchemaValidator:
    """Return what reads the bytes of any event; unknown fields are an error, or are passed over.

    Made once, for 20 ms of CPU: all that read events share it.
    """
    union = Annotated[Event, Field(discriminator="type")]
    return SchemaValidator(wire_schema(union, ConfigDict(extra=unknown)))


def _narrowed(part: Any, leaf_by_kind: Mapping[str, CoreSchema]) -> Any:
    if isinstance(part, list):
        return [_narrowed(each, leaf_by_kind) for each in part]
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if isinstance(kind, str) and kind in leaf_by_kind:
        return leaf_by_kind[kind]
    if kind == "dataclass-field":
        leaf_by_kind = {**leaf_by_kind, **_LEAF_BY_FIELD.get(part["name"], {})}
    narrowed = {name: _narrowed(each, leaf_by_kind) for name, each in part.items()}
    # One bad line of an order says enough.
    return narrowed | {"fail_fast": True} if kind == "tuple" else narrowed
