"""What must be said of every customer, found without lanes, batches, commits or time that passes.

Where each customer's events come in their order, what is said depends on nothing but them: `step` is played over
the events of each customer, by their times, and then time is let pass to where the lane has come.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from segmenter.adapters.records import JsonEncoder
from segmenter.domain.causes import Arrived, Cause, Tick
from segmenter.domain.changes import ChangeSet
from segmenter.domain.instants import Instant
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import step
from segmenter.ports import Decoded
from tests.simulation.broker import LoggedRecord
from tests.simulation.decoding import DECODER
from tests.simulation.shop import Fate
from tests.simulation.world import Placed

Said = dict[str, Any]
# When it was recorded depends on the run, and the next change may be of a class, which waits for its peers.
COMPARED = ("life", "sequence", "changes", "cause", "effective_at", "reasons", "traits", "change_id")


def known_by_customer(placed: Iterable[Placed]) -> dict[str, list[Decoded]]:
    """Return the events that count, by customer, as the shop wrote them."""
    decoder, known = DECODER, defaultdict[str, list[Decoded]](list)
    for item in placed:
        if item.record.fate is Fate.KNOWN:
            decoded = decoder.decode(
                LoggedRecord(
                    topic=item.record.place[0],
                    partition=item.record.place[1],
                    offset=item.offset,
                    timestamp=item.at // 1_000,
                    key=None,
                    value=item.record.value,
                    headers=(),
                )
            )
            assert isinstance(decoded, Decoded), decoded
            known[decoded.customer].append(decoded)
    return dict(known)


def expected_changes(events: Sequence[Decoded], rulebook: Rulebook, until: Instant) -> list[Said]:
    """Return the change-sets of one customer."""
    ordered = sorted(events, key=lambda event: (event.at, event.event_id))
    causes: list[Cause] = [
        Arrived(event=e.event, at=e.at, event_id=e.event_id, settle_to=e.at, watermark=e.at) for e in ordered
    ]
    profile, said = None, list[Said]()
    for cause in [*causes, Tick(until)]:
        transition = step(profile or Profile(customer=ordered[0].customer), cause, rulebook)
        profile = transition.profile
        said += [_form(told) for told in transition.said if isinstance(told, ChangeSet)]
    return said


def compared(said: Said) -> Said:
    """Return what of a change-set depends on events alone."""
    return {name: said[name] for name in COMPARED}


def _form(told: ChangeSet) -> Said:
    body = JsonEncoder().change_record(told, recorded_at=0, revision=1, backfill=False, upto={})
    return compared(json.loads(body.value or b""))
