"""The steady load of a run: orders, cancellations and refunds, half of them re-keyed, clicks, and deadlines."""

import asyncio
import random
from collections.abc import Callable, Sequence

from segmenter.domain.instants import MILLISECOND, Instant, rfc3339
from tests.integration.busy_shop import busy_shop, sell
from tests.integration.workload import Shop, at_of
from tests.oracle.jsonl import JsonEvent

CUSTOMERS = 1_000
VISITORS_A_SECOND = 20


def events_of(seed: int, start: Instant, seconds: float) -> tuple[list[JsonEvent], list[JsonEvent]]:
    """Return what customers buy, and what visitors click, each by time.

    Who clicks does not buy: topics are read side by side, and after a pause a click may be read before an older
    order. What is said then is corrected at once, and the oracle does not say it.
    """
    bought = busy_shop(CUSTOMERS, start, seconds, seed)
    rng = random.Random(seed)
    clicks = [_click(f"v-{seed}-{number}", start, seconds, rng) for number in range(int(VISITORS_A_SECOND * seconds))]
    last = at_of(bought[-1])
    return bought, sorted((click for click in clicks if at_of(click) < last), key=lambda click: click["occurred_at"])


def _click(visitor: str, start: Instant, seconds: float, rng: random.Random) -> JsonEvent:
    occurred_at = rfc3339(start - start % MILLISECOND + int(rng.uniform(0, seconds) * 1_000) * MILLISECOND)
    return {
        "type": "click",
        "event_id": f"{visitor}-click",
        "customer_id": visitor,
        "occurred_at": occurred_at,
        "kind": "view",
    }


async def send_all(
    shop: Shop, bought: Sequence[JsonEvent], clicks: Sequence[JsonEvent], now: Callable[[], Instant]
) -> None:
    """Send everything when its time has come."""
    await asyncio.gather(sell(shop, bought, now), shop.send_live(clicks, now, role="clicks"))
