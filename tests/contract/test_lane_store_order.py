"""Deadlines, ranks and held customers: in order, whole, and equal to a naive picture after any commits."""

import random
from dataclasses import replace

import pytest

from segmenter.domain.instants import DAY, SECOND
from segmenter.domain.profile import Profile
from segmenter.domain.value import bucket_of, coarse_of, histogram
from segmenter.ports import Due, LaneNotes, Range
from tests.contract.stores import Owner, Stores, profile, revenues_of

TODAY = 20_000 * DAY


async def test_deadlines_come_by_time_and_then_customer(stores: Stores, owner: Owner) -> None:
    wakes = {"b": TODAY, "a": TODAY, "é": TODAY, "z": TODAY - 1, "c": TODAY + DAY, "d": TODAY + 400 * DAY, "e": 0}
    await owner.write(*(profile(customer, wake_at) for customer, wake_at in wakes.items()), profile("none"))

    due = await stores.lanes.due(0, TODAY + DAY, 100)

    expected = [Due(0, "e"), Due(TODAY - 1, "z"), *(Due(TODAY, c) for c in "abé"), Due(TODAY + DAY, "c")]
    assert due == expected
    assert await stores.lanes.due(0, TODAY + DAY, 3) == expected[:3]
    assert await stores.lanes.due(0, TODAY - 2, 100) == expected[:1]
    assert await stores.lanes.next_due(0) == 0


async def test_a_deadline_moves_with_its_customer(stores: Stores, owner: Owner) -> None:
    await owner.write(profile("a", TODAY), profile("b", TODAY + 1), profile("c", TODAY + 2))

    await owner.write(profile("a", TODAY + 7 * DAY), profile("b"))
    await owner.store(owner.commit_of([profile("d", TODAY + 5)], forget=["c"]))

    assert await stores.lanes.due(0, TODAY + 9 * DAY, 9) == [Due(TODAY + 5, "d"), Due(TODAY + 7 * DAY, "a")]
    assert await stores.lanes.next_due(0) == TODAY + 5


async def test_no_deadline_is_left_when_the_last_one_goes(stores: Stores, owner: Owner) -> None:
    await owner.write(profile("a", TODAY), profile("b", TODAY))

    await owner.write(profile("a"), profile("b"))

    assert await stores.lanes.next_due(0) is None
    assert await stores.lanes.due(0, TODAY * 2, 9) == []
    assert await stores.lanes.next_due(3) is None


async def test_more_deadlines_than_a_page_holds_come_in_order(stores: Stores, owner: Owner) -> None:
    rng = random.Random(1)
    customers = [f"c{number:05d}" for number in range(13_000)]
    rng.shuffle(customers)
    await _in_bites(
        owner, [profile(customer, TODAY + number % 700 * SECOND) for number, customer in enumerate(customers)]
    )
    await _in_bites(owner, [profile("later", TODAY + 2 * DAY)])

    due = await stores.lanes.due(0, TODAY + DAY, 20_000)

    expected = sorted((TODAY + number % 700 * SECOND, customer) for number, customer in enumerate(customers))
    assert [(one.at, one.customer) for one in due] == expected
    assert [(one.at, one.customer) for one in await stores.lanes.due(0, TODAY + DAY, 777)] == expected[:777]


async def test_many_equal_revenues_are_walked_in_bites(stores: Stores, owner: Owner) -> None:
    """12,000 customers of one price fill three pages of one bucket; a walk must neither skip nor repeat."""
    customers = [f"c{number * 7_919 % 12_000:05d}" for number in range(12_000)]
    await _in_bites(owner, [profile(customer, revenue=999) for customer in customers])
    await _in_bites(owner, [profile("less", revenue=998), profile("more", revenue=5_000)])

    walked: list[tuple[int, str]] = []
    while bite := await stores.lanes.ranked(0, 998, 5_000, walked[-1] if walked else None, 1_700):
        walked += bite

    assert walked == [(998, "less"), *((999, customer) for customer in sorted(customers)), (5_000, "more")]


