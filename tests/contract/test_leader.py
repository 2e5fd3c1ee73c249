"""The leader over real stores: exact to the cent, from little."""

import random
from dataclasses import replace

from segmenter.domain.rulebook import ValueRule
from segmenter.domain.value import sorted_marks
from segmenter.engine.leader import Leader
from segmenter.observability import Metrics
from tests.contract.stores import NOTES, OURS, PARTITIONS, Owner, Stores, profile

CUSTOMERS = 20_000
RULE = ValueRule()


async def test_a_round_over_20000_customers_equals_a_full_sort_and_reads_little(stores: Stores) -> None:
    chance = random.Random(20_000)
    revenues = {f"c-{i:05d}": round(chance.lognormvariate(9, 1.6)) + 1 for i in range(CUSTOMERS)}
    owners = [await _filled(stores, lane, revenues) for lane in range(PARTITIONS)]
    leader = Leader(stores.board, owners[0].token, PARTITIONS, RULE, Metrics())

    boundary = await leader.round()

    assert boundary is not None
    assert boundary.marks == sorted_marks(revenues.values(), RULE)
    assert (boundary.ranked, boundary.total) == (CUSTOMERS, sum(revenues.values()))
    assert leader.last_round_bytes <= 64 * 1024 * PARTITIONS


async def test_nothing_is_published_while_a_lane_is_behind(stores: Stores) -> None:
    revenues = {f"c-{i:05d}": 100 + i for i in range(200)}
    owners = [await _filled(stores, lane, revenues) for lane in range(PARTITIONS)]
    await _note(owners[2], is_live=False)

    boundary = await Leader(stores.board, OURS, PARTITIONS, RULE, Metrics()).round()

    assert boundary is None
    assert await stores.board.boundary() is None


async def test_one_price_for_all_is_one_tie_group(stores: Stores) -> None:
    revenues = {f"c-{i:05d}": 4_990 for i in range(400)}
    for lane in range(PARTITIONS):
        await _filled(stores, lane, revenues)

    boundary = await Leader(stores.board, OURS, PARTITIONS, RULE, Metrics()).round()

    assert boundary is not None
    assert boundary.marks == sorted_marks(revenues.values(), RULE)


async def _filled(stores: Stores, lane: int, revenues: dict[str, int]) -> Owner:
    """Return the owner of a lane that holds its share of the customers, live."""
    owner = await Owner(lanes=stores.lanes, lane=lane).acquire()
    mine = [profile(c, revenue=r) for i, (c, r) in enumerate(revenues.items()) if i % PARTITIONS == lane]
    for start in range(0, len(mine), 2_500):
        await stores.lanes.commit(owner.commit_of(mine[start : start + 2_500]))
        owner.version += 1
    await _note(owner, is_live=True)
    return owner


async def _note(owner: Owner, *, is_live: bool) -> None:
    notes = replace(NOTES, is_live=is_live, rank_version=owner.version)
    await owner.lanes.commit(replace(owner.commit_of(), notes=notes))
    owner.version += 1
