"""The pages of a worker that machines read: is it alive, is it ready, and its numbers.

`/health/live` answers 503 when the watchdog has stood still: restart the process. `/health/ready` answers 503 while a
lane is being taken over or has stopped, the store is away, or the group has not answered yet; its body says which.
"""

import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from segmenter.domain.instants import rfc3339
from segmenter.engine.intake import EngineStatus, LaneCondition
from segmenter.errors import ConfigurationError

# The watchdog runs every second; a rebalance or a long garbage collection may hold it up for a few.
_STANDSTILL_S = 30
_SHUTDOWN_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Where the pages get their answers."""

    status: Callable[[], EngineStatus]
    watchdog_age_s: Callable[[], float]
    registry: CollectorRegistry

    async def live(self, request: web.Request) -> web.Response:
        """Answer whether the worker is alive."""
        age_s = self.watchdog_age_s()
        is_live = age_s < _STANDSTILL_S
        body = {"live": is_live, "watchdog_age_s": round(age_s, 3)}
        return web.json_response(body, status=200 if is_live else 503)

    async def ready(self, request: web.Request) -> web.Response:
        """Answer whether the worker is ready."""
        is_ready, body = readiness(self.status())
        return web.json_response(body, status=200 if is_ready else 503)


@asynccontextmanager
async def health_site(bind: str, health: Health) -> AsyncIterator[str]:
    """Serve the pages on `host:port` and give the address; port 0 takes any free one.

    Raises ConfigurationError when the address cannot be read or used.
    """
    host, port = _parse(bind)
    site = web.Application()
    site.add_routes(
        [
            web.get("/health/live", health.live),
            web.get("/health/ready", health.ready),
            web.get("/metrics", make_aiohttp_handler(health.registry)),
        ]
    )
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield _address(runner)
    finally:
        await runner.cleanup()


def readiness(status: EngineStatus) -> tuple[bool, dict[str, object]]:
    """Return whether a worker is ready, and what its page says.

    A lane that runs is ready, and so is one that is paused for a reason it can name: it goes on by itself.
    """
    is_ready = (
        status.generation is not None
        and status.is_store_reachable
        and not status.stopped_sources
        and all(_is_well(lane, condition, status) for lane, condition in status.lanes.items())
    )
    return is_ready, {
        "ready": is_ready,
        "generation": status.generation,
        "store": "reachable" if status.is_store_reachable else "unreachable",
        "stopped_sources": dict(status.stopped_sources),
        "time": "stands still" if status.held_for else "runs",
        "time_held_for": list(status.held_for),
        "rulebook": status.rules_warning or "as applied",
        "lanes": {str(lane): _said(lane, condition, status) for lane, condition in sorted(status.lanes.items())},
        "last_poll_at": None if status.last_poll_at is None else rfc3339(status.last_poll_at),
    }


def _is_well(lane: int, condition: LaneCondition, status: EngineStatus) -> bool:
    is_explained_pause = condition is LaneCondition.PAUSED and lane in status.reasons
    return condition is LaneCondition.RUNNING or is_explained_pause


def _said(lane: int, condition: LaneCondition, status: EngineStatus) -> str:
    reason = status.reasons.get(lane)
    return str(condition) if reason is None else f"{condition}: {reason}"


def _parse(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigurationError([f"web bind {bind!r} is not an address; expected one like 127.0.0.1:8080"])
    return host.strip("[]"), int(port)


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "another process has it; choose another, or port 0 for any that is free"
        else:
            reason = str(error)
        raise ConfigurationError([f"web bind {host}:{port} cannot be used: {reason}"]) from error


def _address(runner: web.AppRunner) -> str:
    host, port, *_ = runner.addresses[0]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
