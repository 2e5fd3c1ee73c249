"""A commit: all of it or nothing, refused for each reason, and safe to repeat."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from segmenter.domain.value import Boundary, Marks, bucket_of
from segmenter.errors import InvariantError
from segmenter.ports import (
    Aside,
    Commit,
    Due,
    LaneNotes,
    LaneState,
    Output,
    ProfileWrite,
    Range,
    RefusalKind,
    Refused,
    Stored,
    Sweep,
    Token,
)
from tests.contract.stores import NOTES, OURS, PARTITIONS, Owner, Stores, entry, page, profile

BOUNDARY = Boundary(
    number=3,
    marks=Marks(a=900, a_stay=800, b=300, b_stay=200),
    ranked=70,
    total=2**60,
    seen=(4, 5, 6, 7),
    shares=((900, 0.1 + 0.2), (300, 0.95)),
    is_announced=False,
)
FULL_NOTES = LaneNotes(
    watermark=1_700_000_000_000_001,
    is_live=True,
    rank_version=12,
    boundary=BOUNDARY,
    sweep=Sweep(ranges=((1, 3), (7, 9)), cursor=(4, "ü"), until=(2, "a"), has_wrapped=True, is_first=True),
    announce_from=5,
    recover_upto={"orders/0": 17},
    aside={"ü": Aside(error="unexpected KeyError at domain/step:7", since=1_700_000_000_000_000)},
)


def everything(owner: Owner) -> Commit:
    """Return a commit that writes each part of a lane."""
    return replace(
        owner.commit_of([profile("c", wake_at=50, revenue=100), profile("d", wake_at=60, revenue=7)]),
        notes=FULL_NOTES,
        positions={"orders/0": (None, 2**60 + 1), "clicks/0": (None, 7)},
        taken={"raw/9@abc": 41},
        markers={"raw/9": 1_700_000_000_000_000},
        pages=(page(0, entry(1), entry(2)), page(1, entry(3))),
        next_seq={Output.CHANGES: 4},
        sizes={("lifecycle", "new"): 2, ("value", "C"): 2},
        hold=("d",),
    )


async def test_everything_of_a_commit_is_stored(stores: Stores, owner: Owner) -> None:
    commit = everything(owner)

    stored = await stores.lanes.commit(commit)

    assert stored == Stored(1)
    assert await stores.lanes.state(0) == (OURS, _state_after(commit))
    assert await stores.lanes.load(0, ["d", "x", "c"]) == [
        commit.profiles[1].profile,
        None,
        commit.profiles[0].profile,
    ]
    assert await stores.lanes.held(0, 10) == ["d"]
    assert await stores.lanes.outbox(0, 0, 10) == list(commit.pages)


def _state_after(commit: Commit) -> LaneState:
    return LaneState(
        lane=0,
        partitions=PARTITIONS,
        version=1,
        positions={"orders/0": 2**60 + 1, "clicks/0": 7},
        taken={"raw/9@abc": 41},
        markers={"raw/9": 1_700_000_000_000_000},
        notes=commit.notes,
        next_seq={Output.CHANGES: 4, Output.MEMBERSHIPS: 1, Output.REJECTED: 1},
        published=dict.fromkeys(Output, 0),
        first_page=0,
        next_page=2,
        outbox_entries=3,
        outbox_bytes=sum(stored.size for stored in commit.pages),
        sizes={("lifecycle", "new"): 2, ("value", "C"): 2},
    )


async def test_a_customer_who_is_put_aside_leaves_the_queue_and_comes_back_to_it(
    stores: Stores, owner: Owner
) -> None:
    stored = profile("c", wake_at=50)
    await owner.store(owner.commit_of([stored]))

    await owner.store(
        replace(owner.commit_of(), profiles=[ProfileWrite("c", stored, 50, keeps_rank=True, is_aside=True)])
    )
    while_aside = await stores.lanes.due(0, 100, 10)
    kept = await stores.lanes.load(0, ["c"])
    await owner.store(replace(owner.commit_of(), profiles=[ProfileWrite("c", stored, keeps_rank=True)]))

    assert while_aside == []
    assert kept == [stored]
    assert await stores.lanes.due(0, 100, 10) == [Due(50, "c")]


async def test_a_later_commit_changes_what_it_names(stores: Stores, owner: Owner) -> None:
    await owner.store(everything(owner))

    await owner.store(
        replace(
            owner.commit_of(forget=["c"]),
            positions={"clicks/0": (7, 9)},
            sizes={("lifecycle", "new"): -2, ("lifecycle", "repeat"): 1},
            release=("d",),
        )
    )

    _, state = await stores.lanes.state(0)
    assert state.positions == {"orders/0": 2**60 + 1, "clicks/0": 9}
    assert state.sizes == {("lifecycle", "repeat"): 1, ("value", "C"): 2}
    assert (state.notes, state.next_seq[Output.CHANGES], state.next_page) == (NOTES, 4, 2)
    assert await stores.lanes.load(0, ["c"]) == [None]
    assert [due.customer for due in await stores.lanes.due(0, 100, 10)] == ["d"]
    assert await stores.lanes.ranked(0, 1, 1_000, None, 10) == [(7, "d")]
    assert await stores.lanes.held(0, 10) == []


async def test_an_own_replay_is_stored_already(stores: Stores, owner: Owner) -> None:
    commit = everything(owner)
    await stores.lanes.commit(commit)
    before = await stores.lanes.state(0)

    assert await stores.lanes.commit(commit) == Stored(1)

    assert await stores.lanes.state(0) == before


async def test_another_commit_at_the_stored_version_is_no_replay(stores: Stores, owner: Owner) -> None:
    await stores.lanes.commit(everything(owner))

    refused = await stores.lanes.commit(replace(everything(owner), profiles=()))

    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.VERSION


Change = Callable[[Commit], Commit]
REFUSALS: list[tuple[RefusalKind, Change, list[str]]] = [
    (RefusalKind.NEWER_TOKEN, lambda commit: replace(commit, token=Token(6, "ours")), ["7:ours", "6:ours"]),
    (RefusalKind.NEWER_TOKEN, lambda commit: replace(commit, token=Token(7, "twin")), ["7:ours", "7:twin"]),
    (RefusalKind.OLDER_TOKEN, lambda commit: replace(commit, token=Token(8, "ours")), ["7:ours", "8:ours"]),
    (RefusalKind.OLDER_TOKEN, lambda commit: replace(commit, lane=2), ["none", "7:ours"]),
    (RefusalKind.VERSION, lambda commit: replace(commit, version=9), ["1", "9"]),
    (RefusalKind.VERSION, lambda commit: replace(commit, version=0), ["1", "0"]),
    (
        RefusalKind.POSITION,
        lambda commit: replace(commit, positions={"clicks/0": (7, 8), "orders/0": (2**60, 2**60 + 9)}),
        ["orders/0", str(2**60 + 1), str(2**60)],
    ),
    (RefusalKind.POSITION, lambda commit: replace(commit, positions={"clicks/0": (None, 8)}), ["7", "None"]),
    (RefusalKind.POSITION, lambda commit: replace(commit, positions={"new/0": (3, 8)}), ["new/0", "None", "3"]),
]


@pytest.mark.parametrize(("kind", "change", "named"), REFUSALS)
async def test_a_refused_commit_leaves_no_trace(
    stores: Stores, owner: Owner, kind: RefusalKind, change: Change, named: list[str]
) -> None:
    await owner.store(everything(owner))
    before = await stores.lanes.state(0)
    write = ProfileWrite(customer="e", profile=profile("e", wake_at=3, revenue=3))
    commit = change(replace(owner.commit_of(), profiles=[write], hold=("e",), pages=(page(2, entry(4)),)))

    refused = await stores.lanes.commit(commit)

    assert isinstance(refused, Refused)
    assert refused.kind is kind
    assert all(name in refused.detail for name in named)
    assert await stores.lanes.state(0) == before
    assert await stores.lanes.load(0, ["e"]) == [None]
    assert [due.customer for due in await stores.lanes.due(0, 100, 10)] == ["c", "d"]
    assert await stores.lanes.ranked(0, 1, 1_000, None, 10) == [(7, "d"), (100, "c")]
    assert await stores.lanes.held(0, 10) == ["d"]
    assert len(await stores.lanes.outbox(0, 0, 10)) == 2


async def test_a_page_out_of_turn_is_a_bug(stores: Stores, owner: Owner) -> None:
    with pytest.raises(InvariantError, match="page"):
        await stores.lanes.commit(replace(owner.commit_of(), pages=(page(1, entry(1)),)))

    assert (await stores.lanes.state(0))[1].version == 0


async def test_a_buyer_without_revenue_is_indexed_but_not_ranked(stores: Stores, owner: Owner) -> None:
    await owner.write(profile("c", revenue=0), profile("d", revenue=0), profile("e", revenue=0))
    await owner.write(profile("d", revenue=3), profile("e"))

    assert await stores.lanes.ranked(0, 0, 2**62, None, 9) == [(0, "c"), (3, "d")]
    assert await stores.lanes.ranked(0, 1, 2**62, None, 9) == [(3, "d")]
    assert await stores.board.coarse(0) == {1: Range(1, 3)}
    assert await stores.board.fine(0, [1]) == {bucket_of(3): Range(1, 3)}


@pytest.mark.parametrize("revenue", [0, -5])
async def test_a_rank_that_was_never_taken_is_a_bug(stores: Stores, owner: Owner, revenue: int) -> None:
    write = ProfileWrite(customer="c", profile=profile("c"), revenue_before=revenue)

    with pytest.raises(InvariantError):
        await stores.lanes.commit(replace(owner.commit_of(), profiles=[write]))


async def test_absurd_revenues_and_deadlines_stop_nothing(stores: Stores, owner: Owner) -> None:
    await owner.write(*(profile(f"c{n}", wake_at=2**60 + n, revenue=10**20 + n) for n in range(600)))
    await owner.write(profile("c0", wake_at=2**60, revenue=2**53), profile("c1", wake_at=5, revenue=5))

    top = 2**53 - 1
    expected = sorted([(5, "c1"), *((top, f"c{n}") for n in range(600) if n != 1)])
    assert await stores.lanes.ranked(0, 1, 10**30, None, 1_000) == expected
    assert [(due.at, due.customer) for due in await stores.lanes.due(0, 2**62, 1_000)] == expected
    assert await stores.board.coarse(0) == {2: Range(1, 5), 52: Range(599, 599 * top)}


@pytest.mark.parametrize("before", [{"wake_before": 40}, {"revenue_before": 40}])
async def test_a_place_that_was_never_taken_is_a_bug(stores: Stores, owner: Owner, before: dict[str, int]) -> None:
    write = ProfileWrite(customer="c", profile=profile("c"), **before)

    with pytest.raises(InvariantError):
        await stores.lanes.commit(replace(owner.commit_of(), profiles=[write]))


async def test_what_was_loaded_is_not_what_is_stored(stores: Stores, owner: Owner) -> None:
    await owner.write(profile("c"))
    (loaded,) = await stores.lanes.load(0, ["c"])
    assert loaded is not None

    loaded.sequence = 99

    assert await stores.lanes.load(0, ["c"]) == [profile("c")]


async def test_acknowledged_pages_are_dropped(stores: Stores, owner: Owner) -> None:
    await owner.store(everything(owner))

    assert await stores.lanes.acknowledge(0, OURS, {Output.CHANGES: 2}, 1)

    _, state = await stores.lanes.state(0)
    assert await stores.lanes.outbox(0, 0, 10) == [page(1, entry(3))]
    assert state.published == {Output.CHANGES: 2, Output.MEMBERSHIPS: 0, Output.REJECTED: 0}
    assert (state.first_page, state.next_page) == (1, 2)
    assert (state.outbox_entries, state.outbox_bytes) == (1, page(1, entry(3)).size)
    assert state.version == 1


async def test_acknowledging_again_or_too_far_drops_nothing_twice(stores: Stores, owner: Owner) -> None:
    await owner.store(everything(owner))

    for first_page in (1, 1, 0, 5, 5):
        assert await stores.lanes.acknowledge(0, OURS, {}, first_page)

    _, state = await stores.lanes.state(0)
    assert (state.first_page, state.next_page, state.outbox_entries, state.outbox_bytes) == (2, 2, 0, 0)


async def test_only_the_owner_acknowledges(stores: Stores, owner: Owner) -> None:
    await owner.store(everything(owner))

    assert not await stores.lanes.acknowledge(0, Token(7, "twin"), {Output.CHANGES: 3}, 2)

    assert len(await stores.lanes.outbox(0, 0, 10)) == 2


async def test_a_reconciling_commit_takes_over_what_the_log_holds(stores: Stores, owner: Owner) -> None:
    await owner.store(everything(owner))

    await owner.note(
        published={Output.CHANGES: 8}, next_seq={Output.CHANGES: 9}, first_page=2, pages=(page(2, entry(9)),)
    )

    _, state = await stores.lanes.state(0)
    assert (state.published[Output.CHANGES], state.next_seq[Output.CHANGES]) == (8, 9)
    assert (state.first_page, state.next_page, state.outbox_entries) == (2, 3, 1)
    assert await stores.lanes.outbox(0, 0, 10) == [page(2, entry(9))]


async def test_outbox_pages_come_back_in_order_and_as_they_were(stores: Stores, owner: Owner) -> None:
    pages = tuple(page(number, entry(number + 1, None if number % 3 == 0 else b"v" * number)) for number in range(30))
    await owner.note(pages=pages)

    assert await stores.lanes.outbox(0, 4, 12) == list(pages[4:16])
    assert await stores.lanes.outbox(0, 28, 12) == list(pages[28:])
    assert await stores.lanes.outbox(0, 0, 0) == []


async def test_many_pages_are_dropped_at_once(stores: Stores, owner: Owner) -> None:
    await owner.note(pages=tuple(page(number, entry(number + 1)) for number in range(1_201)))

    assert await stores.lanes.acknowledge(0, OURS, {}, 1_200)

    _, state = await stores.lanes.state(0)
    assert (state.first_page, state.outbox_entries) == (1_200, 1)


async def test_a_reconciling_commit_drops_any_number_of_pages(stores: Stores, owner: Owner) -> None:
    await owner.note(pages=tuple(page(number, entry(number + 1)) for number in range(1_201)))

    await owner.note(first_page=1_200, pages=(page(1_201, entry(1_202)),))

    _, state = await stores.lanes.state(0)
    assert (state.first_page, state.next_page, state.outbox_entries) == (1_200, 1_202, 2)
    assert [kept.number for kept in await stores.lanes.outbox(0, 1_195, 10)] == [1_200, 1_201]
