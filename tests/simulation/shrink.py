"""Making a failing world small: what can be left out without its succeeding is left out."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tests.simulation.plan import Plan, Planned, Write
from tests.simulation.run import run

LONGEST_S = 60.0


def shrunk(plan: Plan, fails: Callable[[Plan], bool] | None = None, longest_s: float = LONGEST_S) -> Plan:
    """Return the least plan found that still fails: fewer faults, fewer records, fewer workers, a better network.

    Halves, quarters, eighths … of what is left are left out in turn, for at most `longest_s` of real time.
    """
    still_fails = fails or (lambda candidate: not run(candidate).is_good)
    latest = time.monotonic() + longest_s
    plan = _simplified(plan, still_fails)
    size = max(1, len(plan.acts) // 2)
    while time.monotonic() < latest:
        smaller = _without_some(plan, size, still_fails, latest)
        if smaller is plan and size == 1:
            break
        if smaller is plan:
            size //= 2
        plan = smaller
        size = max(1, min(size, len(plan.acts) // 2))
    return plan


def described(plan: Plan) -> Iterator[str]:
    """Yield a plan in lines."""
    yield f"{plan.rules.kind} world, {plan.workers} workers, rate {plan.rate}, {plan.rules.terms.rulebook.lifecycle}"
    for item in plan.acts:
        match item.act:
            case Write(record=record):
                yield f"{item.at_s:8.3f} {record.fate} {record.place[0]}/{record.place[1]} {record.value!r}"
            case fault:
                yield f"{item.at_s:8.3f} {fault}"


def _simplified(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Try without bad luck, and with fewer workers."""
    if plan.rate and fails(candidate := replace(plan, rate=0.0)):
        plan = candidate
    for workers in range(1, plan.workers):
        acts = tuple(item for item in plan.acts if getattr(item.act, "slot", 0) < workers)
        if fails(candidate := replace(plan, workers=workers, acts=acts)):
            return candidate
    return plan


def _without_some(plan: Plan, size: int, fails: Callable[[Plan], bool], latest: float) -> Plan:
    """Leave out each stretch of this size that is not needed."""
    start = 0
    while start < len(plan.acts) and time.monotonic() < latest:
        left: Sequence[Planned] = (*plan.acts[:start], *plan.acts[start + size :])
        candidate = replace(plan, acts=tuple(left))
        if fails(candidate):
            plan = candidate
        else:
            start += size
    return plan
