"""Whatever is read when, in whatever pieces: nobody is told to be inactive whose order is in the pipe.

Orders come directly and over the repartition stage; answers are late, partial and missing; workers are stopped,
sleep and lose the broker. `POSTCARD_SEEDS` says how many stories are told.
"""

import asyncio
import os
import random
from collections import defaultdict

import pytest

from segmenter.adapters.home import home_of
from segmenter.domain.instants import DAY, HOUR, MINUTE, SECOND, Instant, rfc3339
from segmenter.engine.intake import Place
from tests.engine.memory_worker import REKEYED, MemoryWorker, World, at_home, click, day, order, terms_of
from tests.simulation.loop import SimulatedLoop, play

LANES = 2
STEPS = 150
SILENCE = 30 * DAY
# A live lane settles by events up to its own lag; what is older than that is read.
LIVE_LAG = 5 * MINUTE + 5 * SECOND
PLACES: list[Place] = [
    *((topic, lane) for topic in ("clicks", "support", REKEYED) for lane in range(LANES)),
    ("orders", 0),
    ("orders", 1),
    ("orders", 2),
]
CUSTOMERS = [*at_home(0, LANES, 3), *at_home(1, LANES, 3)]


class Story:
    """One world under random treatment, and all orders that are in its pipes."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        terms = terms_of(
            partitions=LANES,
            direct=frozenset({"clicks", "support"}),
            others=frozenset({"orders"}),
            events_per_commit=self.chance.choice([1, 3, 4_000]),
            ticks_per_commit=self.chance.choice([1, 2, 2_000]),
        )
        self.world = World(terms=terms, tasks=("orders/0", "orders/1", "orders/2"))
        self.ordered: defaultdict[str, list[Instant]] = defaultdict(list)
        self.looked_around: set[str] = set()
        self.heard = [0] * LANES
        self.worker = MemoryWorker(self.world)

    async def run(self) -> None:
        await self.worker.assign(PLACES)
        for _ in range(STEPS):
            await self._step()
            await asyncio.sleep(1)
            self._check_what_was_told()
        # The standing worker has to find its way by itself.
        self.world.broker.is_away = False
        await self._come_to_rest()
        self._check_what_was_told()
        await self.worker.engine.stop()

    async def _step(self) -> None:
        chance, world = self.chance, self.world
        match chance.choices(range(6), weights=[30, 30, 20, 3, 4, 8])[0]:
            case 0:
                self._trade()
            case 1:
                await self._take()
            case 2:
                self._answer()
            case 3:
                await self._begin_anew()
            case 4:
                world.broker.is_away = not world.broker.is_away
            case _:
                world.clock.at += chance.choice([SECOND, HOUR, 5 * DAY, 31 * DAY])

    async def _begin_anew(self) -> None:
        """Let another worker take over, of a broker that is there."""
        await self.worker.engine.stop()
        self.world.broker.answers.clear()
        self.worker = MemoryWorker(self.world)
        self.world.broker.is_away = False
        await self.worker.assign(PLACES)

    def _trade(self) -> None:
        """Let some time pass, and somebody order or look around."""
        chance, world = self.chance, self.world
        for _ in range(chance.randrange(1, 6)):
            world.clock.at += chance.choice([SECOND, MINUTE, HOUR, DAY, 10 * DAY])
            customer, at = chance.choice(CUSTOMERS), world.clock.at
            lane = home_of(customer, LANES)
            match chance.randrange(4):
                case 0:
                    world.broker.write(("orders", chance.randrange(3)), order(customer, at), at)
                    self.ordered[customer].append(at)
                case 1:
                    world.broker.write(("support", lane), order(customer, at), at)
                    self.ordered[customer].append(at)
                case _:
                    world.broker.write(("clicks", lane), click(customer, at), at)
                    self.looked_around.add(customer)

    def _answer(self) -> None:
        chance, world = self.chance, self.world
        places = chance.sample(PLACES, chance.randrange(len(PLACES) + 1))
        asked_at = max(day(0), world.clock.at - chance.choice([0, 0, SECOND, HOUR, 3 * DAY]))
        for place in places:
            _, before = world.broker.answers.get(place, (0, 0))
            world.broker.answer(place, asked_at=max(before, asked_at))

    async def _take(self) -> None:
        most = {place: self.chance.choice([0, 1, 2, 50]) for place in PLACES}
        await self.worker.take(most=most)

    async def _come_to_rest(self) -> None:
        """Read all there is, until deadlines have been played to the end."""
        for _ in range(60):
            self.world.clock.at += 2 * SECOND
            # Longer than any pause that a task makes after the broker was away.
            await asyncio.sleep(2)
            await self.worker.read()
        state = self.worker.lane(0).state.notes
        assert state.watermark >= self.world.clock.at - 10 * SECOND
        for customer in CUSTOMERS:
            expected = self._expected(customer, self.worker.lane(home_of(customer, LANES)).state.notes.watermark)
            found = self.world.lifecycles(customer, home_of(customer, LANES))[-1:]
            assert found == expected, customer

    def _expected(self, customer: str, at: Instant) -> list[str]:
        ordered = self.ordered[customer]
        if ordered and at >= max(ordered) + SILENCE:
            return ["inactive"]
        if ordered:
            return ["new" if len(ordered) == 1 else "repeat"]
        return ["prospect"] if customer in self.looked_around else []

    def _check_what_was_told(self) -> None:
        for lane in range(LANES):
            told = self.world.told(lane)
            for change in told[self.heard[lane] :]:
                if any(move["after"] == "inactive" for move in change["changes"]):
                    self._check_silence(change["customer_id"], change["effective_at"])
            self.heard[lane] = len(told)

    def _check_silence(self, customer: str, effective_at: str) -> None:
        """Check that no order that is old enough to have been read speaks against the silence."""
        for at in self.ordered[customer]:
            if at < self.world.clock.at - LIVE_LAG:
                refutes = rfc3339(at) <= effective_at < rfc3339(at + SILENCE)
                assert not refutes, f"{customer} ordered at {rfc3339(at)}, and was inactive at {effective_at}"


@pytest.mark.parametrize("seed", range(int(os.environ.get("POSTCARD_SEEDS", "15"))))
def test_nobody_is_inactive_whose_order_is_in_the_pipe(seed: int) -> None:
    async def story() -> None:
        await Story(seed).run()

    play(SimulatedLoop(seed), story)
