"""Run a server that ends when the process that asked for it ends, however that one ends.

A small program of its own (`python tether.py PARENT_PID COMMAND…`), because what ties a child to its parent
must be done between fork and exec, and our process has threads by then: Python code there can deadlock.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
WATCH_EVERY_S = 0.2


def main(arguments: Sequence[str]) -> int:
    """Become the command (Linux) or watch over it (elsewhere); returns the exit code of what was run."""
    parent, command = int(arguments[0]), list(arguments[1:])
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # Our parent may have died before prctl was called; then no signal will ever come.
        if os.getppid() != parent:
            return 1
        os.execv(command[0], command)  # noqa: S606 - the caller names the program
    return watch(parent, command)


def watch(parent: int, command: Sequence[str]) -> int:
    """Run the command and kill it as soon as our parent is another process than `parent`."""
    server = subprocess.Popen(command)  # noqa: S603 - the caller names the program
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.terminate())
    while server.poll() is None:
        if os.getppid() != parent:
            server.kill()
        time.sleep(WATCH_EVERY_S)
    return server.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
