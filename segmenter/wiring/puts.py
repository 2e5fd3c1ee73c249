"""Putting a customer in or out of a declared segment by hand: checked here, sent as an event, done by his lane."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from segmenter.adapters.codec_limits import END_OF_TIME, TEXT_BYTES
from segmenter.adapters.home import home_of
from segmenter.adapters.kafka_feed import NumberedLine, feed
from segmenter.domain.account import dimensions_in
from segmenter.domain.conditions import CUSTOM_PREFIX, IN, OUT, SHADOW_PREFIX
from segmenter.domain.events import ANONYMOUS_PREFIX
from segmenter.domain.instants import Instant, instant_of, rfc3339, span_of
from segmenter.domain.puts import AUTO
from segmenter.domain.rulebook import Rulebook
from segmenter.errors import ConfigurationError
from segmenter.settings import Settings
from segmenter.wiring.holds import user_name
from segmenter.wiring.kafka import route_of
from segmenter.wiring.why import dimension_named

_WORDS = (IN, OUT, AUTO)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRequest:
    """What was asked for, as it was written."""

    segment: str
    to: str
    until: str | None = None
    because: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOrder:
    """A put that can be sent."""

    segment: str
    to: str
    at: Instant
    until: Instant | None
    because: str
    event_id: str

    def as_json(self) -> dict[str, object]:
        """Return it as one JSON object."""
        return {
            "segment": self.segment,
            "to": self.to,
            "until": None if self.until is None else rfc3339(self.until),
            "because": self.because,
            "event_id": self.event_id,
        }

    def sentence(self, identity: str) -> str:
        """Return what was done, for people."""
        if self.to == AUTO:
            return f"{identity} is left to the rules in {self.segment}"
        until = "" if self.until is None else f" until {rfc3339(self.until)}"
        return (
            f"{identity} is put {self.to} {self.segment}{until}; `segmenter customer {identity}` shows it when done"
        )


def order_of(request: PutRequest, rulebook: Rulebook) -> PutOrder:
    """Return what is to be sent. Raises ConfigurationError with every fault of what was asked for."""
    faults: list[str] = []
    now = time.time_ns() // 1_000
    segment = _segment(request.segment, rulebook, faults)
    if request.to not in _WORDS:
        faults.append(f"--put: found {request.to!r} after {request.segment}, expected in, out or auto")
    is_auto = request.to == AUTO
    until = None if is_auto else _until(request, now, faults)
    if is_auto and request.until is not None:
        faults.append("--until: found together with auto, which ends a put at once; leave it out")
    because = (request.because or "").strip()
    if not because and not is_auto:
        faults.append("--because: is missing; say why, for whoever looks at the customer later")
    if len(because.encode()) > TEXT_BYTES:
        faults.append(f"--because: found {len(because.encode())} bytes, expected at most {TEXT_BYTES}")
    if faults:
        raise ConfigurationError(faults)
    return PutOrder(
        segment=segment, to=request.to, at=now, until=until, because=because, event_id=f"put-{uuid.uuid4()}"
    )


def _segment(text: str, rulebook: Rulebook, faults: list[str]) -> str:
    """Return the bare name of a declared segment in which customers move."""
    if text in dimensions_in(rulebook) and not text.startswith((CUSTOM_PREFIX, SHADOW_PREFIX)):
        faults.append(
            f"--put: {text} follows from what customers do, and is not set by hand; "
            f"declare a segment that asks for it, and put the customer there"
        )
        return text
    try:
        return dimension_named(text, rulebook, "--put").removeprefix(CUSTOM_PREFIX).removeprefix(SHADOW_PREFIX)
    except ConfigurationError as error:
        faults += error.faults
        return text


def _until(request: PutRequest, now: Instant, faults: list[str]) -> Instant | None:
    text = request.until
    if text is None:
        faults.append("--until: is missing; say when it ends by itself, as an instant or as a span such as 30d")
        return None
    until = _moment(text, now)
    if until is None:
        found = f"--until: found {text!r}, expected an instant with its zone, such as 2026-01-01T00:00:00Z"
        faults.append(f"{found}, or a span from now on, such as 30d")
    elif not now < until < END_OF_TIME:
        faults.append(f"--until: found {text!r}, expected a time that is still to come, up to 2200")
    return until


def _moment(text: str, now: Instant) -> Instant | None:
    """Read an instant, or a span from now on."""
    try:
        return now + span_of(text)
    except ValueError:
        pass
    try:
        return instant_of(datetime.fromisoformat(text))
    except (ValueError, TypeError):
        return None


def send(settings: Settings, identity: str, lane: int, order: PutOrder) -> None:
    """Send the put as an event of this customer, who is at home in `lane`.

    It is in the log once when this returns: whatever crashes later, his lane comes to it. Raises TransientError when
    Kafka does not answer.
    """
    event = {
        "type": "customer.put",
        "event_id": order.event_id,
        **names_of(identity, lane, settings.partitions),
        "occurred_at": rfc3339(order.at),
        "segment": order.segment,
        "to": order.to,
        "until": None if order.until is None else rfc3339(order.until),
        "because": order.because or None,
        "by": user_name(),
    }
    line = json.dumps({name: value for name, value in event.items() if value is not None}).encode()
    asyncio.run(feed(settings.kafka_bootstrap, _one(line), route_of(settings, None), None, lambda: None))


def names_of(identity: str, lane: int, partitions: int) -> dict[str, str]:
    """Return the names by which events call a customer: his home tells whether a slash parts shop and id.

    Raises ConfigurationError for one who is known by an anonymous id only.
    """
    if identity.startswith(ANONYMOUS_PREFIX):
        raise ConfigurationError([f"{identity} is known by an anonymous id only: no segments until identified"])
    shop, slash, rest = identity.partition("/")
    if slash and home_of(identity, partitions) != lane:
        return {"shop": shop, "customer_id": rest}
    return {"customer_id": identity}


async def _one(line: bytes) -> AsyncIterator[Sequence[NumberedLine]]:
    yield [NumberedLine(1, line)]
