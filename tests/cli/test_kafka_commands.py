import asyncio
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import TopicPartition

from segmenter.adapters.records import JsonEncoder
from segmenter.domain.causes import Rejection, RejectReason
from segmenter.domain.instants import SECOND
from segmenter.engine.reading import Forwarded
from tests.bench.kafka import KafkaCluster
from tests.bench.process import free_ports
from tests.cli.running import Ran, RunCommand

PARTITIONS = 4
ROLES = ("orders", "clicks", "support", "customers", "rekeyed", "changes", "memberships", "rejected", "rulebook")
Seen = tuple[str, int, bytes | None, bytes, int]


@pytest.fixture
def environment(kafka: KafkaCluster, unique: Callable[[str], str]) -> dict[str, str]:
    """Settings that name the shared broker, and topics of this test's own."""
    names = {f"SEGMENTER_TOPICS__{role.upper()}__NAME": unique(role) for role in ROLES}
    return {"SEGMENTER_KAFKA_BOOTSTRAP": kafka.bootstrap, "SEGMENTER_PARTITIONS": str(PARTITIONS), **names}


@pytest.fixture
def on_topics(segmenter: RunCommand, environment: Mapping[str, str]) -> RunCommand:
    """Run commands on topics that are there."""
    assert segmenter("topics", "create", **environment).code == 0
    return segmenter


def records_of(bootstrap: str, topic: str, partitions: int = PARTITIONS) -> list[Seen]:
    """Return topic, partition, key, value and timestamp of all records of a topic."""

    async def read() -> list[Seen]:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        seen: list[Seen] = []
        try:
            for place, end in (await consumer.end_offsets(places)).items():
                while await consumer.position(place) < end:
                    polled = await consumer.getmany(place, timeout_ms=200)
                    seen += [(r.topic, r.partition, r.key, r.value, r.timestamp) for r in polled.get(place, ())]
        finally:
            await consumer.stop()
        return seen

    return asyncio.run(read())


def event(kind: str, customer: str, **more: str) -> dict[str, str]:
    return {"type": kind, "customer_id": customer, "occurred_at": "2026-01-01T00:00:00Z", **more}


def written(path: Path, events: Sequence[Mapping[str, str]]) -> str:
    text = "".join(json.dumps(one) + "\n" for one in events)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def test_topics_are_created_once_and_then_as_they_must_be(
    segmenter: RunCommand, environment: Mapping[str, str]
) -> None:
    before = segmenter("topics", "check", "--json", **environment)
    created = segmenter("topics", "create", "--json")
    again = segmenter("topics", "create", "--json")
    after = segmenter("topics", "check", "--json")

    assert before.code == 1
    assert len(json.loads(before.out)["faults"]) == len(ROLES)
    assert [topic["is_new"] for topic in json.loads(created.out)["topics"]] == [True] * len(ROLES)
    assert [topic["is_new"] for topic in json.loads(again.out)["topics"]] == [False] * len(ROLES)
    assert (created.code, again.code, after.code) == (0, 0, 0)
    assert json.loads(after.out) == {"faults": []}


def test_a_topic_of_another_partition_count_is_told(on_topics: RunCommand) -> None:
    ran = on_topics("topics", "check", SEGMENTER_PARTITIONS="8")

    assert ran.code == 1
    # Topics of the shop, keyed by anything, may have any count.
    assert len(ran.out.splitlines()) == 4
    assert all("has 4 partitions, expected 8" in line for line in ran.out.splitlines())


