"""When topics spoke, in Redis, and Redis's own clock."""

from collections.abc import Mapping

from segmenter.adapters.keys import sources_key
from segmenter.adapters.memory_sources import REMEMBERED_HOURS
from segmenter.adapters.redis_client import Client
from segmenter.adapters.redis_scripts import CLOCK, HEAR, RESUME
from segmenter.domain.instants import BEGINNING, HOUR, SECOND, Instant
from segmenter.ports import Heard, SourceRecord


class RedisSourceBoard:
    """SourceBoard over redis.asyncio. What is lost with the last second of Redis is heard again with its events."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._key = sources_key(namespace)

    async def hear(self, heard: Mapping[str, Heard]) -> Mapping[str, SourceRecord]:
        """Add what was heard, and return what is known of every topic that ever spoke."""
        known = await self._hear([])
        for topic, more in heard.items():
            hours = sorted(more.hours)[-REMEMBERED_HOURS:]
            known = await self._hear([topic, more.last_at, len(hours), *hours])
        return known

    async def _hear(self, args: list[bytes | str | int]) -> Mapping[str, SourceRecord]:
        flat = await HEAR.run(self._client, [self._key], [REMEMBERED_HOURS, *args])
        fields = {name.decode(): int(value) for name, value in zip(flat[0::2], flat[1::2], strict=True)}
        topics = [name.removeprefix("last|") for name in fields if name.startswith("last|")]
        return {topic: _record_of(topic, fields) for topic in topics}

    async def resume(self, topic: str, at: Instant) -> bool:
        """Do not wait for this topic until it speaks again."""
        return bool(await RESUME.run(self._client, [self._key], [topic, at]))


class RedisTime:
    """The clock of the Redis server that keeps lane 0: a cluster has one a node, which NTP keeps together."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._key = sources_key(namespace)

    async def now(self) -> Instant:
        """Return the instant it is there."""
        seconds, micros = await CLOCK.run(self._client, [self._key], [])
        return int(seconds) * SECOND + int(micros)


def _record_of(topic: str, fields: Mapping[str, int]) -> SourceRecord:
    last_at = fields[f"last|{topic}"]
    return SourceRecord(
        last_at=last_at,
        longest_gap=fields.get(f"gap|{topic}", 0) * HOUR,
        resumed_at=fields.get(f"resumed_at|{topic}", BEGINNING),
        is_resumed=fields.get(f"resumed_last|{topic}") == last_at,
    )
