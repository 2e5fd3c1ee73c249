"""The machine a benchmark runs on: what it is, which core does what, and what a process has used of it."""

import contextlib
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from tests.bench.kafka_jars import VERSION as KAFKA_VERSION
from tests.bench.redis import server_binary

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PACKAGES = ("aiokafka", "faust-streaming", "redis", "hiredis", "pydantic", "confluent-kafka")

SERVER_CORE = 0
"""Kafka, Redis and the load run here."""
WORKER_CORE = (os.cpu_count() or 1) - 1
"""The worker that is measured runs here, and nothing else of ours."""


def pin(pid: int, core: int) -> None:
    """Keep a process, all its threads, and the threads they start, on one core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # a thread that has ended meanwhile
            os.sched_setaffinity(int(task.name), {core})


def cpu_seconds(pid: int) -> float:
    """Return what a process has used so far, user and system, all threads; counted in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def resident_mib(pid: int) -> float:
    """Return the memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def load_average() -> float:
    """Return the load of the last minute."""
    return os.getloadavg()[0]


def machine_class() -> str:
    """Return what kind of machine this is."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    kind = "VM" if any(line.startswith("flags") and " hypervisor" in line for line in lines) else "machine"
    return f"{os.cpu_count()} cores {model} {kind}, {memory_kib / 2**20:.0f} GiB"


def versions() -> str:
    """Return the versions of everything that has a part in a figure."""
    server = subprocess.run([server_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    redis = next(word.removeprefix("v=") for word in server.split() if word.startswith("v="))
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"CPython {platform.python_version()}, Kafka {KAFKA_VERSION}, Redis {redis}, {packages}"
