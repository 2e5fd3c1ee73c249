"""What every store owes the revisions of the rulebook, the orders to hold, and the walk over all customers."""

import random
from dataclasses import replace

import pytest

from segmenter.adapters.keys import LEAST_BUCKETS, bucket_at, bucket_of_customer
from segmenter.adapters.lane_limits import REVISIONS_KEPT
from segmenter.domain.revision import Revision
from segmenter.domain.walking import END_OF_WALK, stop_of
from segmenter.ports import Hold, HoldOrder, LaneNotes, Walk
from tests.contract.stores import Owner, Stores, profile


def revision(number: int, text: str = "rulebook: 1") -> Revision:
    return Revision(number=number, text=f"{text} # {number} ü", at=number, by="me", comment="why", is_announced=True)


async def test_nothing_is_in_force_before_anything_was_applied(stores: Stores) -> None:
    assert await stores.rulebooks.active() is None
    assert await stores.rulebooks.history() == []


async def test_the_first_applied_revision_keeps_what_held_before_it(stores: Stores) -> None:
    assert await stores.rulebooks.activate(revision(2), before=revision(1))

    assert await stores.rulebooks.active() == 2
    assert await stores.rulebooks.history() == [revision(1), revision(2)]
    assert await stores.rulebooks.revision(1) == revision(1)


async def test_a_revision_follows_the_one_in_force_and_no_other(stores: Stores) -> None:
    await stores.rulebooks.activate(revision(2), before=revision(1))

    assert not await stores.rulebooks.activate(revision(2, "another"))
    assert not await stores.rulebooks.activate(revision(4))
    assert await stores.rulebooks.activate(revision(3), before=revision(2, "not kept"))

    assert await stores.rulebooks.history() == [revision(1), revision(2), revision(3)]


async def test_activating_again_is_no_other_revision(stores: Stores) -> None:
    await stores.rulebooks.activate(revision(2), before=revision(1))

    assert await stores.rulebooks.activate(revision(2), before=revision(1))

    assert await stores.rulebooks.active() == 2


async def test_only_the_newest_revisions_are_kept(stores: Stores) -> None:
    await stores.rulebooks.activate(revision(2), before=revision(1))
    for number in range(3, REVISIONS_KEPT + 3):
        await stores.rulebooks.activate(revision(number))

    numbers = [kept.number for kept in await stores.rulebooks.history()]

    assert numbers == list(range(3, REVISIONS_KEPT + 3))
    assert await stores.rulebooks.revision(2) is None


async def test_orders_get_rising_numbers_and_the_newest_of_a_dimension_counts(stores: Stores) -> None:
    held = HoldOrder(dimension="custom.vip", hold=Hold.HELD, number=0, at=5, by="me", why="ü")
    first = await stores.holds.order(held)
    second = await stores.holds.order(HoldOrder(dimension="all", hold=Hold.HELD, number=0, at=6))
    third = await stores.holds.order(replace(held, hold=Hold.RELEASED, at=7))

    assert first.number < second.number < third.number
    assert await stores.holds.orders() == {"custom.vip": third, "all": second}


async def test_notes_come_back_with_revision_walk_and_holds(stores: Stores, owner: Owner) -> None:
    walk = Walk(
        at=7,
        cursor=(3, "ü"),
        is_redefining=True,
        is_announced=True,
        dropped=("custom.a",),
        released=("custom.b", "all"),
    )
    notes = LaneNotes(watermark=9, revision=4, walk=walk, orders=12, held=("custom.c",))

    await owner.note(notes=notes)

    assert (await stores.lanes.state(0))[1].notes == notes


@pytest.mark.parametrize("bite", [1, 7, 1_000])
async def test_the_walk_meets_every_customer_once_in_its_order(stores: Stores, owner: Owner, bite: int) -> None:
    customers = [f"c-{number}" for number in range(50)]
    await owner.write(*(profile(customer) for customer in customers))

    met: list[str] = []
    while found := await stores.lanes.stored(0, stop_of(met[-1]) if met else None, bite):
        met += found

    assert met == sorted(customers, key=stop_of)


def test_a_bucket_is_one_stretch_of_the_walk_however_many_there_are() -> None:
    rng = random.Random(5)
    customers = [f"c-{rng.random()}" for _ in range(2_000)]
    for buckets in [LEAST_BUCKETS, LEAST_BUCKETS + 1, 100, 127, 128, 129, 1_000]:
        place, stretches = 0, []
        while place < END_OF_WALK:
            bucket, end = bucket_at(place, buckets)
            stretches.append((place, end, bucket))
            place = end
        assert sorted(bucket for _, _, bucket in stretches) == list(range(buckets))
        for customer in customers[:300]:
            home = bucket_of_customer(customer.encode(), buckets)
            [found] = [b for start, end, b in stretches if start <= stop_of(customer)[0] < end]
            assert found == home, (buckets, customer)
