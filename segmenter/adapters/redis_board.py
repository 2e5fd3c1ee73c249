"""The board in Redis: rankings as small numbers, and the boundary behind a compare-and-set."""

from collections.abc import Mapping, Sequence
from struct import Struct

from segmenter.adapters.keys import LaneKeys, boundary_key, rank_slice
from segmenter.adapters.redis_client import Client, ask, ask_all
from segmenter.adapters.redis_commit import LOW_BITS
from segmenter.adapters.redis_scripts import PARTS, PUBLISH
from segmenter.adapters.redis_state import Fields, pack_boundary, unpack_boundary, unpack_rules
from segmenter.domain.ranking import APART, BY_VALUE
from segmenter.domain.value import Boundary
from segmenter.ports import LaneSummary, Range, Token

_COUNT = Struct("<ddd")


class RedisBoard:
    """GlobalBoard over redis.asyncio. A lane's numbers are of one moment, those of several lanes are not."""

    def __init__(self, client: Client, namespace: str, partitions: int) -> None:
        self._client = client
        self._namespace = namespace
        self._keys = [LaneKeys(namespace, lane) for lane in range(partitions)]

    async def summaries(self) -> list[LaneSummary]:
        """Return a summary of every lane, in one round trip to each server."""
        reading = [("HMGET", keys.lane, "live", "rank_version", "watermark", "rules") for keys in self._keys]
        return [
            LaneSummary(
                lane=lane,
                is_live=live == b"1",
                rank_version=int(rank_version or 0),
                watermark=int(watermark or 0),
                rules=unpack_rules(rules),
            )
            for lane, (live, rank_version, watermark, rules) in enumerate(await ask_all(self._client, reading))
        ]

    async def coarse(self, lane: int, ranking: int = BY_VALUE) -> Mapping[int, Range]:
        """Return one of the lane's rankings by coarse bucket."""
        fields: Fields = await ask(self._client, "HGETALL", self._keys[lane].coarse)
        return _ranges(fields, ranking)

    async def fine(self, lane: int, coarse: Sequence[int], ranking: int = BY_VALUE) -> Mapping[int, Range]:
        """Return the ranking by bucket, inside these coarse ones."""
        ranges: dict[int, Range] = {}
        reading = [("HGETALL", f"{self._keys[lane].fine}{ranking * APART + number}") for number in coarse]
        for fields in await ask_all(self._client, reading):
            ranges.update(_ranges(fields, ranking))
        return ranges

    async def parts(self, lane: int, edges: Sequence[int], ranking: int = BY_VALUE) -> list[Range]:
        """Return the ranking between consecutive edges, which lie inside one bucket; one call a page of it."""
        number, page, last_page = rank_slice(edges[0], ranking), 0, 0
        counts, totals = [0] * (len(edges) - 1), [0] * (len(edges) - 1)
        while page <= last_page:
            last_page, *numbers = await PARTS.run(self._client, [self._keys[lane].ranks], [number, page, *edges])
            page += 1
            for part, (count, high, low) in enumerate(zip(*[iter(numbers)] * 3, strict=True)):
                counts[part] += count
                totals[part] += (int(high) << LOW_BITS) + int(low)
        return [Range(count, total) for count, total in zip(counts, totals, strict=True)]

    async def boundary(self) -> Boundary | None:
        """Return the boundary in force."""
        key = boundary_key(self._namespace)
        packed = await ask(self._client, "HGET", key, "packed")
        return None if packed is None else unpack_boundary(packed)

    async def publish(self, token: Token, boundary: Boundary) -> bool:
        """Put this boundary in force, if lane 0 is ours and the number before it is in force."""
        keys = [self._keys[0].lane, boundary_key(self._namespace)]
        return bool(await PUBLISH.run(self._client, keys, [str(token), boundary.number, pack_boundary(boundary)]))


def _ranges(fields: Fields, ranking: int) -> dict[int, Range]:
    """Return count and sum by bucket of a ranking, from a hash that `lua/histogram.lua` describes."""
    ranges = {}
    for field, packed in fields.items():
        of, bucket = divmod(int(field), APART)
        if of == ranking:
            customers, low, high = map(int, _COUNT.unpack(packed))
            ranges[bucket] = Range(customers, (high << LOW_BITS) + low)
    return ranges
