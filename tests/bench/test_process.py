import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.bench.process import Child, free_ports, heed_interrupts, scratch_directory

_PARENT = """
import sys, time
from pathlib import Path
from tests.bench.process import Child
print(Child(["sleep", "60"], log=Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children of a killed parent")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_end_with_their_parent(ending: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PARENT, str(tmp_path / "log")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=heed_interrupts
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())

        parent.send_signal(ending)
        parent.wait(10)

    assert _ends(child)


def test_a_server_that_dies_at_once_is_reported_with_its_output(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "echo no such setting; exit 3"], log=tmp_path / "log")

    with pytest.raises(RuntimeError, match=r"exit code 3\):\nno such setting"):
        child.wait_until_it_says("ready", timeout_s=5)


def test_files_of_a_run_that_was_killed_are_removed_and_those_of_others_stay() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = Path(tempfile.mkdtemp(prefix=f"segmenter-kafka-of-{gone.pid}-"))
    ours = scratch_directory("kafka")

    theirs = scratch_directory("redis")

    assert not left.exists()
    assert ours.exists()
    ours.rmdir()
    theirs.rmdir()


def test_free_ports_are_distinct() -> None:
    assert len(set(free_ports(20))) == 20


def _ends(pid: int) -> bool:
    for _ in range(100):
        if _state(pid) in (None, "Z"):
            return True
        time.sleep(0.05)
    return False


def _state(pid: int) -> str | None:
    """Return the letter of the process state, None when it is gone; who adopted it may leave a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return None
