"""CloudEvents 1.0 as they come in over Kafka: binary (attributes in headers) and structured (an envelope).

Either way the attributes only stand in for what the event itself leaves out: id for `event_id`, type for
`type`, time for `occurred_at`. A type may carry a reverse-DNS prefix, as in `com.example.order.placed`.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.decoder import JSONDecoder

from segmenter.adapters.codec_faults import kind_of, shown
from segmenter.adapters.codec_types import EVENT_TYPES
from segmenter.domain.causes import Rejection, RejectReason

_PREFIX = "ce_"
_CONTENT_TYPE = "content-type"
_STRUCTURED = b"application/cloudevents"
_VERSION = "1.0"
_FIELD_BY_ATTRIBUTE = {"id": "event_id", "type": "type", "time": "occurred_at"}
# Only the ends of values are wanted: numbers stay text, whatever their length.
_JSON = JSONDecoder(parse_int=str)
_SPACE = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Payload:
    """The event inside a CloudEvent: its JSON, and what the attributes say for the fields that it leaves out."""

    value: bytes
    stand_ins: Mapping[str, str]


def is_framed(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Tell whether headers are about CloudEvents at all: most records have none, or others."""
    return any(name[:3].lower() == _PREFIX for name, _ in headers) or declares_envelope(headers)


def payload_of_binary(value: bytes, headers: Sequence[tuple[str, bytes]]) -> Payload | Rejection | None:
    """Return the event of a record whose headers make it a CloudEvent in binary mode; None: they do not."""
    attributes: dict[str, str] = {}
    for name, found in headers:
        if name[:3].lower() == _PREFIX and found is not None:
            try:
                attributes[name[3:].lower()] = found.decode()
            except UnicodeDecodeError:
                detail = f"header {shown(name)} is not UTF-8, expected the text of a CloudEvents attribute"
                return Rejection(RejectReason.INVALID_FIELD, detail)
    if not attributes:
        return None
    return _fault_of_version(attributes.get("specversion")) or Payload(value, _stand_ins_of(attributes))


def declares_envelope(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Tell whether the headers announce a CloudEvent in structured mode."""
    return any(
        name.lower() == _CONTENT_TYPE and found is not None and found.lower().startswith(_STRUCTURED)
        for name, found in headers
    )


def is_envelope(parsed: Mapping[str, object]) -> bool:
    """Tell whether an object is a CloudEvent by its required attributes, whatever the headers say."""
    return isinstance(parsed.get("specversion"), str) and "id" in parsed and "source" in parsed


def payload_of_envelope(value: bytes, parsed: Mapping[str, object]) -> Payload | Rejection:
    """Return the event of a CloudEvent in structured mode, whose bytes parse to `parsed`."""
    if (fault := _fault_of_version(parsed.get("specversion"))) is not None:
        return fault
    attributes = {name: found for name, found in parsed.items() if isinstance(found, str)}
    encoded = parsed.get("data_base64")
    if isinstance(encoded, str):
        try:
            return Payload(base64.b64decode(encoded, validate=True), _stand_ins_of(attributes))
        except (binascii.Error, ValueError):
            return Rejection(RejectReason.INVALID_FIELD, "data_base64 is not base64, expected the event in it")
    found = parsed.get("data")
    if found is None:
        return Rejection(RejectReason.MISSING_FIELD, "data is missing, expected the event as a JSON object")
    if not isinstance(found, dict):
        return Rejection(RejectReason.INVALID_FIELD, f"data is {kind_of(found)}, expected a JSON object")
    return Payload(_member(value.decode(), "data").encode(), _stand_ins_of(attributes))


def completed(value: bytes, parsed: Mapping[str, object], stand_ins: Mapping[str, str]) -> bytes:
    """Return the JSON of an object with these fields put in where it has none, or null.

    Numbers stay as they were written. Of two equal names the last one counts, so the additions go last.
    """
    added = {name: found for name, found in stand_ins.items() if parsed.get(name) is None}
    if not added:
        return value
    body = value.rstrip()[:-1]
    comma = b"," if parsed else b""
    return body + comma + json.dumps(added)[1:].encode()


def _fault_of_version(found: object) -> Rejection | None:
    if found == _VERSION:
        return None
    if found is None:
        return Rejection(RejectReason.MISSING_FIELD, f'specversion is missing, expected "{_VERSION}"')
    return Rejection(RejectReason.INVALID_FIELD, f'specversion is {shown(found)}, expected "{_VERSION}"')


def _stand_ins_of(attributes: Mapping[str, str]) -> dict[str, str]:
    stand_ins = {field: attributes[name] for name, field in _FIELD_BY_ATTRIBUTE.items() if attributes.get(name)}
    if "type" in stand_ins:
        stand_ins["type"] = _bare(stand_ins["type"])
    return stand_ins


def _bare(kind: str) -> str:
    """Return a type without its reverse-DNS prefix, if it ends in one that we know."""
    names = kind.split(".")
    for count in (2, 1):
        if (tail := ".".join(names[-count:])) in EVENT_TYPES:
            return tail
    return kind


def _member(text: str, wanted: str) -> str:
    """Return the text of a member of a JSON object that is known to be valid; the last of equal names."""
    found, at = "", text.index("{") + 1
    while True:
        at = _after_space(text, at)
        if text[at] in "},":
            at += 1
            if text[at - 1] == "}":
                return found
            continue
        name, at = _JSON.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        _, at = _JSON.raw_decode(text, start)
        if name == wanted:
            found = text[start:at]


def _after_space(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at
