"""What the demo shows at one moment: the values, and their form for scripts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    """How far the demo is."""

    STARTING = "starting"
    LOADING = "loading history"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChange:
    """One customer's move in one dimension, with the sentence that says why."""

    customer: str
    dimension: str
    before: str | None  # None: the customer had no segment there
    after: str | None  # None: the customer has none any more
    reason: str
    cause: str
    latency_ms: float | None = None  # from the event, or the deadline, to the change; None: not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFrame:
    """A snapshot of everything on the screen."""

    phase: Phase
    elapsed_s: float
    events: int = 0
    events_per_s: float = 0.0
    changes: int = 0
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by dimension, then by segment
    last_changes: tuple[ShownChange, ...] = ()  # the newest first
    latency_p50_ms: float | None = None  # None: nothing was measured yet
    latency_p99_ms: float | None = None
    lag: int = 0  # records that lie in Kafka and are not processed yet
    rejected: Mapping[str, int] = field(default_factory=dict)  # by reason
    duplicates: int = 0
    late: int = 0


def to_json(frame: DemoFrame) -> str:
    """Return the frame as one line of JSON, for scripts; `last_change` is null until there is one."""
    newest = frame.last_changes[0] if frame.last_changes else None
    return json.dumps(
        {
            "phase": frame.phase,
            "elapsed_s": round(frame.elapsed_s, 1),
            "events": frame.events,
            "events_per_s": round(frame.events_per_s, 1),
            "changes": frame.changes,
            "sizes": {dimension: dict(sizes) for dimension, sizes in frame.sizes.items()},
            "latency_ms": {"p50": _rounded(frame.latency_p50_ms), "p99": _rounded(frame.latency_p99_ms)},
            "lag": frame.lag,
            "rejected": dict(frame.rejected),
            "duplicates": frame.duplicates,
            "late": frame.late,
            "last_change": None if newest is None else _change_values(newest),
        },
        ensure_ascii=False,
    )


def _change_values(change: ShownChange) -> dict[str, str | float | None]:
    return {
        "customer": change.customer,
        "dimension": change.dimension,
        "before": change.before,
        "after": change.after,
        "reason": change.reason,
        "cause": change.cause,
        "latency_ms": _rounded(change.latency_ms),
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
