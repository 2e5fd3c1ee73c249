"""Redis on several servers: a primary with a replica and Sentinels, and a cluster of primaries.

Every server stands behind a proxy of its own, by which clients, replicas and Sentinels find it: its network can be
cut or slowed down. Data is in an append-only file, as in production; addresses and roles survive a restart.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.bench.process import Child, free_ports, scratch_directory
from tests.bench.proxy import Proxy
from tests.bench.redis import RedisServer

SERVICE = "shop"
SLOTS = 16_384
_TIMEOUT_S = 20
_DOWN_AFTER_MS = 1_000
_NODE_TIMEOUT_MS = 2_000
_DURABLE = ("--appendonly", "yes", "--appendfsync", "everysec")


class RedisNode(RedisServer):
    """One server of several, behind its proxy. What its commands have changed of its settings survives a restart."""

    def __init__(self, *options: str, announce: str) -> None:
        """Make it; `announce` is the option by which it tells its proxy's port."""
        super().__init__(*_DURABLE, *options)
        self.proxy = Proxy(self.port)
        self._options = (*self._options, announce, str(self.proxy.port))

    def start(self) -> Self:
        """Return when it answers."""
        self.proxy.start()
        return super().start()

    def stop(self) -> None:
        """End it and its proxy."""
        super().stop()
        self.proxy.stop()

    def ask(self, *parts: str | int) -> Any:
        """Return the reply to one command, sent past the proxy."""
        address = {"host": "127.0.0.1", "port": self.port, "socket_timeout": 3}
        with Redis(**address, retry=Retry(NoBackoff(), 0), decode_responses=True) as client:  # type: ignore[arg-type]
            return client.execute_command(*parts)

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of INFO."""
        told: dict[str, Any] = self.ask("INFO", section)
        return told

    def written_bytes(self) -> dict[Path, int]:
        """Return the sizes of the append-only files."""
        return {file: file.stat().st_size for file in self._directory.glob("appendonlydir/*.aof")}

    def lose_power(self, written: dict[Path, int]) -> None:
        """Kill it, and take from its files what came after `written`, as the last second may be."""
        self.kill()
        for file, size in written.items():
            if file.exists() and ".incr." in file.name:
                with file.open("r+b") as kept:
                    kept.truncate(min(size, file.stat().st_size))

    def restore(self, dump: Path) -> None:
        """Kill it and start it again with what `dump` holds, which its append-only file begins with from then on."""
        self.child.kill()
        shutil.rmtree(self._directory / "appendonlydir", ignore_errors=True)
        shutil.copyfile(dump, self._rdb)
        self._write_config({"appendonly": "no"})
        self._launch()
        self._rdb.unlink()
        self.ask("CONFIG", "SET", "appendonly", "yes")
        self.ask("CONFIG", "REWRITE")

    @property
    def _config(self) -> Path:
        return self._directory / "redis.conf"

    def _write_config(self, changed: dict[str, str]) -> None:
        lines = self._config.read_text().splitlines()
        kept = [line for line in lines if line.split(" ")[0] not in changed]
        self._config.write_text("\n".join([*kept, *(f"{name} {value}" for name, value in changed.items())]) + "\n")

    def _launch(self) -> None:
        if not self._config.exists():
            self._config.write_text(_as_lines(self._all_options()))
        self._child = Child([self.binary, str(self._config)], log=self._directory / "log")
        self._child.wait_until_it_says("eady to accept connections", _TIMEOUT_S)


class RedisWithSentinel:
    """A primary, a replica and three Sentinels, two of which must agree that the primary is down."""

    def __init__(self, sentinels: int = 3) -> None:
        self.nodes = [RedisNode(announce="--replica-announce-port") for _ in range(2)]
        self._sentinel_ports = free_ports(sentinels)
        self._sentinels: list[Child] = []
        self._stack = ExitStack()
        self._directory = Path()

    @property
    def url(self) -> str:
        """The address of database 0."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self._sentinel_ports)}/{SERVICE}/0"

    def start(self) -> Self:
        """Return when the replica is in step and every Sentinel knows it and the others."""
        primary, replica = (self._stack.enter_context(node) for node in self.nodes)
        replica.ask("REPLICAOF", "127.0.0.1", primary.proxy.port)
        replica.ask("CONFIG", "REWRITE")
        self._directory = scratch_directory("sentinel")
        for port in self._sentinel_ports:
            self._sentinels.append(self._start_sentinel(port, primary.proxy.port))
        until(lambda: replica.info("replication")["master_link_status"] == "up")
        until(lambda: all(self._is_informed(port) for port in self._sentinel_ports))
        return self

    def stop(self) -> None:
        """End all of it."""
        for sentinel in self._sentinels:
            sentinel.kill()
        self._stack.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def primary(self) -> RedisNode:
        """Return the primary by the word of the first Sentinel."""
        with Redis(port=self._sentinel_ports[0], decode_responses=True) as sentinel:
            _, port = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(node for node in self.nodes if node.proxy.port == int(port))

    def replica(self) -> RedisNode:
        """Return the other one."""
        primary = self.primary()
        return next(node for node in self.nodes if node is not primary)

    def is_whole(self) -> bool:
        """Tell whether the replica is in step with the primary that the Sentinels name."""
        try:
            told = self.replica().info("replication")
            is_primary = self.primary().info("replication")["role"] == "master"
        except (RedisError, OSError):
            return False
        return bool(is_primary) and told["role"] == "slave" and told["master_link_status"] == "up"

    def pause_sentinels(self) -> None:
        """Let nobody fail over for a while."""
        for sentinel in self._sentinels:
            sentinel.pause()

    def resume_sentinels(self) -> None:
        """Let Sentinels watch again."""
        for sentinel in self._sentinels:
            sentinel.resume()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_sentinel(self, port: int, primary_port: int) -> Child:
        config = self._directory / f"{port}.conf"
        quorum = len(self._sentinel_ports) // 2 + 1
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {self._directory}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary_port} {quorum}",
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 4000",
        ]
        config.write_text("\n".join(lines) + "\n")
        binary = self.nodes[0].binary
        return Child([binary, str(config), "--sentinel"], log=self._directory / f"{port}.log")

    def _is_informed(self, port: int) -> bool:
        try:
            with Redis(port=port, decode_responses=True) as sentinel:
                told = sentinel.sentinel_master(SERVICE)
        except RedisError:
            return False
        return (told["num-slaves"], told["num-other-sentinels"]) == (1, len(self._sentinel_ports) - 1)


