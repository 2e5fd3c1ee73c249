import pytest
from redis.asyncio.connection import SSLConnection

from segmenter.adapters.redis_address import RedisKind, address_of
from segmenter.adapters.redis_client import connect


def test_a_service_is_found_by_its_sentinels() -> None:
    address = address_of("rediss+sentinel://u:p%40@a:1,b,[::1]:3/shop/2?ssl_cert_reqs=none&sentinel_password=s")

    assert (address.kind, address.service) == (RedisKind.SENTINEL, "shop")
    assert address.nodes == (("a", 1), ("b", 26_379), ("::1", 3))
    assert address.common == "rediss://u:p%40@a:1/2?ssl_cert_reqs=none"
    assert address.sentinel_login == {"password": "s"}


def test_a_cluster_is_found_by_some_of_its_nodes() -> None:
    address = address_of("redis+cluster://:p@a,b:7000")

    assert (address.kind, address.nodes) == (RedisKind.CLUSTER, (("a", 6_379), ("b", 7_000)))
    assert address.common == "redis://:p@a:6379/0"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a:1",
        "redis+sentinel://a:1/",
        "redis+sentinel://a:1/shop/x",
        "redis+sentinel:///shop",
        "redis+cluster://a:1/0",
        "redis+cluster://a:1?sentinel_password=s",
        "redis+cluster://a:70000",
        "redis+cluster://",
        "redis+ring://a:1",
        "unix+cluster://a:1",
    ],
)
def test_what_names_nothing_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        address_of(url)


async def test_credentials_and_tls_reach_the_servers_behind_sentinels() -> None:
    client = connect("rediss+sentinel://u:p%40@a:1,b:2/shop/2?ssl_cert_reqs=none&sentinel_password=s")
    pool = client.connection_pool

    assert {name: pool.connection_kwargs[name] for name in ("username", "password", "db")} == {
        "username": "u",
        "password": "p@",
        "db": 2,
    }
    assert issubclass(pool.connection_class, SSLConnection)
    for sentinel in pool.sentinel_manager.sentinels:
        kwargs = sentinel.connection_pool.connection_kwargs
        assert (kwargs["password"], kwargs["username"]) == ("s", None)
        assert issubclass(sentinel.connection_pool.connection_class, SSLConnection)
    await client.aclose()


async def test_credentials_and_tls_reach_the_nodes_of_a_cluster() -> None:
    client = connect("rediss+cluster://u:p%40@a:1,b:2")
    nodes = list(client.nodes_manager.startup_nodes.values())

    assert [(node.host, node.port) for node in nodes] == [("a", 1), ("b", 2)]
    for node in nodes:
        assert (node.connection_kwargs["username"], node.connection_kwargs["password"]) == ("u", "p@")
        assert issubclass(node.connection_class, SSLConnection)
    await client.aclose()
