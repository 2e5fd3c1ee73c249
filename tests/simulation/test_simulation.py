"""Worlds that are played in every run: the same ones each time, those of the day, and those that once failed.

`make simulation SEEDS=2000 FIRST=0` plays more.
"""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.acts import Kill, Plan, Planned, Write
from tests.simulation.plan import plan_of
from tests.simulation.run import run
from tests.simulation.shrink import described, shrunk

ROOT = Path(__file__).parents[2]
SAME = range(6)
OF_THE_DAY = 4
# 182: a mark that came late dropped pages while a takeover was reading them, and the lane stopped for good.
ONCE_FAILED: Sequence[int] = (182,)
_SHOWN = """
import json, sys
from tests.simulation.plan import plan_of
from tests.simulation.run import run
outcomes = [run(plan_of(int(seed))) for seed in sys.argv[1:]]
print(json.dumps([[o.digest, o.steps, o.seconds, o.violations] for o in outcomes]))
"""


def of_the_day() -> list[int]:
    """Return other seeds each day, far from those that are played anyway."""
    first = 1_000_000 + dt.datetime.now(dt.UTC).date().toordinal() % 10_000 * OF_THE_DAY
    return list(range(first, first + OF_THE_DAY))


@pytest.mark.parametrize("seed", [*SAME, *ONCE_FAILED, *of_the_day()])
def test_whatever_befalls_a_world_everything_holds_at_rest(seed: int) -> None:
    outcome = run(plan_of(seed))

    assert outcome.violations == (), f"again: make simulation SEEDS=1 FIRST={seed}"


def test_a_run_is_a_function_of_its_seed() -> None:
    seeds = ["8", "15", "34"]

    one, other = (_in_a_process_of_its_own(seeds, hash_seed) for hash_seed in ("1", "4711"))

    assert one == other
    assert len({digest for digest, *_ in one}) == len(seeds)


def _in_a_process_of_its_own(seeds: Sequence[str], hash_seed: str) -> list[list[object]]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", _SHOWN, *seeds]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    shown: list[list[object]] = json.loads(ended.stdout)
    return shown


def test_a_failing_world_is_shrunk_to_what_makes_it_fail() -> None:
    plan = plan_of(1)
    culprit = next(item for item in plan.acts if isinstance(item.act, Write))
    guilty = Planned(9.5, Kill(0, 1.0))
    plan = replace(plan, acts=(*plan.acts, guilty))

    def fails(candidate: Plan) -> bool:
        return culprit in candidate.acts and guilty in candidate.acts

    least = shrunk(plan, fails)

    assert set(least.acts) == {culprit, guilty}
    assert (least.workers, least.rate) == (1, 0.0)
    assert len(list(described(least))) == 3