class RedisClusterOfPrimaries:
    """A cluster without replicas: a node that is killed takes its lanes with it until it comes back."""

    def __init__(self, primaries: int = 3) -> None:
        self._bus_ports = free_ports(primaries)
        self.nodes = [
            RedisNode(*_clustered(bus_port), announce="--cluster-announce-port") for bus_port in self._bus_ports
        ]
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """The address of all nodes."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.proxy.port}" for node in self.nodes)

    def start(self) -> Self:
        """Return when every node knows which slots are whose."""
        share = -(-SLOTS // len(self.nodes))
        for number, node in enumerate(self.nodes):
            self._stack.enter_context(node)
            node.ask("CLUSTER ADDSLOTSRANGE", number * share, min((number + 1) * share, SLOTS) - 1)
            node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node, bus_port in list(zip(self.nodes, self._bus_ports, strict=True))[1:]:
            self.nodes[0].ask("CLUSTER MEET", "127.0.0.1", node.proxy.port, bus_port)
        until(self.is_whole)
        return self

    def stop(self) -> None:
        """End all nodes."""
        self._stack.close()

    def is_whole(self) -> bool:
        """Tell whether every node serves and knows all slots."""
        try:
            told = [node.ask("CLUSTER INFO") for node in self.nodes]
        except (RedisError, OSError):
            return False
        nodes = str(len(self.nodes))
        return all((t["cluster_state"], t["cluster_known_nodes"]) == ("ok", nodes) for t in told)

    def owner_of(self, slot: int) -> RedisNode:
        """Return the node that serves a slot, by the word of the first."""
        ranges = self.nodes[0].ask("CLUSTER SLOTS")
        [port] = [primary[1] for first, last, primary, *_ in ranges if first <= slot <= last]
        return next(node for node in self.nodes if node.proxy.port == port)

    def move(self, slot: int, target: RedisNode, keys_at_once: int = 10, pause_s: float = 0.0) -> int:
        """Move a slot to another node, as `redis-cli --cluster reshard` does; return how many keys it had."""
        source = self.owner_of(slot)
        source_id, target_id = source.ask("CLUSTER MYID"), target.ask("CLUSTER MYID")
        target.ask("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", target_id)
        moved = 0
        while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, keys_at_once):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
            moved += len(keys)
            time.sleep(pause_s)
        for node in (target, source, *self.nodes):
            node.ask("CLUSTER SETSLOT", slot, "NODE", target_id)
        return moved

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def until(is_true: Callable[[], bool], timeout_s: float = _TIMEOUT_S) -> None:
    """Wait until something holds. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not come true within {timeout_s} s")
        time.sleep(0.05)


def _clustered(bus_port: int) -> Sequence[str]:
    return (
        *("--cluster-enabled", "yes"),
        *("--cluster-port", str(bus_port)),
        *("--cluster-announce-bus-port", str(bus_port)),
        *("--cluster-node-timeout", str(_NODE_TIMEOUT_MS)),
        *("--cluster-require-full-coverage", "no"),
    )


def _as_lines(options: Sequence[str]) -> str:
    """Return options of the command line as a file of settings; the last of a name wins."""
    pairs = dict(zip(options[0::2], options[1::2], strict=True))
    return "".join(f"{name.removeprefix('--')} {value or chr(34) * 2}\n" for name, value in pairs.items())
