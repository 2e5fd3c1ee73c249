"""Profiles that a lane keeps at hand take a bounded memory, however many orders their customers have."""

from segmenter.domain.ledger import Ledger, Order
from segmenter.domain.profile import Profile
from segmenter.engine.kept import KeptProfiles
from segmenter.ports import ProfileWrite


def buyer(customer: str, orders: int) -> ProfileWrite:
    ledger = Ledger(orders={number: Order(placed_at=number) for number in range(orders)})
    return ProfileWrite(customer, Profile(customer=customer, ledger_part=ledger))


def kept_of(kept: KeptProfiles, *customers: str) -> list[str]:
    return [customer for customer, _ in kept.among(customers)[0]]


def test_the_newest_are_kept() -> None:
    kept = KeptProfiles(2)

    kept.note([buyer("a", 1), buyer("b", 1)])
    kept.note([buyer("a", 1), buyer("c", 1)])

    assert kept_of(kept, "a", "b", "c") == ["a", "c"]


def test_orders_are_bounded_as_well_as_customers() -> None:
    kept = KeptProfiles(100, most_orders=10)

    kept.note([buyer("a", 4), buyer("b", 4), buyer("c", 4)])

    assert kept_of(kept, "a", "b", "c") == ["b", "c"]


def test_a_customer_who_shrinks_or_leaves_makes_room() -> None:
    kept = KeptProfiles(100, most_orders=10)
    kept.note([buyer("a", 6), buyer("b", 4)])

    kept.note([buyer("a", 1), ProfileWrite("b", None), buyer("c", 9)])

    assert kept_of(kept, "a", "b", "c") == ["a", "c"]


def test_one_with_more_orders_than_all_may_have_is_not_kept() -> None:
    kept = KeptProfiles(100, most_orders=10)

    kept.note([buyer("a", 11)])
    kept.note([buyer("b", 10)])

    assert kept_of(kept, "a", "b") == ["b"]


def test_who_is_only_passing_displaces_nobody_and_is_renewed_where_he_is_kept() -> None:
    kept = KeptProfiles(2)
    kept.note([buyer("a", 1), buyer("b", 1)])

    kept.note([buyer("b", 3), buyer("c", 1)], passing={"b", "c"})

    assert kept_of(kept, "a", "b", "c") == ["a", "b"]
    assert dict(kept.among(["b"])[0])["b"].ledger_part.orders_at_hand == 3
