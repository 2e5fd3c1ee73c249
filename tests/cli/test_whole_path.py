"""The commands together, on a real Kafka and a real Redis, as the first page of the documentation has them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bench.kafka import KafkaCluster
from tests.cli.running import RunCommand

ROOT = Path(__file__).parents[2]
EVENTS = str(ROOT / "examples" / "events" / "first-day.jsonl")
RULEBOOK = str(ROOT / "examples" / "rulebooks" / "small-shop.yaml")
INPUT_ROLES = ("orders", "clicks", "support", "customers")
ROLES = ("orders", "clicks", "support", "customers", "rekeyed", "changes", "memberships", "rejected")
PATIENCE_S = 60


@pytest.fixture
def environment(kafka: KafkaCluster, redis_url: str, unique: Callable[[str], str]) -> dict[str, str]:
    return {
        "SEGMENTER_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "SEGMENTER_REDIS_URL": redis_url,
        "SEGMENTER_RULEBOOK": RULEBOOK,
        "SEGMENTER_APP_ID": unique("app"),
        "SEGMENTER_PARTITIONS": "2",
        "SEGMENTER_WEB_BIND": "127.0.0.1:0",
        **{f"SEGMENTER_TOPICS__{role.upper()}__NAME": unique(role) for role in ROLES},
        # The file ended months ago, and no feed of it will speak again.
        **{f"SEGMENTER_TOPICS__{role.upper()}__MAX_SILENCE": "off" for role in INPUT_ROLES},
    }


@pytest.fixture
def worker(
    segmenter: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker on topics that are there; its log is shown where a test fails."""
    assert segmenter("topics", "create", **environment).code == 0
    log = tmp_path / "worker.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "segmenter", "worker"], stderr=stream, env={**os.environ, **environment}
        )
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()
    print(log.read_text())


def test_a_worker_refuses_to_start_without_a_topic_it_speaks_on(
    segmenter: RunCommand, environment: Mapping[str, str]
) -> None:
    assert segmenter("topics", "create", **environment).code == 0
    elsewhere = {**environment, "SEGMENTER_TOPICS__CHANGES__NAME": "nowhere"}

    ran = subprocess.run(
        [sys.executable, "-m", "segmenter", "worker"],
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
        env={**os.environ, **elsewhere},
    )

    assert ran.returncode == 2
    assert ran.stderr.endswith(b"topic nowhere does not exist; create it with `segmenter topics create`\n")


def segments_of(segmenter: RunCommand, customer: str) -> dict[str, str]:
    ran = segmenter("customer", customer, "--json")
    return {} if ran.code else {at["dimension"]: at["segment"] for at in json.loads(ran.out)["segments"]}


def test_what_a_worker_makes_of_a_file_is_what_simulate_said(
    segmenter: RunCommand, worker: subprocess.Popen[bytes]
) -> None:
    now = datetime.now(UTC).isoformat()
    simulated = segmenter("simulate", EVENTS, "--until", now, "--memberships", "-")
    expected = {(said := json.loads(line))["customer_id"]: said["segments"] for line in simulated.out.splitlines()}

    assert segmenter("publish", EVENTS).code == 0

    deadline = time.monotonic() + PATIENCE_S
    found: dict[str, dict[str, str]] = {}
    while found != expected and time.monotonic() < deadline:
        time.sleep(0.5)
        found = {customer: segments_of(segmenter, customer) for customer in expected}
    assert found == expected
    [rejected] = segmenter("rejected", "list", "--json").out.splitlines()
    assert json.loads(rejected)["reason"] == "negative_amount"
    assert json.loads(json.loads(rejected)["value"])["event_id"] == "e-11"
    worker.send_signal(signal.SIGINT)
    assert worker.wait(timeout=30) in {0, 130}


def test_who_is_put_in_by_hand_is_in_until_it_is_lifted(
    segmenter: RunCommand, worker: subprocess.Popen[bytes], environment: Mapping[str, str], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rulebook: 1\nsegments:\n  vip: {when: {measure: orders, at_least: 50}}\n")
    assert segmenter("rulebook", "apply", str(rules)).code == 0
    segmenter("publish", EVENTS)
    customer = "ada"
    await_that(lambda: segmenter("customer", customer).code == 0)

    put = segmenter(
        "customer", customer, "--put", "vip", "in", "--until", "90d", "--because", "a friend of the house"
    )
    await_that(lambda: segments_of(segmenter, customer).get("custom.vip") == "in")
    shown = json.loads(segmenter("customer", customer, "--json").out)["by_hand"]
    why = segmenter("customer", customer, "--why", "vip").out
    past = segmenter("customer", customer, "--as-of", datetime.now(UTC).isoformat(), "--json").out
    lifted = segmenter("customer", customer, "--put", "vip", "auto")
    await_that(lambda: segments_of(segmenter, customer).get("custom.vip") == "out")

    assert (put.code, lifted.code) == (0, 0)
    assert [(said["segment"], said["to"], said["because"]) for said in shown] == [
        ("vip", "in", "a friend of the house")
    ]
    assert "a friend of the house\n" in why
    assert "by the rules alone he would be out\n" in why
    assert '"kind": "manual"' in past
    worker.send_signal(signal.SIGINT)
    assert worker.wait(timeout=30) in {0, 130}


def await_that(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)
