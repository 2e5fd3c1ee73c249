"""A desk: the profile of one customer, stepped one cause at a time, and packed between steps as a lane does."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from segmenter.adapters.profile_codec import decode, encode
from segmenter.domain.causes import Arrived, Tick, Transition
from segmenter.domain.changes import ChangeSet, Membership
from segmenter.domain.events import Event
from segmenter.domain.instants import BEGINNING, Instant, instant_of
from segmenter.domain.profile import VALUE, Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import step


class Desk:
    """Keeps what was said. `is_eager`: after each cause every rule is asked, whatever the cause can have touched."""

    def __init__(self, rulebook: Rulebook, *, is_behind: bool = False, is_eager: bool = False) -> None:
        self.rulebook = eager(rulebook) if is_eager else rulebook
        self.profile = Profile(customer="c1")
        self.watermark: Instant = BEGINNING
        self.said: list[ChangeSet | Membership] = []
        self._is_behind = is_behind

    def play(self, causes: Iterable[Event | datetime]) -> None:
        """Take events and ticks in this order."""
        for cause in causes:
            self.take(cause)

    def take(self, cause: Event | datetime) -> Transition:
        """Take an event, or let time come."""
        if isinstance(cause, datetime):
            self.watermark = max(self.watermark, instant_of(cause))
            return self._step(Tick(instant_of(cause)))
        at = instant_of(cause.occurred_at)
        return self._step(Arrived(event=cause, at=at, event_id=cause.event_id or "", settle_to=self.settles_to(at)))

    def settles_to(self, at: Instant) -> Instant:
        """Return how far an event of this time settles the profile."""
        return min(at, self.watermark) if self._is_behind else at

    def segments(self) -> dict[str, str]:
        """Return where he stands, value classes apart."""
        return {d: standing.segment for d, standing in self.profile.present.items() if d != VALUE}

    def _step(self, cause: Arrived | Tick) -> Transition:
        transition = step(self.profile, cause, self.rulebook)
        self.said += transition.said
        kept = transition.profile or Profile(customer="c1", settled_at=self.profile.settled_at)
        self.profile = decode("c1", encode(kept))
        return transition


def eager(rulebook: Rulebook) -> Rulebook:
    """Return these rules with a plan that asks all of them after every event."""
    asking = replace(rulebook)
    # The leaves are those of the plan it has; only what is asked differs.
    object.__setattr__(asking, "plan", replace(rulebook.plan, is_eager=True))
    return asking


def the_day_before(causes: Iterable[Event | datetime]) -> datetime:
    """Return a moment before all of these, from which a lane that is behind goes on."""
    return min(cause if isinstance(cause, datetime) else cause.occurred_at for cause in causes) - timedelta(days=1)
