"""What lanes share: summaries, rankings in small numbers, and the boundary behind a compare-and-set."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from segmenter.domain.value import Boundary, Marks, bucket_floor, bucket_of, coarse_of
from segmenter.ports import LaneNotes, LaneSummary, Range, Token
from tests.contract.stores import OURS, Owner, Stores, profile

FIRST = Boundary(number=1, marks=Marks(a=9, a_stay=8, b=3, b_stay=2), ranked=5, total=30, shares=((9, 0.7),))


async def test_every_lane_has_a_summary(stores: Stores, owner: Owner) -> None:
    await owner.note(notes=LaneNotes(watermark=5, is_live=True, rank_version=3))

    summaries = await stores.board.summaries()

    unused = [LaneSummary(lane=lane, is_live=False, rank_version=0, watermark=0) for lane in (1, 2, 3)]
    assert summaries == [LaneSummary(lane=0, is_live=True, rank_version=3, watermark=5), *unused]


async def test_a_lane_without_ranks_has_empty_numbers(stores: Stores) -> None:
    assert await stores.board.coarse(2) == {}
    assert await stores.board.fine(2, [6, 7]) == {}
    assert await stores.board.fine(2, []) == {}
    assert await stores.board.parts(2, [100, 101]) == [Range(0, 0)]


@pytest.mark.parametrize("floor", [1_000, 2**50 + 12_345])
async def test_parts_of_a_bucket_are_exact(stores: Stores, owner: Owner, floor: int) -> None:
    """Also where a sum of revenues is beyond what a double holds."""
    rng = random.Random(floor)
    low = bucket_floor(bucket_of(floor))
    high = bucket_floor(bucket_of(floor) + 1)
    revenues = [rng.randrange(low, high) for _ in range(7_000)]
    for start in range(0, 7_000, 1_000):
        bite = revenues[start : start + 1_000]
        await owner.write(*(profile(f"c{start + n}", revenue=revenue) for n, revenue in enumerate(bite)))
    edges = [low, *sorted(rng.sample(range(low + 1, high), 9)), high]

    parts = await stores.board.parts(0, edges)

    inside = [[r for r in revenues if a <= r < b] for a, b in pairwise(edges)]
    assert parts == [Range(len(some), sum(some)) for some in inside]
    assert sum(part.count for part in parts) == 7_000
    assert await stores.board.fine(0, [coarse_of(bucket_of(low))]) == {bucket_of(low): Range(7_000, sum(revenues))}
    assert await stores.board.coarse(0) == {coarse_of(bucket_of(low)): Range(7_000, sum(revenues))}


async def test_boundaries_follow_each_other(stores: Stores, owner: Owner) -> None:
    assert await stores.board.boundary() is None

    assert await stores.board.publish(OURS, FIRST)
    assert await stores.board.boundary() == FIRST
    assert not await stores.board.publish(OURS, replace(FIRST, number=3))
    assert not await stores.board.publish(OURS, replace(FIRST, ranked=6))
    assert await stores.board.publish(OURS, replace(FIRST, number=2, ranked=6))

    assert await stores.board.boundary() == replace(FIRST, number=2, ranked=6)


async def test_publishing_again_is_publishing(stores: Stores, owner: Owner) -> None:
    assert await stores.board.publish(OURS, FIRST)
    assert await stores.board.publish(OURS, FIRST)


async def test_only_the_owner_of_lane_0_publishes(stores: Stores, owner: Owner) -> None:
    await Owner(lanes=stores.lanes, lane=1, token=Token(9, "other")).acquire()

    assert not await stores.board.publish(Token(9, "other"), FIRST)
    assert not await stores.board.publish(Token(7, "twin"), FIRST)

    assert await stores.board.boundary() is None
