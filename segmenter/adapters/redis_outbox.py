"""Pages of the outbox as bytes.

A page begins with the number of its entries and the bytes of their keys and values, 32 bits each, which the
scripts read. An entry is a fixed head, then key, value and headers.
"""

from collections.abc import Sequence
from struct import Struct

from segmenter.ports import OutboxEntry, OutboxPage, Output

_PAGE = Struct("<II")
# place of the output in the enumeration, lane_seq, recorded_at, sizes of key and value (-1: none), headers
_ENTRY = Struct("<BQqiiH")
_HEADER = Struct("<HI")
# The place in this tuple is part of the stored form: only add.
_OUTPUTS = (Output.CHANGES, Output.MEMBERSHIPS, Output.REJECTED)
_CODES = {output: code for code, output in enumerate(_OUTPUTS)}


def pack_page(page: OutboxPage) -> bytes:
    """Return a page as bytes, without its number."""
    parts = [_PAGE.pack(len(page.entries), page.size)]
    for entry in page.entries:
        _pack_entry(parts, entry)
    return b"".join(parts)


def unpack_page(number: int, packed: bytes) -> OutboxPage:
    """Return the page that `pack_page` packed."""
    count, _ = _PAGE.unpack_from(packed)
    entries, at = [], _PAGE.size
    for _ in range(count):
        entry, at = _unpack_entry(packed, at)
        entries.append(entry)
    return OutboxPage(number, tuple(entries))


def _pack_entry(parts: list[bytes], entry: OutboxEntry) -> None:
    key, value = entry.key, entry.value
    parts.append(
        _ENTRY.pack(
            _CODES[entry.output],
            entry.lane_seq,
            entry.recorded_at,
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            len(entry.headers),
        )
    )
    parts += (key or b"", value or b"")
    for name, content in entry.headers:
        encoded = name.encode()
        parts += (_HEADER.pack(len(encoded), len(content)), encoded, content)


def _unpack_entry(packed: bytes, at: int) -> tuple[OutboxEntry, int]:
    code, lane_seq, recorded_at, key_size, value_size, headers_count = _ENTRY.unpack_from(packed, at)
    at += _ENTRY.size
    sizes = [key_size, value_size]
    headers = []
    (key, value), at = _slices(packed, at, sizes)
    for _ in range(headers_count):
        (name, content), at = _slices(packed, at + _HEADER.size, _HEADER.unpack_from(packed, at))
        headers.append(((name or b"").decode(), content or b""))
    entry = OutboxEntry(
        output=_OUTPUTS[code],
        lane_seq=lane_seq,
        key=key,
        value=value,
        headers=tuple(headers),
        recorded_at=recorded_at,
    )
    return entry, at


def _slices(packed: bytes, at: int, sizes: Sequence[int]) -> tuple[list[bytes | None], int]:
    """Return consecutive slices of these sizes, None for -1, and where they end."""
    slices: list[bytes | None] = []
    for size in sizes:
        slices.append(None if size < 0 else packed[at : at + size])
        at += max(0, size)
    return slices, at
