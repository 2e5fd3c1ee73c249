import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from segmenter.domain.causes import RejectReason, Verdict
from segmenter.observability import EVENT_TYPES, NO_TYPE, Metrics
from segmenter.ports import RefusalKind
from tests.bench.metrics import busy_metrics

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]+) \|", re.MULTILINE)


def test_the_documentation_lists_every_metric_with_type_and_labels() -> None:
    documented = {
        (row["name"], row["type"], frozenset(re.findall(r"`(\w+)`", row["labels"])))
        for row in _ROW.finditer(DOCUMENT.read_text())
    }

    assert documented == _declared(busy_metrics())


def test_a_lane_that_is_given_up_leaves_no_series() -> None:
    metrics = busy_metrics()

    metrics.forget_lane(3)
    metrics.forget_source("orders", 3)

    assert 'partition="3"' not in metrics.exposition().decode()


def test_sizes_are_summed_over_the_lanes_and_an_emptied_segment_is_zero() -> None:
    metrics = Metrics()
    metrics.sizes(0, {("value", "A"): 2})
    metrics.sizes(1, {("value", "A"): 3, ("value", "B"): 1})

    metrics.sizes(0, {("value", "B"): 5})
    metrics.forget_lane(1)

    assert _value(metrics, "segmenter_segment_customers", dimension="value", segment="A") == 0
    assert _value(metrics, "segmenter_segment_customers", dimension="value", segment="B") == 5


def test_topics_and_channels_are_one_series_however_many_there_are() -> None:
    metrics = Metrics()

    metrics.sizes(0, {("interest", "shoes"): 2, ("interest", "hats"): 3})

    assert _value(metrics, "segmenter_segment_customers", dimension="interest", segment="any") == 5
    assert "shoes" not in metrics.exposition().decode()


def test_a_type_that_nobody_knows_makes_no_label_of_its_own() -> None:
    metrics = Metrics()

    metrics.events("order.stolen", Verdict.REJECTED)

    assert _value(metrics, "segmenter_events_total", type=NO_TYPE, verdict="rejected") == 1
    assert "stolen" not in metrics.exposition().decode()


def test_closed_sets_are_there_before_anything_happened() -> None:
    shown = Metrics().exposition().decode()

    assert all(f'type="{kind}"' in shown for kind in EVENT_TYPES)
    assert all(f'reason="{reason}"' in shown for reason in RejectReason)
    assert all(f'kind="{refusal}"' in shown for refusal in RefusalKind)


def _declared(metrics: Metrics) -> set[tuple[str, str, frozenset[str]]]:
    found = set()
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        labels = {label for sample in family.samples for label in sample.labels if label != "le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found.add((name, family.type, frozenset(labels)))
    return found


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)
