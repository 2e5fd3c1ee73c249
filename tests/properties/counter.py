"""A shop counter: profiles of a few customers, stepped one cause at a time, with nothing else around them."""

from collections.abc import Sequence
from datetime import datetime

from segmenter.domain.causes import Arrived, Cause, Expired, PeersMoved, Tick, Transition
from segmenter.domain.changes import ChangeSet, Membership
from segmenter.domain.events import Event, identity_of
from segmenter.domain.instants import BEGINNING, Instant, instant_of
from segmenter.domain.profile import LIFECYCLE, VALUE, Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import step
from segmenter.domain.value import Boundary, Marks, sorted_marks

# With nobody ranked there is no one to be compared with: every buyer is C.
_NOBODY = Marks(a=1, a_stay=1, b=1, b_stay=1)


class Counter:
    """Steps profiles and keeps what was said, by customer."""

    def __init__(self, rulebook: Rulebook, boundary: Boundary | None = None, *, is_behind: bool = False) -> None:
        self.rulebook = rulebook
        self.boundary = boundary
        self.profiles: dict[str, Profile] = {}
        self.said: dict[str, list[ChangeSet | Membership]] = {}
        self.watermark: Instant = BEGINNING
        self.expired: list[Expired] = []
        self._is_behind = is_behind

    def play(self, arrangement: Sequence[Event | datetime]) -> None:
        """Take events and ticks in this order."""
        for cause in arrangement:
            if isinstance(cause, datetime):
                self.tick(cause)
            else:
                self.arrive(cause)

    def arrive(self, event: Event) -> Transition:
        """Record an event as a live lane would, or as one that is behind."""
        at = instant_of(event.occurred_at)
        settle_to = min(at, self.watermark) if self._is_behind else at
        customer = identity_of(event)
        cause = Arrived(
            event=event, at=at, event_id=event.event_id or "", settle_to=settle_to, watermark=self.watermark
        )
        return self.step(customer, cause)

    def tick(self, moment: datetime) -> None:
        """Let time come for everybody."""
        self.watermark = max(self.watermark, instant_of(moment))
        for customer in list(self.profiles):
            self.step(customer, Tick(instant_of(moment)))

    def step(self, customer: str, cause: Cause) -> Transition:
        """Step one customer and keep what came of it."""
        profile = self.profiles.get(customer) or Profile(customer=customer)
        transition = step(profile, cause, self.rulebook, self.boundary)
        if transition.profile is None:
            self.profiles.pop(customer, None)
        else:
            self.profiles[customer] = transition.profile
        self.said.setdefault(customer, []).extend(transition.said)
        self.expired += transition.expired
        return transition

    def rest_at(self, moment: datetime) -> None:
        """Settle everybody at one instant, and class them by a boundary from a full sort."""
        self.tick(moment)
        ranked = [revenue for profile in self.profiles.values() if (revenue := profile.ranked_revenue) is not None]
        marks = sorted_marks(ranked, self.rulebook.value) or _NOBODY
        number = 1 if self.boundary is None else self.boundary.number + 1
        self.boundary = Boundary(number=number, marks=marks, ranked=len(ranked), total=sum(ranked))
        for customer in list(self.profiles):
            self.step(customer, PeersMoved(instant_of(moment)))

    def lifecycles(self) -> dict[str, str | None]:
        """Return everybody's lifecycle."""
        return {customer: profile.segment_in(LIFECYCLE) for customer, profile in self.profiles.items()}

    def classes(self) -> dict[str, str | None]:
        """Return everybody's class."""
        return {customer: profile.segment_in(VALUE) for customer, profile in self.profiles.items()}