async def test_ranks_are_cut_at_both_ends(stores: Stores, owner: Owner) -> None:
    await owner.write(
        *(profile(f"c{revenue}", revenue=revenue) for revenue in (1, 2, 99, 100, 101, 2**40, 2**53 - 1))
    )

    assert [revenue for revenue, _ in await stores.lanes.ranked(0, 2, 101, None, 9)] == [2, 99, 100, 101]
    assert [revenue for revenue, _ in await stores.lanes.ranked(0, -5, 2**62, (100, "c100"), 9)] == [
        101,
        2**40,
        2**53 - 1,
    ]
    assert await stores.lanes.ranked(0, 50, 101, (3, "c"), 1) == [(99, "c99")]
    assert await stores.lanes.ranked(0, 102, 103, None, 9) == []
    assert await stores.lanes.ranked(3, 1, 2**53, None, 9) == []


async def test_customers_are_held_and_released(stores: Stores, owner: Owner) -> None:
    customers = [f"c{number}" for number in range(300)]
    await owner.note(hold=customers)
    assert sorted(await stores.lanes.held(0, 1_000)) == sorted(customers)

    some = await stores.lanes.held(0, 120)
    await owner.note(release=some)

    left = await stores.lanes.held(0, 1_000)
    assert len(some) == 120
    assert sorted(left + some) == sorted(customers)


@pytest.mark.parametrize("seed", range(3))
async def test_random_commits_leave_what_a_naive_picture_holds(stores: Stores, owner: Owner, seed: int) -> None:
    rng = random.Random(seed)
    customers = [f"c{number}" for number in range(120)]

    for version in range(40):
        chosen = rng.sample(customers, rng.randrange(1, 30))
        forgotten = [customer for customer in chosen if customer in owner.known and rng.random() < 0.1]
        written = [_random_profile(customer, rng) for customer in chosen if customer not in forgotten]
        commit = owner.commit_of(written, forget=forgotten)
        await owner.store(replace(commit, notes=LaneNotes(rank_version=version)))

    await _assert_equals_naive(stores, owner, customers)


def _random_profile(customer: str, rng: random.Random) -> Profile:
    wake_at = rng.choice([None, TODAY + rng.randrange(5 * DAY), TODAY + rng.randrange(3) * DAY])
    revenue = rng.choice([None, 0, rng.randrange(1, 200), 999, rng.randrange(1, 2 ** rng.randrange(2, 53))])
    return profile(customer, wake_at, revenue)


async def _assert_equals_naive(stores: Stores, owner: Owner, customers: list[str]) -> None:
    revenues = revenues_of(owner)
    ranked = sorted((revenue, customer) for customer, revenue in revenues.items())
    wakes = sorted((known.wake_at, customer) for customer, known in owner.known.items() if known.wake_at is not None)
    positive = [revenue for revenue in revenues.values() if revenue > 0]
    fine = {bucket: Range(count, total) for bucket, (count, total) in histogram(positive).items()}
    factors = {coarse_of(bucket) for bucket in fine}
    coarse = {
        factor: Range(
            sum(part.count for bucket, part in fine.items() if coarse_of(bucket) == factor),
            sum(part.total for bucket, part in fine.items() if coarse_of(bucket) == factor),
        )
        for factor in factors
    }
    assert await stores.lanes.load(0, customers) == [owner.known.get(customer) for customer in customers]
    assert [(due.at, due.customer) for due in await stores.lanes.due(0, TODAY * 2, 1_000)] == wakes
    assert await stores.lanes.next_due(0) == (wakes[0][0] if wakes else None)
    assert await stores.lanes.ranked(0, 0, 2**53, None, 1_000) == ranked
    assert await stores.board.coarse(0) == coarse
    assert await stores.board.fine(0, sorted(factors)) == fine
    assert await stores.board.fine(0, [bucket_of(999) // 48]) == {
        bucket: part for bucket, part in fine.items() if coarse_of(bucket) == coarse_of(bucket_of(999))
    }


async def _in_bites(owner: Owner, profiles: list[Profile]) -> None:
    for start in range(0, len(profiles), 2_000):
        await owner.write(*profiles[start : start + 2_000])
