import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from segmenter.settings_reader import read_settings
from tests.deploy.queries import PROMETHEUS, ROOT

_FILE = ROOT / "docker-compose.yml"
_COMPOSE = yaml.safe_load(_FILE.read_text())
_SERVICES: Mapping[str, Mapping[str, Any]] = _COMPOSE["services"]
_OURS = ["topics", "worker-1", "worker-2"]


def test_the_file_follows_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(_FILE)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_port_is_open_to_other_machines() -> None:
    ports = [port for service in _SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", _OURS)
def test_our_containers_have_no_rights(name: str) -> None:
    service = _SERVICES[name]

    assert service["read_only"] is True
    assert service["user"] == "10001:10001"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_redis_refuses_rather_than_forgets_and_keeps_a_log() -> None:
    command = " ".join(_SERVICES["redis"]["command"])

    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command


def test_workers_start_after_the_topics_are_made() -> None:
    for name in ("worker-1", "worker-2"):
        assert _SERVICES[name]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}
    assert _SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert _SERVICES["topics"]["restart"] == "no"


def test_every_listener_of_kafka_is_advertised_or_its_controller() -> None:
    kafka = _SERVICES["kafka"]["environment"]
    listeners = _names(kafka["KAFKA_LISTENERS"])

    assert listeners == _names(kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"])
    assert listeners - {"CONTROLLER"} == _names(kafka["KAFKA_ADVERTISED_LISTENERS"])
    assert kafka["KAFKA_INTER_BROKER_LISTENER_NAME"] in listeners
    assert kafka["KAFKA_CONTROLLER_LISTENER_NAMES"] == "CONTROLLER"


def test_workers_find_the_servers_under_the_names_they_have_here() -> None:
    settings = _SERVICES["worker-1"]["environment"]
    inside = _SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]

    assert f"CLUSTER://{settings['SEGMENTER_KAFKA_BOOTSTRAP']}" in inside.split(",")
    assert settings["SEGMENTER_REDIS_URL"].startswith("redis://redis:")


def test_every_setting_of_the_workers_is_one_that_exists_with_a_value_it_takes() -> None:
    settings = read_settings(environment=_SERVICES["worker-1"]["environment"])

    assert settings.web_address == ("0.0.0.0", 8080)
    assert settings.partitions >= 2 * len([name for name in _SERVICES if name.startswith("worker")])


def test_prometheus_scrapes_every_worker_on_the_port_it_binds() -> None:
    scrape = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"][0]
    port = _SERVICES["worker-1"]["environment"]["SEGMENTER_WEB_BIND"].rpartition(":")[2]

    assert scrape["static_configs"][0]["targets"] == [f"worker-1:{port}", f"worker-2:{port}"]
    assert all(
        _SERVICES[name]["ports"][0].endswith(f":{port}") and f":{port}/" in str(_SERVICES[name]["healthcheck"])
        for name in ("worker-1", "worker-2")
    )


def _names(pairs: str) -> set[str]:
    return {pair.partition(":")[0] for pair in pairs.split(",")}
