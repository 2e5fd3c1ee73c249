"""Workers and the rulebook in force: adopted at a recorded point, refused where it cannot be read, holds for all."""

from dataclasses import replace
from decimal import Decimal

from segmenter.domain.conditions import Bound, Comparison, Definition, Measure, Measured
from segmenter.domain.holding import StormRule
from segmenter.domain.instants import DAY, SECOND
from segmenter.domain.revision import Revision, digest_of
from segmenter.domain.rulebook import LifecycleRule, Rulebook
from segmenter.domain.windows import Window
from segmenter.engine.intake import LaneCondition
from segmenter.engine.rules import Rules
from segmenter.errors import ConfigurationError
from segmenter.ports import Hold, HoldOrder
from tests.engine.memory_worker import MemoryWorker, Told, World, day, order, terms_of, working

BASE = terms_of().rulebook
VIP = Definition(name="vip", when=Measured(Measure.ORDERS, Bound(Comparison.AT_LEAST, 2)))  # type: ignore[arg-type]
LATELY = Definition(
    name="lately",
    when=Measured(Measure.ORDERS, Bound(Comparison.AT_LEAST, Decimal(1)), Window(2 * DAY)),
)
READABLE = {
    "first": BASE,
    "quick": replace(BASE, lifecycle=LifecycleRule(inactive_after=5 * DAY)),
    "vip": replace(BASE, segments=(VIP,)),
    "strict": replace(
        BASE,
        segments=(replace(VIP, when=Measured(Measure.ORDERS, Bound(Comparison.AT_LEAST, Decimal(9)))),),
        storm=StormRule(at_least=2),
    ),
}


def read(revision: Revision) -> Rulebook:
    if revision.text not in READABLE:
        raise ConfigurationError([f"revision {revision.number}:1:1: a rule of tomorrow"])
    return READABLE[revision.text]


class Ruled(World):
    """A world in which rulebooks can be applied."""

    async def apply(self, text: str, *, is_announced: bool = False) -> None:
        number = (await self.store.rulebooks.active() or 1) + 1
        revision = Revision(number=number, text=text, at=0, is_announced=is_announced)
        before = Revision(number=1, text="first", at=0)
        assert await self.store.rulebooks.activate(revision, before)

    def rules(self, digest: str = "") -> Rules:
        return Rules(self.store.rulebooks, self.store.holds, read, digest)

    async def order(self, dimension: str, hold: Hold) -> None:
        await self.store.holds.order(HoldOrder(dimension=dimension, hold=hold, number=0, at=0))


def world(partitions: int = 1) -> Ruled:
    made = Ruled(terms=terms_of(partitions=partitions))
    made.clock.at = day(1)
    return made


def befores(told: Told) -> list[tuple[str, str | None]]:
    """Return the dimensions of a set with what they were before."""
    return [(change["dimension"], change["before"]) for change in told["changes"]]


async def look(worker: MemoryWorker) -> None:
    """Do what the caretaker does once a second."""
    await worker.engine._caretaker._watch_rules()


def buys(made: Ruled, customers: int, orders: int, at: float) -> None:
    for number in range(customers):
        for turn in range(orders):
            made.broker.write(("orders", 0), order(f"c-{number}", day(at) + turn, order_id=f"o-{number}-{at}-{turn}"))


async def test_a_lane_adopts_what_is_in_force_and_its_changes_say_so() -> None:
    made = world()
    made.workshop_rules = made.rules()
    async with working(made) as worker:
        buys(made, 2, 1, 0.5)
        await worker.read()
        await made.apply("quick")
        await look(worker)
        await worker.read()
        made.clock.at = day(20)
        for _ in range(3):
            await worker.read()

    assert {told["rulebook_revision"] for told in made.told()[:2]} == {1}
    late = made.told()[2:]
    assert [told["rulebook_revision"] for told in late] == [2, 2]
    assert {change["after"] for told in late for change in told["changes"]} == {"inactive"}
    assert made.count("segmenter_rulebook_revision", partition="0") in (2, 0)


async def test_who_takes_the_lane_over_goes_on_by_its_revision_and_walk() -> None:
    made = world()
    made.workshop_rules = made.rules()
    async with working(made) as worker:
        buys(made, 3, 2, 0.5)
        await worker.read()
        await made.apply("vip")
        await look(worker)
        await worker.lane().adopt_rules(made.workshop_rules.offer)  # type: ignore[arg-type]

    made.workshop_rules = made.rules()
    async with working(made) as worker:
        assert worker.lane().rulebook.revision == 2
        await worker.read()
        assert worker.lane().state.notes.walk is None
        assert worker.lane().state.sizes["custom.vip", "in"] == 3


