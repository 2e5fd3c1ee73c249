"""The small parts of a packed profile: texts, amounts of any size, standings and attributes."""

from struct import Struct
from typing import Any

from segmenter.domain.events import AttributeValue
from segmenter.domain.instants import Instant
from segmenter.domain.profile import Attribute, Standing
from segmenter.domain.puts import Put
from segmenter.errors import InvariantError

NONE: Instant = -(2**63)
"""Stands for an instant that is not known."""

# Names that most profiles hold take one byte. The place in this list is part of the stored form: only add.
_WORDS = (
    *("lifecycle", "value", "rfm", "engagement", "interest", "care"),
    *("prospect", "new", "repeat", "inactive", "A", "B", "C"),
    *("in", "out", "none", "cold", "warm", "hot", "open_issue", "unhappy", "others"),
)
_CODES = {word: code for code, word in enumerate(_WORDS, start=1)}
_NO_WORD = 255

# dimension, segment, since
_STANDING = Struct("<BBq")
_INSTANT = Struct("<q")
_FLOAT = Struct("<d")
_LONG_COUNT = Struct("<I")
# Where the rules have a customer beneath a put, by the byte that stands for it.
_BENEATH = (None, False, True)


class Cursor:
    """Reads a packed profile from left to right."""

    __slots__ = ("at", "packed")

    def __init__(self, packed: bytes, at: int) -> None:
        self.packed = packed
        self.at = at

    def take(self, form: Struct) -> tuple[Any, ...]:
        """Return the next values, by their form."""
        at = self.at
        self.at = at + form.size
        return form.unpack_from(self.packed, at)

    def take_byte(self) -> int:
        """Return the next byte."""
        self.at += 1
        return self.packed[self.at - 1]

    def take_count(self) -> int:
        """Return a number of things below 65,536."""
        at = self.at
        self.at = at + 2
        return self.packed[at] | self.packed[at + 1] << 8

    def take_long_count(self) -> int:
        """Return a number of things."""
        count: int = self.take(_LONG_COUNT)[0]
        return count

    def take_bytes(self, size: int) -> bytes:
        """Return the next bytes."""
        at = self.at
        self.at = at + size
        return self.packed[at : at + size]

    def take_standings(self) -> dict[str, Standing]:
        """Return where somebody stands, by dimension."""
        standings = {}
        for _ in range(self.take_count()):
            at = self.at
            dimension_code, segment_code, since = _STANDING.unpack_from(self.packed, at)
            self.at = at + _STANDING.size
            dimension = _WORDS[dimension_code - 1] if dimension_code else self.take_text()
            standings[dimension] = Standing(_WORDS[segment_code - 1] if segment_code else self.take_text(), since)
        return standings

    def take_sized(self) -> bytes:
        """Return bytes that follow their number."""
        size = self.take_byte()
        return self.take_bytes(self.take_long_count() if size == 255 else size)

    def take_text(self) -> str:
        """Return a text."""
        return self.take_sized().decode("utf-8", "surrogatepass")

    def take_word(self, code: int) -> str:
        """Return the word of a code, or the text that follows code 0."""
        return _WORDS[code - 1] if code else self.take_text()

    def take_optional_word(self) -> str | None:
        """Return a word, or None where none was."""
        code = self.take_byte()
        return None if code == _NO_WORD else self.take_word(code)

    def take_amount(self) -> int:
        """Return a number of any size."""
        return int.from_bytes(self.take_sized(), "little", signed=True)

    def take_instant(self) -> Instant:
        """Return an instant that is known."""
        at: Instant = self.take(_INSTANT)[0]
        return at

    def take_optional_text(self) -> str | None:
        """Return a text, or None where none was."""
        return self.take_text() if self.take_byte() else None

    def take_attribute(self) -> tuple[str, Attribute]:
        """Return an attribute's name and its newest value."""
        name, at, by = self.take_text(), self.take_instant(), self.take_text()
        return name, Attribute(at, by, self._take_value())

    def take_put(self) -> tuple[str, Put]:
        """Return the name of a segment, and what was said by hand of it."""
        name, at, event_id, to = self.take_text(), self.take_instant(), self.take_text(), self.take_text()
        until, because, by = self.take_instant(), self.take_text(), self.take_text()
        return name, Put(at, event_id, to, until, because, by, _BENEATH[self.take_byte()])

    def _take_value(self) -> AttributeValue:
        match chr(self.take_byte()):
            case "n":
                return None
            case "t":
                return True
            case "f":
                return False
            case "i":
                return self.take_amount()
            case "d":
                number: float = self.take(_FLOAT)[0]
                return number
            case "s":
                return self.take_text()
            case kind:
                raise InvariantError(f"attribute of kind {kind!r} in a packed profile; expected one of n t f i d s")


def pack_instant(at: Instant | None) -> Instant:
    """Return the number that stands for an instant, also for one that is not known."""
    return NONE if at is None else at


def instant(packed: Instant) -> Instant | None:
    """Return the instant a number stands for."""
    return None if packed == NONE else packed


def pack_word(word: str | None) -> bytes:
    """Pack a word or its absence."""
    if word is None:
        return b"\xff"
    code = _CODES.get(word, 0)
    return bytes((code,)) if code else b"\0" + pack_text(word)


def pack_sized(content: bytes) -> bytes:
    """Pack bytes behind their number."""
    size = len(content)
    return bytes((size,)) + content if size < 255 else b"\xff" + _LONG_COUNT.pack(size) + content


def pack_text(text: str) -> bytes:
    """Pack a text; lone surrogates, which JSON can hold, come back too."""
    return pack_sized(text.encode("utf-8", "surrogatepass"))


def pack_optional_text(text: str | None) -> bytes:
    """Pack a text or its absence."""
    return b"\0" if text is None else b"\1" + pack_text(text)


def pack_amount(amount: int) -> bytes:
    """Pack a number of any size in as few bytes as hold it and its sign."""
    return pack_sized(amount.to_bytes((amount.bit_length() >> 3) + 1, "little", signed=True))


def pack_standing(parts: list[bytes], dimension: str, standing: Standing) -> None:
    """Pack where somebody stands in a dimension."""
    dimension_code, segment_code = _CODES.get(dimension, 0), _CODES.get(standing.segment, 0)
    parts.append(_STANDING.pack(dimension_code, segment_code, standing.since))
    if not dimension_code:
        parts.append(pack_text(dimension))
    if not segment_code:
        parts.append(pack_text(standing.segment))


def pack_attribute(parts: list[bytes], name: str, attribute: Attribute) -> None:
    """Pack an attribute's name and its newest value."""
    parts += (pack_text(name), _INSTANT.pack(attribute.at), pack_text(attribute.by), _pack_value(attribute.value))


def pack_put(parts: list[bytes], name: str, put: Put) -> None:
    """Pack the name of a segment, and what was said by hand of it."""
    parts += (pack_text(name), _INSTANT.pack(put.at), pack_text(put.event_id), pack_text(put.to))
    parts += (_INSTANT.pack(put.until), pack_text(put.because), pack_text(put.by))
    parts.append(bytes((_BENEATH.index(put.is_in_by_rules),)))


def _pack_value(value: AttributeValue) -> bytes:
    match value:
        case None:
            return b"n"
        case bool():
            return b"t" if value else b"f"
        case int():
            return b"i" + pack_amount(value)
        case float():
            return b"d" + _FLOAT.pack(value)
        case str():
            return b"s" + pack_text(value)
