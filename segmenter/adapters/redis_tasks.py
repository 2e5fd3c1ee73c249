"""The positions of repartition tasks in Redis."""

from segmenter.adapters.keys import tasks_key
from segmenter.adapters.redis_client import Client, ask
from segmenter.ports import Source


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
