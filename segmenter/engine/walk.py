"""The pass over all customers of a lane that another rulebook, or a hold that was let go, asks for.

It takes a bite with each commit, and has come to a place in the order of `domain.walking`. Who lies beyond that place
is looked at before anything else happens to him, so that an event which comes first finds him as the walk would leave
him; once more when the walk comes there, which changes nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from segmenter.domain.causes import Tick
from segmenter.domain.walking import Stop, share_walked, stop_of
from segmenter.engine.batch import Batch
from segmenter.engine.orders import causes_of
from segmenter.ports import LaneStore, Walk

# A bucket of the store is read whole to find who comes next; some bites are read at once.
READ_AT_ONCE = 1_000


class Ahead:
    """The customers who come next on a walk, read from the store some bites at once.

    Whoever is stored later need not be among them: he has begun under what holds now.
    """

    def __init__(self) -> None:
        self._customers: list[str] = []
        self._after: Stop | None = None
        self._are_last = False

    async def bite(self, store: LaneStore, lane: int, walk: Walk, most: int) -> tuple[list[str], bool]:
        """Return the next customers beyond the walk's place, and whether there may be more behind them."""
        if not self._customers or self._after != walk.cursor:
            asked = max(most, READ_AT_ONCE)
            self._customers = await store.stored(lane, walk.cursor, asked)
            self._are_last = len(self._customers) < asked
        bite, self._customers = self._customers[:most], self._customers[most:]
        self._after = stop_of(bite[-1]) if bite else None
        return bite, bool(self._customers) or not self._are_last


def beyond(batch: Batch, walk: Walk) -> None:
    """Do to everybody at hand whom the walk has not come to what it would do.

    Whom our own code cannot bear is left as he is, and is named by `Batch.failed`.
    """
    causes = causes_of(walk)
    for customer in batch.stored():
        if is_beyond(walk, customer):
            # One who is put aside has deadlines that nobody has played; told by new rules is better than not told.
            missed = [Tick(walk.at)] if customer in batch.aside else []
            for cause in [*missed, *causes]:
                if batch.holds(customer):
                    batch.attempt(customer, cause)


def is_beyond(walk: Walk, customer: str) -> bool:
    """Tell whether a walk has still to come to this customer."""
    return walk.cursor is None or stop_of(customer) > walk.cursor


def is_to_come(walk: Walk | None, customer: str) -> bool:
    """Tell whether a customer may still stand where older rules have put him."""
    return walk is not None and walk.is_redefining and is_beyond(walk, customer)


def walked_on(walk: Walk, bite: Sequence[str], *, is_cut: bool) -> Walk | None:
    """Return the walk behind a bite; `is_cut`: there may be more. None: everybody was looked at."""
    return replace(walk, cursor=stop_of(bite[-1])) if is_cut and bite else None


def share_done(walk: Walk | None) -> float:
    """Return how much of a walk is done, 1 where there is none."""
    return 1.0 if walk is None else share_walked(walk.cursor)
