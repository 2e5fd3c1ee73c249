"""The pass over all customers of a lane that another rulebook, or a hold that was let go, asks for.

It takes a bite with each commit, and has come to a place in the order of `domain.walking`. Who lies beyond that place
is looked at before anything else happens to him, so that an event which comes first finds him as the walk would leave
him; once more when the walk comes there, which changes nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from segmenter.domain.causes import Tick
from segmenter.domain.walking import share_walked, stop_of
from segmenter.engine.batch import Batch
from segmenter.engine.orders import causes_of
from segmenter.ports import Walk


def beyond(batch: Batch, walk: Walk) -> None:
    """Do to everybody at hand whom the walk has not come to what it would do.

    Whom our own code cannot bear is left as he is, and is named by `Batch.failed`.
    """
    causes = causes_of(walk)
    for customer in batch.stored():
        if walk.cursor is None or stop_of(customer) > walk.cursor:
            # One who is put aside has deadlines that nobody has played; told by new rules is better than not told.
            missed = [Tick(walk.at)] if customer in batch.aside else []
            for cause in [*missed, *causes]:
                if batch.holds(customer):
                    batch.attempt(customer, cause)


def walked_on(walk: Walk, bite: Sequence[str], *, is_cut: bool) -> Walk | None:
    """Return the walk behind a bite; `is_cut`: there may be more. None: everybody was looked at."""
    return replace(walk, cursor=stop_of(bite[-1])) if is_cut and bite else None


def share_done(walk: Walk | None) -> float:
    """Return how much of a walk is done, 1 where there is none."""
    return 1.0 if walk is None else share_walked(walk.cursor)
