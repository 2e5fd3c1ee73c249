"""The pages that machines read."""

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from segmenter.engine.intake import EngineStatus, LaneCondition
from segmenter.errors import ConfigurationError
from segmenter.web.health import Health, health_site, readiness


def status(**changes: object) -> EngineStatus:
    whole: dict[str, object] = {
        "generation": 3,
        "lanes": {0: LaneCondition.RUNNING, 10: LaneCondition.RUNNING},
        "reasons": {},
        "is_store_reachable": True,
        "last_poll_at": 1_000_000,
    }
    return EngineStatus(**(whole | changes))  # type: ignore[arg-type]


def health(now: EngineStatus, watchdog_age_s: float = 0.4) -> Health:
    registry = CollectorRegistry()
    Counter("segmenter_things", "Things.", registry=registry).inc(2)
    return Health(status=lambda: now, watchdog_age_s=lambda: watchdog_age_s, registry=registry)


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_worker_whose_lanes_run_is_ready(client: aiohttp.ClientSession) -> None:
    async with health_site("127.0.0.1:0", health(status())) as address:
        answer = await client.get(f"http://{address}/health/ready")

        assert answer.status == 200
        assert await answer.json() == {
            "ready": True,
            "generation": 3,
            "store": "reachable",
            "stopped_sources": {},
            "time": "runs",
            "time_held_for": [],
            "rulebook": "as applied",
            "lanes": {"0": "running", "10": "running"},
            "last_poll_at": "1970-01-01T00:00:01.000Z",
        }


@pytest.mark.parametrize(
    ("changes", "is_ready"),
    [
        ({"generation": None}, False),
        ({"is_store_reachable": False}, False),
        ({"lanes": {}}, True),
        ({"lanes": {1: LaneCondition.TAKEOVER}}, False),
        ({"lanes": {1: LaneCondition.PAUSED}}, False),
        ({"lanes": {1: LaneCondition.PAUSED}, "reasons": {1: "outbox full"}}, True),
        ({"held_for": ["topic orders is silent"]}, True),
        ({"stopped_sources": {"orders/3": "the topic was made anew"}}, False),
        ({"lanes": {1: LaneCondition.STOPPED}, "reasons": {1: "out of range"}}, False),
    ],
)
def test_ready_means_that_every_lane_runs_or_says_why_it_waits(changes: dict[str, object], is_ready: bool) -> None:
    assert readiness(status(**changes))[0] is is_ready


async def test_a_stopped_lane_names_its_reason_and_answers_503(client: aiohttp.ClientSession) -> None:
    stopped = status(lanes={4: LaneCondition.STOPPED}, reasons={4: "orders/4 begins at 900, expected 20"})

    async with health_site("127.0.0.1:0", health(stopped)) as address:
        answer = await client.get(f"http://{address}/health/ready")

        assert answer.status == 503
        assert (await answer.json())["lanes"] == {"4": "stopped: orders/4 begins at 900, expected 20"}


async def test_time_that_is_held_is_told_with_its_reason(client: aiohttp.ClientSession) -> None:
    held = status(held_for=["the clock of this machine is 60 s ahead of that of Redis"])

    async with health_site("127.0.0.1:0", health(held)) as address:
        answer = await client.get(f"http://{address}/health/ready")

        body = await answer.json()
        assert (answer.status, body["time"]) == (200, "stands still")
        assert "60 s ahead" in body["time_held_for"][0]


@pytest.mark.parametrize(("age_s", "code"), [(0.2, 200), (31.0, 503)])
async def test_a_worker_lives_while_its_watchdog_runs(client: aiohttp.ClientSession, age_s: float, code: int) -> None:
    async with health_site("127.0.0.1:0", health(status(), age_s)) as address:
        answer = await client.get(f"http://{address}/health/live")

        assert answer.status == code
        assert (await answer.json())["watchdog_age_s"] == age_s


async def test_the_numbers_are_those_of_the_registry(client: aiohttp.ClientSession) -> None:
    async with health_site("127.0.0.1:0", health(status())) as address:
        answer = await client.get(f"http://{address}/metrics")

        assert "segmenter_things_total 2.0" in await answer.text()
        assert answer.headers["Content-Type"].startswith("text/plain")


async def test_a_port_that_is_taken_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(ConfigurationError, match=rf"127.0.0.1:{port} cannot be used: another process has it"):
            async with health_site(f"127.0.0.1:{port}", health(status())):
                pass


@pytest.mark.parametrize("bind", ["8080", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", ":80"])
async def test_an_address_that_is_none_is_refused(bind: str) -> None:
    with pytest.raises(ConfigurationError, match="expected one like"):
        async with health_site(bind, health(status())):
            pass
