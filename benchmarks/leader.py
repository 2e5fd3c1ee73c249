"""One round of the leader over a million customers: how long it takes and what it reads of each lane."""

import asyncio
import time
from dataclasses import dataclass

from benchmarks.bench import LANES, NAMESPACE
from benchmarks.figures import CheckError, Figure, Result, expect, quantile
from benchmarks.machine import load_average
from benchmarks.memory import CUSTOMERS
from benchmarks.population import RULEBOOK, TOKEN, Population, population
from segmenter.adapters.redis_board import RedisBoard
from segmenter.adapters.redis_client import connect
from segmenter.domain.value import Boundary, sorted_marks
from segmenter.engine.leader import Leader
from segmenter.observability import Metrics

ROUNDS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """A round over all lanes."""

    boundary: Boundary | None
    ms: float
    own_bytes: int
    """What it read, by its own count."""
    sent_bytes: int
    """What Redis sent meanwhile."""


def run(scale: float) -> Result:
    """Return what a round costs."""
    found = population(int(CUSTOMERS * scale))
    rounds = asyncio.run(_rounds(found))
    boundary = rounds[0].boundary
    if boundary is None:
        raise CheckError("the first round published nothing")
    expect("marks of the first round", boundary.marks, sorted_marks(found.revenues, RULEBOOK.value))
    ranked = [revenue for revenue in found.revenues if revenue > 0]
    expect("ranked customers and their revenue", (boundary.ranked, boundary.total), (len(ranked), sum(ranked)))
    return _result(rounds, len(ranked))


async def _rounds(found: Population) -> list[_Round]:
    """Return rounds of leaders that have seen nothing yet: the first publishes, all compute."""
    client = connect(found.redis.url)
    board = RedisBoard(client, NAMESPACE, LANES)
    rounds = []
    try:
        own = await _sent_bytes(found)
        own = await _sent_bytes(found) - own  # what asking costs
        for _ in range(ROUNDS):
            leader = Leader(board, TOKEN, LANES, RULEBOOK.value, Metrics())
            before, started_s = await _sent_bytes(found), time.perf_counter()
            boundary = await leader.round()
            ms = 1_000 * (time.perf_counter() - started_s)
            sent = await _sent_bytes(found) - before - own
            rounds.append(_Round(boundary=boundary, ms=ms, own_bytes=leader.last_round_bytes, sent_bytes=sent))
    finally:
        await client.aclose()
    return rounds


async def _sent_bytes(found: Population) -> int:
    with found.client() as redis:
        return int(redis.info("stats")["total_net_output_bytes"])


def _result(rounds: list[_Round], ranked: int) -> Result:
    check = f"marks equal a full sort of {ranked:,} revenues to the cent, count and sum as well"
    again = f"{len(rounds)} rounds of leaders that had seen nothing"
    milliseconds, own = [one.ms for one in rounds], max(one.own_bytes for one in rounds) / LANES / 1024
    sent = max(one.sent_bytes for one in rounds) / LANES / 1024
    figures = (
        Figure(name="a round, the first, which publishes", value=f"{rounds[0].ms:.0f} ms", check=check),
        Figure(name="a round, p50", value=f"{quantile(milliseconds, 0.5):.0f} ms", check=again),
        Figure(name="sent by Redis a lane and round, most", value=f"{sent:.1f} KiB", target="≤ 64 KiB", check=again),
        Figure(name="numbers read a lane and round, by the leader's count", value=f"{own:.1f} KiB", check=again),
    )
    return Result(figures=figures, notes=(f"load average {load_average():.1f}",))
