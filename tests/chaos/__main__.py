"""Chaos on real servers: `python -m tests.chaos --runs 5 --first 0 --topology both`."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.chaos.plan import Plan, plan_of, plan_with
from tests.chaos.report import Report
from tests.chaos.run import play
from tests.chaos.servers import Servers, Topology


def main() -> None:
    arguments = _arguments()
    topologies = list(Topology) if arguments.topology == "both" else [Topology(arguments.topology)]
    report = Report(write=not arguments.dry)
    for topology in topologies:
        seeds = range(arguments.first, arguments.first + arguments.runs)
        plans = [_plan(arguments.faults, seed, topology) for seed in seeds]
        plans = [plan for plan in plans if arguments.again or not report.has(plan)]
        if plans:
            with Servers(topology) as servers:
                for plan in plans:
                    _run(servers, plan, report)
    print(report.summary())
    raise SystemExit(1 if report.failed else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="runs a topology")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--topology", choices=[*Topology, "both"], default="both")
    parser.add_argument("--faults", help="faults by name, separated by commas, instead of those of the seed")
    parser.add_argument("--again", action="store_true", help="run seeds that are in the table for this commit too")
    parser.add_argument("--dry", action="store_true", help="leave the table alone")
    return parser.parse_args()


def _plan(faults: str | None, seed: int, topology: Topology) -> Plan:
    return plan_with(faults.split(","), seed, topology) if faults else plan_of(seed, topology)


def _run(servers: Servers, plan: Plan, report: Report) -> None:
    directory = Path(tempfile.mkdtemp(prefix=f"segmenter-chaos-{plan.topology}-{plan.seed}-"))
    outcome = asyncio.run(play(servers, plan, directory))
    report.add(outcome)
    if outcome.fault:
        print(f"what is left of it: {directory}")


if __name__ == "__main__":
    main()
