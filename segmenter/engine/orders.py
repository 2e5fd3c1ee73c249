"""What a lane adopts beside boundaries: another revision of the rulebook, and orders to hold moves or to let them go.

Each is adopted in a commit of its own. What it asks of customers who are stored is done on a walk over all of them;
an order that comes on the way begins it anew, together with what is left of the one before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from segmenter.domain.causes import Cause, Redefined, Unheld
from segmenter.domain.holding import Held, held_of
from segmenter.domain.instants import Instant
from segmenter.domain.rulebook import Rulebook
from segmenter.ports import Hold, HoldOrder, LaneNotes, Walk


@dataclass(frozen=True, slots=True)
class Offer:
    """The rulebook in force, whose `revision` is its number, and whether what it moves by itself is told."""

    rulebook: Rulebook
    is_announced: bool = False


def notes_adopting(notes: LaneNotes, offer: Offer, before: Rulebook) -> LaneNotes:
    """Return the notes of a lane that decides by this rulebook from now on, and by another one before."""
    walk = notes.walk or Walk(at=notes.watermark)
    walk = replace(
        walk,
        at=notes.watermark,
        cursor=None,
        is_redefining=True,
        is_announced=offer.is_announced,
        is_named_anew=walk.is_named_anew or before.plan.outs.keys() != offer.rulebook.plan.outs.keys(),
    )
    return replace(notes, revision=offer.rulebook.revision, walk=walk)


def notes_obeying(notes: LaneNotes, orders: Mapping[str, HoldOrder]) -> LaneNotes:
    """Return the notes of a lane that has heard of these orders."""
    newer = [order for order in orders.values() if order.number > notes.orders]
    held = {order.dimension for order in orders.values() if order.hold is Hold.HELD}
    # A storm of this lane that nobody has heard of yet.
    held |= set(notes.held) - {order.dimension for order in newer}
    let_go = {hold: {order.dimension for order in newer if order.hold is hold} for hold in Hold}
    before = notes.walk or Walk(at=notes.watermark)
    released = (set(before.released) | let_go[Hold.RELEASED]) - held
    dropped = (set(before.dropped) | let_go[Hold.DROPPED]) - held
    walk = notes.walk
    if let_go[Hold.RELEASED] or let_go[Hold.DROPPED]:
        walk = replace(before, at=notes.watermark, cursor=None)
    if walk is not None:
        walk = replace(walk, released=tuple(sorted(released)), dropped=tuple(sorted(dropped)))
    number = max((order.number for order in orders.values()), default=notes.orders)
    return replace(notes, held=tuple(sorted(held)), orders=number, walk=walk)


def held_by(notes: LaneNotes) -> Held:
    """Return what a lane does not tell now."""
    return held_of(notes.held)


def causes_of(walk: Walk) -> list[Cause]:
    """Return what happens to a customer on this walk, in order."""
    causes: list[Cause] = []
    if walk.is_redefining:
        causes.append(Redefined(walk.at, walk.is_announced, walk.is_named_anew))
    if walk.dropped or walk.released:
        causes.append(Unheld(walk.at, frozenset(walk.dropped)))
    return causes


def storm_order(dimension: str, at: Instant, why: str) -> HoldOrder:
    """Return the order to hold what too many leave; the board gives its number."""
    return HoldOrder(dimension=dimension, hold=Hold.HELD, number=0, at=at, by="storm breaker", why=why)


def is_unknown_storm(dimension: str, notes: LaneNotes, orders: Mapping[str, HoldOrder]) -> bool:
    """Tell whether a lane holds a dimension of its own accord, and has heard all orders that there are."""
    newest = max((order.number for order in orders.values()), default=0)
    known = orders.get(dimension)
    return notes.orders >= newest and (known is None or known.hold is not Hold.HELD)
