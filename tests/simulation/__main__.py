"""`make simulation SEEDS=n FIRST=k`: plays worlds on all cores and says what did not hold."""

import argparse
import multiprocessing
import os
import sys
import time

from tests.simulation.plan import plan_of
from tests.simulation.run import Outcome, run
from tests.simulation.shrink import described, shrunk


def main() -> int:
    """Play the worlds that the command line names; the exit code is 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds are played")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--trace", action="store_true", help="show all that the servers did (for one seed)")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    if asked.trace:
        return _show(seeds[0])
    began, bad = time.monotonic(), 0
    with multiprocessing.Pool(asked.processes) as pool:
        for done, outcome in enumerate(pool.imap_unordered(_play, seeds, chunksize=4), start=1):
            if not outcome.is_good:
                bad += 1
                _tell(outcome)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{done}/{len(seeds)} worlds, {bad} with violations")
    seconds = time.monotonic() - began
    print(f"\n{len(seeds)} worlds in {seconds:.0f} s ({seconds / len(seeds):.2f} s each): {bad} with violations")
    return 1 if bad else 0


def _play(seed: int) -> Outcome:
    return run(plan_of(seed))


def _tell(outcome: Outcome) -> None:
    """Say what was violated, the command that shows it again, and the least world in which it is."""
    print(f"\nseed {outcome.seed}: {len(outcome.violations)} violations", flush=True)
    for violation in outcome.violations:
        print(f"  {violation}")
    print(f"  again: make simulation SEEDS=1 FIRST={outcome.seed}")
    least = shrunk(plan_of(outcome.seed))
    print(f"  shrunk to {len(least.acts)} of {len(plan_of(outcome.seed).acts)} acts:")
    for line in described(least):
        print(f"    {line}")
    for violation in run(least).violations[:3]:
        print(f"  there: {violation}", flush=True)


def _show(seed: int) -> int:
    lines: list[str] = []
    outcome = run(plan_of(seed), trace=lines)
    print("".join(lines), end="")
    _tell_short(outcome)
    return 0 if outcome.is_good else 1


def _tell_short(outcome: Outcome) -> None:
    print(f"{outcome.steps} steps, {outcome.seconds:.0f} s, digest {outcome.digest}")
    for violation in outcome.violations:
        print(violation)


if __name__ == "__main__":
    sys.exit(main())
