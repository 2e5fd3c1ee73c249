"""What commands do with positions: show which cannot be right, put one elsewhere, take over another cluster's."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from segmenter.adapters.redis_client import Client, ask, connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_origin import RedisOrigin
from segmenter.adapters.redis_tasks import RedisTaskStore
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.intake import Place
from segmenter.engine.positions import fault_of, fault_of_anew, refuse_alive, set_lane_position, set_task_position
from segmenter.engine.terms import Terms
from segmenter.errors import ConfigurationError, TransientError
from segmenter.settings import Settings
from segmenter.stream.source_log import KafkaSourceLog
from segmenter.wiring.origin import origin_faults, origin_of, partition_faults
from segmenter.wiring.terms import terms_of
from segmenter.wiring.topic_ids import accept, made_anew

log = logging.getLogger(__name__)
_WORDS = ("beginning", "end")


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """A source partition: the next offset to read as it is stored, and what its log holds.

    `stored` is None where it was never read, `log_start` and `log_end` where there is no such partition (any more).
    """

    place: Place
    stored: int | None
    log_start: int | None
    log_end: int | None
    is_made_anew: bool = False
    """The topic is not the one that was read up to there."""

    @property
    def source(self) -> str:
        """The partition as text."""
        return f"{self.place[0]}/{self.place[1]}"

    @property
    def unread(self) -> int | None:
        """How many offsets are left to read; None: not known."""
        if self.log_start is None or self.log_end is None:
            return None
        return max(0, self.log_end - (self.log_start if self.stored is None else self.stored))

    @property
    def fault(self) -> str:
        """Why it cannot be right; empty: it can."""
        if self.is_made_anew:
            return fault_of_anew(self.place[0], [self.place[1]])
        if self.log_start is None or self.log_end is None:
            return "" if self.stored is None else f"{self.source} is not there any more: the topic was made anew"
        return "" if self.stored is None else fault_of(self.place, self.stored, self.log_start, self.log_end)

    def as_json(self) -> dict[str, object]:
        """Return it as one JSON object."""
        return {
            "source": self.source,
            "stored": self.stored,
            "log_start": self.log_start,
            "log_end": self.log_end,
            "unread": self.unread,
            "fault": self.fault or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """All positions, and what is wrong with them as a whole."""

    faults: Sequence[str]
    views: Sequence[PositionView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A position that was put elsewhere; `before` is None where the partition was never read."""

    source: str
    before: int | None
    after: int


def show_positions(settings: Settings) -> Positions:
    """Return all positions. Raises TransientError when Redis or Kafka does not answer."""
    return asyncio.run(_show(settings))


def set_position(settings: Settings, source: str, to: str) -> Moved:
    """Put a source partition to `beginning`, `end` or an offset.

    Raises ConfigurationError for what is not read, for an offset that its log does not hold, and where a live worker
    has it in hand; TransientError when Redis or Kafka does not answer.
    """
    return asyncio.run(_set(settings, source, to))


def adopt_positions(settings: Settings) -> list[str]:
    """Take the stored positions for those of this Kafka and this application; return what was wrong before.

    Raises ConfigurationError while a worker lives, TransientError when Redis or Kafka does not answer.
    """
    return asyncio.run(_adopt(settings))


def refuse_unknown(settings: Settings, source: str, to: str) -> None:
    """Raise ConfigurationError for what is no partition that is read, and for no position; asks no server."""
    faults = [*_source_faults(source, terms_of(settings, Rulebook())), *_position_faults(to)]
    if faults:
        raise ConfigurationError(faults)


async def _show(settings: Settings) -> Positions:
    async with _redis(settings) as client:
        stored = await _stored(client, settings)
        found = await RedisOrigin(client, settings.namespace).read()
        faults = await partition_faults(client, settings)
        if found is not None:
            faults += origin_faults(found, await origin_of(settings), settings)
        anew = {place for place in await made_anew(client, settings) if stored.get(place) is not None}
    bounds = await KafkaSourceLog(settings.kafka_bootstrap).bounds(list(stored))
    views = []
    for place in sorted(stored):
        start, end = bounds.get(place, (None, None))
        views.append(
            PositionView(place=place, stored=stored[place], log_start=start, log_end=end, is_made_anew=place in anew)
        )
    return Positions(faults=faults, views=views)


