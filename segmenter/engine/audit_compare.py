"""What differs between a stored profile and the one rebuilt from the log, field by field.

Compared is what follows from facts alone: first and last seen, the ledger, its totals, attributes, puts, lifecycle,
and the next deadline. Not compared is what depends on arrival or peers: class, since, sequence, what was announced.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

from segmenter.domain.folding import folded_before
from segmenter.domain.instants import Instant, rfc3339
from segmenter.domain.ledger import FOLDED_IDS_KEPT, Folded, Ledger, Order, Totals
from segmenter.domain.profile import LIFECYCLE, VALUE, Profile
from segmenter.domain.puts import Put
from segmenter.domain.rulebook import Rulebook

PROFILE = "profile"

Shown: TypeAlias = str | int | float | bool | None
FieldDifference: TypeAlias = tuple[str, Shown, Shown]
"""A field, what is stored, and what was rebuilt."""

_OF_THE_WINDOW = ("window_net", "leaves_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that is not as it was rebuilt; `customer` is None where it is a number of the whole lane."""

    lane: int
    customer: str | None
    field: str
    live: Shown
    rebuilt: Shown

    def as_json(self) -> Mapping[str, Shown]:
        """Return it as one JSON object."""
        return {
            "lane": self.lane,
            "customer": self.customer,
            "field": self.field,
            "live": self.live,
            "rebuilt": self.rebuilt,
        }


def differences(
    live: Profile | None, rebuilt: Profile | None, rulebook: Rulebook, watermark: Instant
) -> Iterator[FieldDifference]:
    """Give what differs, `rebuilt` being settled to where `live` is; orders are named by the hash of their id."""
    if live is None or rebuilt is None:
        # One of whom nothing is known is held for what the log has said of him: there is nothing to compare yet.
        if (live is not None and live.is_known) or rebuilt is not None:
            yield PROFILE, None if live is None else "stored", None if rebuilt is None else "known"
        return
    for name in ("first_seen_at", "last_seen_at"):
        yield from _unequal(name, getattr(live, name), getattr(rebuilt, name))
    yield from _of_ledgers(_as_of(live.ledger, rulebook, watermark), _as_of(rebuilt.ledger, rulebook, watermark))
    yield from _of_totals(live, rebuilt)
    for name in sorted(live.attributes.keys() | rebuilt.attributes.keys()):
        stored, known = live.attributes.get(name), rebuilt.attributes.get(name)
        if stored != known:
            yield (
                f"attribute {name}",
                None if stored is None else stored.value,
                None if known is None else known.value,
            )
    for name in sorted(live.puts.keys() | rebuilt.puts.keys()):
        yield from _unequal(f"put {name}", _word(live.puts.get(name)), _word(rebuilt.puts.get(name)))
    yield from _unequal(LIFECYCLE, live.segment_in(LIFECYCLE), rebuilt.segment_in(LIFECYCLE))
    if live.wake_at != rebuilt.wake_at and not _waits_for_dwell(live, rebuilt, rulebook):
        yield from _unequal("wake_at", live.wake_at, rebuilt.wake_at)


def _word(put: Put | None) -> str | None:
    """Return what was said by hand; where the rules have him beneath it depends on arrival."""
    return None if put is None else f"{put.to} by {put.event_id} until {rfc3339(put.until)}"


def _as_of(ledger: Ledger, rulebook: Rulebook, watermark: Instant) -> Ledger:
    """Return a ledger folded as far as it may be: when it is done depends on when facts arrive."""
    if rulebook.dedupe_horizon is None:
        return ledger
    return folded_before(ledger, watermark - rulebook.dedupe_horizon, rulebook)


def _of_ledgers(live: Ledger, rebuilt: Ledger) -> Iterator[FieldDifference]:
    for key in sorted(live.orders.keys() | rebuilt.orders.keys()):
        yield from _of_orders(f"order {key:016x}", live.orders.get(key), rebuilt.orders.get(key))
    for key in sorted(live.loose_refunds.keys() | rebuilt.loose_refunds.keys()):
        stored, known = live.loose_refunds.get(key), rebuilt.loose_refunds.get(key)
        if stored != known:
            amounts = (None if stored is None else stored.amount, None if known is None else known.amount)
            yield f"refund {key:016x}", *amounts
    yield from _of_folded(live.folded, rebuilt.folded)


def _of_orders(name: str, live: Order | None, rebuilt: Order | None) -> Iterator[FieldDifference]:
    if live is None or rebuilt is None:
        yield name, None if live is None else "stored", None if rebuilt is None else "known"
        return
    # Of facts with one time that wait for their order, the first to arrive left its place.
    stored, known = replace(live, place=""), replace(rebuilt, place="")
    for part in fields(Order):
        yield from _unequal(f"{name} {part.name}", getattr(stored, part.name), getattr(known, part.name))


def _of_folded(live: Folded, rebuilt: Folded) -> Iterator[FieldDifference]:
    for part in fields(Folded):
        if part.name != "ids":
            yield from _unequal(f"folded {part.name}", getattr(live, part.name), getattr(rebuilt, part.name))
    if len(rebuilt.ids) < FOLDED_IDS_KEPT:  # beyond, which are kept depends on when they were folded
        yield from _unequal("folded ids", len(set(live.ids)), len(set(rebuilt.ids)))


def _of_totals(live: Profile, rebuilt: Profile) -> Iterator[FieldDifference]:
    # Nobody ranks staff or the anonymous, so time does not renew what they hold in the window.
    is_ranked = not (live.is_anonymous or rebuilt.is_excluded)
    for part in fields(Totals):
        if is_ranked or part.name not in _OF_THE_WINDOW:
            stored, known = getattr(live.totals, part.name), getattr(rebuilt.totals, part.name)
            yield from _unequal(f"totals {part.name}", stored, known)


def _waits_for_dwell(live: Profile, rebuilt: Profile, rulebook: Rulebook) -> bool:
    """Tell whether the stored deadline is the end of a dwell, which peers have brought about."""
    value = live.present.get(VALUE)
    if value is None or live.wake_at != value.since + rulebook.value.dwell:
        return False
    return rebuilt.wake_at is None or live.wake_at < rebuilt.wake_at


def _unequal(name: str, live: object, rebuilt: object) -> Iterator[FieldDifference]:
    if live != rebuilt:
        yield name, _shown(name, live), _shown(name, rebuilt)


def _shown(name: str, value: object) -> Shown:
    if isinstance(value, int) and not isinstance(value, bool) and name.endswith(("_at", "_since")):
        return rfc3339(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
