"""Which moves count for a storm: all out of a declared segment; of a dimension only what nobody did himself."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from segmenter.domain.changes import CauseKind, CauseNote, Change, ChangeSet, Traits
from segmenter.domain.holding import StormRule
from segmenter.domain.instants import MINUTE, SECOND, Instant
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.storm import StormWatch

RULES = Rulebook(storm=StormRule(leave_share=Decimal("0.2"), within=10 * MINUTE, at_least=10))
PEERS = CauseNote(kind=CauseKind.PEERS)
TRAITS = Traits(
    orders=1,
    net_revenue="1.00",
    value_revenue="1.00",
    currency="EUR",
    first_order_at=None,
    last_order_at=None,
)


def moved(dimension: str, before: str | None, after: str, cause: CauseNote, at: Instant = 0) -> ChangeSet:
    return ChangeSet(
        customer="c",
        life=1,
        sequence=1,
        changes=(Change(dimension=dimension, before=before, after=after),),
        cause=cause,
        effective_at=at,
        reasons=(),
        traits=TRAITS,
        next_change_at=None,
    )


def stormed_after(watch: StormWatch, moves: list[ChangeSet], sizes: Mapping[tuple[str, str], int]) -> list[int]:
    """Return after how many moves of one commit a storm was seen."""
    return [number for number, move in enumerate(moves, start=1) if watch.look([move], RULES, sizes)]


def test_a_fifth_of_a_class_that_peers_have_moved_is_no_storm_and_one_more_is() -> None:
    falls = [moved("value", "A", "B", PEERS) for _ in range(30)]

    assert stormed_after(StormWatch(1), falls, {("value", "A"): 100}) == list(range(21, 31))


@pytest.mark.parametrize(
    "cause",
    [
        CauseNote(kind=CauseKind.REFUND, type="order.refunded"),
        CauseNote(kind=CauseKind.EVENT, type="order.cancelled"),
        CauseNote(kind=CauseKind.EVENT, type="order.updated"),
        CauseNote(kind=CauseKind.LATE_EVENT, type="order.cancelled"),
        CauseNote(kind=CauseKind.DEFINITION),
    ],
)
def test_facts_taken_back_and_edits_count_in_dimensions(cause: CauseNote) -> None:
    moves = [moved("lifecycle", "repeat", "new", cause) for _ in range(30)]

    assert stormed_after(StormWatch(1), moves, {("lifecycle", "repeat"): 100})


@pytest.mark.parametrize(
    "cause",
    [
        CauseNote(kind=CauseKind.TIME),
        CauseNote(kind=CauseKind.EVENT, type="order.placed"),
        CauseNote(kind=CauseKind.LATE_EVENT, type="order.placed"),
        CauseNote(kind=CauseKind.EVENT, type="click"),
        CauseNote(kind=CauseKind.RECOVERY),
    ],
)
def test_what_customers_do_and_time_brings_counts_in_declared_segments_only(cause: CauseNote) -> None:
    in_dimension = [moved("lifecycle", "repeat", "inactive", cause) for _ in range(100)]
    in_segment = [moved("custom.vip", "in", "out", cause) for _ in range(100)]

    assert not stormed_after(StormWatch(1), in_dimension, {("lifecycle", "repeat"): 100})
    assert stormed_after(StormWatch(1), in_segment, {("custom.vip", "in"): 100})


def test_segments_of_a_dimension_are_counted_apart() -> None:
    moves = [moved("value", "A" if number % 2 else "B", "C", PEERS) for number in range(40)]

    assert not stormed_after(StormWatch(1), moves, {("value", "A"): 100, ("value", "B"): 100})


def test_who_comes_first_sight_leaves_nothing() -> None:
    moves = [moved("value", None, "C", PEERS) for _ in range(100)]

    assert not stormed_after(StormWatch(1), moves, {})


def test_moves_of_longer_ago_than_the_span_are_forgotten() -> None:
    watch = StormWatch(1)
    slow = [moved("value", "A", "B", PEERS, number * 40 * SECOND) for number in range(100)]
    quick = [moved("value", "A", "B", PEERS, 100 * MINUTE + number * 20 * SECOND) for number in range(100)]

    assert not stormed_after(watch, slow, {("value", "A"): 200})
    assert stormed_after(watch.copy(), quick, {("value", "A"): 100})


def test_who_was_let_go_is_counted_anew() -> None:
    watch = StormWatch(1)
    stormed_after(watch, [moved("value", "A", "B", PEERS) for _ in range(30)], {("value", "A"): 100})

    watch.forget("value")

    assert not stormed_after(watch, [moved("value", "A", "B", PEERS) for _ in range(5)], {("value", "A"): 100})