async def _stored(client: Client, settings: Settings) -> dict[Place, int | None]:
    """Return the stored position of everything that is read, and of what was and is not there any more."""
    terms, store = terms_of(settings, Rulebook()), RedisLaneStore(client, settings.namespace)
    stored: dict[Place, int | None] = {}
    for lane in range(settings.partitions):
        _, state = await store.state(lane)
        stored.update({(topic, lane): state.positions.get(f"{topic}/{lane}") for topic in _home_topics(terms)})
    counts = await KafkaSourceLog(settings.kafka_bootstrap).partition_counts(sorted(terms.others))
    stored.update({(topic, number): None for topic, count in counts.items() for number in range(count)})
    for source, offset in (await RedisTaskStore(client, settings.namespace).positions()).items():
        topic, _, number = source.rpartition("/")
        if topic in terms.others:
            stored[topic, int(number)] = offset
    return stored


def _home_topics(terms: Terms) -> list[str]:
    return [*sorted(terms.direct), *([terms.rekeyed] if terms.others else [])]


async def _set(settings: Settings, source: str, to: str) -> Moved:
    refuse_unknown(settings, source, to)
    terms = terms_of(settings, Rulebook())
    topic, _, number = source.rpartition("/")
    place = topic, int(number)
    bounds = await KafkaSourceLog(settings.kafka_bootstrap).bounds([place])
    if place not in bounds:
        raise ConfigurationError([f"{source}: there is no such partition in {settings.kafka_bootstrap}"])
    start, end = bounds[place]
    after = _offset_of(source, to, start, end)
    async with _redis(settings) as client:
        store, tasks = (
            RedisLaneStore(client, settings.namespace),
            RedisTaskStore(client, settings.namespace),
        )
        if place[0] in terms.others:
            stored = await tasks.position(source)
            if stored is not None and start <= stored <= end and place not in await made_anew(client, settings):
                # Its task may run: it stops by itself only where its position cannot be right.
                await _refuse_any_alive(store, settings.partitions)
            before = await set_task_position(tasks, source, after)
        else:
            before = await set_lane_position(store, place[1], source, after, settings.partitions)
        await accept(client, settings, source)
    log.warning("position_set", extra={"source": source, "before": before, "after": after})
    return Moved(source=source, before=before, after=after)


def _source_faults(source: str, terms: Terms) -> list[str]:
    topic, _, number = source.rpartition("/")
    known = [*_home_topics(terms), *sorted(terms.others)]
    if not topic or not number.isdecimal():
        return [f"{source!r} is no partition; expected one like {known[0]}/0"]
    if topic not in known:
        return [f"topic {topic!r} is not read; expected one of {', '.join(known)}"]
    return []


def _position_faults(to: str) -> list[str]:
    if to in _WORDS or to.isdecimal():
        return []
    return [f"{to!r} is no position; expected beginning, end or an offset"]


def _offset_of(source: str, to: str, start: int, end: int) -> int:
    if to in _WORDS:
        return start if to == "beginning" else end
    if not start <= int(to) <= end:
        raise ConfigurationError([f"{source} holds offsets {start} to {end}; found {to}"])
    return int(to)


async def _adopt(settings: Settings) -> list[str]:
    async with _redis(settings) as client:
        if faults := await partition_faults(client, settings):
            raise ConfigurationError(faults)
        await _refuse_any_alive(RedisLaneStore(client, settings.namespace), settings.partitions)
        origin, ours = RedisOrigin(client, settings.namespace), await origin_of(settings)
        found = await origin.read()
        before = [] if found is None else origin_faults(found, ours, settings)
        await origin.adopt(ours)
        await accept(client, settings)
    log.warning("positions_adopted", extra={"cluster": ours.cluster, "app_id": ours.app_id})
    return before


async def _refuse_any_alive(store: RedisLaneStore, lanes: int) -> None:
    for lane in range(lanes):
        await refuse_alive(store, lane)


@asynccontextmanager
async def _redis(settings: Settings) -> AsyncIterator[Client]:
    client = connect(settings.redis_url.get_secret_value())
    try:
        await _refuse_absent(client, settings)
        yield client
    finally:
        await client.aclose()


async def _refuse_absent(client: Client, settings: Settings) -> None:
    try:
        await ask(client, "PING")
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error
