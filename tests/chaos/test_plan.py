import pytest

from tests.chaos.faults import BY_TOPOLOGY, EVERYWHERE, STATIC
from tests.chaos.plan import plan_of
from tests.chaos.recovery import longest_pause_s, recovery_s
from tests.chaos.report import seconds_by_fault
from tests.chaos.servers import Topology


@pytest.mark.parametrize("topology", list(Topology))
def test_sixty_seeds_bring_every_fault_more_than_once(topology: Topology) -> None:
    plans = [plan_of(seed, topology) for seed in range(60)]
    drawn = [fault.name for plan in plans for fault in plan.faults]

    assert plans == [plan_of(seed, topology) for seed in range(60)]
    for fault in (*EVERYWHERE, *STATIC, *BY_TOPOLOGY[topology]):
        assert drawn.count(fault.name) >= 4, fault.name


def test_recovery_ends_with_the_last_lane_that_speaks_again() -> None:
    steady = [at / 10 for at in range(300)]
    times = {0: steady, 1: [at for at in steady if not 5.2 < at < 12], 2: [at for at in steady if not 14 < at < 20]}

    assert recovery_s(times, 5.0, 25.0) == pytest.approx(7.0)
    assert longest_pause_s(times, 5.0, 13.0) == pytest.approx(6.8)


def test_a_lane_that_stays_silent_has_not_recovered() -> None:
    assert recovery_s({0: [1.0, 2.0, 3.0]}, 2.5, 20.0) == pytest.approx(17.5)


def test_the_table_tells_how_long_each_fault_took() -> None:
    row = (
        "| 7 | cluster | abc | static | 3 | 10 | 9 (0) | kill -9 static 8.6, scale 1-4-2 12.0, kill -9 3.1 | exact |"
    )

    assert seconds_by_fault(["| seed | x |", row]) == {
        "kill -9 static": [8.6],
        "scale 1-4-2": [12.0],
        "kill -9": [3.1],
    }
