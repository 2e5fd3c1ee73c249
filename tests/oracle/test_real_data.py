"""What the product says of real customers is what the raw files say: 0 differences."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from segmenter.domain.instants import DAY, MICROSECOND, instant_of
from segmenter.domain.profile import LIFECYCLE, VALUE, Profile
from segmenter.domain.rulebook import LifecycleRule, Rulebook, ValueRule
from segmenter.settings import Settings
from segmenter.wiring.simulation import SimulationOptions, SimulationResult, simulate
from tests.oracle.cdnow import cdnow_events
from tests.oracle.duck import State, cdnow_facts, uk_facts
from tests.oracle.jsonl import JsonEvent, write_jsonl
from tests.oracle.replay import Replay
from tests.oracle.uk import uk_events

NINETY_DAYS = timedelta(days=90)
A_YEAR = timedelta(days=365)
UK_END = datetime(2011, 12, 10)  # noqa: DTZ001 - the files are UTC throughout
CDNOW_END = datetime(1998, 6, 30)  # noqa: DTZ001
# A quiet day, one at noon, the very minute of an order, the end of the file, and long after it.
FIVE_DATES = (
    datetime(2011, 3, 1),  # noqa: DTZ001
    datetime(2011, 6, 30, 12),  # noqa: DTZ001
    datetime(2011, 9, 26, 17, 1),  # noqa: DTZ001
    UK_END,
    datetime(2012, 4, 15),  # noqa: DTZ001
)
RULEBOOK = """
rulebook: 1
currency: {currency}
lifecycle: {{inactive_after: {inactive_after}}}
value: {{window: {window}, a: 0.80, b: 0.95, band: 0, dwell: 0d, min_ranked: 1}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("window", [None, A_YEAR], ids=["all-history", "a-year"])
async def test_every_uk_customer_is_as_the_raw_file_says_at_five_dates(window: timedelta | None) -> None:
    replay, raw = Replay(rules("GBP", window), uk_events(with_free=True)), uk_facts(with_free=True)

    for date in FIVE_DATES:
        profiles = await replay.until(date)
        states = raw.states_at(date, inactive_after=NINETY_DAYS, window=window)
        assert differences(profiles, states) == {}
        if date == UK_END:
            assert sum(profile.totals.net for profile in profiles.values()) == 830_006_581


@pytest.mark.slow
async def test_uk_orders_alone_give_the_published_figures() -> None:
    profiles = await Replay(rules("GBP", None), uk_events(with_refunds=False)).until(UK_END)

    assert sizes_of(profiles, LIFECYCLE)["inactive"] == 1_449
    assert sizes_of(profiles, VALUE)["A"] == 1_133
    assert Counter(profile.totals.orders > 1 for profile in profiles.values()) == {True: 2_845, False: 1_493}


@pytest.mark.slow
async def test_every_cdnow_customer_is_as_the_raw_file_says() -> None:
    profiles = await Replay(rules("USD", None), cdnow_events()).until(CDNOW_END)

    states = cdnow_facts().states_at(CDNOW_END, inactive_after=NINETY_DAYS)
    assert differences(profiles, states) == {}
    assert sum(profile.segment_in(LIFECYCLE) in ("new", "repeat") for profile in profiles.values()) == 3_301


@pytest.mark.slow
async def test_a_second_more_of_patience_keeps_the_16_cdnow_customers_of_the_boundary() -> None:
    patient = rules("USD", None, inactive_after=NINETY_DAYS + timedelta(seconds=1))

    profiles = await Replay(patient, cdnow_events()).until(CDNOW_END)

    assert sum(profile.segment_in(LIFECYCLE) in ("new", "repeat") for profile in profiles.values()) == 3_317


def test_simulating_a_month_of_the_uk_shop_ends_as_the_raw_file_says(tmp_path: Path) -> None:
    until = datetime(2010, 12, 31)  # noqa: DTZ001

    said = simulated(tmp_path, uk_events(), until, currency="GBP")

    assert said.differences(uk_facts().states_at(until, inactive_after=NINETY_DAYS)) == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_simulating_the_uk_shop_gives_the_published_figures(tmp_path: Path) -> None:
    said = simulated(tmp_path, uk_events(), UK_END, currency="GBP")

    assert said.result.sizes[LIFECYCLE, "inactive"] == 1_449
    assert {c: said.result.sizes[VALUE, c] for c in "ABC"} == {"A": 1_178, "B": 1_456, "C": 1_704}
    assert said.differences(uk_facts().states_at(UK_END, inactive_after=NINETY_DAYS)) == {}
    assert said.first_orders_by_month() == [885, 417, 380, 452, 300, 284, 242, 188, 169, 299, 358, 323, 41]


@pytest.fixture(scope="module")
def cdnow_by_customer(tmp_path_factory: pytest.TempPathFactory) -> "Said":
    return simulated(tmp_path_factory.mktemp("cdnow"), cdnow_events(by_time=False), CDNOW_END, currency="USD")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_simulating_cdnow_by_time_gives_the_published_figures(tmp_path: Path) -> None:
    said = simulated(tmp_path, cdnow_events(), CDNOW_END, currency="USD")

    assert active_in(said) == 3_301
    assert said.differences(cdnow_facts().states_at(CDNOW_END, inactive_after=NINETY_DAYS)) == {}


@pytest.mark.slow
def test_simulating_cdnow_by_customer_as_the_file_is_gives_the_same(cdnow_by_customer: "Said") -> None:
    assert active_in(cdnow_by_customer) == 3_301
    assert cdnow_by_customer.differences(cdnow_facts().states_at(CDNOW_END, inactive_after=NINETY_DAYS)) == {}


@pytest.mark.slow
def test_exactly_16_cdnow_customers_become_inactive_at_the_boundary_itself(cdnow_by_customer: "Said") -> None:
    assert cdnow_by_customer.moves_at(CDNOW_END, LIFECYCLE)["inactive"] == 16


def active_in(said: "Said") -> int:
    """Return how many are new or repeat."""
    return sum(said.result.sizes.get((LIFECYCLE, segment), 0) for segment in ("new", "repeat"))


def rules(currency: str, window: timedelta | None, inactive_after: timedelta = NINETY_DAYS) -> Rulebook:
    """Return rules without band and dwell."""
    return Rulebook(
        currency=currency,
        lifecycle=LifecycleRule(inactive_after=inactive_after // MICROSECOND),
        value=ValueRule(
            window=None if window is None else window // MICROSECOND, band=Decimal(0), dwell=0, min_ranked=1
        ),
        dedupe_horizon=400 * DAY,
    )


def differences(
    profiles: Mapping[str, Profile], states: Mapping[str, State]
) -> dict[str, tuple[tuple[object, ...] | None, tuple[object, ...] | None]]:
    """Return, by customer, what we say and what the raw file says, where that is not the same."""
    ours = {customer: _of_profile(profile) for customer, profile in profiles.items()}
    theirs = {customer: _of_state(state) for customer, state in states.items()}
    return {c: (ours.get(c), theirs.get(c)) for c in ours.keys() | theirs if ours.get(c) != theirs.get(c)}


def _of_profile(profile: Profile) -> tuple[object, ...]:
    totals, segment_in = profile.totals, profile.segment_in
    times = totals.first_order_at, totals.last_order_at
    return totals.orders, totals.net, totals.window_net, times, segment_in(LIFECYCLE), segment_in(VALUE)


def _of_state(state: State) -> tuple[object, ...]:
    moments = (state.first_order_at, state.last_order_at)
    first, last = (None if moment is None else instant_of(moment.replace(tzinfo=UTC)) for moment in moments)
    return state.orders, state.net, state.window_net, (first, last), state.lifecycle, state.value


def sizes_of(profiles: Mapping[str, Profile], dimension: str) -> Counter[str | None]:
    """Return how many customers stand in each segment."""
    return Counter(profile.segment_in(dimension) for profile in profiles.values())


class Said:
    """What `simulate` would have published."""

    def __init__(self, result: SimulationResult, changes: Path, memberships: Path) -> None:
        self.result = result
        self.changes = [json.loads(line) for line in changes.read_text().splitlines()]
        self.memberships = [json.loads(line) for line in memberships.read_text().splitlines()]

    def differences(self, states: Mapping[str, State]) -> dict[str, tuple[object, object]]:
        """Return, by customer, the segments of the last membership and those of the raw file, where they differ."""
        ours = {m["customer_id"]: (m["segments"].get(LIFECYCLE), m["segments"].get(VALUE)) for m in self.memberships}
        theirs = {customer: (state.lifecycle, state.value) for customer, state in states.items()}
        return {c: (ours.get(c), theirs.get(c)) for c in ours.keys() | theirs if ours.get(c) != theirs.get(c)}

    def moves(self, dimension: str) -> list[tuple[str, dict[str, Any]]]:
        """Return (when, change) of every move in a dimension."""
        return [(s["effective_at"], c) for s in self.changes for c in s["changes"] if c["dimension"] == dimension]

    def first_orders_by_month(self) -> list[int]:
        """Return how many became `new` who had bought nothing before, by month."""
        first = Counter(
            at[:7] for at, c in self.moves(LIFECYCLE) if c["before"] in (None, "prospect") and c["after"] == "new"
        )
        return [first[month] for month in sorted(first)]

    def moves_at(self, moment: datetime, dimension: str) -> Counter[str]:
        """Return how many moved at this very instant, by where to."""
        return Counter(c["after"] for at, c in self.moves(dimension) if at == f"{moment.isoformat()}.000Z")


def simulated(tmp_path: Path, events: list[JsonEvent], until: datetime, *, currency: str) -> Said:
    """Run `simulate` over these events: 90 days, all history, neither band nor dwell."""
    rulebook, changes, memberships = (tmp_path / name for name in ("rules.yaml", "changes.jsonl", "members.jsonl"))
    rulebook.write_text(RULEBOOK.format(currency=currency, inactive_after="90d", window="all"))
    options = SimulationOptions(
        events=str(write_jsonl(tmp_path / "events.jsonl.gz", events)),
        rulebook=rulebook,
        until=instant_of(until.replace(tzinfo=UTC)),
        changes=str(changes),
        memberships=str(memberships),
    )
    return Said(simulate(options, Settings(), lambda done, of: None), changes, memberships)
