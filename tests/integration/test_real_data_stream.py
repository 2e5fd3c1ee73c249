"""Two real shops through Kafka, two workers and Redis, on the day the data ends: figures that others published."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from segmenter.domain.instants import Instant, instant_of
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Quintiles, RfmRule
from tests.integration.checker import Heard, check, check_at_rest, hear
from tests.integration.conftest import SiteMaker
from tests.integration.workload import Shop, Site, until_ready, until_shared
from tests.oracle.cdnow import cdnow_events
from tests.oracle.duck import RawFacts, State, cdnow_facts, uk_facts
from tests.oracle.jsonl import JsonEvent
from tests.oracle.test_quintiles import groups_by, numbers_at
from tests.oracle.uk import uk_events

NINETY_DAYS = timedelta(days=90)
UK_END = datetime(2011, 12, 10)  # noqa: DTZ001 - the files are UTC throughout
CDNOW_END = datetime(1998, 6, 30)  # noqa: DTZ001
RULES = (
    "currency: {currency}\nlifecycle: {{inactive_after: 90d}}\n"
    "value: {{window: {window}, band: 0, dwell: 0s, min_ranked: 1}}\n"
)
RFM = """rfm:
  recency: quintiles
  frequency: quintiles
  monetary: quintiles
  groups:
    champions: {r: ">=4", f: ">=4", m: ">=4"}
    at_risk: {all: [{r: "<=2"}, {any: [{f: ">=3"}, {m: ">=4"}]}]}
    loyal: {f: ">=4", m: ">=3"}
    potential: {all: [{r: ">=4"}, {f: ">=2"}, {f: "<=3"}]}
    new: {r: ">=4", f: "==1"}
    hibernating: {r: "<=2", f: "<=2", m: "<=3"}
"""


@pytest.mark.parametrize(
    ("with_refunds", "window", "classes"),
    [
        pytest.param(True, None, {"A": 1_178, "B": 1_456, "C": 1_704}, id="net-of-refunds"),
        pytest.param(False, timedelta(days=365), None, id="orders-of-a-year"),
        pytest.param(False, None, {"A": 1_133}, id="orders-alone"),
    ],
)
async def test_every_customer_of_the_uk_shop_is_as_the_raw_file_says(
    make_site: SiteMaker, with_refunds: bool, window: timedelta | None, classes: Mapping[str, int] | None
) -> None:
    rules = RULES.format(currency="GBP", window="all" if window is None else "365d")

    heard, profiles = await worked_off(make_site(rules), uk_events(with_refunds=with_refunds), at(UK_END))

    raw = uk_facts(with_refunds=with_refunds)
    assert against(raw, UK_END, profiles, window) == []
    assert Counter(segment_of(profiles, "lifecycle"))["inactive"] == 1_449
    if classes is not None:
        found = Counter(segment_of(profiles, "value"))
        assert {segment: found[segment] for segment in classes} == classes
    check(heard)
    check_at_rest(heard, profiles)


async def test_every_group_by_quintiles_of_the_uk_shop_is_that_of_a_full_sort(make_site: SiteMaker) -> None:
    raw, cut = uk_events(), Quintiles.QUINTILES

    heard, profiles = await worked_off(make_site(RULES.format(currency="GBP", window="all") + RFM), raw, at(UK_END))

    everybody = groups_by(numbers_at(raw, UK_END, RfmRule(recency=cut, frequency=cut, monetary=cut)))
    found = {customer: profile.segment_in("rfm") for customer, profile in profiles.items() if profile is not None}
    assert {customer: group for customer, group in found.items() if group is not None} == everybody
    check(heard)
    check_at_rest(heard, profiles)


async def test_cdnow_has_3301_active_customers_at_the_boundary(make_site: SiteMaker) -> None:
    rules = RULES.format(currency="USD", window="all")

    heard, profiles = await worked_off(make_site(rules), cdnow_events(), at(CDNOW_END))

    assert against(cdnow_facts(), CDNOW_END, profiles, None) == []
    lifecycles = Counter(segment_of(profiles, "lifecycle"))
    assert lifecycles["new"] + lifecycles["repeat"] == 3_301
    check(heard)


async def worked_off(
    site: Site, events: Sequence[JsonEvent], end: Instant
) -> tuple[Heard, Mapping[str, Profile | None]]:
    """Let two workers, whose clock shows the end of the data, work it off; return what is told and stored."""
    await site.make_topics()
    site.clock.show(end)
    async with Shop(site) as shop:
        await shop.send(events)
    workers = [site.start_worker(), site.start_worker()]
    async with site.lanes() as lanes:
        until_ready(workers)
        await until_shared(lanes, 2)
        await lanes.until_at_rest(end, 60)
        profiles = await lanes.profiles(dict.fromkeys(event["customer_id"] for event in events))
    return await hear(site.bootstrap, site.outputs()), profiles


def at(moment: datetime) -> Instant:
    return instant_of(moment.replace(tzinfo=UTC))


def segment_of(profiles: Mapping[str, Profile | None], dimension: str) -> list[str | None]:
    return [None if profile is None else profile.segment_in(dimension) for profile in profiles.values()]


def against(
    raw: RawFacts, end: datetime, profiles: Mapping[str, Profile | None], window: timedelta | None
) -> list[str]:
    """Return a line for each customer who is not as the raw file has him."""
    states = raw.states_at(end, inactive_after=NINETY_DAYS, window=window)
    assert states.keys() == profiles.keys()
    pairs = [(customer, numbers_in(states[customer]), numbers_of(profiles[customer])) for customer in states]
    return [f"{c}: expected {expected}, found {found}" for c, expected, found in pairs if expected != found]


def numbers_in(state: State) -> tuple[object, ...]:
    times = [None if moment is None else at(moment) for moment in (state.first_order_at, state.last_order_at)]
    return (state.orders, state.net, state.window_net, *times, state.lifecycle, state.value)


def numbers_of(profile: Profile | None) -> tuple[object, ...]:
    assert profile is not None
    totals = profile.totals
    times = (totals.first_order_at, totals.last_order_at)
    segments = (profile.segment_in("lifecycle"), profile.segment_in("value"))
    return (totals.orders, totals.net, totals.window_net, *times, *segments)
