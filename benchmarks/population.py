"""A million customers in a Redis of their own, put there as a worker does it: step by step, commit by commit.

Seven in ten only ever clicked, one to three times; the others ordered one to five times, all within a year. The
server is filled once for all benchmarks of this process, and ends with it.
"""

import asyncio
import atexit
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from random import Random

from redis import Redis

from benchmarks.bench import INPUTS, LANES, NAMESPACE
from benchmarks.figures import expect
from benchmarks.live import now
from benchmarks.machine import SERVER_CORE, WORKER_CORE
from benchmarks.shop import customer_id
from segmenter.adapters.home import home_of
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.causes import Arrived, Tick
from segmenter.domain.events import Click, Event, OrderPlaced
from segmenter.domain.instants import DAY, MICROSECOND, Instant
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import step
from segmenter.domain.value import Boundary, sorted_marks
from segmenter.ports import Commit, LaneNotes, LaneState, ProfileWrite, Stored, Token
from tests.bench.redis import RedisServer

RULEBOOK = Rulebook()
TOKEN = Token(1, "population")
_PROSPECTS = 0.7
_CUSTOMERS_A_COMMIT = 2_000
_SPAN = 360 * DAY
_SAMPLE = 20_000
# One in so many is kept in memory as well, to be held against what is read back.
_KEPT = 100
_PROGRESS = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The filled server, and what it must hold."""

    redis: RedisServer
    customers: int
    events: int
    buyers: int
    used_before: int
    seconds: float
    revenues: list[int] = field(repr=False)
    """Of all who are ranked or could be."""
    kept: Mapping[str, Profile] = field(repr=False)
    """Some of the profiles, as they were stored."""

    def client(self) -> Redis:
        """Return a client. The caller closes it."""
        return self.redis.client()


@cache
def population(customers: int) -> Population:
    """Return the filled server; filled once, whoever asks."""
    os.sched_setaffinity(0, {SERVER_CORE})  # the server inherits it
    server = RedisServer().start()
    atexit.register(server.stop)
    os.sched_setaffinity(0, {SERVER_CORE, WORKER_CORE})
    with server.client() as redis:
        used_before = int(redis.info("memory")["used_memory"])
    started_s = time.monotonic()
    filling = asyncio.run(_filled(server.url, customers))
    return Population(
        redis=server,
        customers=customers,
        events=filling.events,
        buyers=filling.buyers,
        used_before=used_before,
        seconds=time.monotonic() - started_s,
        revenues=filling.revenues,
        kept=filling.kept,
    )


async def _filled(url: str, customers: int) -> "_Filling":
    client = connect(url)
    try:
        filling = _Filling(RedisLaneStore(client, NAMESPACE), customers)
        await filling.fill()
    finally:
        await client.aclose()
    return filling


class _Filling:
    """Makes customers lane by lane and stores them."""

    def __init__(self, store: RedisLaneStore, customers: int) -> None:
        self._store = store
        self._customers = customers
        self._random = Random(5)
        self._now = now()
        self._boundary = _boundary(self._random)
        self._state_by_lane: dict[int, LaneState] = {}
        self.events = 0
        self.buyers = 0
        self.revenues: list[int] = []
        self.kept: dict[str, Profile] = {}

    async def fill(self) -> None:
        """Store everybody, then leave every lane as one that is live."""
        for lane in range(LANES):
            state = await self._store.acquire(lane, TOKEN, LANES)
            if not isinstance(state, LaneState):
                raise TypeError(f"lane {lane} of a new Redis was not given: {state}")
            self._state_by_lane[lane] = state
        waiting: list[list[ProfileWrite]] = [[] for _ in range(LANES)]
        for number in range(self._customers):
            # Numbers that jump about: ids that follow one another would fall into the buckets too evenly.
            customer = customer_id(number * 7_919 % 10**10)
            lane = home_of(customer, LANES)
            waiting[lane].append(ProfileWrite(customer=customer, profile=self._profile(customer)))
            if len(waiting[lane]) == _CUSTOMERS_A_COMMIT:
                await self._commit(lane, waiting[lane])
                waiting[lane] = []
            if (number + 1) % _PROGRESS == 0:
                print(f"  {number + 1:,} customers")
        for lane, writes in enumerate(waiting):
            await self._commit(lane, writes)

    def _profile(self, customer: str) -> Profile:
        """Return a customer after a year of his events, settled to now."""
        is_prospect = self._random.random() < _PROSPECTS
        count = self._random.randint(1, 3 if is_prospect else 5)
        times = sorted(self._now - self._random.randrange(_SPAN) for _ in range(count))
        profile: Profile | None = Profile(customer=customer)
        for at in times:
            self.events += 1
            event, event_id = _click(customer, at) if is_prospect else self._order(customer, at), f"e{self.events}"
            arrived = Arrived(event=event, at=at, event_id=event_id, settle_to=at, watermark=at)
            profile = step(_there(profile), arrived, RULEBOOK, self._boundary).profile
        settled = _there(step(_there(profile), Tick(self._now), RULEBOOK, self._boundary).profile)
        if settled.ranked_revenue is not None:
            self.buyers += 1
            self.revenues.append(settled.ranked_revenue)
        if self._random.randrange(_KEPT) == 0:
            self.kept[customer] = settled
        return settled

    def _order(self, customer: str, at: Instant) -> Event:
        amount = Decimal(_cents(self._random)) / 100
        order_id = f"{customer}-{self.events}"
        return OrderPlaced(
            occurred_at=_moment(at), customer_id=customer, order_id=order_id, amount=amount, currency="EUR"
        )

    async def _commit(self, lane: int, writes: list[ProfileWrite]) -> None:
        """Store some customers as the worker's commit does; what it had to say is published and gone by now."""
        state = self._state_by_lane[lane]
        sizes = Counter(
            (dimension, standing.segment)
            for write in writes
            for dimension, standing in _there(write.profile).present.items()
        )
        commit = Commit(
            lane=lane,
            token=TOKEN,
            version=state.version,
            notes=LaneNotes(
                watermark=self._now, is_live=True, rank_version=state.version + 1, announce_from=self._now
            ),
            positions={f"{topic}/{lane}": (None, 1) for topic in INPUTS} if state.version == 0 else {},
            profiles=writes,
            sizes=sizes,
        )
        stored = await self._store.commit(commit)
        if not isinstance(stored, Stored):
            raise TypeError(f"a commit of lane {lane} was refused: {stored}")
        self._state_by_lane[lane] = replace(state, version=stored.version)


