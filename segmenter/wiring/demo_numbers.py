"""What the demo shows of a worker, read from the numbers that Prometheus would be given."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.samples import Sample

from segmenter.domain.causes import Verdict
from segmenter.observability import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A worker at a moment."""

    events: int
    changes: int
    sizes: Mapping[str, Mapping[str, int]]
    lag: int
    live_lanes: int
    rejected: Mapping[str, int]
    duplicates: int
    late: int


def numbers_of(metrics: Metrics) -> Numbers:
    """Return the numbers as they are now."""
    by_name: dict[str, list[Sample]] = defaultdict(list)
    for sample in _samples(metrics.registry.collect()):
        by_name[sample.name].append(sample)
    events = by_name["segmenter_events_total"]
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    for sample in by_name["segmenter_segment_customers"]:
        sizes[sample.labels["dimension"]][sample.labels["segment"]] = int(sample.value)
    rejected = {sample.labels["reason"]: int(sample.value) for sample in by_name["segmenter_rejected_total"]}
    live = [sample for sample in by_name["segmenter_lanes"] if sample.labels["state"] == "live"]
    return Numbers(
        events=_sum(events),
        changes=_sum(by_name["segmenter_changes_total"]),
        sizes=sizes,
        lag=_sum(by_name["segmenter_lag_records"]),
        live_lanes=_sum(live),
        rejected={reason: count for reason, count in rejected.items() if count},
        duplicates=_sum([sample for sample in events if sample.labels["verdict"] == Verdict.DUPLICATE]),
        late=_sum([sample for sample in events if sample.labels["verdict"] == Verdict.LATE]),
    )


def _samples(collected: Iterable[Metric]) -> Iterator[Sample]:
    for metric in collected:
        yield from metric.samples


def _sum(samples: list[Sample]) -> int:
    return int(sum(sample.value for sample in samples))