def test_every_event_goes_to_the_topic_of_its_type_and_home(
    on_topics: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    kinds = {
        "order.placed": "ORDERS",
        "order.refunded": "ORDERS",
        "click": "CLICKS",
        "contact": "CLICKS",
        "support.opened": "SUPPORT",
        "customer.updated": "CUSTOMERS",
    }
    events = [event(kind, f"c-{number}") for kind in kinds for number in range(20)]

    ran = on_topics("publish", written(tmp_path / "events.jsonl", events), "--json")

    assert ran.code == 0
    home = DefaultPartitioner()
    everywhere = list(range(PARTITIONS))
    for role in ("ORDERS", "CLICKS", "SUPPORT", "CUSTOMERS"):
        topic = environment[f"SEGMENTER_TOPICS__{role}__NAME"]
        mine = [one for one in events if kinds[one["type"]] == role]
        seen = records_of(environment["SEGMENTER_KAFKA_BOOTSTRAP"], topic)
        assert sorted(value for _, _, _, value, _ in seen) == sorted(json.dumps(one).encode() for one in mine)
        assert all(key == json.loads(value)["customer_id"].encode() for _, _, key, value, _ in seen)
        assert all(partition == home(key, everywhere, everywhere) for _, partition, key, _, _ in seen)
        assert all(abs(stamp / 1000 - time.time()) < 60 for *_, stamp in seen)
        assert json.loads(ran.out)["sent"][topic] == len(mine)


def test_one_customer_s_events_keep_their_order(
    on_topics: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    events = [event("click", f"c-{number % 7}", item=str(number)) for number in range(30_000)]

    on_topics("publish", written(tmp_path / "events.jsonl.gz", events))

    topic = environment["SEGMENTER_TOPICS__CLICKS__NAME"]
    items: dict[str, list[int]] = {}
    for _, _, _, value, _ in records_of(environment["SEGMENTER_KAFKA_BOOTSTRAP"], topic):
        read = json.loads(value)
        items.setdefault(read["customer_id"], []).append(int(read["item"]))
    assert sum(len(numbers) for numbers in items.values()) == 30_000
    assert all(numbers == sorted(numbers) for numbers in items.values())


def test_bad_lines_are_sent_as_they_are(
    on_topics: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    bad = [b"no json", b"[1]", b'{"type": 3}', b'{"type": "order.teleported"}', b"\xff\xfe", b"[" * 5_000]
    file = tmp_path / "bad.jsonl"
    file.write_bytes(b"\n\n" + b"\n".join(bad) + b"\r\n   \n")

    ran = on_topics("publish", str(file))

    seen = records_of(environment["SEGMENTER_KAFKA_BOOTSTRAP"], environment["SEGMENTER_TOPICS__ORDERS__NAME"])
    assert ran.code == 0
    assert sorted(value for _, _, _, value, _ in seen) == sorted(bad)
    assert {key for _, _, key, _, _ in seen} == {None}


def test_a_line_too_large_for_kafka_is_told_and_the_others_are_sent(
    on_topics: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    large = event("click", "c-1", item="x" * 1_000_001)

    ran = on_topics("publish", written(tmp_path / "e.jsonl", [large, event("click", "c-2")]), "--json")

    assert ran.code == 1
    assert json.loads(ran.out)["too_large"] == [1]
    assert list(json.loads(ran.out)["sent"].values()) == [1]


def test_a_named_topic_takes_all_at_the_rate_asked_for(
    on_topics: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    topic = environment["SEGMENTER_TOPICS__CUSTOMERS__NAME"]
    events = [event("click", "c-1"), event("order.placed", "c-2")] * 20

    ran = on_topics("publish", written(tmp_path / "e.jsonl", events), "--topic", topic, "--rate", "40", "--json")

    assert json.loads(ran.out)["sent"] == {topic: 40}
    assert json.loads(ran.out)["seconds"] >= 0.9


def test_a_topic_that_is_not_there_is_told_with_the_way_to_create_it(
    segmenter: RunCommand, environment: Mapping[str, str], tmp_path: Path
) -> None:
    bootstrap = environment["SEGMENTER_KAFKA_BOOTSTRAP"]

    ran = segmenter("publish", written(tmp_path / "e.jsonl", []), "--topic", "nowhere", **environment)

    assert ran.code == 2
    fix = "create it; `segmenter topics create` makes all that the settings name"
    assert ran.err == f"topic nowhere is not on {bootstrap}; {fix}\n"


def test_standard_input_is_sent_as_it_comes(on_topics: RunCommand, environment: Mapping[str, str]) -> None:
    topic, bootstrap = environment["SEGMENTER_TOPICS__CLICKS__NAME"], environment["SEGMENTER_KAFKA_BOOTSTRAP"]
    process = subprocess.Popen(
        [sys.executable, "-m", "segmenter", "publish", "-", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    assert process.stdin is not None

    process.stdin.write(json.dumps(event("click", "c-1")).encode() + b"\n")
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not records_of(bootstrap, topic) and time.monotonic() < deadline:
        time.sleep(0.1)
    is_sent_before_the_end = bool(records_of(bootstrap, topic))
    out, _ = process.communicate(json.dumps(event("click", "c-2")).encode())

    assert is_sent_before_the_end
    assert json.loads(out)["sent"] == {topic: 2}


def test_a_packed_file_is_known_by_its_content(on_topics: RunCommand, tmp_path: Path) -> None:
    packed = tmp_path / "events.jsonl"
    packed.write_bytes(gzip.compress(json.dumps(event("click", "c-1")).encode()))

    ran = on_topics("publish", str(packed), "--json")

    assert list(json.loads(ran.out)["sent"].values()) == [1]


def test_a_packed_standard_input_is_refused(on_topics: RunCommand, environment: Mapping[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "segmenter", "publish", "-"],
        input=gzip.compress(json.dumps(event("click", "c-1")).encode()),
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )

    assert (ran.returncode, ran.stdout) == (2, b"")
    assert ran.stderr == b"-: is packed with gzip; unpack it first: zcat FILE | segmenter publish -\n"


def rejected_record(number: int, reason: RejectReason, value: bytes) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    original = Forwarded("orders", number % PARTITIONS, number, 0, b"c-1", value, ())
    at = 1_767_225_600 * SECOND + number * SECOND
    body = JsonEncoder().rejected_record(original, Rejection(reason, f"fault {number}"), at)
    return body.value, list(body.headers)


@pytest.fixture
def with_rejected(on_topics: RunCommand, environment: Mapping[str, str]) -> RunCommand:
    """Run commands on 1,000 records put aside: number 500 has no customer, the last is no text."""

    async def put_aside() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=environment["SEGMENTER_KAFKA_BOOTSTRAP"])
        await producer.start()
        for number in range(1_000):
            reason = RejectReason.NO_CUSTOMER if number == 500 else RejectReason.UNPARSEABLE
            value, headers = rejected_record(
                number, reason, b"\xff" if number == 999 else f"no json {number}".encode()
            )
            topic = environment["SEGMENTER_TOPICS__REJECTED__NAME"]
            await producer.send(topic, value, partition=number % PARTITIONS, headers=headers)
        await producer.stop()

    asyncio.run(put_aside())
    return on_topics


def test_what_was_put_aside_is_listed_newest_first(with_rejected: RunCommand) -> None:
    ran = with_rejected("rejected", "list", "--limit", "3", "--json")

    listed = [json.loads(line) for line in ran.out.splitlines()]
    assert [record["detail"] for record in listed] == ["fault 999", "fault 998", "fault 997"]
    assert listed[1]["place"] == "orders/2/998"
    assert listed[1]["value"] == "no json 998"
    assert listed[0]["value_base64"] == "/w=="


def test_one_reason_is_found_however_far_back_it_lies(with_rejected: RunCommand) -> None:
    ran = with_rejected("rejected", "list", "--reason", "no_customer")

    assert "fault 500" in ran.out
    assert "no json 500" in ran.out
    assert "unparseable" not in ran.out


def test_nothing_put_aside_is_said_so(on_topics: RunCommand) -> None:
    assert on_topics("rejected", "list").out == "nothing was rejected\n"


def test_a_reason_that_there_is_not_is_wrong_use(segmenter: RunCommand) -> None:
    ran = segmenter("rejected", "list", "--reason", "no_custmer")

    assert ran == Ran(2, "", "--reason: found 'no_custmer', which is no reason; did you mean no_customer?\n")


@pytest.mark.parametrize(
    "command", [("topics", "create"), ("topics", "check"), ("rejected", "list"), ("publish", os.devnull)]
)
def test_a_kafka_that_is_away_is_told_with_its_address_and_setting(
    segmenter: RunCommand, command: Sequence[str]
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"

    ran = segmenter(*command, SEGMENTER_KAFKA_BOOTSTRAP=address)

    fix = "start it, or name another with SEGMENTER_KAFKA_BOOTSTRAP"
    assert ran == Ran(3, "", f"Kafka at {address} does not answer; {fix}\n")
