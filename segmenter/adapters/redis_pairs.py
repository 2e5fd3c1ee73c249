"""Reading families of paged sorted sets: (score, member) in rising order, however many pages hold them."""

import heapq
from collections.abc import Iterable, Sequence
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Any

from segmenter.adapters.redis_client import Client
from segmenter.adapters.redis_scripts import BETWEEN

# A reply of this many takes Redis about 3 ms.
MOST_A_CALL = 2_000

Pair = tuple[int, bytes]


async def pairs_between(
    client: Client, family: str, slices: tuple[int, int], highest: int, after: Pair | None, limit: int
) -> list[Pair]:
    """Return at most `limit` pairs of the slices with a score up to `highest` that are greater than `after`.

    `after` holds for the first slice; those above it are read from their beginning.
    """
    low_slice, high_slice = slices
    found: list[Pair] = []
    while len(found) < limit:
        after_args = ("", "") if after is None else after
        most = min(limit - len(found), MOST_A_CALL)
        reply = await BETWEEN.run(client, [family], [low_slice, high_slice, highest, *after_args, most])
        pairs, cut_slice = _in_order(reply[1:])
        found += pairs
        if cut_slice is not None:
            low_slice, after = cut_slice, pairs[-1]
        elif reply[0]:
            low_slice, after = int(reply[0]), None
        else:
            break
    return found[:limit]


def _in_order(pages: Sequence[Any]) -> tuple[list[Pair], int | None]:
    """Return pairs in order, up to the first slice that was not read to its end, and that slice."""
    found: list[Pair] = []
    triples = list(zip(pages[0::3], pages[1::3], pages[2::3], strict=True))
    for number, group in groupby(triples, key=itemgetter(0)):
        pairs, is_cut = _merged([(_pairs(flat), bool(has_more)) for _, has_more, flat in group])
        found += pairs
        if is_cut:
            return found, int(number)
    return found, None


def _merged(pages: Sequence[tuple[list[Pair], bool]]) -> tuple[Iterable[Pair], bool]:
    """Return the pairs of a slice in order, up to where a page that holds more was cut."""
    ends = [pairs[-1] for pairs, has_more in pages if has_more]
    merged = heapq.merge(*(pairs for pairs, _ in pages))
    if not ends:
        return merged, False
    end = min(ends)
    return takewhile(lambda pair: pair <= end, merged), True


def _pairs(flat: Sequence[bytes]) -> list[Pair]:
    return [(int(score), member) for member, score in zip(flat[0::2], flat[1::2], strict=True)]
