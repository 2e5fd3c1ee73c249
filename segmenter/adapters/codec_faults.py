"""Says why a record is refused: the reason, and a sentence with the thing, the found and the expected.

Works on the slow path only. What was found is shown escaped and cut to 80 characters, never as a whole record.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence

from pydantic_core import ErrorDetails, ValidationError

from segmenter.adapters.codec_types import EVENT_TYPES, ID_BYTES, ID_FIELDS
from segmenter.domain.causes import Rejection, RejectReason

DEEPEST = 32
# The most digits that our readers of JSON turn into a number at all.
_DIGITS_READ = 4_300
_SHOWN = 80
_NOT_YET_TYPES = frozenset(["customer.identified", "customer.merged", "customer.erased"])
_NOT_YET_FIELDS = ("prior_orders", "prior_revenue")
_TIMES = frozenset(["occurred_at", "known_since"])
_MOMENT_EXPECTED = "a time with zone as in RFC 3339, such as 2026-11-01T10:00:00Z"
_NAIVE = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?", re.ASCII)
_ABSURD_YEAR = re.compile(r"(?:0000|[+-]?\d{5,})-\d\d-\d\d[Tt ]", re.ASCII)
_REASONS = frozenset(reason.value for reason in RejectReason)


def unreadable(value: bytes) -> Rejection:
    """Return why these bytes, on which our fast reader of JSON gave up, hold no object we can use."""
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return Rejection(RejectReason.UNPARSEABLE, f"value is not UTF-8 at byte {error.start}, expected JSON")
    try:
        # Numbers stay text: whatever their length, reading them cannot fail.
        parsed = json.loads(text, parse_int=str)
    except RecursionError:
        return too_deep()
    except ValueError as error:
        return Rejection(RejectReason.UNPARSEABLE, f"value is not JSON: {shown_text(str(error))}")
    return _unread(parsed, text)


def _unread(parsed: object, text: str) -> Rejection:
    """Return why our fast reader refused what the standard library's reads."""
    if is_too_deep(parsed):
        return too_deep()
    if re.search(rf"[0-9]{{{_DIGITS_READ},}}", text, re.ASCII):
        detail = f"value holds a number of more than {_DIGITS_READ} digits, expected at most 15"
        return Rejection(RejectReason.AMOUNT_PRECISION, detail)
    if (path := _broken_text_in(parsed)) is not None:
        detail = f"{shown_text(path)} holds half of a surrogate pair, expected Unicode text"
        return Rejection(RejectReason.INVALID_FIELD, detail)
    return Rejection(RejectReason.UNPARSEABLE, "value is not the JSON of RFC 8259")


def fault_of_object(parsed: object) -> Rejection | None:
    """Return what is wrong with parsed JSON before its fields are looked at: its form, depth or type."""
    if not isinstance(parsed, dict):
        return Rejection(RejectReason.UNPARSEABLE, f"value is {kind_of(parsed)}, expected a JSON object")
    if is_too_deep(parsed):
        return too_deep()
    return _fault_of_type(parsed.get("type")) or _fault_of_prior(parsed)


def _fault_of_type(kind: object) -> Rejection | None:
    if kind is None:
        return Rejection(RejectReason.MISSING_FIELD, "type is missing, expected the type of the event")
    if not isinstance(kind, str):
        return Rejection(RejectReason.INVALID_FIELD, f"type is {shown(kind)}, expected a text")
    if kind in _NOT_YET_TYPES:
        return Rejection(RejectReason.NOT_SUPPORTED_YET, f"type {kind} is not supported yet")
    if kind not in EVENT_TYPES:
        known = ", ".join(sorted(EVENT_TYPES))
        return Rejection(RejectReason.UNKNOWN_TYPE, f"type is {shown(kind)}, expected one of {known}")
    return None


def fault_of_field(error: ValidationError) -> Rejection:
    """Return the first fault that pydantic found in the fields of an event."""
    first = error.errors(include_url=False)[0]
    kind, found = first["type"], first["input"]
    path = _path_of(first["loc"])
    name = path.rsplit(".", 1)[-1]
    if kind in _REASONS:
        return Rejection(RejectReason(kind), f"{path} is {shown(found)}, expected {first['msg']}")
    if kind == "missing":
        kind_of_event = first["loc"][0]
        return Rejection(RejectReason.MISSING_FIELD, f"{path} is missing, expected in every {kind_of_event}")
    if name in _TIMES:
        return _fault_of_time(path, found)
    if name in ID_FIELDS:
        return _fault_of_id(path, found, kind)
    if isinstance(found, float) and not math.isfinite(found):
        return Rejection(RejectReason.NOT_A_NUMBER, f"{path} is {shown(found)}, expected a finite number")
    return Rejection(RejectReason.INVALID_FIELD, f"{path} is {shown(found)}, which {_expectation(first)}")


