"""Whole worlds under random faults: whatever happens, once it is quiet everything adds up.

A world is drawn from its seed: rules, events, troubles. A world that fails is played again with
`PYTHONHASHSEED=0 CHAOS_SEEDS=17 pytest …`; `CHAOS_SEEDS=1000-2000` looks further.
"""

import asyncio
import os
import random

import pytest

from tests.engine.chaos_checks import Checks, everybody
from tests.engine.chaos_group import World
from tests.engine.chaos_shop import Shop, rules_of
from tests.engine.chaos_time import Processes, run_jumping

_ROUNDS = 60
_QUIET_S = 240


def seeds() -> range:
    """Return which worlds are played."""
    first, _, last = os.environ.get("CHAOS_SEEDS", "0-3").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("seed", seeds())
def test_everything_adds_up_after_crashes_lost_answers_and_zombies(seed: int) -> None:
    run_jumping(lambda processes: play(processes, seed, rewinds=False))


@pytest.mark.parametrize("seed", seeds())
def test_everything_adds_up_although_the_store_was_put_back(seed: int) -> None:
    run_jumping(lambda processes: play(processes, seed, rewinds=True))


async def play(processes: Processes, seed: int, *, rewinds: bool) -> None:
    """Play one world to its end, and look at it."""
    dice = random.Random(seed * 2 + rewinds)
    world = World(rules=rules_of(dice), dice=dice, processes=processes, rate=dice.choice([0.0, 0.01, 0.05, 0.2]))
    shop = Shop(dice)
    for _ in range(dice.randint(1, 3)):
        await world.start_worker()
    await world.rebalance()
    kept = world.store.snapshot()
    for _ in range(_ROUNDS):
        await befall(world, shop)
        if rewinds and dice.random() < 0.1:
            kept = world.store.snapshot()
        if rewinds and dice.random() < 0.03:
            world.store.restore(kept)
        await asyncio.sleep(dice.choice([0.05, 0.5, 3, 12]))
        await world.supervise()
    await come_to_rest(world)
    assert not world.stopped
    profiles = await world.all_profiles(everybody())
    await Checks(world, profiles).all_hold()


async def befall(world: World, shop: Shop) -> None:
    """Let something happen."""
    dice = world.dice
    for _ in range(dice.choice([0, 1, 3, 20])):
        place, said = shop.next(world.clock.now())
        for _ in range(dice.choice([1, 1, 1, 1, 2])):
            world.write(place, said)
    worker = dice.choice(world.workers)
    match dice.random():
        case chance if chance < 0.06:
            await world.kill(worker)
            await world.start_worker()
            if dice.random() < 0.8:
                await world.rebalance()
        case chance if chance < 0.12:
            worker.is_deaf = not worker.is_deaf
        case chance if chance < 0.20:
            await world.rebalance()
        case chance if chance < 0.23 and len(world.workers) > 1:
            await world.kill(worker)
            await world.rebalance()
        case chance if chance < 0.26:
            await world.start_worker()
            await world.rebalance()


async def come_to_rest(world: World) -> None:
    """End all trouble and all zombies, give everything to one worker, and let time pass."""
    for worker in list(world.workers):
        worker.trouble.rate = 0
        if worker.is_deaf or worker is not world.workers[0]:
            await world.kill(worker)
    world.rate, world.pause = 0, 10
    if not world.workers:
        await world.start_worker()
    await world.rebalance()
    for _ in range(_QUIET_S // 20):
        await asyncio.sleep(20)
        await world.supervise()
    for worker in list(world.workers):
        await worker.engine.stop()
        await world.kill(worker)
