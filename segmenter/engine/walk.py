"""The pass over all customers of a lane that another rulebook, or a hold that was let go, asks for.

It takes a bite with each commit, and has come to a place in the order of `domain.walking`. Who lies beyond that place
is looked at before anything else happens to him, so that an event which comes first finds him as the walk would leave
him; at most once more by the next owner of the lane, which changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from segmenter.domain.causes import Tick
from segmenter.domain.walking import Stop, share_walked, stop_of
from segmenter.engine.batch import Batch
from segmenter.engine.orders import causes_of
from segmenter.ports import LaneStore, Walk

# A bucket of the store is read whole to find who comes next; some bites are read at once.
READ_AT_ONCE = 1_000
# Whoever comes again and again is looked at once; more than these take 10 MB.
MOST_MET = 100_000


class Ahead:
    """Who comes next on a walk, read from the store some bites at once, and who came to us before the walk to him.

    Whoever is stored later need not be among the first: he has begun under what holds now.
    """

    def __init__(self) -> None:
        self._met: set[str] = set()
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

    def are_to_come(self, walk: Walk, customers: Iterable[str]) -> list[str]:
        """Return who of these has still to be looked at: the walk has not come to them, nor they to us."""
        return [customer for customer in customers if customer not in self._met and is_beyond(walk, customer)]

    def note_met(self, walk: Walk | None, customers: Iterable[str]) -> None:
        """Remember who was looked at before the walk comes to them, now that it is stored."""
        if walk is not None and len(self._met) < MOST_MET:
            self._met.update(customer for customer in customers if is_beyond(walk, customer))


def beyond(batch: Batch, walk: Walk, ahead: Ahead) -> None:
    """Do to everybody at hand whom the walk has not come to what it would do.

    Whom our own code cannot bear is left as he is, and is named by `Batch.failed`.
    """
    causes = causes_of(walk)
    for customer in ahead.are_to_come(walk, batch.stored()):
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
