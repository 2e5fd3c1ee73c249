"""A feed that fell silent, and a machine whose clock is a day ahead, on real servers: nobody is called inactive."""

import asyncio
from collections.abc import Callable

import pytest

from segmenter.domain.instants import DAY, HOUR, Instant, rfc3339
from segmenter.observability import Metrics
from tests.integration.checker import Heard, check, hear
from tests.integration.conftest import SiteMaker
from tests.integration.worker_here import count_of, worker_here
from tests.integration.workload import Shop, Site
from tests.oracle.jsonl import JsonEvent

pytestmark = pytest.mark.kafka
RULES = "lifecycle: {inactive_after: 12h}\nvalue: {min_ranked: 1000000}\n"
SETTINGS = {"announce_from": "2020-01-01T00:00:00Z"}
PATIENCE_S = 60


def order(customer: str, at: Instant) -> JsonEvent:
    own = {"order_id": f"o-{customer}-{at}", "amount": "10.00", "currency": "EUR"}
    whose = {"customer_id": customer, "event_id": own["order_id"], "occurred_at": rfc3339(at)}
    return {"type": "order.placed", **whose, **own}


def click(customer: str, at: Instant) -> JsonEvent:
    own = {"event_id": f"k-{customer}-{at}", "kind": "view"}
    return {"type": "click", "customer_id": customer, "occurred_at": rfc3339(at), **own}


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_true():  # noqa: ASYNC110  # numbers of a worker tell no event
            await asyncio.sleep(0.1)


async def lifecycles(site: Site, customer: str) -> list[tuple[str, str]]:
    """Return the segments into which a customer was told to have moved, with the times from which it counts."""
    heard: Heard = await hear(site.bootstrap, site.outputs())
    check(heard)
    return [
        (move["after"], change["effective_at"])
        for change in heard.changes
        for move in change["changes"]
        if change["customer_id"] == customer and move["dimension"] == "lifecycle"
    ]


def delay(metrics: Metrics, lanes: int) -> float:
    """Return how far the last lane is behind the clock."""
    return max(count_of(metrics, "segmenter_watermark_delay_seconds", partition=str(lane)) for lane in range(lanes))


async def test_a_clock_a_day_ahead_calls_nobody_inactive(make_site: SiteMaker) -> None:
    site = make_site(RULES, settings=SETTINGS, partitions=2)
    await site.make_topics()
    async with worker_here(site, site.clock.now) as metrics, Shop(site) as shop:
        ordered_at = site.clock.now()
        await shop.send([order("c-1", ordered_at)])
        await until(lambda: count_of(metrics, "segmenter_end_to_end_seconds_count") == 1)
        await until(lambda: 0 < delay(metrics, 2) < 10)

        site.clock.advance(DAY)
        await until(lambda: count_of(metrics, "segmenter_clock_offset_seconds") > 86_000)
        await shop.send([click("c-1", site.clock.now() - DAY)], role="clicks")
        await asyncio.sleep(4)
        while_off = await lifecycles(site, "c-1")

        site.clock.advance(-DAY)
        await until(lambda: count_of(metrics, "segmenter_clock_offset_seconds") < 5)
        await until(lambda: 0 < delay(metrics, 2) < 10)
        after = await lifecycles(site, "c-1")

    assert [segment for segment, _ in while_off] == ["new"]
    assert after == while_off


@pytest.mark.parametrize("keyed", ["customer", "other"])
async def test_orders_silent_for_three_days_while_clicks_go_on_call_nobody_inactive(
    make_site: SiteMaker, keyed: str
) -> None:
    site = make_site(
        RULES, settings=SETTINGS, partitions=2, keyed={"orders": keyed}, max_silence={"orders": "6h", "clicks": "6h"}
    )
    await site.make_topics()
    topic = site.topic("orders")
    # Brokers take no record of the future.
    site.clock.advance(-4 * DAY)
    async with worker_here(site) as metrics, Shop(site) as shop:
        ordered_at = site.clock.now()
        await shop.send([order("c-1", ordered_at), order("c-2", ordered_at)])
        await until(lambda: count_of(metrics, "segmenter_end_to_end_seconds_count") == 2)

        for _ in range(3):
            site.clock.advance(DAY)
            await shop.send([click("visitor", site.clock.now())], role="clicks")
            await asyncio.sleep(1)
        await until(lambda: count_of(metrics, "segmenter_source_holds_time", topic=topic) == 1)
        while_silent = await lifecycles(site, "c-1")

        # The feed lives again; it had kept back an order of one of the two.
        kept_back = order("c-1", ordered_at + 11 * HOUR)
        await shop.send([kept_back, order("somebody", site.clock.now())])
        await until(lambda: count_of(metrics, "segmenter_source_holds_time", topic=topic) == 0)
        await until(lambda: 0 < delay(metrics, 2) < 10)
        await asyncio.sleep(1)
        bought, silent = await lifecycles(site, "c-1"), await lifecycles(site, "c-2")

    assert [segment for segment, _ in while_silent] == ["new"]
    assert [segment for segment, _ in bought] == ["new", "repeat", "inactive"]
    assert bought[-1][1] == rfc3339(ordered_at + 23 * HOUR)
    assert silent[1:] == [("inactive", rfc3339(ordered_at + 12 * HOUR))]
