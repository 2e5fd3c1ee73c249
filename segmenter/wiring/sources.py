"""What commands ask about the input topics: when each spoke last, how long it may be silent, and to wait no more."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_sources import RedisSourceBoard
from segmenter.domain.instants import Instant, Span, rfc3339, span_text
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.ear import max_silence_of
from segmenter.engine.terms import LEARNED, Terms
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import SourceRecord
from segmenter.settings import Settings
from segmenter.wiring.terms import terms_of


class SourceState(StrEnum):
    """Whether time waits for a topic."""

    NEVER = "never spoke"
    SPEAKS = "speaks"
    SILENT = "silent"
    RESUMED = "resumed"
    UNWATCHED = "not watched"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """A topic as it is shown. Spans and instants are None where they are not known, or do not apply."""

    topic: str
    state: SourceState
    last_event_at: Instant | None
    silent_for: Span | None
    longest_gap: Span | None
    max_silence: Span | None
    is_learned: bool

    def as_json(self) -> dict[str, object]:
        """Return it as one JSON object, spans in seconds."""
        return {
            "topic": self.topic,
            "state": self.state,
            "last_event_at": None if self.last_event_at is None else rfc3339(self.last_event_at),
            "silent_for_s": _seconds(self.silent_for),
            "longest_gap_s": _seconds(self.longest_gap),
            "max_silence_s": _seconds(self.max_silence),
            "is_learned": self.is_learned,
        }

    def as_row(self) -> tuple[str, ...]:
        """Return it as a row of the table."""
        last = "-" if self.last_event_at is None else rfc3339(self.last_event_at)
        allowed = "off" if self.state is SourceState.UNWATCHED else _text(self.max_silence)
        learned = " (learned)" if self.is_learned and self.max_silence is not None else ""
        return self.topic, self.state, last, _text(self.silent_for), _text(self.longest_gap), allowed + learned


def list_sources(settings: Settings) -> list[SourceView]:
    """Return all input topics. Raises TransientError when Redis does not answer."""
    return asyncio.run(_list(settings))


def resume_source(settings: Settings, topic: str) -> bool:
    """Wait no more for a topic until it speaks again; False: it never spoke, so nobody waits for it.

    Raises ConfigurationError for what is no input topic, TransientError when Redis does not answer.
    """
    names = [each.name for each in settings.topics.inputs]
    if topic not in names:
        close = get_close_matches(topic, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(names)}"
        raise ConfigurationError([f"topic {topic!r} is not read; {hint}"])
    return asyncio.run(_resume(settings, topic))


async def _list(settings: Settings) -> list[SourceView]:
    terms, now = terms_of(settings, Rulebook()), time.time_ns() // 1_000
    async with _board(settings) as board:
        known = await board.hear({})
    return [_view_of(terms, topic.name, known.get(topic.name), now) for topic in settings.topics.inputs]


async def _resume(settings: Settings, topic: str) -> bool:
    async with _board(settings) as board:
        return await board.resume(topic, time.time_ns() // 1_000)


@asynccontextmanager
async def _board(settings: Settings) -> AsyncIterator[RedisSourceBoard]:
    client = connect(settings.redis_url.get_secret_value())
    try:
        yield RedisSourceBoard(client, settings.namespace)
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error
    finally:
        await client.aclose()


def _view_of(terms: Terms, topic: str, record: SourceRecord | None, now: Instant) -> SourceView:
    is_watched = topic in terms.max_silence
    allowed = max_silence_of(terms, topic, record) if is_watched and record is not None else None
    return SourceView(
        topic=topic,
        state=_state_of(record, allowed, now, is_watched=is_watched),
        last_event_at=None if record is None else record.last_at,
        silent_for=None if record is None else max(0, now - record.last_at),
        longest_gap=None if record is None else record.longest_gap,
        max_silence=allowed,
        is_learned=terms.max_silence.get(topic) == LEARNED,
    )


def _state_of(record: SourceRecord | None, allowed: Span | None, now: Instant, *, is_watched: bool) -> SourceState:
    if not is_watched:
        return SourceState.UNWATCHED
    if record is None or allowed is None:
        return SourceState.NEVER
    if record.is_resumed:
        return SourceState.RESUMED
    return SourceState.SILENT if now > record.last_at + allowed else SourceState.SPEAKS


def _seconds(span: Span | None) -> float | None:
    return None if span is None else span / 1_000_000


def _text(span: Span | None) -> str:
    return "-" if span is None else span_text(span // 1_000_000 * 1_000_000)
