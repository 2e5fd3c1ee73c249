"""Sales of which each must be told once: to customers whom nobody knew."""

from segmenter.domain.instants import rfc3339
from tests.integration.workload import Shop, Site
from tests.oracle.jsonl import JsonEvent


class Till:
    """Sells to new customers only, so each sale must be told as one change-set."""

    def __init__(self, site: Site, shop: Shop) -> None:
        self._site = site
        self._shop = shop
        self.sold: list[str] = []

    async def sell(self, count: int) -> None:
        """Sell to so many, a millisecond apart."""
        now = self._site.clock.now()
        events = [self._order(len(self.sold) + number, now + number) for number in range(count)]
        await self._shop.send(events)
        self.sold += [event["customer_id"] for event in events]

    @staticmethod
    def _order(number: int, at: int) -> JsonEvent:
        own = {"order_id": f"o-{number}", "amount": "10.00", "currency": "EUR"}
        customer = {"customer_id": f"c-{number}", "event_id": f"e-{number}", "occurred_at": rfc3339(at)}
        return {"type": "order.placed", **customer, **own}
