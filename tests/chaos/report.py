"""The table of all runs in `benchmarks/chaos.md`: a row is appended a run, and what it has is not run again."""

import re
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.chaos.plan import Plan
from tests.chaos.run import Outcome

PAGE = Path(__file__).parents[2] / "benchmarks" / "chaos.md"
_CELLS = 9
_STRUCK = re.compile(r"(\S[^,]*?) (\d+\.\d)(?:, |$)")
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
        self._rows: list[str] = []
        self.failed = False
        """Whether any run of this process broke a promise."""

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
        self._rows.append(row)
        self.failed = self.failed or bool(outcome.fault)
        print(f"{row} {outcome.lasted_s:.0f} s", flush=True)
        if outcome.fault:
            print(outcome.fault[:3_000], flush=True)
        if self._write:
            if not PAGE.exists():
                PAGE.write_text(_HEAD)
            with PAGE.open("a") as page:
                page.write(f"{row}\n")

    def summary(self) -> str:
        """Return p50 and p95 of recovery by fault, of all runs in the table; dry, of this process."""
        rows = PAGE.read_text().splitlines() if self._write and PAGE.exists() else self._rows
        lines = [f"{'fault':<28} {'runs':>5} {'p50 s':>7} {'p95 s':>7}"]
        for name, taken in sorted(seconds_by_fault(rows).items()):
            p50, p95 = quantile(taken, 0.5), quantile(taken, 0.95)
            lines.append(f"{name:<28} {len(taken):>5} {p50:>7.1f} {p95:>7.1f}")
        verdicts = [row.split(" | ")[-1] for row in rows if row.startswith("| ") and not row.startswith("| seed")]
        return "\n".join([*lines, f"{verdicts.count('exact |')} of {len(verdicts)} runs exact"])

    def _row(self, outcome: Outcome) -> str:
        plan = outcome.plan
        struck = ", ".join(f"{s.name} {s.recovery_s:.1f}" for s in outcome.struck) or ", ".join(
            fault.name for fault in plan.faults
        )
        verdict = f"BROKEN: {outcome.fault.splitlines()[0][:100]}".replace("|", "/") if outcome.fault else "exact"
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


def seconds_by_fault(rows: Iterable[str]) -> dict[str, list[float]]:
    """Return the seconds to recover that rows of the table tell, by fault."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        cells = row.split(" | ")
        if len(cells) == _CELLS:
            for name, taken in _STRUCK.findall(cells[-2]):
                seconds[name].append(float(taken))
    return seconds


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
