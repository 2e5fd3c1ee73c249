"""Of which Kafka cluster and application the stored positions are, in Redis."""

from dataclasses import dataclass

from segmenter.adapters.keys import origin_key
from segmenter.adapters.redis_client import Client, ask


@dataclass(frozen=True, slots=True)
class StateOrigin:
    """Where offsets have a meaning (`cluster`), and whose transactional ids fence the output (`app_id`)."""

    cluster: str
    app_id: str


class RedisOrigin:
    """Written by the first worker, compared by every other."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._key = origin_key(namespace)

    async def claim(self, ours: StateOrigin) -> StateOrigin:
        """Return the origin of what is stored: ours where there was none."""
        await ask(self._client, "HSETNX", self._key, "cluster", ours.cluster)
        await ask(self._client, "HSETNX", self._key, "app_id", ours.app_id)
        cluster, app_id = await ask(self._client, "HMGET", self._key, "cluster", "app_id")
        return StateOrigin(cluster.decode(), app_id.decode())

    async def read(self) -> StateOrigin | None:
        """Return the origin of what is stored; None: nothing is."""
        cluster, app_id = await ask(self._client, "HMGET", self._key, "cluster", "app_id")
        return None if cluster is None or app_id is None else StateOrigin(cluster.decode(), app_id.decode())

    async def adopt(self, ours: StateOrigin) -> None:
        """Take what is stored for ours, by order of an operator."""
        await ask(self._client, "HSET", self._key, "cluster", ours.cluster, "app_id", ours.app_id)
