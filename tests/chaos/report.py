"""The table of all runs in `benchmarks/chaos.md`: a row is appended a run, and what it has is not run again."""

import statistics
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.plan import Plan
from tests.chaos.run import Outcome

PAGE = Path(__file__).parents[2] / "benchmarks" / "chaos.md"
_HEAD = """# Chaos

Each row is a run of `make chaos` on real servers: three Kafka brokers, and Redis as a primary with a replica and
three Sentinels (`sentinel`) or as a cluster of three primaries (`cluster`). Two to four workers, session time-out of
6 s, under a steady load of orders, refunds, clicks and re-keyed events, with deadlines in between. Both outputs are
read as a consumer with default settings does and held to the oracle. `exact`: nothing lost, doubled or out of order,
and the end is equal. After each fault stand the seconds until every lane had published a change again; `load` is the
load average of the machine meanwhile, `static` are workers with names of their own in the group.

| seed | topology | commit | workers | load | events | changes (recovery) | faults, and seconds to recover | verdict |
|---|---|---|---|---|---|---|---|---|
"""


class Report:
    """The table, and what this process added to it."""

    def __init__(self, *, write: bool) -> None:
        self._write = write
        self._commit = _commit()
        self._outcomes: list[Outcome] = []

    @property
    def failed(self) -> bool:
        """Whether any run of this process broke a promise."""
        return any(outcome.fault for outcome in self._outcomes)

    def has(self, plan: Plan) -> bool:
        """Tell whether the table has this run, of this commit."""
        return (
            self._write
            and PAGE.exists()
            and f"| {plan.seed} | {plan.topology} | {self._commit} |" in PAGE.read_text()
        )

    def add(self, outcome: Outcome) -> None:
        """Print a run, and append it to the table."""
        row = self._row(outcome)
        print(f"{row} {outcome.lasted_s:.0f} s", flush=True)
        if outcome.fault:
            print(outcome.fault[:3_000], flush=True)
        if self._write:
            if not PAGE.exists():
                PAGE.write_text(_HEAD)
            with PAGE.open("a") as page:
                page.write(f"{row}\n")

    def summary(self) -> str:
        """Return p50 and p95 of recovery by fault, of the runs of this process."""
        seconds: dict[str, list[float]] = defaultdict(list)
        for outcome in self._outcomes:
            for struck in outcome.struck:
                seconds[struck.name].append(struck.recovery_s)
        lines = [f"{'fault':<28} {'runs':>5} {'p50 s':>7} {'p95 s':>7}"]
        lines += [
            f"{n:<28} {len(s):>5} {quantile(s, 0.5):>7.1f} {quantile(s, 0.95):>7.1f}"
            for n, s in sorted(seconds.items())
        ]
        exact = sum(not outcome.fault for outcome in self._outcomes)
        return "\n".join([*lines, f"{exact} of {len(self._outcomes)} runs exact"])

    def _row(self, outcome: Outcome) -> str:
        plan = outcome.plan
        struck = ", ".join(f"{s.name} {s.recovery_s:.1f}" for s in outcome.struck) or ", ".join(
            fault.name for fault in plan.faults
        )
        verdict = f"BROKEN: {outcome.fault.splitlines()[0][:100]}".replace("|", "/") if outcome.fault else "exact"
        self._outcomes.append(outcome)
        cells = (
            plan.seed,
            plan.topology,
            self._commit,
            "static" if plan.is_static else "dynamic",
            f"{outcome.load_average:.0f}",
            outcome.events,
            f"{outcome.changes} ({outcome.corrections})",
            struck,
            verdict,
        )
        return "| " + " | ".join(map(str, cells)) + " |"


def quantile(values: Sequence[float], share: float) -> float:
    """Return the least value that this share of all does not exceed."""
    if len(values) == 1:
        return values[0]
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[round(share * 100) - 1]


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PAGE.parent, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"
