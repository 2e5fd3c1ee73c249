"""The Prometheus queries of rules, alerts and dashboard, and the metrics they name."""

import json
import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "segmenter.json"

# A metric, then what stands in braces behind it; recorded names carry colons and are left to promtool.
_SELECTOR = re.compile(r"\b((?:segmenter|process)_\w+)\b(?!:)(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
# Labels that Prometheus adds to every series it scrapes.
_SCRAPED = {"job", "instance"}


def rule_queries() -> dict[str, str]:
    """Return the expressions of recording rules and alerts, by name."""
    groups = [
        group
        for file in ("rules.yml", "alerts.yml")
        for group in yaml.safe_load((PROMETHEUS / file).read_text())["groups"]
    ]
    return {rule.get("record") or rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def dashboard_queries() -> dict[str, str]:
    """Return the expressions of the dashboard's panels, by panel title and letter."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", [])
    }


def unknown_in(query: str, exposition: str) -> list[str]:
    """Return the metrics and labels of `query` that a page of `/metrics` does not have."""
    labels_by_metric = _labels_by_metric(exposition)
    unknown = []
    for metric, matchers in _SELECTOR.findall(query):
        if metric not in labels_by_metric:
            unknown.append(metric)
            continue
        known = labels_by_metric[metric] | _SCRAPED
        unknown += [f"{metric}{{{label}}}" for label in _LABEL.findall(matchers) if label not in known]
    return unknown


def _labels_by_metric(exposition: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found
