"""Puts: somebody says by hand that a customer is in or out of a declared segment, until an instant.

The rules go on beneath a put as if it were not there, but for stays and cooldowns, which are about what is told. When
it ends, by itself or lifted early, the customer is where the rules have him by then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from segmenter.domain.events import CustomerPut
from segmenter.domain.instants import BEGINNING, Instant, instant_of

AUTO = "auto"
# As many as there may be segments.
PUTS_KEPT = 200


@dataclass(frozen=True, slots=True)
class Put:
    """The newest word by hand on one segment, by (time, event id); kept when it is over, to know older ones.

    `is_in_by_rules` is where the rules alone would have the customer while it holds; None: it is over, or never held.
    """

    at: Instant
    event_id: str
    to: str
    """`in`, `out`, or `auto`: the rules decide."""
    until: Instant
    because: str
    by: str
    is_in_by_rules: bool | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it holds, or has just ended and nobody has looked at the customer since."""
        return self.is_in_by_rules is not None

    def holds_at(self, now: Instant) -> bool:
        """Tell whether it says where the customer is."""
        return self.to != AUTO and now < self.until


def with_put(
    puts: Mapping[str, Put], event: CustomerPut, at: Instant, event_id: str, *, is_in: bool, now: Instant
) -> Mapping[str, Put] | None:
    """Return the puts with one more, where it is the newest word on its segment; None where there are too many.

    `is_in`: he is in that segment at `now`.
    """
    known = puts.get(event.segment)
    if known is not None and (known.at, known.event_id) >= (at, event_id):
        return puts
    until = BEGINNING if event.until is None else instant_of(event.until)
    put = Put(at, event_id, event.to, until, event.because or "", event.by or "")
    if known is not None and known.is_open:
        put = replace(put, is_in_by_rules=known.is_in_by_rules)
    elif put.holds_at(now):
        put = replace(put, is_in_by_rules=is_in)
    after = {**puts, event.segment: put}
    if len(after) > PUTS_KEPT:
        over = [(other.at, name) for name, other in puts.items() if not other.holds_at(now)]
        if not over:
            return None
        del after[min(over)[1]]
    return after


def with_rules_beneath(puts: Mapping[str, Put], in_by_rules: Mapping[str, bool | None]) -> Mapping[str, Put]:
    """Return the puts with where the rules have the customer by now; None: the put is over."""
    return {
        **puts,
        **{name: replace(puts[name], is_in_by_rules=is_in) for name, is_in in in_by_rules.items()},
    }