def _boundary(random: Random) -> Boundary:
    """Return a boundary like the one these customers will have, so that they have classes from the beginning."""
    revenues = [sum(_cents(random) for _ in range(random.randint(1, 5))) for _ in range(_SAMPLE)]
    marks = sorted_marks(revenues, RULEBOOK.value)
    if marks is None:
        raise TypeError("nobody in the sample has any revenue")
    return Boundary(number=1, marks=marks, ranked=len(revenues), total=sum(revenues))


def _cents(random: Random) -> int:
    return int(random.lognormvariate(8.3, 0.8)) + 100


def _click(customer: str, at: Instant) -> Event:
    return Click(occurred_at=_moment(at), customer_id=customer, kind="view", item="i-17", channel="web")


def _moment(at: Instant) -> datetime:
    return _EPOCH + at * MICROSECOND


def _there(profile: Profile | None) -> Profile:
    """Return a profile that cannot have been forgotten."""
    if profile is None:
        raise TypeError("a customer who is no anonymous one was forgotten")
    return profile


def check_profiles(found: Population) -> str:
    """Hold what is stored against what was put there; CheckError where it differs."""
    return asyncio.run(_checked(found))


async def _checked(found: Population) -> str:
    client = connect(found.redis.url)
    store = RedisLaneStore(client, NAMESPACE)
    sizes: Counter[tuple[str, str]] = Counter()
    try:
        for lane in range(LANES):
            sizes.update((await store.state(lane))[1].sizes)
            customers = [customer for customer in found.kept if home_of(customer, LANES) == lane]
            for customer, profile in zip(customers, await store.load(lane, customers), strict=True):
                expect(f"the profile of {customer}", profile, found.kept[customer])
    finally:
        await client.aclose()
    counted = {dimension: sum(n for (d, _), n in sizes.items() if d == dimension) for dimension, _ in sizes}
    expect("customers by dimension", counted, {"lifecycle": found.customers, "value": found.buyers})
    return (
        f"{found.buyers:,} buyers with a class, {len(found.kept):,} profiles read back equal those that were stored"
    )
