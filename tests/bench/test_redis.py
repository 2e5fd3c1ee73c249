import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from tests.bench.redis import RedisServer, server_binary, valkey_binary


@pytest.mark.parametrize("binary", [server_binary(), valkey_binary()], ids=["server", "valkey"])
def test_restoring_a_dump_forgets_what_came_after(binary: str) -> None:
    with RedisServer(binary=binary) as server, server.client() as client:
        client.set("orders", 1)
        dump = server.dump()
        client.set("orders", 2)

        server.restore(dump)

        assert client.get("orders") == b"1"


def test_a_killed_server_comes_back_empty_even_after_a_dump() -> None:
    with RedisServer() as server, server.client() as client:
        client.set("orders", 1)
        server.dump()

        server.kill()
        with pytest.raises(RedisConnectionError):
            Redis(port=server.port, retry=Retry(NoBackoff(), 0)).ping()
        server.restart()

        assert client.dbsize() == 0


def test_a_full_server_refuses_instead_of_forgetting() -> None:
    with RedisServer() as server, server.client() as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_each_test_gets_an_empty_database(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
