import shutil
import subprocess
from functools import reduce
from pathlib import Path

import pytest
import yaml

from tests.bench.metrics import busy_metrics
from tests.conftest import unavailable
from tests.deploy.queries import PROMETHEUS, dashboard_queries, rule_queries, unknown_in

# What Grafana puts in place of its variables.
_GRAFANA = [("$job", "segmenter"), ("$dimension", ".*"), ("$__rate_interval", "1m")]


@pytest.mark.parametrize(("name", "query"), [*rule_queries().items(), *dashboard_queries().items()])
def test_every_query_names_metrics_and_labels_that_exist(name: str, query: str) -> None:
    assert unknown_in(query, busy_metrics().exposition().decode()) == [], name


def test_a_query_for_what_does_not_exist_is_noticed() -> None:
    query = 'rate(segmenter_event_total[5m]) / segmenter_lanes{mood="good"}'

    assert unknown_in(query, busy_metrics().exposition().decode()) == [
        "segmenter_event_total",
        "segmenter_lanes{mood}",
    ]


def test_the_configuration_is_valid() -> None:
    _promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))


def test_alerts_fire_when_they_should_and_only_then() -> None:
    _promtool("test", "rules", str(PROMETHEUS / "tests" / "alerts.yml"))


def test_every_alert_has_a_firing_and_a_quiet_test() -> None:
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in rules for rule in group["rules"]}

    tests = yaml.safe_load((PROMETHEUS / "tests" / "alerts.yml").read_text())["tests"]
    tried = {(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]}

    assert tried == {(alert, fires) for alert in alerts for fires in (True, False)}


def test_the_dashboard_speaks_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": reduce(lambda text, pair: text.replace(*pair), _GRAFANA, query)}
        for number, query in enumerate(dashboard_queries().values())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    _promtool("check", "rules", str(file))


def _promtool(*arguments: str) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        unavailable("promtool is not on PATH; it comes with Prometheus")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
