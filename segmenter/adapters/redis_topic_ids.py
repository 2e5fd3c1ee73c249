"""Of which incarnation of its topic each stored position is, in Redis."""

from collections.abc import Mapping

from segmenter.adapters.keys import topic_ids_key
from segmenter.adapters.redis_client import Client, ask
from segmenter.ports import Source


class RedisTopicIds:
    """Written when a partition is first met, and by whoever puts its position elsewhere."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._key = topic_ids_key(namespace)

    async def claim(self, id_by_source: Mapping[Source, str]) -> Mapping[Source, str]:
        """Return the stored ids of these partitions: the given one where there was none."""
        stored = await self.read()
        new = {source: found for source, found in id_by_source.items() if source not in stored}
        for source, found in new.items():
            await ask(self._client, "HSETNX", self._key, source, found)
        if new:
            stored = await self.read()
        return {source: stored[source] for source in id_by_source if source in stored}

    async def read(self) -> Mapping[Source, str]:
        """Return all stored ids."""
        fields = await ask(self._client, "HGETALL", self._key)
        pairs = fields.items() if isinstance(fields, dict) else zip(fields[0::2], fields[1::2], strict=True)
        return {source.decode(): found.decode() for source, found in pairs}

    async def put(self, id_by_source: Mapping[Source, str]) -> None:
        """Take the positions of these partitions for those of these incarnations, by order of an operator."""
        for source, found in id_by_source.items():
            await ask(self._client, "HSET", self._key, source, found)
