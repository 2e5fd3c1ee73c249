"""Making a failing world small: what can be left out without its succeeding is left out."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tests.simulation.acts import Plan, Planned, Write
from tests.simulation.run import run
from tests.simulation.shop import Fate

LONGEST_S = 60.0


def shrunk(plan: Plan, fails: Callable[[Plan], bool] | None = None, longest_s: float = LONGEST_S) -> Plan:
    """Return the least plan found that still fails: fewer faults, fewer records, fewer workers, a better network.

    Halves, quarters, eighths … of what is left are left out in turn, for at most `longest_s` of real time.
    """
    still_fails = fails or _fails_alike(plan)
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


def _fails_alike(plan: Plan) -> Callable[[Plan], bool]:
    """Return what tells whether a smaller world fails as this one does: another fault is another story."""
    kinds = {_kind(violation) for violation in run(plan).violations}
    return lambda candidate: bool(kinds & {_kind(violation) for violation in run(candidate).violations})


def _kind(violation: str) -> str:
    """Return what a violation is about, without numbers and names."""
    return re.sub(r"\d+|\[.*|'.*", "", violation)[:60]


def _consistent(acts: Sequence[Planned]) -> tuple[Planned, ...]:
    """Leave out the repeats of what was left out."""
    known = {item.act.record.value for item in acts if _has_fate(item, Fate.KNOWN)}
    return tuple(i for i in acts if not (_has_fate(i, Fate.REPEAT) and i.act.record.value not in known))


def _has_fate(item: Planned, fate: Fate) -> bool:
    return isinstance(item.act, Write) and item.act.record.fate is fate


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
        candidate = replace(plan, acts=_consistent(left))
        if fails(candidate):
            plan = candidate
        else:
            start += size
    return plan
