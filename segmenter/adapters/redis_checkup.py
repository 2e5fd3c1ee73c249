"""What a check-up finds of Redis: is it fit to keep lanes, will it keep them, and who owns them."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis import exceptions
from redis.asyncio import Redis

from segmenter.adapters.findings import Finding, fault, ok, warning
from segmenter.adapters.keys import LaneKeys
from segmenter.adapters.lane_limits import HEARTBEAT_VALID
from segmenter.adapters.redis_client import Client, call, check_server, retried
from segmenter.adapters.redis_sources import RedisTime
from segmenter.adapters.redis_state import unpack_token
from segmenter.domain.instants import SECOND

# A clock that is further off holds back every conclusion from silence.
CLOCK_FAULT_S = 5.0
_CLOCK_WARNING_S = 1.0
_NEARLY_FULL = 0.9
# An owner renews its heartbeat once a minute.
_SILENT_S = 150
_STATE = "a restart of Redis would take every profile with it"

Info = Mapping[str, Any]


async def check_redis(client: Client, namespace: str, partitions: int) -> list[Finding]:
    """Return what there is to say of server and lanes. Raises TransientError when it does not answer."""
    infos = await _infos(client)
    server = infos[0]
    unfit = await check_server(client)
    findings = [
        fault("redis server", sentence, "change its configuration, or use another server") for sentence in unfit
    ]
    if not unfit:
        version = server.get("valkey_version") or server.get("redis_version")
        findings.append(ok("redis server", f"version {version}, maxmemory-policy noeviction"))
    return [
        *findings,
        *(finding for info in infos for finding in _role(info)),
        *map(_memory, infos),
        *[await _persistence(client, info) for info in infos],
        await _clock(client, namespace),
        *_lanes(await _owners(client, namespace, partitions), partitions),
    ]


async def _infos(client: Client) -> list[Info]:
    """Return what INFO tells of the server, or of every primary of a cluster."""
    if isinstance(client, Redis):
        return [await retried(client, client.info)]
    await retried(client, client.initialize)
    return [await retried(client, partial(client.info, target_nodes=node)) for node in client.get_primaries()]


def _role(server: Info) -> list[Finding]:
    if server.get("role") != "slave":
        return []
    fix = "name the primary with SEGMENTER_REDIS_URL"
    return [fault("redis role", "this server is a replica, which takes no writes", fix)]


def _memory(server: Info) -> Finding:
    used, most = int(server.get("used_memory", 0)), int(server.get("maxmemory", 0))
    if not most:
        return ok("redis memory", f"{_mebibytes(used)} in use, no limit set")
    found = f"{_mebibytes(used)} of {_mebibytes(most)} in use"
    if used < _NEARLY_FULL * most:
        return ok("redis memory", found)
    return warning("redis memory", found, "raise maxmemory: a full Redis stops the intake of all lanes")


async def _persistence(client: Client, server: Info) -> Finding:
    """Look at AOF and snapshots; a managed service may hide how snapshots are scheduled."""
    subject = "redis persistence"
    if int(server.get("aof_enabled", 0)):
        if server.get("aof_last_write_status", "ok") != "ok":
            return fault(
                subject, "the last write of the append-only file failed", "look at the server's disk and log"
            )
        return ok(subject, "append-only file")
    if server.get("rdb_last_bgsave_status", "ok") != "ok":
        return fault(subject, "the last snapshot failed", "look at the server's disk and log")
    advice = "set appendonly yes and appendfsync everysec"
    try:
        [_, schedule] = await call(client, "CONFIG", "GET", "save")
    except (exceptions.RedisError, ValueError):
        return warning(subject, "no append-only file; snapshots cannot be seen from here", advice)
    if schedule:
        found = "snapshots only: a crash puts lanes back by minutes, which are read again"
        return warning(subject, found, advice)
    return warning(subject, f"neither append-only file nor snapshots: {_STATE}", advice)


async def _clock(client: Client, namespace: str) -> Finding:
    """Compare this machine's clock with the server's, as of the middle of the round trip."""
    before = time.time()
    there = await RedisTime(client, namespace).now()
    after = time.time()
    offset_s = there / SECOND - (before + after) / 2
    doubt_s = (after - before) / 2
    found = f"{abs(offset_s):.3f} s apart (± {doubt_s:.3f} s)"
    if abs(offset_s) - doubt_s > CLOCK_FAULT_S:
        return fault("clock", found, "let NTP set this machine's clock, or that of Redis")
    if abs(offset_s) - doubt_s > _CLOCK_WARNING_S:
        return warning("clock", found, "let NTP set this machine's clock, or that of Redis")
    return ok("clock", found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owned:
    """A lane as stored; `owner` is a process, empty: nobody's."""

    lane: int
    owner: str
    partitions: int
    age_s: float
    is_live: bool
    behind_s: float


