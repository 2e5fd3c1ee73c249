"""Child processes that end with us, however we end."""

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from segmenter.embedded import tether

# Below the range from which Linux takes the ports of outgoing connections (32768 up): a server
# that restarts on its port must not find a client of another test sitting on it.
_PORTS = range(18_000, 32_000)

# The kernel's "kill me when my parent dies" is bound to the thread that forked, so all children
# are forked by one thread that lives as long as this process.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bench-forker")
_children: list["Child"] = []

# A worker starts as where it is installed: from bytecode. Without any it compiles 900 modules first, for two seconds.
_FROM_BYTECODE = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(__file__).parents[2] / ".cache" / "bytecode"),
}


class Child:
    """One server process. It is killed when this process exits, crashes or is killed itself.

    The last on Linux only. Ctrl-C in the terminal does not reach it.
    """

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.command = list(command)
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        self._process = _forker.submit(_fork, self.command, log, dict(env or {})).result()
        _children.append(self)

    @property
    def pid(self) -> int:
        """The process id of the server itself; no wrapper stands between."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """What this process has written so far to standard output and error."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def wait_until_it_says(self, text: str, timeout_s: float) -> None:
        """Return when `text` was written. Raises RuntimeError with the output's tail if it never is."""
        deadline = time.monotonic() + timeout_s
        while text not in self.output():
            if self.exit_code is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(
                    f"{self.command[0]} did not say {text!r} in {timeout_s} s "
                    f"(exit code {self.exit_code}):\n{self.output()[-3000:]}"
                )
            time.sleep(0.02)

    def stop(self, timeout_s: float = 15) -> None:
        """End it with SIGTERM, and with SIGKILL after `timeout_s`."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """Freeze it with SIGSTOP: its sockets stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on."""
        self._signal(signal.SIGCONT)

    def wait(self, timeout_s: float) -> int:
        """Return its exit code once it has ended by itself. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout_s)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


def scratch_directory(kind: str) -> Path:
    """Make a directory for a server's files; those of test runs that were killed are removed first."""
    for left in Path(tempfile.gettempdir()).glob("segmenter-*-of-*"):
        owner = left.name.partition("-of-")[2].partition("-")[0]
        if owner.isdecimal() and not _is_alive(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"segmenter-{kind}-of-{os.getpid()}-"))


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface on which nothing listens at present."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            # As the servers do: the waiting ends of closed connections do not occupy a port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and alive
        return True
    return True


def _fork(command: list[str], log: Path, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    guard = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid())] if sys.platform == "linux" else []
    program = shutil.which(command[0]) or command[0]
    with log.open("ab") as sink:
        return subprocess.Popen(
            [*guard, program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=os.environ | _FROM_BYTECODE | env,
            start_new_session=True,
        )


@atexit.register
def _kill_the_rest() -> None:
    for child in _children:
        if child.exit_code is None:
            child.kill()


def heed_interrupts() -> None:
    """Let a child be interrupted (`preexec_fn`) although a shell in the background has the run ignore that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
