"""One customer as stored at this moment: found at his home lane, and put into words."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from segmenter.adapters.home import home_of
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.events import ANONYMOUS_PREFIX
from segmenter.domain.holding import held_of
from segmenter.domain.instants import Instant, rfc3339
from segmenter.domain.money import money_text
from segmenter.domain.profile import Profile
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import LaneState, LaneStore
from segmenter.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A customer and the lane he is at home in."""

    profile: Profile
    lane: LaneState


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Nobody is known by that id."""

    lanes: tuple[int, ...]
    """Those in which he could be at home."""
    empty: tuple[int, ...]
    """Those of them that no worker has stored yet."""

    def sentence(self, identity: str, namespace: str) -> str:
        """Return what a user is told."""
        nobody = f"nobody is known as {identity} in namespace {namespace}"
        if not self.empty:
            return nobody
        lanes = ", ".join(str(lane) for lane in self.empty)
        return f"{nobody}: lane {lanes}, where he would be at home, is not stored yet; is a worker running?"


def find_customer(settings: Settings, identity: str) -> Found | Unknown:
    """Return a customer by the key of his records: his id, or `shop/id`.

    Raises TransientError when Redis does not answer, ConfigurationError when the lanes are of another count.
    """
    return asyncio.run(_find(settings, identity))


async def _find(settings: Settings, identity: str) -> Found | Unknown:
    client = connect(settings.redis_url.get_secret_value())
    try:
        async with aclosing(client):
            return await found_in(RedisLaneStore(client, settings.namespace), settings.partitions, identity)
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error


async def found_in(store: LaneStore, partitions: int, identity: str) -> Found | Unknown:
    """Look a customer up in every lane that could be his home."""
    # With another count we would look in the wrong lane, and find nobody; there always is a lane 0.
    _, first = await store.state(0)
    if first.version > 0 and first.partitions != partitions:
        fault = f"SEGMENTER_PARTITIONS: found {partitions}, but the lanes are stored as {first.partitions}"
        raise ConfigurationError([f"{fault}; write SEGMENTER_PARTITIONS={first.partitions}"])
    lanes, empty = home_lanes_of(identity, partitions), list[int]()
    for lane in lanes:
        _, state = await store.state(lane)
        [profile] = await store.load(lane, [identity])
        if profile is not None:
            return Found(profile=profile, lane=state)
        if state.version == 0:
            empty.append(lane)
    return Unknown(lanes=lanes, empty=tuple(empty))


def home_lanes_of(identity: str, partitions: int) -> tuple[int, ...]:
    """Return the lanes that could be the home of a customer, the likeliest first."""
    return tuple(dict.fromkeys(home_of(home_id, partitions) for home_id in _home_ids_of(identity)))


def _home_ids_of(identity: str) -> Iterator[str]:
    """Give the ids whose hash could be his home: the shop does not count, and both sides may hold a slash."""
    rest = identity.removeprefix(ANONYMOUS_PREFIX)
    yield rest
    while "/" in rest:
        rest = rest.partition("/")[2]
        yield rest


@dataclass(frozen=True, slots=True)
class SegmentView:
    """Where a customer is in one dimension; `announced` is what consumers were told last, None: nothing yet."""

    dimension: str
    segment: str
    since: str
    announced: str | None
    is_held: bool = False
    """He has moved since, and that is held back."""

    @property
    def told(self) -> str:
        """What consumers were told, in words."""
        return f"{self.announced or '-'}{', the move is held' if self.is_held else ''}"


@dataclass(frozen=True, slots=True)
class PutView:
    """Where somebody has put a customer by hand."""

    segment: str
    to: str
    until: str
    by: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerView:
    """A customer in words and numbers, as of `settled_at`."""

    customer_id: str
    segments: tuple[SegmentView, ...]
    puts: tuple[PutView, ...]
    """What holds by hand."""
    facts: Mapping[str, str | int | bool | None]

    def as_json(self) -> Mapping[str, object]:
        """Return it as one JSON object."""
        segments = [
            {"dimension": s.dimension, "segment": s.segment, "since": s.since, "announced": s.announced}
            for s in self.segments
        ]
        by_hand = [
            {"segment": p.segment, "to": p.to, "until": p.until, "by": p.by, "because": p.because} for p in self.puts
        ]
        return {"customer_id": self.customer_id, "segments": segments, "by_hand": by_hand, **self.facts}


def view_of(found: Found, currency: str) -> CustomerView:
    """Return what is shown of a customer."""
    profile, held = found.profile, held_of(found.lane.notes.held)
    segments = tuple(
        SegmentView(
            dimension,
            at.segment,
            rfc3339(at.since),
            profile.unannounced.get(dimension, at.segment),
            is_held=dimension in profile.unannounced and held.holds(dimension),
        )
        for dimension, at in sorted(profile.present.items())
    )
    facts = {**_numbers_of(profile, currency), **_ledger_of(profile), **_state_of(found)}
    now = max(profile.settled_at, found.lane.notes.watermark)
    puts = tuple(
        PutView(name, put.to, rfc3339(put.until), put.by, put.because)
        for name, put in sorted(profile.puts.items())
        if put.holds_at(now)
    )
    return CustomerView(customer_id=profile.customer, segments=segments, puts=puts, facts=facts)


def _numbers_of(profile: Profile, currency: str) -> Mapping[str, str | int | None]:
    totals = profile.totals
    return {
        "orders": totals.orders,
        "net_revenue": money_text(totals.net, currency),
        "value_revenue": money_text(totals.window_net, currency),
        "currency": currency,
        "over_refund": money_text(totals.over_refund, currency),
        "first_order_at": _written(totals.first_order_at),
        "last_order_at": _written(totals.last_order_at),
        "first_seen_at": _written(profile.first_seen_at),
        "last_seen_at": _written(profile.last_seen_at),
    }


def _ledger_of(profile: Profile) -> Mapping[str, int]:
    ledger = profile.ledger
    waiting = sum(1 for _ in ledger.waiting())
    return {
        "orders_kept": len(ledger.orders) - waiting,
        "orders_awaited": waiting,
        "orders_folded": ledger.folded.orders,
        "refunds_without_order": len(ledger.loose_refunds),
    }


def _state_of(found: Found) -> Mapping[str, str | int | bool | None]:
    profile, lane = found.profile, found.lane
    return {
        "life": profile.life,
        "sequence": profile.sequence,
        "next_change_at": _written(profile.wake_at),
        "settled_at": _written(profile.settled_at),
        "is_held": profile.is_held,
        "is_excluded": profile.is_excluded,
        "lane": lane.lane,
        "lane_watermark": rfc3339(lane.notes.watermark),
        "lane_is_live": lane.notes.is_live,
    }


def _written(at: Instant | None) -> str | None:
    return None if at is None else rfc3339(at)
