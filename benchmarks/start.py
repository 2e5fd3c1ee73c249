"""What a start consists of: a worker with a name of its own in the group is killed and started again at once.

Eight events lie in wait, one for each lane, so the end of a start is the change of the last lane in the log.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import LANES, Servers, publish, servers, settings_of
from benchmarks.figures import Figure, Result, expect, quantile
from benchmarks.live import TOPICS, Watch, now
from benchmarks.machine import WORKER_CORE, load_average
from benchmarks.shop import Sent, Shop, customer_id
from segmenter.adapters.home import home_of
from tests.bench.process import Child, free_ports

_STARTS = 7
_TIMEOUT_S = 60.0
_TARGET_S = 3.0
# The log line with which each step ends; the last of several counts.
_STEPS = {
    "begun": "the interpreter",
    "settings_read": "the command and its settings",
    "worker_starting": "importing what a worker needs",
    "worker_started": "rulebook, servers and topics looked at",
    "(Re-)joining group %s": "Faust and the consumer started",
    "Joined group '%s' (generation %s) with member_id %s": "the group answers",
    "Setting newly assigned partitions %s for group %s": "lanes assigned",
    "lane_taken": f"{LANES} lanes taken over",
}
_LAST = "first change of the last lane in the log"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """One start: what each step took, by its name."""

    wall_s: dict[str, float]
    cpu_s: dict[str, float]
    load: float


def run(scale: float) -> Result:
    """Return what each step of a start takes."""
    events = _Source()
    with servers(TOPICS) as at:
        worker = _Process(at)
        # The first start finds empty topics, and files that nobody has read before: it is not counted.
        _started(at, worker, events)
        starts = []
        for _ in range(max(2, round(_STARTS * scale))):
            worker.kill()
            starts.append(_started(at, worker, events))
        worker.kill()
    loads = ", ".join(f"{one.load:.1f}" for one in starts)
    notes = (f"medians of {len(starts)} starts under the same static name; load average {loads}",)
    return Result(figures=tuple(_figures(starts)), notes=notes)


class _Process:
    """A worker with a static name, started again and again."""

    def __init__(self, at: Servers) -> None:
        self._steps = at.directory / "steps.jsonl"
        self._log = at.directory / "start.log"
        self._settings = {**settings_of(at, free_ports(1)[0]), "SEGMENTER_GROUP_INSTANCE_ID": "starter"}
        self._child: Child | None = None

    def start(self) -> None:
        """Start it and do not wait for it."""
        self._steps.unlink(missing_ok=True)
        command = [sys.executable, "-m", "benchmarks.start_process", str(WORKER_CORE), str(self._steps)]
        self._child = Child(command, log=self._log, env=self._settings)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._child is not None:
            self._child.kill()

    def marks(self) -> list[tuple[str, float, float]]:
        """Return its steps so far: name, wall and CPU clock."""
        return [tuple(json.loads(line)) for line in Path(self._steps).read_text().splitlines()]


class _Source:
    """Makes first orders of people whom nobody has seen, one for each lane."""

    def __init__(self) -> None:
        self._shop = Shop(0)
        self._numbers = itertools.count()

    def one_for_each_lane(self) -> list[Sent]:
        """Return them, of this moment."""
        found: dict[int, Sent] = {}
        for customer in map(customer_id, self._numbers):
            found.setdefault(home_of(customer, LANES), self._shop.order(customer, now()))
            if len(found) == LANES:
                break
        return list(found.values())


def _started(at: Servers, worker: _Process, events: _Source) -> _Start:
    """Publish an event for each lane, start the worker, and wait until all of them are answered."""
    publish(at.kafka.bootstrap, events.one_for_each_lane())
    with Watch(at.kafka.bootstrap) as watch:
        began = time.time()
        worker.start()
        seen = watch.wait_for(LANES, _TIMEOUT_S)
        load = load_average()
    first = {change.event_ids[0]: change.at for change in seen if change.lifecycle == (None, "new")}
    expect("first orders that were told", len(first), LANES)
    last = max(first.values()) / 1e6
    marks = {name: (wall, cpu) for name, wall, cpu in worker.marks() if name in _STEPS and wall <= last}
    expect("steps", list(marks), list(_STEPS))
    wall_s, cpu_s = {}, {}
    before = (began, 0.0)
    for name, (wall, cpu) in marks.items():
        wall_s[_STEPS[name]], cpu_s[_STEPS[name]] = wall - before[0], cpu - before[1]
        before = (wall, cpu)
    wall_s[_LAST] = last - before[0]
    return _Start(wall_s=wall_s, cpu_s=cpu_s, load=load)


def _figures(starts: Sequence[_Start]) -> Iterator[Figure]:
    check = f"{LANES} first orders published before each start: {LANES} changes read"
    totals = [sum(one.wall_s.values()) for one in starts]
    cpu = [sum(one.cpu_s.values()) for one in starts]
    yield Figure(
        name="started anew → last lane publishes, wall",
        value=f"{quantile(totals, 0.5):.2f} s",
        target=f"≤ {_TARGET_S:.0f} s",
        check=check,
    )
    yield Figure(name="CPU until all lanes are taken", value=f"{quantile(cpu, 0.5):.2f} s", check=check)
    for step in (*_STEPS.values(), _LAST):
        wall = quantile([one.wall_s[step] for one in starts], 0.5)
        used = [one.cpu_s[step] for one in starts if step in one.cpu_s]
        value = f"{wall:.2f} s" + (f", {quantile(used, 0.5):.2f} s CPU" if used else "")
        yield Figure(name=step, value=value, check="")
