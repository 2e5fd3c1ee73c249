"""What commands ask about held moves: which there are, and to hold, release or drop them."""

import asyncio
import getpass
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from segmenter.adapters.redis_client import Client, connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_rules import RedisHoldBoard
from segmenter.domain.conditions import CUSTOM_PREFIX
from segmenter.domain.holding import EVERYTHING_HELD
from segmenter.domain.instants import rfc3339
from segmenter.domain.profile import LIFECYCLE, VALUE, WAITING
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import Hold, HoldOrder
from segmenter.settings import Settings

T = TypeVar("T")

_OWN = (EVERYTHING_HELD, LIFECYCLE, VALUE, "rfm", "engagement", "interest", "care", "rhythm")


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """A dimension that is held, or whose hold the lanes have not all let go yet, and how many moves wait."""

    dimension: str
    state: Hold
    since: str
    by: str
    why: str
    waiting: int
    lanes_behind: int
    """Lanes that have not heard of the order yet, or are still on their way through their customers."""

    def as_json(self) -> dict[str, object]:
        """Return it as one JSON object."""
        return {
            "dimension": self.dimension,
            "state": self.state,
            "since": self.since,
            "by": self.by,
            "why": self.why,
            "waiting": self.waiting,
            "lanes_behind": self.lanes_behind,
        }

    def as_row(self) -> tuple[str, ...]:
        """Return it as a row of the table."""
        return self.dimension, self.state, self.since, self.by, str(self.waiting), str(self.lanes_behind), self.why


def list_holds(settings: Settings) -> list[HoldView]:
    """Return what is held, and what is being let go. Raises TransientError when Redis does not answer."""
    return asyncio.run(_asked(settings, lambda client: _views(client, settings)))


def give_order(settings: Settings, segment: str, hold: Hold, why: str) -> HoldOrder:
    """Hold the moves of a segment or dimension, or of all, or let them go.

    Raises ConfigurationError for letting go of what is not held, TransientError when Redis does not answer.
    """
    return asyncio.run(_asked(settings, lambda client: _order(client, settings, segment, hold, why)))


async def _order(client: Client, settings: Settings, segment: str, hold: Hold, why: str) -> HoldOrder:
    board = RedisHoldBoard(client, settings.namespace)
    held = [view.dimension for view in await _views(client, settings) if view.state is Hold.HELD]
    dimension = segment if segment in held else dimension_of(segment)
    if hold is not Hold.HELD and dimension not in held:
        close = get_close_matches(segment, held, n=1)
        hint = f"did you mean {close[0]}?" if close else f"held now: {', '.join(held) or 'nothing'}"
        raise ConfigurationError([f"{segment!r} is not held; {hint}"])
    return await board.order(
        HoldOrder(dimension=dimension, hold=hold, number=0, at=time.time_ns() // 1_000, by=user_name(), why=why)
    )


def dimension_of(segment: str) -> str:
    """Return the dimension of a declared segment; one of ours stands for itself."""
    return segment if "." in segment or segment in _OWN else f"{CUSTOM_PREFIX}{segment}"


async def _views(client: Client, settings: Settings) -> list[HoldView]:
    orders = await RedisHoldBoard(client, settings.namespace).orders()
    store = RedisLaneStore(client, settings.namespace)
    states = [(await store.state(lane))[1] for lane in range(settings.partitions)]
    waiting: Counter[str] = Counter()
    for state in states:
        for (kind, dimension), count in state.sizes.items():
            if kind == WAITING:
                waiting[dimension] += max(0, count)
    views = []
    for dimension, order in sorted(orders.items()):
        notes = [state.notes for state in states if state.version]
        behind = sum(each.orders < order.number for each in notes)
        if order.hold is not Hold.HELD:
            going = [each.walk for each in notes if each.walk is not None and each.orders >= order.number]
            behind += sum(dimension in (*walk.released, *walk.dropped) for walk in going)
        if order.hold is Hold.HELD or behind:
            count = waiting.total() if dimension == EVERYTHING_HELD else waiting[dimension]
            views.append(
                HoldView(
                    dimension=dimension,
                    state=order.hold,
                    since=rfc3339(order.at),
                    by=order.by,
                    why=order.why,
                    waiting=count,
                    lanes_behind=behind,
                )
            )
    return views


async def _asked(settings: Settings, ask: Callable[[Client], Awaitable[T]]) -> T:
    client = connect(settings.redis_url.get_secret_value())
    try:
        return await ask(client)
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error
    finally:
        await client.aclose()


def user_name() -> str:
    """Return who gives an order, as the operating system knows him."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
