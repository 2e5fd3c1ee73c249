"""What a preview says of real customers is what the planned rulebook then makes of them: 0 differences."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from segmenter.adapters.rulebook_file import parse_rulebook
from segmenter.domain.conditions import OUT
from segmenter.domain.foresight import Foresight
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.wiring.preview import Page, Preview, previewed
from tests.oracle.replay import Replay
from tests.oracle.uk import uk_events

# The first four months: as many customers as a preview has to get right, in a quarter of the time of the whole file.
END = datetime(2011, 4, 1)  # noqa: DTZ001 - the file is UTC throughout
RUNNING = """
rulebook: 1
currency: GBP
lifecycle: {inactive_after: 90d}
value: {window: all, band: 0, dwell: 0d, min_ranked: 1}
segments:
  regulars: {when: {measure: orders, within: 90d, at_least: 2}}
  gone_soon: {when: {measure: refunds, at_least: 1}}
"""
PLANNED = """
rulebook: 1
currency: GBP
lifecycle: {inactive_after: 60d}
value: {window: %s, a: 0.70, b: 0.90, band: 0, dwell: 0d, min_ranked: 1}
rfm:
  recency: [14d, 33d, 72d, 180d]
  frequency: [1, 2, 3, 6]
  monetary: ["250.106", "489.724", "941.942", "2057.914"]
  groups:
    champions: {r: ">=4", f: ">=4", m: ">=4"}
    at_risk: {any: [{r: "<=2", f: ">=3"}, {r: "<=2", m: ">=4"}]}
rhythm: {}
segments:
  regulars: {when: {measure: orders, within: 90d, at_least: 3}}
  quiet_best: {when: {all: [{in: {value: [A]}}, {absent: order, for: 45d}]}}
  sends_back: {when: {measure: refund_rate, at_least: 0.1}}
  quiet_champions: {when: {all: [{segment: quiet_best}, {not: {in: {rfm: [at_risk]}}}]}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("window", ["all", "60d"])
async def test_a_preview_equals_what_the_rulebook_then_does_to_the_customer(window: str) -> None:
    running, planned = ruled(RUNNING), ruled(PLANNED % window)
    events = [event for event in uk_events() if event["occurred_at"] <= f"{END.isoformat()}Z"]
    stored = Replay(running, events)
    profiles = await stored.until(END)
    at_rest = await Replay(planned, events).until(END)

    boundary, watermark = stored.notes.boundary, stored.notes.watermark

    async def pages() -> AsyncIterator[Page]:
        yield Page(profiles=list(profiles.values()), watermark=watermark, boundary=boundary)

    foresight = Foresight(running, planned)
    new_boundary = foresight.boundary_of(
        revenue for one in profiles.values() if (revenue := foresight.revenue_of(one, watermark))
    )
    differing = {
        customer: (dict(seen.after), present(at_rest[customer]))
        for customer, profile in profiles.items()
        if (seen := foresight.seen(profile, watermark, boundary, new_boundary)).after != present(at_rest[customer])
    }
    found = await previewed(foresight, planned, pages, sample=3)

    assert differing == {}
    assert (found.survey.customers, len(at_rest)) == (len(profiles), len(profiles))
    assert sizes(found) == counted(at_rest)
    assert len(profiles) > 1_000
    assert found.survey.then["rfm", "champions"] > 100
    assert found.survey.moves["custom.regulars", "in", "out"] > 100
    assert found.survey.moves["custom.gone_soon", "in", "out"] > 100


def ruled(text: str) -> Rulebook:
    return parse_rulebook(text.encode(), "test", None)


def present(profile: Profile) -> dict[str, str]:
    return {d: at.segment for d, at in profile.present.items() if at.segment != OUT}


def counted(profiles: dict[str, Profile]) -> dict[tuple[str, str], int]:
    sizes: dict[tuple[str, str], int] = {}
    for profile in profiles.values():
        for place in present(profile).items():
            sizes[place] = sizes.get(place, 0) + 1
    return sizes


def sizes(found: Preview) -> dict[tuple[str, str], int]:
    return dict(found.survey.then)
