"""What only the memory store has: it can be put back to what it was."""

from segmenter.adapters.memory import MemoryStore
from segmenter.ports import RefusalKind, Refused
from tests.contract.stores import PARTITIONS, Owner, profile


async def test_a_restored_store_is_what_it_was() -> None:
    store = MemoryStore(PARTITIONS)
    owner = await Owner(lanes=store.lanes).acquire()
    await owner.write(profile("a", wake_at=5, revenue=5))
    await store.tasks.advance("orders/0", 7)
    snapshot = store.snapshot()

    for round_ in range(2):
        ahead = Owner(lanes=store.lanes, version=1, known={"a": profile("a", wake_at=5, revenue=5)})
        await ahead.write(profile("a", wake_at=9 + round_, revenue=9), profile("b"))
        await store.tasks.advance("orders/0", 8)
        store.restore(snapshot)

        assert (await store.lanes.state(0))[1].version == 1
        assert await store.lanes.load(0, ["a", "b"]) == [profile("a", wake_at=5, revenue=5), None]
        assert await store.lanes.next_due(0) == 5
        assert await store.lanes.ranked(0, 0, 99, None, 9) == [(5, "a")]
        assert await store.tasks.position("orders/0") == 7


async def test_an_owner_from_before_a_lane_existed_finds_an_older_token() -> None:
    store = MemoryStore(PARTITIONS)
    empty = store.snapshot()
    owner = await Owner(lanes=store.lanes).acquire()

    store.restore(empty)
    refused = await store.lanes.commit(owner.commit_of([profile("a")]))

    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.OLDER_TOKEN
