"""Quintiles of a real shop: every bound and every customer as a full sort of the raw file has them."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from segmenter.adapters.codec_types import event_validator
from segmenter.domain.conditions import Score
from segmenter.domain.events import Event
from segmenter.domain.instants import instant_of
from segmenter.domain.quintiles import sorted_bounds
from segmenter.domain.rulebook import Quintiles, RfmRule
from tests.oracle.jsonl import JsonEvent
from tests.oracle.quintiles import Numbers, orders_at, scores_of
from tests.oracle.replay import Replay
from tests.oracle.test_published_rfm import GROUPS, RULES
from tests.oracle.uk import uk_events

CUT = Quintiles.QUINTILES
MOMENTS = (datetime(2011, 5, 15), datetime(2011, 12, 10))  # noqa: DTZ001 - the file is UTC


@pytest.mark.slow
async def test_at_rest_every_bound_and_every_group_is_that_of_a_full_sort() -> None:
    raw = uk_events()
    rfm = RfmRule(recency=CUT, frequency=CUT, monetary=CUT, groups=GROUPS)
    replay = Replay(replace(RULES, rfm=rfm), raw)

    for moment in MOMENTS:
        profiles = await replay.until(moment)
        numbers = numbers_at(raw, moment, rfm)
        found = replay.notes.boundary
        assert found is not None
        assert found.cuts is not None
        assert found.cuts.ranked == len(numbers)
        assert found.cuts.bounds == {s: sorted_bounds(n["rfm".index(s)] for n in numbers.values()) for s in Score}
        ours = {c: group for c, p in profiles.items() if (group := p.segment_in("rfm")) is not None}
        assert ours == groups_by(numbers)
    assert len(Counter(ours.values())) == 7


def numbers_at(raw: Sequence[JsonEvent], moment: datetime, rfm: RfmRule) -> dict[str, Numbers]:
    """Return what everybody who has ordered by then comes to."""
    read, by_customer = event_validator("forbid").validate_json, dict[str, list[Event]]()
    end = instant_of(moment.replace(tzinfo=UTC))
    for event in (read(json.dumps(said)) for said in raw):
        if instant_of(event.occurred_at) <= end:
            by_customer.setdefault(event.customer_id, []).append(event)
    found = {customer: orders_at(events, end, rfm) for customer, events in by_customer.items()}
    return {customer: numbers for customer, numbers in found.items() if numbers is not None}


def groups_by(numbers: dict[str, Numbers]) -> dict[str, str]:
    """Return the group of everybody, by scores that are counted, not cut."""
    by_score = [scores_of(dict(numbers), score) for score in "rfm"]
    return {customer: _group(*(scores[customer] for scores in by_score)) for customer in numbers}


def _group(r: int, f: int, m: int) -> str:
    rules = {
        "champions": r >= 4 and f >= 4 and m >= 4,
        "at_risk": r <= 2 and (f >= 3 or m >= 4),
        "loyal": f >= 4 and m >= 3,
        "potential": r >= 4 and 2 <= f <= 3,
        "new": r >= 4 and f == 1,
        "hibernating": r <= 2 and f <= 2 and m <= 3,
        "others": True,
    }
    return next(name for name, holds in rules.items() if holds)
