"""Playing one world to its end, and judging it."""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.simulation.acts import Plan
from tests.simulation.checks import Checks
from tests.simulation.loop import SimulatedLoop, StormError, play
from tests.simulation.network import SLOWEST_S
from tests.simulation.worker import Parts
from tests.simulation.world import World

# The longest pause of an engine is 30 s; a lane that was lost twice in a row waits it out.
LONGEST_REST_S = 150.0
LOOK_EVERY_S = 3.0
# What a dead worker had sent may still arrive, and the session of one that woke up has to end.
LEAST_REST_S = SLOWEST_S + 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a world went. No violations: everything holds."""

    seed: int
    violations: tuple[str, ...]
    digest: str
    steps: int
    seconds: float

    @property
    def is_good(self) -> bool:
        """Everything holds."""
        return not self.violations


def run(
    plan: Plan, parts: Parts | None = None, *, trace: list[str] | None = None, patience_s: float = LONGEST_REST_S
) -> Outcome:
    """Play a world in a loop of its own. A run depends on its plan and the parts alone.

    After `patience_s` of quiet everything has to hold.
    """
    loop = SimulatedLoop(plan.seed)
    worlds: list[World] = []
    chance = random.getstate()
    random.seed(plan.seed)

    async def story() -> list[str]:
        world = World(plan, parts or Parts(), loop)
        world.network.trace.lines = trace
        worlds.append(world)
        await world.play()
        return await _rest(world, patience_s)

    try:
        with _alarms() as alarms:
            try:
                violations = play(loop, story)
            except StormError as error:
                violations = [f"storm: {error}"]
    finally:
        random.setstate(chance)
    world = worlds[0]
    found = [*dict.fromkeys([*alarms, *loop.faults, *world.faults, *violations])]
    return Outcome(plan.seed, tuple(found), world.network.trace.digest(), loop.steps, loop.time())


async def _rest(world: World, patience_s: float) -> list[str]:
    """Let it be quiet until everything holds; return what does not in the end."""
    await world.calm()
    latest = world.loop.time() + patience_s
    await _pass(world, LEAST_REST_S)
    while violations := (checks := Checks(world)).violations():
        if checks.is_hopeless or world.faults or world.loop.time() >= latest:
            break
        await _pass(world, LOOK_EVERY_S)
    for slot in world.slots:
        if slot.worker is not None:
            world.note(slot.worker)
    return violations


async def _pass(world: World, seconds: float) -> None:
    until = world.loop.time() + seconds
    while world.loop.time() < until:
        await asyncio.sleep(0.5)
        world.supervise()


class _Alarms(logging.Handler):
    """Keeps what the product calls an error: lanes that stop, bugs of our own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        error: Any = record.exc_info[1] if record.exc_info else ""
        self.lines.append(f"{record.getMessage()} {error!r}")


@contextmanager
def _alarms() -> Iterator[list[str]]:
    log, handler = logging.getLogger("segmenter"), _Alarms()
    before = log.level, log.propagate
    log.setLevel(logging.ERROR)
    log.propagate = False
    log.addHandler(handler)
    try:
        yield handler.lines
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before
        log.setLevel(before[0])