async def test_a_revision_that_cannot_be_read_holds_the_lane_until_it_can() -> None:
    made = world()
    made.workshop_rules = made.rules()
    async with working(made) as worker:
        buys(made, 1, 1, 0.5)
        await worker.read()
        await made.apply("of tomorrow")
        await look(worker)
        buys(made, 2, 1, 0.6)
        await worker.read()

        assert len(made.told()) == 1
        assert worker.engine.intake() == {}
        assert worker.holder().condition is LaneCondition.PAUSED
        assert worker.engine.status().reasons[0] == (
            "revision 2 of the rulebook cannot be read by this release: revision 2:1:1: a rule of tomorrow"
        )

        await made.apply("vip")
        await look(worker)
        await worker.read()
        assert worker.holder().condition is LaneCondition.RUNNING
        assert worker.lane().rulebook.revision == 3
        assert {told["customer_id"] for told in made.told()} == {"c-0", "c-1"}


async def test_a_file_that_differs_from_what_was_applied_is_said_loudly() -> None:
    made = world()
    made.workshop_rules = made.rules(digest_of("my file"))
    await made.apply("vip")
    async with working(made) as worker:
        await look(worker)

        assert "differs from revision 2" in worker.engine.status().rules_warning


async def test_a_file_that_is_what_was_applied_is_no_cause_for_words() -> None:
    made = world()
    made.workshop_rules = made.rules(digest_of("vip"))
    await made.apply("vip")
    async with working(made) as worker:
        await look(worker)

        assert worker.engine.status().rules_warning == ""


async def test_a_storm_in_one_lane_is_an_order_for_all() -> None:
    made = world()
    made.workshop_rules = made.rules()
    await made.apply("vip")
    async with working(made) as worker:
        await look(worker)
        buys(made, 20, 2, 0.5)
        await worker.read()
        await made.apply("strict", is_announced=True)
        await look(worker)
        await worker.read()
        await look(worker)

    orders = await made.store.holds.orders()
    assert orders["custom.vip"].hold is Hold.HELD
    assert orders["custom.vip"].by == "storm breaker"
    left = [t for t in made.told() for c in t["changes"] if c["dimension"] == "custom.vip" and c["after"] == "out"]
    assert len(left) == 5


async def test_a_storm_that_was_released_is_not_held_again_for_the_same_moves() -> None:
    made = world()
    made.workshop_rules = made.rules()
    await made.apply("vip")
    async with working(made) as worker:
        await look(worker)
        buys(made, 20, 2, 0.5)
        await worker.read()
        await made.apply("strict", is_announced=True)
        for _ in range(3):
            await look(worker)
            await worker.read()
        await made.order("custom.vip", Hold.RELEASED)
        for _ in range(3):
            await look(worker)
            await worker.read()

        assert worker.lane().state.notes.held == ()
    left = [
        told["customer_id"]
        for told in made.told()
        for change in told["changes"]
        if change["dimension"] == "custom.vip" and change["after"] == "out"
    ]
    assert sorted(left) == sorted(f"c-{n}" for n in range(20))


async def test_the_red_button_stops_words_and_not_intake_over_a_restart() -> None:
    made = world()
    made.workshop_rules = made.rules()
    async with working(made) as worker:
        buys(made, 1, 1, 0.5)
        await worker.read()
        await made.order("all", Hold.HELD)
        await look(worker)
        buys(made, 5, 1, 0.6)
        await worker.read()

    made.workshop_rules = made.rules()
    made.clock.at += 10 * SECOND
    async with working(made) as worker:
        await look(worker)
        buys(made, 5, 1, 0.7)
        await worker.read()
        assert len(made.told()) == 1
        assert worker.lane().state.positions["orders/0"] == 11

        await made.order("all", Hold.RELEASED)
        await look(worker)
        await worker.read()
        assert sorted(told["customer_id"] for told in made.told()[1:]) == [f"c-{n}" for n in range(5)]


async def test_moves_of_a_first_backlog_are_no_storm() -> None:
    made = world()
    made.terms = terms_of(rulebook=replace(READABLE["strict"], segments=(LATELY,)), announce_horizon=DAY)
    made.workshop_rules = made.rules()
    made.clock.at = day(20)
    async with working(made) as worker:
        buys(made, 20, 1, 1)
        for _ in range(3):
            await worker.read()

        left = [
            t for t in made.told() for c in t["changes"] if c["dimension"] == "custom.lately" and c["before"] == "in"
        ]
        assert len(left) == 20
        assert all(told["backfill"] for told in left)
        assert worker.lane().state.notes.held == ()
