"""The lane store in Redis: one script per commit, which stores all of it or nothing.

A lane and all that belongs to it lives under one hash tag. After a crash of Redis that loses its last second,
offsets and profiles go back together. Every write may be repeated: a commit knows its own replay by the hash
of its content.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from segmenter.adapters import profile_codec
from segmenter.adapters.keys import (
    HELD_SLICES,
    LEAST_BUCKETS,
    LaneKeys,
    bucket_at,
    bucket_of_customer,
    halved_bucket,
    rank_slice,
)
from segmenter.adapters.lane_limits import HEARTBEAT_VALID
from segmenter.adapters.redis_client import Client, FullError, Part, ask, ask_all, check_server
from segmenter.adapters.redis_commit import commit_args, commit_keys
from segmenter.adapters.redis_outbox import unpack_page
from segmenter.adapters.redis_pairs import pairs_between
from segmenter.adapters.redis_scripts import ACKNOWLEDGE, ACQUIRE, COMMIT, EARLIEST, GROW, RELEASE, RENEW, STATE
from segmenter.adapters.redis_state import pack_outputs, unpack_state, unpack_token
from segmenter.domain.instants import DAY, SECOND, Instant, Span
from segmenter.domain.profile import Profile
from segmenter.domain.ranking import BY_VALUE, HIGHEST_PLACE
from segmenter.domain.walking import END_OF_WALK, Stop, stop_of
from segmenter.errors import InvariantError, TransientError
from segmenter.ports import (
    Commit,
    Due,
    LaneState,
    OutboxPage,
    Output,
    RefusalKind,
    Refused,
    Stored,
    Token,
)

log = logging.getLogger(__name__)

# On average; before a bucket is halved it holds up to twice as many: 1 MiB at 500 bytes each.
CUSTOMERS_A_BUCKET = 1_000
# A commit brings at most 4,000 new customers. Adding a bucket takes Redis about 2 ms.
BUCKETS_ADDED_A_COMMIT = 4
# 500 pages are dropped in about 1 ms.
PAGES_DROPPED_A_CALL = 500
# With 512 KiB a page this bounds a reply to 4 MiB.
PAGES_READ_A_CALL = 8


class RedisLaneStore:
    """LaneStore over redis.asyncio; `client` comes from `redis_client.connect`."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._keys_by_lane: dict[int, LaneKeys] = {}
        self._buckets_by_lane: dict[int, int] = {}

    async def check(self) -> list[str]:
        """Return what makes this server unfit to keep lanes, one sentence each."""
        return await check_server(self._client)

    async def acquire(self, lane: int, token: Token, partitions: int) -> LaneState | Refused:
        """Make `token` the owner, unless a higher generation with a heartbeat of the last 10 minutes is.

        A full Redis does not refuse it, so that the lane's outbox can be drained.
        """
        args: list[bytes | str | int] = [str(token), partitions, LEAST_BUCKETS, HEARTBEAT_VALID // SECOND]
        reply = await ACQUIRE.run(self._client, [self._keys(lane).lane], args)
        kind, found = reply[0].decode(), reply[1].decode()
        if kind != "acquired":
            expected = f"{partitions} partitions" if kind == "partitions" else f"{token} or older"
            return Refused(RefusalKind(kind), f"lane {lane} holds {found}, expected {expected}")
        before = unpack_token(found.encode() or None)
        if before is not None and before.generation > token.generation:
            log.warning("lane_taken_from_silent_owner", extra={"lane": lane, "before": found, "token": str(token)})
        _, state = await self.state(lane)
        return state

    async def renew(self, lane: int, old: Token, new: Token, version: int) -> bool:
        """Put `new` in place of `old`, if the lane is still ours and at this version."""
        return bool(await RENEW.run(self._client, [self._keys(lane).lane], [str(old), str(new), version]))

    async def heartbeat(self, lane: int, token: Token) -> bool:
        """Renew the heartbeat, if the lane is ours."""
        return bool(await RENEW.run(self._client, [self._keys(lane).lane], [str(token), str(token), ""]))

    async def release(self, lane: int, token: Token) -> bool:
        """Give the lane up, if it is ours."""
        return bool(await RELEASE.run(self._client, [self._keys(lane).lane], [str(token)]))

    async def silence(self, lane: int) -> Span | None:
        """Return how long ago, by the clock of Redis, the owner gave a sign of life."""
        beaten = await ask(self._client, "HGET", self._keys(lane).lane, "heartbeat")
        seconds, _ = await ask(self._client, "TIME")
        return None if not int(beaten or 0) else (int(seconds) - int(beaten)) * SECOND

    async def state(self, lane: int) -> tuple[Token | None, LaneState]:
        """Return owner and state, as of one moment."""
        keys = self._keys(lane)
        small = [keys.lane, keys.positions, keys.taken, keys.markers, keys.sizes]
        reply = await STATE.run(self._client, small, [])
        fields, *mappings = [dict(zip(flat[0::2], flat[1::2], strict=True)) for flat in reply[: len(small)]]
        self._buckets_by_lane[lane] = int(fields.get(b"buckets", LEAST_BUCKETS))
        return unpack_token(fields.get(b"token")), unpack_state(lane, fields, mappings)

    async def load(self, lane: int, customers: Sequence[str]) -> list[Profile | None]:
        """Return the profiles in this order, in one round trip."""
        names = [customer.encode() for customer in customers]
        packed_by_name = await self._packed_profiles(lane, names)
        return [
            None if (packed := packed_by_name[name]) is None else profile_codec.decode(customer, packed)
            for customer, name in zip(customers, names, strict=True)
        ]

    async def _packed_profiles(self, lane: int, names: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """Read one command a bucket; again where another process has added buckets meanwhile."""
        while True:
            buckets = self._buckets_by_lane.get(lane, LEAST_BUCKETS)
            names_by_bucket: dict[int, list[bytes]] = defaultdict(list)
            for name in names:
                names_by_bucket[bucket_of_customer(name, buckets)].append(name)
            *values, found = await self._read_buckets(self._keys(lane), names_by_bucket)
            if found is None or int(found) == buckets:
                break
            self._buckets_by_lane[lane] = int(found)
        packed: dict[bytes, bytes | None] = {}
        for bucket_names, bucket_values in zip(names_by_bucket.values(), values, strict=True):
            packed.update(zip(bucket_names, bucket_values, strict=True))
        return packed

    async def _read_buckets(self, keys: LaneKeys, names_by_bucket: Mapping[int, list[bytes]]) -> list[Any]:
        reading: list[Sequence[Part]] = [
            ("HMGET", f"{keys.profiles}{bucket}", *names) for bucket, names in names_by_bucket.items()
        ]
        # Read last: what is still true now was true for all reads before.
        return await ask_all(self._client, [*reading, ("HGET", keys.lane, "buckets")])

    async def commit(self, commit: Commit) -> Stored | Refused:
        """Store all of it or nothing."""
        lane = commit.lane
        try:
            while (reply := await self._commit_once(commit)) is None:
                pass
        except FullError as error:
            return Refused(RefusalKind.FULL, f"lane {lane}: {error}")
        if reply[0] != b"stored":
            return _refused(commit, [part.decode() for part in reply])
        _, version, missing, customers, buckets = reply
        if missing:
            raise InvariantError(f"lane {lane} lacked {missing} of the places that commit {int(version)} moved from")
        if customers > buckets * CUSTOMERS_A_BUCKET:
            await self._grow(lane, commit.token, buckets, customers // CUSTOMERS_A_BUCKET)
        return Stored(int(version))

    async def _commit_once(self, commit: Commit) -> list[Any] | None:
        """Return the script's reply; None when what stood in its way is gone now."""
        lane = commit.lane
        args = commit_args(commit, self._buckets_by_lane.get(lane, LEAST_BUCKETS))
        reply: list[Any] = await COMMIT.run(self._client, commit_keys(self._keys(lane)), args)
        match reply:
            case [b"buckets", found]:
                self._buckets_by_lane[lane] = int(found)
                return None
            case [b"crowded"]:
                # Only a reconciling commit drops pages: the log holds them, so they may go before it.
                await self.acknowledge(lane, commit.token, {}, commit.first_page or 0)
                return None
            case _:
                return reply

    async def _grow(self, lane: int, token: Token, buckets: int, wanted: int) -> None:
        """Add buckets. The commit is stored already, so trouble is left to the next one."""
        try:
            for before in range(buckets, min(wanted, buckets + BUCKETS_ADDED_A_COMMIT)):
                await self._add_bucket(lane, token, before)
        except TransientError as error:
            log.warning("lane_not_grown", extra={"lane": lane, "buckets": buckets, "error": str(error)})

    async def _add_bucket(self, lane: int, token: Token, buckets: int) -> None:
        keys = self._keys(lane)
        halved, added = (f"{keys.profiles}{bucket}" for bucket in (halved_bucket(buckets), buckets))
        names = await ask(self._client, "HKEYS", halved)
        moving = [name for name in names if bucket_of_customer(name, buckets + 1) == buckets]
        args: list[bytes | str | int] = [str(token), buckets, buckets + 1, *moving]
        if await GROW.run(self._client, [keys.lane, halved, added], args):
            self._buckets_by_lane[lane] = buckets + 1

    async def due(self, lane: int, up_to: Instant, limit: int) -> list[Due]:
        """Return the earliest deadlines ≤ `up_to`, by (time, customer)."""
        pairs = await pairs_between(self._client, self._keys(lane).due, (0, up_to // DAY), up_to, None, limit)
        return [Due(at, name.decode()) for at, name in pairs]

    async def next_due(self, lane: int) -> Instant | None:
        """Return the earliest deadline."""
        lowest = await EARLIEST.run(self._client, [self._keys(lane).due], [])
        return None if lowest is None else int(lowest)

    async def ranked(
        self, lane: int, low: int, high: int, after: tuple[int, str] | None, limit: int, ranking: int = BY_VALUE
    ) -> list[tuple[int, str]]:
        """Return (place, customer) with low ≤ place ≤ high beyond `after`, rising."""
        # A lane's rankings lie side by side: none reads on into the next.
        start, high = (low, b""), min(high, HIGHEST_PLACE)
        if after is not None:
            start = max(start, (after[0], after[1].encode()))
        slices = (rank_slice(start[0], ranking), rank_slice(high, ranking))
        pairs = await pairs_between(self._client, self._keys(lane).ranks, slices, high, start, limit)
        return [(place, name.decode()) for place, name in pairs]

    async def held(self, lane: int, limit: int) -> list[str]:
        """Return held customers, in no order."""
        pairs = await pairs_between(self._client, self._keys(lane).held, (0, HELD_SLICES), 0, None, limit)
        return [name.decode() for _, name in pairs]

    async def stored(self, lane: int, after: Stop | None, limit: int) -> list[str]:
        """Return customers beyond a place of the walk, in its order; reads a bucket at a time, of about 1,000."""
        keys, found = self._keys(lane), list[Stop]()
        buckets = int(await ask(self._client, "HGET", keys.lane, "buckets") or LEAST_BUCKETS)
        place = 0 if after is None else after[0]
        while place < END_OF_WALK and len(found) < limit:
            bucket, place = bucket_at(place, buckets)
            names = await ask(self._client, "HKEYS", f"{keys.profiles}{bucket}")
            stops = (stop_of(name.decode()) for name in names)
            found += sorted(stop for stop in stops if after is None or stop > after)
        return [customer for _, customer in found[:limit]]

    async def outbox(self, lane: int, first: int, count: int) -> list[OutboxPage]:
        """Return stored pages from number `first` on."""
        prefix, pages = self._keys(lane).outbox, []
        for start in range(first, first + count, PAGES_READ_A_CALL):
            numbers = range(start, min(start + PAGES_READ_A_CALL, first + count))
            keys = [f"{prefix}{number}" for number in numbers]
            packed = await ask(self._client, "MGET", *keys)
            pages += [unpack_page(number, page) for number, page in zip(numbers, packed, strict=True) if page]
        return pages

    async def acknowledge(self, lane: int, token: Token, published: Mapping[Output, int], first_page: int) -> bool:
        """Note what was acknowledged and drop the pages before `first_page`; works in a full Redis too."""
        keys = self._keys(lane)
        args: list[bytes | str | int] = [
            str(token),
            first_page,
            PAGES_DROPPED_A_CALL,
            *pack_outputs(b"published:", published),
        ]
        while True:
            reply = await ACKNOWLEDGE.run(self._client, [keys.lane, keys.outbox], args)
            if reply != 2:
                return bool(reply)

    def _keys(self, lane: int) -> LaneKeys:
        if lane not in self._keys_by_lane:
            self._keys_by_lane[lane] = LaneKeys(self._namespace, lane)
        return self._keys_by_lane[lane]


def _refused(commit: Commit, reply: list[str]) -> Refused:
    """Return the refusal of a commit; what only a bug of ours can lead to raises InvariantError."""
    lane = commit.lane
    match reply:
        case ["newer_token" | "older_token" as kind, found]:
            return Refused(RefusalKind(kind), f"token of lane {lane} is {found}, expected {commit.token}")
        case ["version", found]:
            return Refused(RefusalKind.VERSION, f"version of lane {lane} is {found}, expected {commit.version}")
        case ["position", source, found, expected]:
            detail = f"position of {source} in lane {lane} is {found or None}, expected {expected or None}"
            return Refused(RefusalKind.POSITION, detail)
        case ["page", found, expected]:
            raise InvariantError(f"next outbox page of lane {lane} is {found}; the commit brings page {expected}")
        case _:
            raise InvariantError(f"unknown reply to a commit of lane {lane}: {reply}")
