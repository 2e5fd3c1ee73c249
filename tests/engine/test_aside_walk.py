"""A customer whom our code cannot bear on a walk is put aside alone, and comes under the new rules after a fix."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from segmenter.domain.conditions import Bound, Comparison, Definition, Measure, Measured
from segmenter.domain.holding import StormRule
from segmenter.domain.instants import DAY, Instant
from segmenter.domain.rulebook import LifecycleRule, Rulebook
from segmenter.engine.intake import LaneCondition
from segmenter.engine.orders import Offer
from tests.engine.memory_worker import World, day, order, terms_of, working
from tests.engine.test_aside import FragileEncoder

ORDERS = ("orders", 0)
CUSTOMERS = ("c-0", "c-1", "c-2")
BASE = terms_of().rulebook


def orders_at_least(count: int) -> Definition:
    return Definition(name="vip", when=Measured(Measure.ORDERS, Bound(Comparison.AT_LEAST, Decimal(count))))


VIP = replace(BASE, segments=(orders_at_least(1),), revision=2)
STRICT = replace(BASE, segments=(orders_at_least(9),), storm=StormRule(at_least=2), revision=3)


class Trap(int):
    """A span of silence that cannot be added to these instants: a fault in our code that few customers meet."""

    trapped: set[Instant]

    def __radd__(self, at: int) -> int:
        if at in self.trapped:
            raise ArithmeticError
        return int(self) + at


@dataclass(kw_only=True)
class FragileWorld(World):
    encoder: FragileEncoder = field(default_factory=FragileEncoder)


def world_of(rulebook: Rulebook) -> FragileWorld:
    made = FragileWorld(terms=terms_of(rulebook=rulebook))
    made.clock.at = day(1)
    for number, customer in enumerate(CUSTOMERS):
        made.broker.write(ORDERS, order(customer, day(0) + number), day(0) + number)
    return made


def trapped_rules() -> tuple[Trap, Rulebook]:
    trap = Trap(30 * DAY)
    trap.trapped = set()
    return trap, replace(VIP, lifecycle=LifecycleRule(inactive_after=trap))


async def test_a_walk_passes_by_one_whom_our_code_cannot_bear() -> None:
    trap, rules = trapped_rules()
    made = world_of(BASE)
    async with working(made) as worker:
        await worker.read()
        trap.trapped.add(day(0) + 1)
        await worker.lane().adopt_rules(Offer(rules))
        for _ in range(3):
            await worker.read()
        condition, state = worker.holder().condition, worker.lane().state

    assert condition is LaneCondition.RUNNING
    assert state.notes.walk is None
    assert set(state.notes.aside) == {"c-1"}
    assert state.sizes["custom.vip", "in"] == 2


async def test_a_fixed_worker_brings_him_under_the_rules_that_he_has_missed() -> None:
    trap, rules = trapped_rules()
    made = world_of(BASE)
    async with working(made) as worker:
        await worker.read()
        trap.trapped.add(day(0) + 1)
        await worker.lane().adopt_rules(Offer(rules))
        for _ in range(3):
            await worker.read()
    told_before = len(made.told())
    trap.trapped.clear()

    made.terms = terms_of(rulebook=rules)
    made.clock.at = day(2)
    async with working(made) as worker:
        for _ in range(3):
            await worker.read()
        state = worker.lane().state

    assert state.notes.aside == {}
    assert state.sizes["custom.vip", "in"] == 3
    assert len(made.told()) == told_before


async def test_rules_that_our_code_can_bear_bring_him_back_with_what_he_has_missed() -> None:
    trap, rules = trapped_rules()
    made = world_of(replace(rules, revision=1))
    async with working(made) as worker:
        await worker.read()
        trap.trapped.add(day(0) + 1)
        made.clock.at = day(40)
        for _ in range(3):
            await worker.read()
        aside = set(worker.lane().state.notes.aside)
        await worker.lane().adopt_rules(Offer(VIP))
        for _ in range(3):
            await worker.read()
        notes = worker.lane().state.notes

    assert aside == {"c-1"}
    assert notes.aside == {}
    assert [made.lifecycles(customer) for customer in CUSTOMERS] == [["new", "inactive"]] * 3


async def test_a_storm_is_counted_once_where_a_second_try_was_needed() -> None:
    made = world_of(VIP)
    async with working(made) as worker:
        await worker.read()
        made.encoder.unwritable.add("c-0")
        await worker.lane().adopt_rules(Offer(STRICT, is_announced=True))
        for _ in range(3):
            await worker.read()
        notes, storms = worker.lane().state.notes, made.count("segmenter_storms_total", dimension="custom.vip")

    left = [told["customer_id"] for told in made.told() if any(c["after"] == "out" for c in told["changes"])]
    assert set(notes.aside) == {"c-0"}
    assert notes.held == ("custom.vip",)
    assert sorted(left) == ["c-1", "c-2"]
    assert storms == 1
