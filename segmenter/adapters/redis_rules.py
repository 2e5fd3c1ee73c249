"""Revisions of the rulebook, and the orders to hold moves, in Redis."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from segmenter.adapters.keys import holds_key, rulebook_key
from segmenter.adapters.lane_limits import REVISIONS_KEPT
from segmenter.adapters.redis_client import Client, ask
from segmenter.adapters.redis_scripts import ACTIVATE, ORDER
from segmenter.domain.revision import Revision
from segmenter.ports import Hold, HoldOrder

_NEWEST = "#"


class RedisRulebookSource:
    """RulebookSource over redis.asyncio."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._key = rulebook_key(namespace)

    async def active(self) -> int | None:
        """Return the number in force."""
        number = await ask(self._client, "HGET", self._key, "active")
        return None if number is None else int(number)

    async def revision(self, number: int) -> Revision | None:
        """Return a revision."""
        packed = await ask(self._client, "GET", self._key_of(number))
        return None if packed is None else unpack_revision(packed)

    async def history(self) -> list[Revision]:
        """Return what is kept, rising by number."""
        active = await self.active() or 0
        kept = [await self.revision(number) for number in range(max(1, active - REVISIONS_KEPT + 1), active + 1)]
        return [revision for revision in kept if revision is not None]

    async def activate(self, revision: Revision, before: Revision | None = None) -> bool:
        """Put a revision in force, if the number before it is in force."""
        number = revision.number
        keys = [self._key, *map(self._key_of, (number, number - 1, number - REVISIONS_KEPT))]
        first = b"" if before is None else pack_revision(before)
        return bool(await ACTIVATE.run(self._client, keys, [number, pack_revision(revision), first]))

    def _key_of(self, number: int) -> str:
        return f"{self._key}:{number}"


class RedisHoldBoard:
    """HoldBoard over redis.asyncio."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._key = holds_key(namespace)

    async def orders(self) -> Mapping[str, HoldOrder]:
        """Return the newest order of each dimension."""
        stored: Mapping[bytes, bytes] = await ask(self._client, "HGETALL", self._key)
        orders = {name.decode(): value for name, value in stored.items()}
        orders.pop(_NEWEST, None)
        return {dimension: _order(dimension, packed) for dimension, packed in orders.items()}

    async def order(self, order: HoldOrder) -> HoldOrder:
        """Give an order, under the next number."""
        packed = _json({"hold": order.hold, "at": order.at, "by": order.by, "why": order.why})
        return replace(order, number=int(await ORDER.run(self._client, [self._key], [order.dimension, packed])))


def pack_revision(revision: Revision) -> bytes:
    """Return a revision as JSON, as it stands on its topic too."""
    return _json({**asdict(revision), "digest": revision.digest})


def unpack_revision(packed: bytes) -> Revision:
    """Return the revision that `pack_revision` packed."""
    form: dict[str, Any] = json.loads(packed)
    # A newer release may have more to say of a revision; whether its text can be read is another question.
    known = {field.name for field in fields(Revision)}
    return Revision(**{name: value for name, value in form.items() if name in known})


def _order(dimension: str, packed: bytes) -> HoldOrder:
    number, _, rest = packed.partition(b"|")
    form: dict[str, Any] = json.loads(rest)
    return HoldOrder(
        dimension=dimension,
        hold=Hold(form["hold"]),
        number=int(number),
        at=form["at"],
        by=form["by"],
        why=form["why"],
    )


def _json(form: object) -> bytes:
    return json.dumps(form, separators=(",", ":"), ensure_ascii=False).encode()
