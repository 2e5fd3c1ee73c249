"""The live traffic of the simulated shop: the merge of all scenes that are being played, without end."""

from collections.abc import Iterator
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count

from segmenter.domain.instants import MILLISECOND, SECOND, Instant
from segmenter.embedded.shop import Shop
from segmenter.embedded.shop_records import Oddity
from segmenter.embedded.shop_scenes import SCENES, Due, Scene, Stage

DUPLICATE_SHARE = 0.01
_RECORDS_PER_WEIGHT = sum(weight * records for _, weight, records in SCENES) / sum(weight for _, weight, _ in SCENES)


def live(shop: Shop, now: Instant, rate: float) -> Iterator[Due]:
    """Give records without end, `rate` a second on average, each with the instant it is due at, in that order.

    Events happen when they are due, but for late ones (minutes to days before) and duplicates (the same
    bytes, up to five seconds after the first). About one record in 180 is one that no reader can accept.
    """
    stage = Stage(shop.shoppers, shop.seed)
    agenda: list[tuple[Instant, int, Due, Iterator[Due]]] = []
    numbers = count()

    def enter(due: Due | None, rest: Iterator[Due]) -> None:
        if due is not None:
            heappush(agenda, (due[0], next(numbers), due, rest))

    for begins_at, scene in _beginnings(stage, now, rate):
        while agenda and agenda[0][0] <= begins_at:
            _, _, due, rest = heappop(agenda)
            yield due
            enter(next(rest, None), rest)
            if due[1].oddity is None and stage.random.random() < DUPLICATE_SHARE:
                enter((due[0] + stage.pause(0, 5), replace(due[1], oddity=Oddity.DUPLICATE)), iter(()))
        played = scene(stage, begins_at)
        enter(next(played, None), played)


def _beginnings(stage: Stage, now: Instant, rate: float) -> Iterator[tuple[Instant, Scene]]:
    """Give the scenes in the order in which they begin."""
    scenes = [scene for scene, _, _ in SCENES]
    weights = [weight for _, weight, _ in SCENES]
    at = float(now)
    while True:
        at += stage.random.expovariate(rate / _RECORDS_PER_WEIGHT) * SECOND
        yield int(at) // MILLISECOND * MILLISECOND, stage.random.choices(scenes, weights)[0]
