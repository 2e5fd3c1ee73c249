"""Redis on more than one server: clients that follow the primary Sentinels name, or the slots of a cluster."""

from collections.abc import Mapping
from typing import Any

from redis import exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool

from segmenter.adapters.redis_address import RedisAddress


def connect_by_sentinel(address: RedisAddress, options: Mapping[str, Any]) -> Redis:
    """Return a client of the primary that the Sentinels name at each connecting."""
    common, is_secure = _common(address)
    timeouts = {name: value for name, value in options.items() if name.startswith("socket_")}
    # Sentinels are of the same network as the servers: where these want TLS, they do.
    secure = {name: value for name, value in common.items() if name.startswith("ssl_")}
    to_sentinels = {**timeouts, **secure, **address.sentinel_login, "ssl": is_secure, "retry": options["retry"]}
    sentinel = Sentinel(address.nodes, sentinel_kwargs=to_sentinels)  # type: ignore[no-untyped-call]
    pool = _PrimaryPool(address.service, sentinel, ssl=is_secure, **{**options, **common})  # type: ignore[no-untyped-call]
    client = _SentinelClient(connection_pool=pool)
    client.auto_close_connection_pool = True
    return client


def connect_cluster(address: RedisAddress, options: Mapping[str, Any]) -> RedisCluster:
    """Return a client of the cluster that these nodes belong to; it connects with the first command.

    Slots that nobody serves are trouble of their lanes alone, so full coverage is not demanded.
    """
    common, is_secure = _common(address)
    common.pop("db", None)
    nodes = [ClusterNode(host, port) for host, port in address.nodes]
    return _Cluster(startup_nodes=nodes, require_full_coverage=False, ssl=is_secure, **{**options, **common})


def _common(address: RedisAddress) -> tuple[dict[str, Any], bool]:
    """Return what the URL says of each data server, and whether it is reached by TLS."""
    common: dict[str, Any] = dict(parse_url(address.common))
    is_secure = common.pop("connection_class", None) is SSLConnection
    for place in ("host", "port"):
        common.pop(place, None)
    return common, is_secure


class _PrimaryPool(SentinelConnectionPool):
    """Lends connections to one primary only.

    A primary that is cut off from its Sentinels may still answer us. A connection to it that was in use when the
    other one was named must not be lent again: reads from the one and writes to the other would be mixed.
    """

    async def release(self, connection: Connection) -> None:  # type: ignore[override]  # redis-py names its base
        """Take a connection back, closed if it leads to a primary of before."""
        if self.master_address not in (None, (connection.host, connection.port)):
            await connection.disconnect()
        await super().release(connection)


class _SentinelClient(Redis):
    """A client that closes its connections to the Sentinels too."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close all connections."""
        await super().aclose(close_connection_pool)
        if isinstance(self.connection_pool, _PrimaryPool):
            await self.connection_pool.sentinel_manager.aclose()


class _Cluster(RedisCluster):
    """A client that bears slots which move to a node it has not heard of: redis-py would call a method of None."""

    def get_node(self, host: str | None = None, port: int | None = None, node_name: str | None = None) -> ClusterNode:
        """Return a node; one that joined meanwhile is trouble that passes, as the nodes are asked for anew."""
        node: ClusterNode | None = super().get_node(host, port, node_name)
        if node is None:
            raise exceptions.ConnectionError(f"node {node_name or f'{host}:{port}'} joined the cluster meanwhile")
        return node
