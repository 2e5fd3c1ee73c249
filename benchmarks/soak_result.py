"""What a soak came to: how steep each line is in the second half, the lines, and the numbers behind them."""

import csv
import io
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import combinations
from typing import TypeVar

from benchmarks.figures import Figure, Result
from benchmarks.soak_load import RATE, Load
from benchmarks.soak_plot import Curve, Panel, plot

SAMPLED_EVERY_S = 10.0
PLOT, SAMPLES, MINUTES = "soak.svg", "soak-samples.csv", "soak-minutes.csv"
# What a heap does by itself within half an hour; a leak of 40 bytes an event is 20 MiB an hour.
_FLAT_MIB_PER_HOUR = 10
# Of the median, by which the p99 may rise in an hour.
_FLAT_SHARE_PER_HOUR = 0.1
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How things are at one moment."""

    minute: float
    worker_mib: float
    redis_mib: float
    customers: int
    orders: int
    outbox: int
    cpu_s: float
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """How fast the changes of one minute were, in ms: after their event, and after their deadline."""

    minute: float
    changes: int
    p50: float
    p99: float
    deadlines: int
    deadline_p50: float
    deadline_p99: float
    load: float


def result_of(samples: Sequence[Sample], minutes: Sequence[Minute], load: Load, check: str, missed: int) -> Result:
    """Return figures, plot and numbers."""
    used_s = samples[-1].cpu_s - samples[0].cpu_s
    lasted_s = (samples[-1].minute - samples[0].minute) * 60
    loads = [sample.load for sample in samples]
    notes = (
        f"{RATE} events/s for {samples[-1].minute:.0f} min; the producer was behind its schedule by at most "
        f"{load.latest_ms:.0f} ms; the worker used {used_s / lasted_s:.2f} of a core",
        f"a sample each {SAMPLED_EVERY_S:.0f} s: {len(samples)}, {missed} missed; a slope is the median of those of "
        "all pairs (Theil-Sen), of the second half",
        f"load average {min(loads):.1f} to {max(loads):.1f}, median {statistics.median(loads):.1f}, on 2 cores of "
        "which this needs less than one: the rest is the work of others",
    )
    figures = (*_memory(samples, check), *_latency(minutes))
    files = {PLOT: plot(_panels(samples, minutes)), SAMPLES: _table(samples), MINUTES: _table(minutes)}
    return Result(figures=figures, notes=notes, files=files)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median slope of all pairs of points: what few outliers cannot bend. 0 for less than two."""
    steps = [(y - y0) / (x - x0) for (x0, y0), (x, y) in combinations(points, 2) if x != x0]
    return statistics.median(steps) if steps else 0.0


def _memory(samples: Sequence[Sample], check: str) -> Iterator[Figure]:
    second = _second_half(samples)
    worker = slope([(sample.minute / 60, sample.worker_mib) for sample in second])
    size = f"{second[0].worker_mib:.0f} to {second[-1].worker_mib:.0f} MiB"
    yield _figure(
        f"memory of the worker, slope ({size})", f"{worker:+.1f} MiB/h", f"≤ {_FLAT_MIB_PER_HOUR} MiB/h", check
    )
    for name, half in (("first", samples[: len(samples) // 2]), ("second", second)):
        grown = (half[-1].redis_mib - half[0].redis_mib) * 2**20
        kept = half[-1].orders - half[0].orders
        size = f"{half[0].redis_mib:.0f} to {half[-1].redis_mib:.0f} MiB, {half[-1].customers:,} customers"
        yield _figure(f"Redis, growth an order in the {name} half ({size})", f"{grown / max(1, kept):.0f} B")
    deepest = max(sample.outbox for sample in samples)
    at_end = statistics.median(sample.outbox for sample in second)
    yield _figure("records in the outboxes, most at a sample", f"{deepest:,}")
    yield _figure("records in the outboxes, median of the second half", f"{at_end:,.0f}")


def _latency(minutes: Sequence[Minute]) -> Iterator[Figure]:
    second = _second_half(minutes)
    changes, deadlines = sum(one.changes for one in minutes), sum(one.deadlines for one in minutes)
    for name, count in (("p50", changes), ("p99", changes), ("deadline_p50", deadlines), ("deadline_p99", deadlines)):
        values = [(one.minute / 60, float(getattr(one, name))) for one in second]
        typical, rise = statistics.median(value for _, value in values), slope(values)
        what = "deadline + lateness" if name.startswith("deadline") else "event"
        percentile, check = name.rpartition("_")[2], f"{count:,} changes"
        yield _figure(
            f"{what} → change, {percentile} of a minute, median of the second half", f"{typical:.0f} ms", "", check
        )
        flat = f"≤ {_FLAT_SHARE_PER_HOUR * typical:+.0f} ms/h"
        yield _figure(f"{what} → change, {percentile}, slope of the second half", f"{rise:+.0f} ms/h", flat, check)


def _figure(name: str, value: str, target: str = "", check: str = "") -> Figure:
    return Figure(name=name, value=value, target=target, check=check)


def _panels(samples: Sequence[Sample], minutes: Sequence[Minute]) -> list[Panel]:
    def over(found: Sequence[Sample] | Sequence[Minute], name: str) -> list[tuple[float, float]]:
        return [(one.minute, float(getattr(one, name))) for one in found]

    return [
        Panel("Memory of the worker, MiB", [Curve("resident", over(samples, "worker_mib"))]),
        Panel("Redis, used memory, MiB", [Curve("used", over(samples, "redis_mib"))]),
        Panel("From event to change, ms", [Curve("p50", over(minutes, "p50")), Curve("p99", over(minutes, "p99"))]),
        Panel(
            "From deadline + lateness to change, ms",
            [Curve("p50", over(minutes, "deadline_p50")), Curve("p99", over(minutes, "deadline_p99"))],
        ),
        Panel("Load average of the machine", [Curve("1 min", over(samples, "load"))]),
    ]


def _second_half(found: Sequence[_T]) -> Sequence[_T]:
    return found[len(found) // 2 :]


def _table(found: Sequence[Sample] | Sequence[Minute]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(found[0]))
    writer.writerows(
        [f"{value:.3f}" if isinstance(value, float) else value for value in astuple(one)] for one in found
    )
    return text.getvalue()
