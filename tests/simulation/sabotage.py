"""`make sabotage`: takes every guard away in turn, and looks for the first world that notices.

What is found is written to `sabotage.json` and replayed in every run of the tests. Where a guard's loss is not
noticed the exit code is 1; `OPEN` lists those that are known.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from functools import partial
from pathlib import Path

from tests.simulation.guards import GUARDS, THEMES
from tests.simulation.plan import plan_of
from tests.simulation.rules import Kind
from tests.simulation.run import Outcome, run

FOUND = Path(__file__).with_name("sabotage.json")
WORLDS = 500
AT_ONCE = 8
# Without its guard a world seldom heals; with it, all that is found is played with full patience.
PATIENCE_S = 30.0
OPEN: dict[str, str] = {
    "engine: only the next generation renews": "who gets by is healed as a fork of outbox and log; 500 worlds",
}
"""Guards whose loss no world has shown yet, and how far it was looked for: not needed, or not tested well enough."""


def main() -> int:
    """Look for all guards, or those named."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.sabotage", description=__doc__)
    parser.add_argument("guards", nargs="*", help="parts of names; all by default")
    parser.add_argument("--worlds", type=int, default=WORLDS)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    names = [name for name in GUARDS if not asked.guards or any(part in name for part in asked.guards)]
    recorded: dict[str, int] = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    missed = []
    with multiprocessing.Pool(asked.processes) as pool:
        for name in names:
            began = time.monotonic()
            outcome = _first(pool, name, asked.worlds)
            recorded.pop(name, None)
            if outcome is not None:
                recorded[name] = outcome.seed
            else:
                missed.append(name)
            _tell(name, outcome, time.monotonic() - began)
            FOUND.write_text(json.dumps(dict(sorted(recorded.items())), indent=2) + "\n")
    print(f"{len(names) - len(missed)} of {len(names)} guards are noticed; not: {missed or 'none'}")
    return 1 if missed else 0


def _first(pool: "multiprocessing.pool.Pool", name: str, worlds: int) -> Outcome | None:
    """Return the first world that notices, and would hold with the guard in place."""
    for first in range(0, worlds, AT_ONCE):
        seeds = [s for s in range(first, min(worlds, first + AT_ONCE)) if _is_worth_playing(name, s)]
        for outcome in pool.map(partial(without, name), seeds, chunksize=1):
            if not outcome.is_good and _holds(name, outcome.seed):
                return outcome
    return None


def _holds(name: str, seed: int) -> bool:
    """Tell whether all is well with the guard in place, given no more time than without it."""
    return run(plan_of(seed, THEMES.get(name)), patience_s=PATIENCE_S).is_good


def _is_worth_playing(name: str, seed: int) -> bool:
    """Leave out worlds in which a guard has nothing to do."""
    kind = plan_of(seed).rules.kind
    if name in THEMES:
        return True
    if name.startswith("recovery"):
        return kind is Kind.REWIND
    return name != "leader: frozen while a lane is behind" or kind is Kind.LOOSE


def without(name: str, seed: int) -> Outcome:
    """Play a world without a guard."""
    return run(plan_of(seed, THEMES.get(name)), GUARDS[name], patience_s=PATIENCE_S)


def _tell(name: str, outcome: Outcome | None, seconds: float) -> None:
    if outcome is None:
        print(f"{name}: unnoticed ({seconds:.0f} s): {OPEN.get(name, 'why?')}", flush=True)
    else:
        print(f"{name}: seed {outcome.seed} ({seconds:.0f} s): {outcome.violations[0][:200]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
