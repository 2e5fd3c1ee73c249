from collections.abc import Iterator
from pathlib import Path

from segmenter.adapters.rulebook_file import check_file
from segmenter.domain.conditions import (
    Activity,
    Age,
    Anniversary,
    Announce,
    Comparison,
    Condition,
    DateIn,
    Exists,
    HasAttribute,
    InDimension,
    Measure,
    Measured,
    Number,
    OneOf,
    State,
    leaves_of,
)
from segmenter.domain.instants import DAY

EXAMPLE = Path(__file__).parents[2] / "examples" / "rulebooks" / "segments.yaml"
CHECKED = check_file(EXAMPLE, 400 * DAY)


def all_leaves() -> Iterator[Condition]:
    for definition in CHECKED.rulebook.segments:
        yield from leaves_of(definition.when)
        yield from leaves_of(definition.leave_when or definition.when)


def test_the_example_has_nothing_to_warn_of() -> None:
    assert CHECKED.warnings == ()


def test_the_example_shows_every_leaf() -> None:
    kinds = {type(leaf).__name__ for leaf in all_leaves()}

    assert kinds == {"Measured", "InDimension", "Absent", "Sequence", "HasAttribute", "InSegment"}


def test_the_example_shows_every_measure_and_every_comparison() -> None:
    measured = [leaf for leaf in all_leaves() if isinstance(leaf, Measured)]

    assert {leaf.measure for leaf in measured} == set(Measure)
    assert {leaf.bound.comparison for leaf in measured} == set(Comparison)


def test_the_example_shows_every_test_of_an_attribute() -> None:
    tests = {type(leaf.test) for leaf in all_leaves() if isinstance(leaf, HasAttribute)}

    assert tests == {Exists, OneOf, Number, Age, Anniversary, DateIn}


def test_the_example_shows_every_dimension() -> None:
    dimensions = {leaf.dimension for leaf in all_leaves() if isinstance(leaf, InDimension)}

    assert dimensions == {"lifecycle", "value", "rfm", "engagement", "interest", "channel", "care", "rhythm"}


def test_the_example_shows_every_state_but_a_paused_one_and_every_announcement() -> None:
    segments = CHECKED.rulebook.segments

    assert {definition.state for definition in segments} == set(State) - {State.PAUSED}
    assert {definition.announce for definition in segments} == set(Announce)


def test_most_kinds_of_absence_are_shown() -> None:
    named = EXAMPLE.read_text()

    assert [activity for activity in Activity if f"absent: {activity}" not in named] == [Activity.CONTACT]
