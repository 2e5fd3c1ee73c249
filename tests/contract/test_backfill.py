"""An applied rulebook over stored customers, on every store: none missed, none doubled, whatever comes between."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.records import JsonEncoder
from segmenter.domain.conditions import Bound, Comparison, Definition, InSegment, Measure, Measured, State
from segmenter.domain.holding import StormRule
from segmenter.domain.instants import DAY, MILLISECOND, Instant
from segmenter.domain.profile import WAITING, Profile
from segmenter.domain.rulebook import CountsFrom, LifecycleRule, Rulebook, ValueRule
from segmenter.domain.standing import standing_at
from segmenter.domain.value import Boundary, Marks
from segmenter.engine.lane import Lane, Services
from segmenter.engine.orders import Offer
from segmenter.engine.reading import Reading
from segmenter.engine.terms import Terms
from segmenter.observability import Metrics
from segmenter.ports import Decoded, Hold, HoldOrder, OutboxPage, Output, Refused, Token
from tests.contract.stores import PARTITIONS, Stores
from tests.engine.lane_bench import Line, order

START: Instant = 1_767_225_600_000_000
SILENT_RULES = ValueRule(window=None, dwell=0, min_ranked=1)
BUYERS = 60
BITE = 10
DECODER = JsonDecoder()


def at_least(orders: int) -> Measured:
    return Measured(Measure.ORDERS, Bound(Comparison.AT_LEAST, Decimal(orders)))


def rules(*segments: Definition, **changed: object) -> Rulebook:
    given = {"value": SILENT_RULES, "storm": StormRule(leave_share=Decimal(1))}
    return Rulebook(segments=segments, **(given | changed))  # type: ignore[arg-type]


VIP = Definition(name="vip", when=at_least(2))
STRICT = replace(VIP, when=at_least(3))


@dataclass
class Work:
    """The owner of lane 0, who can be killed, and everything he has said."""

    stores: Stores
    rulebook: Rulebook
    told: list[dict[str, object]] = field(default_factory=list)
    members: dict[str, dict[str, object]] = field(default_factory=dict)
    owners: int = 0
    offset: int = 0
    at: Instant = START
    on_membership: Callable[[str], None] = lambda customer: None

    async def take(self) -> None:
        """Let another worker take the lane; what the one before had in hand is lost."""
        self.owners += 1
        token = Token(self.owners, f"owner-{self.owners}")
        terms = Terms(
            rulebook=self.rulebook,
            partitions=PARTITIONS,
            announce_from=0,
            announce_horizon=10_000 * DAY,
            walk_per_commit=BITE,
        )
        services = Services(store=self.stores.lanes, encoder=JsonEncoder(), recorder=Metrics())
        state = await self.stores.lanes.acquire(0, token, PARTITIONS)
        assert not isinstance(state, Refused)
        self.lane = Lane(state, token, terms, services, self._publish, self.rulebook)

    def _publish(self, pages: Sequence[OutboxPage]) -> None:
        for page in pages:
            for entry in page.entries:
                value = json.loads(entry.value or b"")
                if entry.output is Output.CHANGES:
                    self.told.append(value)
                elif entry.output is Output.MEMBERSHIPS:
                    self.members[value["customer_id"]] = value
                    self.on_membership(value["customer_id"])

    async def read(self, *events: dict[str, object], to: Instant | None = None) -> None:
        """Work off these events in one commit, and let time come to `to`."""
        arrivals = []
        for event in events:
            line = Line("orders", 0, self.offset, self.at // MILLISECOND, json.dumps(event).encode())
            decoded = DECODER.decode(line)
            assert isinstance(decoded, Decoded), decoded
            arrivals.append((decoded, line))
            self.offset += 1
        self.at = max(self.at, to or 0)
        positions = {"orders/0": self.offset} if events else {}
        await self.lane.advance(Reading(arrivals=arrivals, positions=positions), self.at, self.at)

    async def adopt(self, rulebook: Rulebook, number: int, *, is_announced: bool = False) -> None:
        self.rulebook = replace(rulebook, revision=number)
        await self.lane.adopt_rules(Offer(self.rulebook, is_announced))

    async def finish(self) -> None:
        """Let the lane work until its walk is done."""
        for _ in range(1_000):
            await self.read()
            if self.lane.state.notes.walk is None and not self.lane.has_more:
                return
        raise AssertionError("the walk does not end")

    async def profiles(self) -> dict[str, Profile]:
        customers = await self.stores.lanes.stored(0, None, 10_000)
        found = await self.stores.lanes.load(0, customers)
        return {profile.customer: profile for profile in found if profile is not None}

    async def check(self) -> None:
        """Every stored profile stands where the rules in force put it, evaluated anew, and is ranked so."""
        boundary = self.lane.state.notes.boundary
        ranked = {c: r for r, c in await self.stores.lanes.ranked(0, 0, 2**60, None, 10_000)}
        for customer, profile in (await self.profiles()).items():
            anew = standing_at(profile.settled_at, profile, self.rulebook, boundary)
            present = {dimension: standing.segment for dimension, standing in profile.present.items()}
            assert present == anew.segments, customer
            assert ranked.get(customer) == profile.ranked_revenue, customer

    async def fill(self, orders_of: int = 3) -> None:
        """Let customers buy: number n buys one to `orders_of` times."""
        await self.take()
        for number in range(BUYERS):
            customer, count = f"c-{number}", number % orders_of + 1
            await self.read(*(order(customer, n, START + n) for n in range(count)), to=START + 10)
        self.told.clear()
        self.members.clear()


@pytest.fixture
def work(stores: Stores) -> Work:
    return Work(stores, rules())


async def test_a_new_segment_is_silent_and_every_membership_is_written(work: Work) -> None:
    await work.fill()

    await work.adopt(rules(VIP), 2)
    await work.finish()

    await work.check()
    assert work.told == []
    assert len(work.members) == BUYERS
    ins = {c for c, m in work.members.items() if m["segments"]["custom.vip"] == "in"}  # type: ignore[index]
    assert ins == {f"c-{n}" for n in range(BUYERS) if n % 3}
    assert work.lane.state.sizes["custom.vip", "in"] == len(ins)
    assert work.lane.state.sizes.get((WAITING, "custom.vip"), 0) == 0


async def test_an_announced_revision_is_told_once_as_backfill_with_its_number(work: Work) -> None:
    await work.fill()

    await work.adopt(rules(VIP), 2, is_announced=True)
    await work.finish()

    assert sorted(str(told["customer_id"]) for told in work.told) == sorted(f"c-{n}" for n in range(BUYERS) if n % 3)
    assert all(told["backfill"] and told["rulebook_revision"] == 2 for told in work.told)
    assert all(told["cause"]["kind"] == "definition" for told in work.told)  # type: ignore[index]


async def test_a_kill_in_the_midst_misses_nobody_and_doubles_nothing(work: Work) -> None:
    await work.fill()
    await work.adopt(rules(VIP), 2, is_announced=True)
    for _ in range(20):
        await work.read()
        await work.take()
        if work.lane.state.notes.walk is None:
            break

    assert work.lane.state.notes.walk is None
    await work.check()
    told = [str(told["customer_id"]) for told in work.told]
    assert len(told) == len(set(told)) == sum(1 for n in range(BUYERS) if n % 3)
    assert work.lane.state.notes.revision == 2


async def test_an_event_that_comes_before_the_walk_tells_only_what_it_moved(work: Work) -> None:
    await work.fill()
    await work.adopt(rules(VIP), 2)

    # All had at most three orders; who had two or three is in already, silently, who had one comes in by the event.
    await work.read(*(order(f"c-{n}", "late", START + 20) for n in range(BUYERS)), to=START + 30)
    await work.finish()

    await work.check()
    moved = {
        str(told["customer_id"])
        for told in work.told
        for change in told["changes"]  # type: ignore[attr-defined]
        if change["dimension"] == "custom.vip"
    }
    assert moved == {f"c-{n}" for n in range(BUYERS) if n % 3 == 0}
    assert all(told["rulebook_revision"] == 2 and not told["backfill"] for told in work.told)


async def test_who_comes_again_and_again_before_the_walk_is_looked_at_once(work: Work) -> None:
    await work.fill()
    written: list[str] = []
    work.on_membership = written.append
    regulars = [f"c-{n}" for n in range(BUYERS) if n % 3 == 2]

    await work.adopt(rules(VIP), 2)
    for turn in range(3):
        # They are in already, so no order of theirs moves them.
        await work.read(*(order(c, f"late-{turn}", START + 20 + turn) for c in regulars), to=START + 30 + turn)
    await work.finish()

    await work.check()
    assert sorted(written) == sorted(f"c-{n}" for n in range(BUYERS))


async def test_time_that_passes_on_the_way_is_played_by_the_new_rules_at_its_own_instants(work: Work) -> None:
    await work.fill()
    await work.adopt(rules(lifecycle=LifecycleRule(inactive_after=5 * DAY)), 2)

    await work.read(to=START + 20 * DAY)
    await work.finish()

    await work.check()
    assert len(work.told) == BUYERS
    assert {told["effective_at"][:10] for told in work.told} == {"2026-01-06"}  # type: ignore[index]


async def test_what_is_overdue_under_new_rules_at_adoption_is_silent(work: Work) -> None:
    await work.fill()
    await work.read(to=START + 20 * DAY)

    await work.adopt(rules(lifecycle=LifecycleRule(inactive_after=5 * DAY)), 2)
    await work.finish()

    await work.check()
    assert work.told == []
    assert work.lane.state.sizes["lifecycle", "inactive"] == BUYERS


async def test_another_window_and_another_fact_that_counts_make_totals_and_ranks_anew(work: Work) -> None:
    await work.fill()
    await work.read(to=START + 20 * DAY)

    await work.adopt(rules(value=replace(SILENT_RULES, window=10 * DAY)), 2)
    await work.finish()
    await work.check()
    assert {p.ranked_revenue for p in (await work.profiles()).values()} == {0}

    await work.adopt(rules(lifecycle=LifecycleRule(counts_from=CountsFrom.PAID)), 3)
    await work.finish()
    await work.check()
    assert work.lane.state.sizes["lifecycle", "prospect"] == BUYERS


async def test_a_membership_names_all_segments_before_and_after_each_edit(work: Work) -> None:
    await work.fill()
    await work.adopt(rules(VIP), 2)
    await work.read()
    # The next edit comes before everybody has a membership that names the first one's segment.
    await work.adopt(rules(VIP, storm=StormRule(at_least=7)), 3)
    await work.finish()
    assert {c for c, m in work.members.items() if "custom.vip" in m["segments"]} == {f"c-{n}" for n in range(BUYERS)}  # type: ignore[operator]

    work.members.clear()
    await work.adopt(rules(STRICT), 4)
    await work.finish()
    assert work.members.keys() == {f"c-{n}" for n in range(BUYERS) if n % 3 == 1}

    await work.adopt(rules(), 5)
    await work.finish()
    assert len(work.members) == BUYERS
    assert all("custom.vip" not in m["segments"] for m in work.members.values())  # type: ignore[operator]
    assert work.told == []


async def test_an_edit_that_is_announced_writes_one_membership_of_each(work: Work) -> None:
    await work.fill()
    written: list[str] = []
    work.on_membership = written.append

    await work.adopt(rules(VIP), 2, is_announced=True)
    await work.finish()

    assert sorted(written) == sorted(f"c-{n}" for n in range(BUYERS))


async def test_a_removed_segment_vanishes_and_a_paused_one_stands_still(work: Work) -> None:
    await work.fill()
    await work.adopt(rules(VIP, replace(VIP, name="both")), 2)
    await work.finish()

    await work.adopt(rules(replace(VIP, state=State.PAUSED)), 3)
    await work.finish()
    await work.read(*(order(f"c-{n}", "more", START + 20) for n in range(BUYERS)), to=START + 30)

    assert [told for told in work.told if "custom" in json.dumps(told["changes"])] == []
    for n in range(BUYERS):
        segments = work.members[f"c-{n}"]["segments"]
        assert segments["custom.vip"] == ("in" if n % 3 else "out")  # type: ignore[index]
        assert "custom.both" not in segments  # type: ignore[operator]


async def test_a_revision_on_the_way_of_another_begins_anew(work: Work) -> None:
    await work.fill()
    await work.adopt(rules(VIP), 2)
    await work.read()

    await work.adopt(rules(STRICT, Definition(name="pair", when=InSegment("vip"))), 3)
    await work.finish()

    await work.check()
    assert work.told == []
    assert work.lane.state.sizes["custom.vip", "in"] == BUYERS // 3


STORMY = StormRule(leave_share=Decimal("0.2"), at_least=4)


async def test_an_edit_that_would_throw_out_half_is_held_and_released_once_each(work: Work) -> None:
    await work.fill()
    await work.adopt(rules(VIP, storm=STORMY), 2)
    await work.finish()

    await work.adopt(rules(STRICT, storm=STORMY), 3, is_announced=True)
    await work.finish()

    leaving = {f"c-{n}" for n in range(BUYERS) if n % 3 == 1}
    told = {str(each["customer_id"]) for each in work.told}
    assert work.lane.state.notes.held == ("custom.vip",)
    assert 0.2 * 40 < len(told) <= 0.2 * 40 + 1
    assert work.lane.state.sizes[WAITING, "custom.vip"] == len(leaving) - len(told)
    await work.check()
    work.told.clear()
    await order_of(work, "custom.vip", Hold.HELD)

    await order_of(work, "custom.vip", Hold.RELEASED)
    await work.finish()

    released = [str(each["customer_id"]) for each in work.told]
    assert sorted(released) == sorted(leaving - told)
    assert all(each["cause"]["kind"] == "manual" for each in work.told)  # type: ignore[index]
    assert work.lane.state.notes.held == ()
    assert (WAITING, "custom.vip") not in {k for k, count in work.lane.state.sizes.items() if count}


async def test_dropped_moves_are_never_told_and_later_ones_are(work: Work) -> None:
    await work.fill()
    await work.adopt(rules(VIP, storm=STORMY), 2)
    await work.finish()
    await work.adopt(rules(STRICT, storm=STORMY), 3, is_announced=True)
    await work.finish()
    work.told.clear()

    await order_of(work, "custom.vip", Hold.DROPPED)
    await work.finish()

    assert work.told == []
    assert all(not p.unannounced for p in (await work.profiles()).values())
    await work.read(order("c-1", "third", START + 40), to=START + 50)
    assert [(c["before"], c["after"]) for t in work.told for c in t["changes"]] == [("out", "in")]  # type: ignore[attr-defined]


async def test_the_red_button_tells_nothing_survives_a_kill_and_ends_with_one_set_each(work: Work) -> None:
    await work.fill()
    await order_of(work, "all", Hold.HELD)
    await work.take()

    for round_ in range(2):
        at = START + 20 + round_
        await work.read(*(order(f"c-{n}", f"x{round_}", at) for n in range(0, BUYERS, 3)), to=START + 30)
    assert work.told == []
    assert len(work.members) == BUYERS // 3

    await order_of(work, "all", Hold.RELEASED)
    await work.finish()

    assert sorted(str(t["customer_id"]) for t in work.told) == sorted(f"c-{n}" for n in range(0, BUYERS, 3))
    assert {(c["before"], c["after"]) for t in work.told for c in t["changes"]} == {("new", "repeat")}  # type: ignore[attr-defined]
    await work.check()


async def test_a_kill_in_the_midst_of_a_release_tells_each_once(work: Work) -> None:
    await work.fill()
    await order_of(work, "all", Hold.HELD)
    await work.read(*(order(f"c-{n}", "x", START + 20) for n in range(0, BUYERS, 3)), to=START + 30)
    await order_of(work, "all", Hold.RELEASED)
    for _ in range(20):
        await work.read()
        await work.take()

    told = [str(each["customer_id"]) for each in work.told]
    assert len(told) == len(set(told)) == BUYERS // 3
    assert work.lane.state.notes.walk is None


async def test_a_boundary_below_its_least_stays_untold_over_release_and_drop(work: Work) -> None:
    await work.fill()
    marks = Marks(a=2_500, a_stay=2_500, b=1_500, b_stay=1_500)
    await work.lane.adopt(Boundary(number=1, marks=marks, ranked=60, total=1, is_announced=False))
    await work.finish()
    await order_of(work, "all", Hold.HELD)

    await order_of(work, "all", Hold.DROPPED)
    await work.finish()

    assert work.told == []
    assert work.lane.state.sizes[WAITING, "value"] == BUYERS


async def order_of(work: Work, dimension: str, hold: Hold) -> None:
    """Give an order and let the lane hear of it."""
    await work.stores.holds.order(HoldOrder(dimension=dimension, hold=hold, number=0, at=work.at))
    await work.lane.obey(await work.stores.holds.orders())
