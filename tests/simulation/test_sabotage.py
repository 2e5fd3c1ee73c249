"""Every guard whose loss a world has noticed is taken away again in that world, which must notice again."""

import json

import pytest

from tests.simulation.guards import COVERED, GUARDS
from tests.simulation.sabotage import FOUND, OPEN, without

_FOUND: dict[str, int] = json.loads(FOUND.read_text())


@pytest.mark.parametrize("guard", sorted(_FOUND))
def test_the_world_that_noticed_a_missing_guard_notices_it_again(guard: str) -> None:
    outcome = without(guard, _FOUND[guard])

    assert not outcome.is_good


def test_every_guard_is_noticed_or_known_to_be_open() -> None:
    assert GUARDS.keys() == _FOUND.keys() | OPEN.keys()
    assert not _FOUND.keys() & OPEN.keys()


def test_what_is_covered_by_another_guard_is_noticed_where_both_are_missing() -> None:
    assert set(COVERED.values()) <= _FOUND.keys()
    assert not COVERED.keys() & GUARDS.keys()
