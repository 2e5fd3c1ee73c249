"""What the conditions of a rulebook are read against: its currency, its zone, what is kept, what can be named."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import available_timezones

import yaml

from segmenter.adapters.rulebook_values import SHORTEST, name_in, span_reader, span_words, value_in
from segmenter.adapters.yaml_nodes import Faults, Section, scalar_of
from segmenter.domain.instants import DAY, Span, span_text
from segmenter.domain.windows import ALL_HISTORY, Window

NO_CALENDAR = "none"
LONGEST_TALLY: Span = 400 * DAY
"""Clicks and messages are counted in buckets, and what a sequence needs is kept, no longer than this."""


class Reference(NamedTuple):
    """One segment names another."""

    by: str
    to: str
    node: yaml.Node
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the parts of one rulebook share while they are read.

    `horizon` is how long orders are kept one by one, None for ever. `dimensions` are those that this rulebook has,
    with their segments; none listed means any text. `segment` is the definition that is being read.
    """

    faults: Faults
    warnings: Faults
    currency: str
    horizon: Span | None
    zone: str | None = None
    dimensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    segment: str = ""
    references: list[Reference] = field(default_factory=list)

    @property
    def is_bounded(self) -> bool:
        """Tell whether anything is ever forgotten: a worker forgets, `simulate` does not."""
        return self.horizon is not None

    def within(self, section: Section) -> "Scope":
        """Return the scope below a section that may have a calendar of its own."""
        node = section.entries.get("calendar")
        return self if node is None else replace(self, zone=self._zone_in(node, section.path_of("calendar")))

    def _zone_in(self, node: yaml.Node, path: str) -> str | None:
        if scalar_of(node) == NO_CALENDAR:
            return None
        zone = name_in(node, path, _zones(), "an IANA time zone such as Europe/Berlin", self.faults)
        return zone or self.zone

    def window_in(self, node: yaml.Node | None, path: str) -> Window | None:
        """Return a window: without a node all history; None where it is a fault."""
        if node is None or scalar_of(node) == "all":
            return ALL_HISTORY
        expected = span_words(SHORTEST, " or `all`")
        span = value_in(node, path, span_reader(SHORTEST), expected, self.faults)
        if span is None:
            return None
        return self.window_of(span, node, path)

    def window_of(self, span: Span, node: yaml.Node, path: str) -> Window | None:
        """Return the window of a span, in whole local days where there is a calendar; None where it is a fault."""
        if self.zone is not None and span % DAY:
            found = f"found {span_text(span)}, expected whole days, as the calendar is {self.zone}"
            self.faults.add(node, path, f"{found}; use whole days, or `calendar: {NO_CALENDAR}` in this segment")
            return None
        return Window(span, self.zone)

    def check_kept(self, window: Window, node: yaml.Node, path: str) -> None:
        """Note a fault where a window over orders reaches beyond what is kept of them."""
        if self.horizon is None or window.span is None:
            return
        # A window of local days ends at a midnight: it reaches up to a day, or an hour of winter time, further.
        kept = self.horizon if window.zone is None else self.horizon // DAY * DAY - DAY
        if window.span > kept:
            days = "" if window.zone is None else " of whole local days"
            found = f"window of {span_text(window.span)} is longer than the {span_text(kept)}{days} we keep"
            self.faults.add(node, path, f"{found}; raise SEGMENTER_DEDUPE_HORIZON or shorten it")

    def check_tallied(self, span: Span | None, node: yaml.Node, path: str) -> None:
        """Note a fault where a window over clicks, messages or sequences is longer than any that is kept."""
        if self.is_bounded and span is not None and span > LONGEST_TALLY:
            found = f"window of {span_text(span)} is longer than the {span_text(LONGEST_TALLY)} for which"
            self.faults.add(node, path, f"{found} clicks, messages and sequences are kept; shorten it")


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))
