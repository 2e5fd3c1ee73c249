"""Records as nobody should send them: valid ones with anything changed, or nothing of the kind."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from segmenter.adapters.schemas_examples import EVENT_EXAMPLES
from segmenter.domain.instants import MILLISECOND, SECOND, Instant, rfc3339
from segmenter.ports import Headers

KINDS = sorted(EVENT_EXAMPLES)
NAMES = sorted({name for one in EVENT_EXAMPLES.values() for name in one} | {"anonymous_id", "shop", "test"})
NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    10**15,
    10**18,
    10**40,
    2**53,
    2**63,
    -(2**64),
    1e308,
    1e-320,
    0.1,
    "0.005",
    "1e9",
)
TEXTS: tuple[Any, ...] = (
    "",
    " ",
    "\x00",
    "\ud800",
    "a/b",
    "anon:1",
    "ä" * 300,
    "x" * 5_000,
    "1e400",
    "NaN",
    "-0",
    "null",
)
TIMES: tuple[Any, ...] = (
    "1969-12-31T23:59:59Z",
    "9999-12-31T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    0,
    "now",
)
MONEY: tuple[Any, ...] = ("0", "0.00", "-5", "1.005", "9" * 18, "9" * 40, "1E5", "EUR", 1e22, True, "Infinity")
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], {"a": {"b": []}}, [1] * 50)
HEADERS: tuple[tuple[str, Any], ...] = (
    ("ce_specversion", b"1.0"),
    ("ce_type", b"io.shop.order.placed"),
    ("ce_id", b"\xff\xfe"),
    ("ce_id", None),
    ("content-type", b"application/cloudevents+json"),
    ("segmenter-origin", b"orders/0@0/5/0/1"),
    ("segmenter-marker", b"orders/0=99999999999999999999"),
    ("\x00", b""),
    ("x" * 2_000, b"y" * 2_000),
)
_SPAN: Instant = 30 * 24 * 3_600 * SECOND


@dataclass(frozen=True, slots=True)
class Hostile:
    """A record of an input topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Hostility:
    """Makes records; the same seed makes the same."""

    def __init__(self, seed: int, customers: int = 200) -> None:
        self._rng = random.Random(seed)
        self._customers = customers

    def record(self, offset: int, now: Instant) -> Hostile:
        """Return the next record."""
        rng = self._rng
        headers = tuple(rng.choice(HEADERS) for _ in range(rng.choice((0, 0, 0, 1, 3))))
        key = rng.choice((None, b"", b"\xff\x00", b"c-1", b"k" * 3_000))
        stamp = rng.choice((now, now, now, 0, -1, now + 10**15)) // MILLISECOND
        return Hostile("orders", 0, offset, stamp, key, self._value(now), headers)

    def _value(self, now: Instant) -> bytes | None:
        rng = self._rng
        if rng.random() < 0.02:
            return rng.choice(
                (None, b"", b"{", b"[]", b"\xef\xbb\xbf{}", b"[" * 3_000, rng.randbytes(40), b'{"a":1' * 500)
            )
        event = self._event(now)
        for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
            self._spoil(event)
        if rng.random() < 0.03:
            event = {"specversion": "1.0", "id": "1", "source": "/", "type": rng.choice(KINDS), "data": event}
        value = json.dumps(event).encode("utf-8", "surrogatepass")
        return self._torn(value) if rng.random() < 0.25 else value

    def _event(self, now: Instant) -> dict[str, Any]:
        """Return an event that could be, of one of few customers, orders and tickets: facts meet each other."""
        rng = self._rng
        customer, at = f"c-{rng.randrange(self._customers)}", now - rng.randrange(_SPAN)
        own = {"customer_id": customer, "occurred_at": rfc3339(at), "event_id": f"e-{rng.randrange(10**6)}"}
        event: dict[str, Any] = {**EVENT_EXAMPLES[rng.choice(KINDS)], **own}
        for name in ("order_id", "refund_id", "ticket_id"):
            if name in event:
                event[name] = f"{customer}-{rng.randrange(6)}"
        return event

    def _spoil(self, event: dict[str, Any]) -> None:
        rng = self._rng
        name = rng.choice((*event, rng.choice(NAMES)))
        match rng.randrange(6):
            case 0:
                event.pop(name, None)
            case 1:
                event[rng.choice(("x", "", "__class__", "Amount"))] = rng.choice(OTHERS)
            case 2:
                event[name] = [event.get(name)]
            case _:
                event[name] = rng.choice(rng.choice((NUMBERS, TEXTS, TIMES, MONEY, OTHERS)))

    def _torn(self, value: bytes) -> bytes:
        """Return it with some bytes changed, taken out or put in."""
        rng = self._rng
        at, length = rng.randrange(len(value) + 1), rng.randrange(6)
        put = rng.choice((b"", b'"', b"{", b"\\u0000", b"\\ud800", b"e99", b"\xc3", b"9" * 30, rng.randbytes(3)))
        return value[:at] + put + value[at + length :]


Mutation = Callable[[list[bytes], random.Random], None]

ARGUMENTS: tuple[bytes, ...] = (
    b"",
    b"0",
    b"-1",
    b"1",
    b"3",
    b"1.5",
    b"99999",
    b"9007199254740993",
    b"1e308",
    b"nan",
    b"inf",
    b"0x10",
    b"text",
    b"\x00\xff\x00",
    b"7:ours",
    b"9" * 400,
    b"x" * 10_000,
)


def mutated(args: list[bytes], rng: random.Random) -> list[bytes]:
    """Return arguments of a script with one to three things wrong."""
    found = list(args)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(found)) if found else 0
        match rng.randrange(6):
            case 0 if found:
                del found[at]
            case 1:
                found.insert(at, rng.choice(ARGUMENTS))
            case 2 if found:
                del found[at:]
            case 3 if len(found) > 1:
                other = rng.randrange(len(found))
                found[at], found[other] = found[other], found[at]
            case _ if found:
                found[at] = rng.choice(ARGUMENTS)
            case _:
                found.append(rng.choice(ARGUMENTS))
    return found


def summary(counts: Mapping[str, int]) -> str:
    """Return counts on one line, most first."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1]))