async def _owners(client: Client, namespace: str, partitions: int) -> list[_Owned]:
    fields = ["token", "heartbeat", "partitions", "live", "watermark"]

    async def read() -> list[Any]:
        async with client.pipeline(transaction=False) as pipeline:
            for lane in range(partitions):
                pipeline.hmget(LaneKeys(namespace, lane).lane, fields)
            return await pipeline.execute()

    now, owned = await RedisTime(client, namespace).now() // SECOND, []
    for lane, (token, heartbeat, count, live, watermark) in enumerate(await retried(client, read)):
        if count is None:
            continue
        known = unpack_token(token)
        owned.append(
            _Owned(
                lane=lane,
                owner="" if known is None else known.nonce.partition("-")[0],
                partitions=int(count),
                age_s=float(now - int(heartbeat or 0)),
                is_live=live == b"1",
                behind_s=max(0.0, now - int(watermark or 0) / SECOND),
            )
        )
    return owned


def _lanes(owned: Sequence[_Owned], partitions: int) -> list[Finding]:
    if not owned:
        return [warning("lanes", "none is stored: no worker has run yet", "start one with `segmenter worker`")]
    findings = []
    if wrong := sorted({lane.partitions for lane in owned} - {partitions}):
        found = f"the lanes are stored as {wrong[0]}, SEGMENTER_PARTITIONS is {partitions}"
        findings.append(fault("lanes", found, f"write SEGMENTER_PARTITIONS={wrong[0]}"))
    if len(owned) < partitions and not wrong:
        found = f"{partitions - len(owned)} of {partitions} were never owned"
        findings.append(warning("lanes", found, "wait until the workers have started, or look at their health pages"))
    by_owner: dict[str, list[_Owned]] = defaultdict(list)
    for lane in owned:
        by_owner[lane.owner].append(lane)
    return findings + [_owner(owner, lanes) for owner, lanes in sorted(by_owner.items())]


def _owner(owner: str, lanes: Sequence[_Owned]) -> Finding:
    """Return what one process owns, and when it was heard of last."""
    subject = f"worker {owner[:8] or 'nobody'}"
    age_s, live = max(lane.age_s for lane in lanes), sum(lane.is_live for lane in lanes)
    slowest = max(lanes, key=lambda lane: lane.behind_s)
    found = (
        f"lanes {_ranges([lane.lane for lane in lanes])}: {live} of {len(lanes)} live, "
        f"last heartbeat {age_s:.0f} s ago, watermark of lane {slowest.lane} {slowest.behind_s:.0f} s behind"
    )
    if age_s * SECOND > HEARTBEAT_VALID:
        return warning(subject, found, "it is gone; start a worker, which goes on where this one stopped")
    if age_s > _SILENT_S:
        return warning(subject, found, "it does not renew its heartbeat: look at its health page and log")
    if live < len(lanes):
        return warning(subject, found, "compare segmenter_lag_age_seconds by topic: a source is late or unread")
    return ok(subject, found)


def _ranges(numbers: Sequence[int]) -> str:
    """Return rising numbers as text, runs of them as `first-last`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
