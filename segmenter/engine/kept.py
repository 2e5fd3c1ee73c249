"""The profiles a lane keeps at hand: who was last at work need not be read from the store again.

They are what the store holds, for nobody else writes to it; a write that fails, or whose outcome is unknown, ends the
hold on the lane, and them with it.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from segmenter.domain.profile import Profile
from segmenter.ports import ProfileWrite


class KeptProfiles:
    """At most `most` profiles, those that were stored last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._profile_by_customer: dict[str, Profile] = {}

    def among(self, customers: Iterable[str]) -> tuple[list[tuple[str, Profile]], list[str]]:
        """Return who of these is kept, and who has to be read."""
        kept, found, unknown = self._profile_by_customer, [], []
        for customer in customers:
            profile = kept.get(customer)
            if profile is None:
                unknown.append(customer)
            else:
                found.append((customer, profile))
        return found, unknown

    def note(self, writes: Sequence[ProfileWrite]) -> None:
        """Remember what was stored, the newest last."""
        kept = self._profile_by_customer
        for write in writes:
            kept.pop(write.customer, None)
            if write.profile is not None:
                kept[write.customer] = write.profile
        for customer in list(islice(kept, max(0, len(kept) - self._most))):
            del kept[customer]
