"""When topics spoke: the same for all workers, in whichever order they tell it."""

import random

from segmenter.domain.instants import HOUR
from segmenter.ports import Heard, SourceRecord
from tests.contract.stores import Stores

FOUR_WEEKS_H = 4 * 7 * 24
NOW_H = 490_000


def heard(*hours: int, last_at: int | None = None) -> Heard:
    return Heard(last_at=max(hours) * HOUR + 1 if last_at is None else last_at, hours=set(hours))


async def test_nothing_is_known_of_a_topic_that_never_spoke(stores: Stores) -> None:
    assert await stores.sources.hear({}) == {}
    assert await stores.sources.resume("orders", 1) is False


async def test_the_newest_event_and_the_longest_gap_are_known(stores: Stores) -> None:
    known = await stores.sources.hear({"orders": heard(NOW_H, NOW_H + 3, NOW_H + 4), "clicks": heard(NOW_H)})

    assert known == {
        "orders": SourceRecord(last_at=(NOW_H + 4) * HOUR + 1, longest_gap=3 * HOUR),
        "clicks": SourceRecord(last_at=NOW_H * HOUR + 1),
    }
    assert await stores.sources.hear({}) == known


async def test_workers_may_tell_in_any_order_and_more_than_once(stores: Stores) -> None:
    told = [heard(NOW_H + 5), heard(NOW_H, NOW_H + 1), heard(NOW_H + 2), heard(NOW_H, NOW_H + 1)]
    random.Random(7).shuffle(told)

    for each in told:
        known = await stores.sources.hear({"orders": each})

    assert known == {"orders": SourceRecord(last_at=(NOW_H + 5) * HOUR + 1, longest_gap=3 * HOUR)}


async def test_a_gap_of_more_than_four_weeks_ago_is_forgotten(stores: Stores) -> None:
    await stores.sources.hear({"orders": heard(NOW_H, NOW_H + 40)})

    known = await stores.sources.hear({"orders": heard(*range(NOW_H + 41, NOW_H + 42 + FOUR_WEEKS_H))})

    assert known["orders"].longest_gap == HOUR


async def test_years_can_be_heard_at_once(stores: Stores) -> None:
    known = await stores.sources.hear({"orders": heard(*range(NOW_H, NOW_H + 30_000, 2))})

    assert known["orders"].longest_gap == 2 * HOUR


async def test_a_resumed_topic_is_resumed_until_it_speaks_again_even_of_what_was_before(stores: Stores) -> None:
    await stores.sources.hear({"orders": heard(NOW_H)})

    resumed = await stores.sources.resume("orders", (NOW_H + 50) * HOUR)
    silent = await stores.sources.hear({"clicks": heard(NOW_H + 50)})
    spoken = await stores.sources.hear({"orders": heard(NOW_H + 1)})

    assert resumed is True
    assert (silent["orders"].is_resumed, silent["orders"].resumed_at) == (True, (NOW_H + 50) * HOUR)
    assert spoken["orders"].is_resumed is False