def is_too_deep(parsed: object) -> bool:
    """Tell whether objects and lists are nested deeper than is allowed; the outermost is at depth 1."""
    level = [parsed]
    for _ in range(DEEPEST):
        level = [each for part in level for each in _parts_of(part) if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def shown(found: object) -> str:
    """Return a value that was found as printable ASCII of at most 80 characters."""
    match found:
        case None:
            return "null"
        case bool():
            return "true" if found else "false"
        case str():
            return shown_text(json.dumps(found[: _SHOWN + 1]))
        case int() if found.bit_length() > 256:
            return f"a number of {found.bit_length()} bits"
        case int() | float():
            return repr(found)
        case _:
            return kind_of(found)


def shown_text(text: str) -> str:
    """Return a text as printable ASCII of at most 80 characters."""
    escaped = text[: _SHOWN + 1].encode("unicode_escape").decode("ascii") if not _is_plain(text) else text
    return escaped if len(escaped) <= _SHOWN else escaped[: _SHOWN - 3] + "..."


def kind_of(found: object) -> str:
    """Return what sort of JSON value it is."""
    match found:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "a text"
        case None:
            return "null"
        case _:
            return f"the value {shown(found)}"


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def too_deep() -> Rejection:
    """Return the fault of a record that is nested too deeply."""
    return Rejection(RejectReason.TOO_DEEP, f"value is nested deeper than {DEEPEST} objects and lists")


def _parts_of(part: object) -> Sequence[object]:
    match part:
        case dict():
            return list(part.values())
        case list():
            return part
        case _:
            return ()


def _broken_text_in(parsed: object, path: str = "value") -> str | None:
    """Return the path of the first text that is no Unicode; the depth was checked before."""
    match parsed:
        case str():
            return path if any("\ud800" <= letter <= "\udfff" for letter in parsed) else None
        case dict():
            named = [(_within(path, name), each) for name, each in parsed.items()]
            broken = next((path for name in parsed if _broken_text_in(name) is not None), None)
            return broken or next((at for name, each in named if (at := _broken_text_in(each, name))), None)
        case list():
            return next((at for each in parsed if (at := _broken_text_in(each, path))), None)
        case _:
            return None


def _within(path: str, name: str) -> str:
    return _named(name) if path == "value" else f"{path}.{_named(name)}"


def _fault_of_prior(parsed: Mapping[str, object]) -> Rejection | None:
    if parsed["type"] != "customer.updated":
        return None
    for name in _NOT_YET_FIELDS:
        if parsed.get(name) is not None:
            return Rejection(RejectReason.NOT_SUPPORTED_YET, f"{name} of customer.updated is not supported yet")
    return None


def _path_of(location: tuple[int | str, ...]) -> str:
    # The first part is the tag of the union.
    parts = [str(part) for part in location[1:]] or ["value"]
    return ".".join(_named(part) for part in parts)


def _named(name: str) -> str:
    return name if _is_plain(name) and len(name) <= _SHOWN else shown(name)


def _fault_of_time(path: str, found: object) -> Rejection:
    reason = RejectReason.INVALID_FIELD
    if isinstance(found, str) and _NAIVE.fullmatch(found):
        reason = RejectReason.NAIVE_TIME
    elif isinstance(found, str) and _ABSURD_YEAR.match(found):
        reason = RejectReason.ABSURD_TIME
    return Rejection(reason, f"{path} is {shown(found)}, expected {_MOMENT_EXPECTED}")


def _fault_of_id(path: str, found: object, kind: str) -> Rejection:
    if kind == "string_too_long":
        detail = f"{path} is {shown(found)} and longer than {ID_BYTES} bytes in UTF-8"
        return Rejection(RejectReason.ID_TOO_LONG, detail)
    detail = f"{path} is {shown(found)}, expected a text of 1 to {ID_BYTES} bytes"
    return Rejection(RejectReason.INVALID_FIELD, detail)


def _expectation(first: ErrorDetails) -> str:
    """Return pydantic's `Input should be …` as the end of a sentence."""
    return first["msg"].removeprefix("Input ")
