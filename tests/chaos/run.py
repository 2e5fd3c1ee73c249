"""One run: load, faults, rest; then both outputs are read as any consumer does, and held to the oracle."""

import asyncio
import os
import random
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from segmenter.domain.instants import MILLISECOND, SECOND, Instant, rfc3339
from segmenter.domain.profile import Profile
from segmenter.ports import Output
from tests.chaos.load import events_of, send_all
from tests.chaos.plan import Plan
from tests.chaos.recovery import longest_pause_s, pauses, recovery_s, times_by_lane
from tests.chaos.scene import ChaosSite, Scene
from tests.chaos.servers import Servers
from tests.integration.busy_shop import BRANCH
from tests.integration.checker import (
    Heard,
    against_model,
    by_sequence,
    check,
    check_at_rest,
    differences,
    expected_changes,
    hear,
)
from tests.integration.workload import Shop, at_of, until_ready, until_shared
from tests.oracle.jsonl import JsonEvent
from tests.oracle.model import Terms

FIRST_FAULT_AFTER_S = 4.0
# A session of 6 s must end, lanes be dealt out anew and read what has piled up, before the next fault.
SECONDS_A_FAULT = 14.0
START_TIMEOUT_S = 60.0
REST_TIMEOUT_S = 120.0
_INACTIVE = "lifecycle: {inactive_after: 6s}\n"
# Without a rewind the log is that of `simulate`, to the letter; classes then move silently, as they depend on when a
# boundary reached a lane. After a rewind it is the end that must be equal, classes and all.
_SILENT = _INACTIVE + "value: {min_ranked: 1000000}\n"
_RANKED = _INACTIVE + "value: {window: all, band: 0, dwell: 0s, min_ranked: 50}\n"
_MODEL = Terms(inactive_after=timedelta(seconds=6), window=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A fault that happened, and how long it took until all lanes spoke again."""

    name: str
    recovery_s: float
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to; `fault` is empty where everything held."""

    plan: Plan
    events: int
    changes: int
    corrections: int
    """Sets of cause `recovery`: what Redis had forgotten came to another end."""
    struck: tuple[Struck, ...]
    fault: str
    lasted_s: float
    load_average: float


@dataclass(slots=True)
class _Played:
    """What happened in a run, before it is judged."""

    events: Sequence[JsonEvent]
    strikes: Sequence[tuple[str, float]]
    ended_at: float
    rest_at: Instant
    profiles: dict[str, Profile | None]


async def play(servers: Servers, plan: Plan, directory: Path) -> Outcome:
    """Play a plan on these servers and judge what came of it. Never raises for what the product did wrong."""
    started = time.monotonic()
    await asyncio.to_thread(servers.reset)
    site = _site(servers, plan, directory)
    events, heard, struck, fault = 0, None, (), ""
    try:
        played = await _play(site, servers, plan)
        events = len(played.events)
        heard = await hear(site.bootstrap, site.outputs())
        struck = _struck(played, heard)
        (directory / "pauses").write_text(_pauses_text(played, heard))
        await _judge(site, plan, played, heard, directory)
    except Exception as error:  # noqa: BLE001  # whatever ends a run is its verdict, and the next one may be fine
        fault = f"{type(error).__name__}: {error}".removeprefix("AssertionError: ")
        (directory / "troubles").write_text(f"{fault}\n{site.troubles()}")
    finally:
        await asyncio.to_thread(site.stop_workers)
    return Outcome(
        plan=plan,
        events=events,
        changes=0 if heard is None else len(heard.records[Output.CHANGES]),
        corrections=0 if heard is None else sum(told["cause"]["kind"] == "recovery" for told in heard.changes),
        struck=struck,
        fault=fault,
        lasted_s=time.monotonic() - started,
        load_average=os.getloadavg()[0],
    )


def _site(servers: Servers, plan: Plan, directory: Path) -> ChaosSite:
    suffix = uuid.uuid4().hex[:8]
    # Events that the shop could not get rid of for a while must not count as late: the oracle knows of no delay.
    lateness = "20s" if plan.delays_events else "5s"
    return ChaosSite(
        bootstrap=servers.kafka.bootstrap,
        redis_url=servers.redis.url,
        unique=lambda name: f"{name}-{suffix}",
        directory=directory,
        rules=_RANKED if plan.rewinds else _SILENT,
        settings={"allowed_lateness": lateness, "announce_from": "2020-01-01T00:00:00Z"},
        **BRANCH,
    )


async def _play(site: ChaosSite, servers: Servers, plan: Plan) -> _Played:
    await site.make_topics()
    rng = random.Random(plan.seed)
    scene = Scene(site, servers, rng, plan.is_static)
    workers = [scene.start(f"worker-{number}") for number in range(2 if plan.seed % 2 else 3)]
    async with site.lanes() as lanes, Shop(site) as shop:
        await asyncio.to_thread(until_ready, workers)
        await until_shared(lanes, len(workers))
        # A lane that was never live yet concludes nothing from silence, which the oracle does.
        await lanes.until_settled(site.clock.now(), START_TIMEOUT_S)
        seconds = FIRST_FAULT_AFTER_S + SECONDS_A_FAULT * len(plan.faults)
        bought, clicks = events_of(plan.seed, site.clock.now(), seconds)
        async with _selling(shop, site, bought, clicks):
            strikes = await _strike(scene, plan)
        ended_at = time.time()
        events = [*bought, *clicks]
        rest_at = at_of(bought[-1]) + 10 * SECOND
        if plan.rewinds:
            await lanes.until_at_rest(rest_at, REST_TIMEOUT_S)
        else:
            await lanes.until_settled(rest_at, REST_TIMEOUT_S)
        profiles = await lanes.profiles({event["customer_id"] for event in events})
        await asyncio.to_thread(site.stop_workers)
    return _Played(events, strikes, ended_at, rest_at, profiles)


@asynccontextmanager
async def _selling(
    shop: Shop, site: ChaosSite, bought: Sequence[JsonEvent], clicks: Sequence[JsonEvent]
) -> AsyncIterator[None]:
    """Sell beside what is done inside, and be done with both at the end."""
    selling = asyncio.create_task(send_all(shop, bought, clicks, site.clock.now), name="sell")
    try:
        yield
        await selling
    finally:
        selling.cancel()
        await asyncio.gather(selling, return_exceptions=True)


async def _strike(scene: Scene, plan: Plan) -> list[tuple[str, float]]:
    """Let each fault happen at its time, or as soon as the one before is over."""
    began = time.monotonic() + FIRST_FAULT_AFTER_S
    strikes = []
    for number, fault in enumerate(plan.faults):
        await asyncio.sleep(max(0.0, began + number * SECONDS_A_FAULT - time.monotonic()))
        await fault.happen(scene)
        strikes.append((fault.name, scene.struck_at))
    return strikes


def _struck(played: _Played, heard: Heard) -> tuple[Struck, ...]:
    times = times_by_lane(heard.records[Output.CHANGES])
    return tuple(
        Struck(name=name, recovery_s=recovery_s(times, at, end), pause_s=longest_pause_s(times, at, end))
        for name, at, end in _faults(played)
    )


def _faults(played: _Played) -> list[tuple[str, float, float]]:
    """Return what happened, when, and until when it is looked at."""
    ends = [*(at for _, at in played.strikes[1:]), played.ended_at]
    return [(name, at, end) for (name, at), end in zip(played.strikes, ends, strict=True)]


def _pauses_text(played: _Played, heard: Heard) -> str:
    """Return the pause of each lane, at the clock of the logs: who asks what it consists of reads both."""
    times = times_by_lane(heard.records[Output.CHANGES])
    lines = []
    for name, at, end in _faults(played):
        lines.append(f"{_clock(at)} {name}")
        lines += [f"  lane {lane}: {_clock(a)} to {_clock(b)}" for lane, (a, b) in pauses(times, at, end).items()]
    return "\n".join(lines) + "\n"


def _clock(seconds: float) -> str:
    return rfc3339(round(seconds * 1_000) * MILLISECOND)


async def _judge(site: ChaosSite, plan: Plan, played: _Played, heard: Heard, directory: Path) -> None:
    """Raise AssertionError for the first promise that was not kept."""
    check(heard)
    assert heard.rejected == [], f"rejected: {[record.headers for record in heard.rejected[:3]]}"
    if plan.rewinds:
        check_at_rest(heard, played.profiles)
        wrong = against_model(played.events, played.profiles, _MODEL)
    else:
        expected = await expected_changes(played.events, site.rulebook, played.rest_at, directory)
        wrong = differences(expected, by_sequence(heard.changes))
    assert wrong == [], f"{len(wrong)} differ, the first: " + "\n".join(wrong[:5])
    codes = {name: worker.exit_code for name, worker in enumerate(site.workers)}
    assert set(codes.values()) <= {0, -9}, f"workers ended with {codes}"
