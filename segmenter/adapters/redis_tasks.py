"""The positions of repartition tasks in Redis."""

from collections.abc import Mapping

from segmenter.adapters.keys import tasks_key
from segmenter.adapters.redis_client import Client, ask
from segmenter.ports import Source

# No topic's name holds it.
_INCARNATION = "@"


class RedisTaskStore:
    """TaskStore over redis.asyncio. A position that is lost or old only makes a task forward again."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._key = tasks_key(namespace)

    async def position(self, source: Source) -> int | None:
        """Return the next offset to read."""
        offset = await ask(self._client, "HGET", self._key, source)
        return None if offset is None else int(offset)

    async def advance(self, source: Source, offset: int) -> None:
        """Note how far the task has come."""
        await ask(self._client, "HSET", self._key, source, offset)

    async def incarnation(self, source: Source) -> int:
        """Return how often an operator has put the task back."""
        return int(await ask(self._client, "HGET", self._key, source + _INCARNATION) or 0)

    async def put(self, source: Source, offset: int, incarnation: int) -> None:
        """Put a task to an offset, both numbers at once."""
        await ask(self._client, "HSET", self._key, source, offset, source + _INCARNATION, incarnation)

    async def positions(self) -> Mapping[Source, int]:
        """Return the next offset of every task that ever ran."""
        fields: Mapping[bytes, bytes] = await ask(self._client, "HGETALL", self._key)
        numbers = {name.decode(): int(number) for name, number in fields.items()}
        return {name: number for name, number in numbers.items() if not name.endswith(_INCARNATION)}
