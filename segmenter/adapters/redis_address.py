"""Where Redis is: one server, the primary that Sentinels name, or a cluster; read from one URL.

| form | what it names |
|---|---|
| `redis://host:port/db`, `rediss://…` (TLS), `unix://path` | one server |
| `redis+sentinel://host:port,host:port/service/db`, `rediss+sentinel://…` | the primary of a service |
| `redis+cluster://host:port,host:port`, `rediss+cluster://…` | a cluster, by some of its nodes |

User and password stand before the hosts and are those of the data servers; Sentinels that want one of their own
get it by the options `sentinel_username` and `sentinel_password`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode, urlsplit

_PORTS = {"sentinel": 26_379, "cluster": 6_379}
_HOST = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
_LOGIN = ("username", "password")
_SERVICE = re.compile(r"[A-Za-z0-9._-]+")

Node = tuple[str, int]


class RedisKind(StrEnum):
    """How Redis is run."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """A URL taken apart. `common` is a plain URL with credentials, database and options for each data server."""

    kind: RedisKind
    common: str
    nodes: tuple[Node, ...] = ()
    service: str = ""
    sentinel_login: Mapping[str, str]


def address_of(url: str) -> RedisAddress:
    """Return what a URL names. Raises ValueError, which never shows the credentials."""
    scheme, _, rest = url.partition("://")
    base, plus, kind = scheme.partition("+")
    if not plus:
        return _server(url)
    if base not in {"redis", "rediss"} or kind not in _PORTS:
        raise ValueError(
            "it begins with none of redis://, rediss://, redis+sentinel://, redis+cluster:// and unix://"
        )
    rest, _, query = rest.partition("?")
    credentials, at, places = rest.rpartition("@")
    hosts, _, path = places.partition("/")
    nodes = tuple(_node(host, _PORTS[kind]) for host in hosts.split(","))
    options = dict(parse_qsl(query, strict_parsing=bool(query)))
    login = {name: options.pop(f"sentinel_{name}") for name in _LOGIN if f"sentinel_{name}" in options}
    service, database = _path(path) if kind == RedisKind.SENTINEL else ("", "")
    if kind == RedisKind.CLUSTER and (path or login):
        raise ValueError("a cluster has no path, and no Sentinels")
    common = f"{base}://{credentials}{at}{_written(nodes[0])}/{database or 0}?{urlencode(options)}".rstrip("?")
    return RedisAddress(kind=RedisKind(kind), common=common, nodes=nodes, service=service, sentinel_login=login)


def _path(path: str) -> tuple[str, str]:
    """Return service and database, as the path names them."""
    service, _, database = path.partition("/")
    if _SERVICE.fullmatch(service) is None:
        raise ValueError("no name of a service after the Sentinels")
    if database and not database.isdecimal():
        raise ValueError("the database is no number")
    return service, database


def _server(url: str) -> RedisAddress:
    parts = urlsplit(url)
    is_network = parts.scheme in {"redis", "rediss"} and parts.hostname and (parts.port or 6379)
    is_socket = parts.scheme == "unix" and parts.path
    if not is_network and not is_socket:
        raise ValueError("it begins with none of redis://, rediss:// and unix://, or names no place")
    return RedisAddress(kind=RedisKind.SERVER, common=url, sentinel_login={})


def _node(place: str, port: int) -> Node:
    matched = _HOST.fullmatch(place.strip())
    number = port if matched is None or matched[2] is None else int(matched[2])
    if matched is None or not 0 < number <= 65_535:
        raise ValueError("a host is not written as host:port")
    return matched[1].strip("[]"), number


def _written(node: Node) -> str:
    host, port = node
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
