"""What commands ask about held moves: which there are, and to hold, release or drop them."""

import asyncio
import getpass
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from segmenter.engine.orders import is_unknown_storm, storm_order
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import Hold, HoldOrder, LaneNotes
from segmenter.settings import Settings
from segmenter.wiring.rules import rulebook_in_force

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

    Raises ConfigurationError for what there is not and for letting go of what is not held, TransientError when Redis
    does not answer.
    """
    return asyncio.run(_asked(settings, lambda client: _order(client, settings, segment, hold, why)))


async def _order(client: Client, settings: Settings, segment: str, hold: Hold, why: str) -> HoldOrder:
    board = RedisHoldBoard(client, settings.namespace)
    held = [view.dimension for view in await _views(client, settings) if view.state is Hold.HELD]
    dimension = segment if segment in held else dimension_of(segment)
    if hold is Hold.HELD:
        await _refuse_unknown(client, settings, segment, dimension)
    elif dimension not in held:
        close = get_close_matches(segment, held, n=1)
        hint = f"did you mean {close[0]}?" if close else f"held now: {', '.join(held) or 'nothing'}"
        raise ConfigurationError([f"{segment!r} is not held; {hint}"])
    return await board.order(
        HoldOrder(dimension=dimension, hold=hold, number=0, at=time.time_ns() // 1_000, by=user_name(), why=why)
    )


async def _refuse_unknown(client: Client, settings: Settings, segment: str, dimension: str) -> None:
    declared = [definition.name for definition in (await rulebook_in_force(client, settings)).segments]
    if dimension not in (*_OWN, *(f"{CUSTOM_PREFIX}{name}" for name in declared)):
        close = get_close_matches(segment.removeprefix(CUSTOM_PREFIX), [*declared, *_OWN], n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join([*declared, *_OWN])}"
        raise ConfigurationError([f"{segment!r} is no segment of the rulebook in force; {hint}"])


def dimension_of(segment: str) -> str:
    """Return the dimension of a declared segment; one of ours stands for itself."""
    return segment if "." in segment or segment in _OWN else f"{CUSTOM_PREFIX}{segment}"


async def _views(client: Client, settings: Settings) -> list[HoldView]:
    orders = dict(await RedisHoldBoard(client, settings.namespace).orders())
    store = RedisLaneStore(client, settings.namespace)
    states = [(await store.state(lane))[1] for lane in range(settings.partitions)]
    waiting: Counter[str] = Counter()
    for state in states:
        for (kind, dimension), count in state.sizes.items():
            if kind == WAITING:
                waiting[dimension] += max(0, count)
    notes = [state.notes for state in states if state.version]
    orders.update(_storms(notes, orders))
    views = []
    for dimension, order in sorted(orders.items()):
        behind = sum(_is_behind(each, order) for each in notes)
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


def _is_behind(notes: LaneNotes, order: HoldOrder) -> bool:
    """Tell whether a lane has not heard of an order, or is on its way to let go of what was held."""
    if order.hold is Hold.HELD:
        return order.dimension not in notes.held
    walk = notes.walk
    is_going = walk is not None and order.dimension in (*walk.released, *walk.dropped)
    return notes.orders < order.number or is_going


def _storms(notes: Sequence[LaneNotes], orders: Mapping[str, HoldOrder]) -> dict[str, HoldOrder]:
    """Return what lanes hold of their own accord; within a second or two their workers make an order of it."""
    found = {}
    for each in notes:
        for dimension in each.held:
            if is_unknown_storm(dimension, each, orders):
                found[dimension] = storm_order(dimension, each.watermark, "a storm that was seen just now")
    return found


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
