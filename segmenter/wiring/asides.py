"""Who is put aside, in all lanes."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.instants import rfc3339
from segmenter.errors import TransientError
from segmenter.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideView:
    """A customer who is put aside, as he is shown."""

    customer_id: str
    lane: int
    since: str
    error: str

    def as_json(self) -> dict[str, object]:
        """Return it as one JSON object."""
        return {"customer_id": self.customer_id, "lane": self.lane, "since": self.since, "error": self.error}

    def as_row(self) -> tuple[str, ...]:
        """Return it as a row of the table."""
        return self.customer_id, str(self.lane), self.since, self.error


def list_asides(settings: Settings) -> list[AsideView]:
    """Return all who are put aside, by lane and customer. Raises TransientError when Redis does not answer."""
    return asyncio.run(_list(settings))


async def _list(settings: Settings) -> list[AsideView]:
    client = connect(settings.redis_url.get_secret_value())
    store = RedisLaneStore(client, settings.namespace)
    try:
        async with aclosing(client):
            states = [(await store.state(lane))[1] for lane in range(settings.partitions)]
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error
    return [
        AsideView(customer_id=customer, lane=state.lane, since=rfc3339(found.since), error=found.error)
        for state in states
        for customer, found in sorted(state.notes.aside.items())
    ]
