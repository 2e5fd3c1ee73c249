"""Rankings beside that by value: kept in the same commit, read apart, and cut exactly by the leader."""

import random
from dataclasses import replace

import pytest

from segmenter.domain.conditions import Score
from segmenter.domain.instants import DAY
from segmenter.domain.profile import Profile
from segmenter.domain.quintiles import sorted_bounds
from segmenter.domain.ranking import BY_SCORE, BY_VALUE
from segmenter.domain.rulebook import Population, ValueRule
from segmenter.domain.value import sorted_marks
from segmenter.engine.leader import Leader
from segmenter.observability import Metrics
from segmenter.ports import Range, Walk
from tests.contract.stores import NOTES, OURS, PARTITIONS, Owner, Stores, profile

R, F, M = (BY_SCORE[score] for score in Score)
NEW_YEAR = 20_454 * DAY
RULE = ValueRule(min_ranked=50)


def buyer(customer: str, revenue: int, **places: int) -> Profile:
    """Return a customer who is kept in further rankings too."""
    found = profile(customer, revenue=revenue)
    found.places = {BY_SCORE[Score(letter)]: place for letter, place in places.items()}
    return found


async def test_each_ranking_is_its_own_and_moves_with_the_profile(stores: Stores) -> None:
    owner = await Owner(lanes=stores.lanes, lane=0).acquire()
    await owner.write(buyer("a", 500, r=NEW_YEAR, f=2), buyer("b", 700, r=NEW_YEAR - 90 * DAY, f=2))
    await owner.write(buyer("a", 500, r=NEW_YEAR + 1, m=9))

    assert await stores.lanes.ranked(0, 0, 2**62, None, 9) == [(500, "a"), (700, "b")]
    assert await stores.lanes.ranked(0, 0, 2**62, None, 9, R) == [(NEW_YEAR - 90 * DAY, "b"), (NEW_YEAR + 1, "a")]
    assert await stores.lanes.ranked(0, 0, NEW_YEAR, (NEW_YEAR - 90 * DAY, "b"), 9, R) == []
    assert await stores.lanes.ranked(0, 0, 2**62, None, 9, F) == [(2, "b")]
    assert await stores.lanes.ranked(0, 0, 2**62, None, 9, M) == [(9, "a")]
    assert sum(part.total for part in (await stores.board.coarse(0, BY_VALUE)).values()) == 1_200
    assert [part.count for part in (await stores.board.coarse(0, R)).values()] == [1, 1]
    assert await stores.board.fine(0, list(await stores.board.coarse(0, M)), M) == {150: Range(1, 9)}
    day = NEW_YEAR + DAY
    assert await stores.board.parts(0, [NEW_YEAR, NEW_YEAR + 1, NEW_YEAR + 2, day], R) == [
        Range(0, 0),
        Range(1, NEW_YEAR + 1),
        Range(0, 0),
    ]


async def test_who_is_forgotten_leaves_every_ranking(stores: Stores) -> None:
    owner = await Owner(lanes=stores.lanes, lane=0).acquire()
    await owner.write(buyer("a", 500, r=NEW_YEAR, f=2, m=7))

    await owner.store(owner.commit_of(forget=["a"]))

    for ranking in (BY_VALUE, R, F, M):
        assert await stores.lanes.ranked(0, 0, 2**62, None, 9, ranking) == []
        assert await stores.board.coarse(0, ranking) == {}


@pytest.mark.parametrize("seed", range(4))
async def test_the_leader_cuts_exactly_whatever_is_equal(stores: Stores, seed: int) -> None:
    chance = random.Random(seed)
    numbers = [
        (NEW_YEAR - chance.choice([0, 1, chance.randrange(3 * DAY), chance.randrange(900 * DAY)]), count, amount)
        for count, amount in (
            (chance.choice([1, 1, 1, 2, 5, 40]), chance.choice([0, 0, 999, chance.randrange(1, 10**7)]))
            for _ in range(3_000)
        )
    ]
    for lane in range(PARTITIONS):
        await _filled(stores, lane, numbers)

    boundary = await _leader(stores).round()

    assert boundary is not None
    assert boundary.cuts is not None
    assert boundary.cuts.ranked == len(numbers)
    assert boundary.cuts.bounds == {s: sorted_bounds(n[i] for n in numbers) for i, s in enumerate(Score)}
    assert await stores.board.boundary() == boundary


async def test_each_population_has_a_boundary_of_its_own(stores: Stores) -> None:
    chance = random.Random(7)
    rule = ValueRule(min_ranked=200, population=Population(attribute="kind", values=("b2b", "b2c")))
    people = [(10 if number % 10 == 0 else 12, chance.randrange(10**6)) for number in range(1_000)]
    for lane in range(PARTITIONS):
        owner, mine = await Owner(lanes=stores.lanes, lane=lane).acquire(), list[Profile]()
        for number, (ranking, revenue) in enumerate(people):
            if number % PARTITIONS == lane:
                mine.append(profile(f"c-{number:04d}", revenue=revenue))
                mine[-1].places = {ranking: revenue}
        await owner.write(*mine)
        await owner.store(replace(owner.commit_of(), notes=replace(NOTES, is_live=True, rank_version=1)))

    boundary = await Leader(stores.board, OURS, PARTITIONS, rule, Metrics()).round()

    assert boundary is not None
    found = {ranking: (part.marks, part.is_announced) for ranking, part in boundary.parts}
    assert found == {
        ranking: (sorted_marks((revenue for of, revenue in people if of == ranking), rule), ranking == 12)
        for ranking in (10, 12)
    }
    assert await stores.board.boundary() == boundary


async def test_below_the_least_number_of_ranked_nothing_is_announced(stores: Stores) -> None:
    for lane in range(PARTITIONS):
        await _filled(stores, lane, [(NEW_YEAR + number, 1, 100) for number in range(RULE.min_ranked - 1)])

    boundary = await _leader(stores).round()

    assert boundary is not None
    assert boundary.cuts is not None
    assert not boundary.cuts.is_announced


@pytest.mark.parametrize("revisions", [(2, 2, 3), (2, 2, None)])
async def test_while_another_rulebook_is_on_its_way_nothing_is_cut(
    stores: Stores, revisions: tuple[int | None, ...]
) -> None:
    for lane in range(PARTITIONS):
        owner = await _filled(stores, lane, [(NEW_YEAR + number, 1, 100) for number in range(60)])
        found = revisions[lane] if lane < len(revisions) else 2
        walk = Walk(at=0, is_redefining=True) if found is None else None
        notes = replace(NOTES, is_live=True, rank_version=owner.version, revision=found or 2, walk=walk)
        await owner.store(replace(owner.commit_of(), notes=notes))

    assert await _leader(stores).round() is None


def _leader(stores: Stores) -> Leader:
    return Leader(stores.board, OURS, PARTITIONS, RULE, Metrics(), tuple(Score))


async def _filled(stores: Stores, lane: int, numbers: list[tuple[int, int, int]]) -> Owner:
    """Return the owner of a live lane that holds its share of the customers."""
    owner = await Owner(lanes=stores.lanes, lane=lane).acquire()
    mine = [
        buyer(f"c-{number:05d}", amount, r=at + 1, f=count + 1, m=amount + 1)
        for number, (at, count, amount) in enumerate(numbers)
        if number % PARTITIONS == lane
    ]
    await owner.write(*mine)
    await owner.store(replace(owner.commit_of(), notes=replace(NOTES, is_live=True, rank_version=owner.version)))
    return owner
