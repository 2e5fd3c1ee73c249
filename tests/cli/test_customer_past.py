import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from segmenter.adapters.home import home_of
from segmenter.adapters.records import JsonEncoder
from segmenter.domain.changes import CauseKind, CauseNote, Change, ChangeSet, Reason, Traits
from segmenter.domain.instants import DAY
from tests.bench.kafka import KafkaCluster
from tests.cli.running import RunCommand
from tests.conftest import TopicMaker

PARTITIONS = 4
NEW_YEAR = 20_454 * DAY
NEW = ChangeSet(
    customer="c-42",
    life=1,
    sequence=1,
    changes=(Change(dimension="lifecycle", before=None, after="new"),),
    cause=CauseNote(kind=CauseKind.EVENT, type="order.placed", event_ids=("e-1",)),
    effective_at=NEW_YEAR,
    reasons=(Reason(dimension="lifecycle", condition="orders", actual="1", threshold="1"),),
    traits=Traits(
        orders=1,
        net_revenue="10.00",
        value_revenue="10.00",
        currency="EUR",
        first_order_at=NEW_YEAR,
        last_order_at=NEW_YEAR,
    ),
    next_change_at=None,
)
REPEAT = replace(
    NEW,
    sequence=2,
    changes=(Change(dimension="lifecycle", before="new", after="repeat"),),
    effective_at=NEW_YEAR + 10 * DAY,
)
STRANGER = replace(NEW, customer="c-99")


@pytest.fixture
async def topic(unique: Callable[[str], str], make_topics: TopicMaker) -> str:
    name = unique("changes")
    await make_topics({name: PARTITIONS}, {"retention.ms": "-1"})
    return name


async def log(bootstrap: str, topic: str, said: Sequence[ChangeSet]) -> None:
    encoder = JsonEncoder()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for one in said:
            body = encoder.change_record(one, recorded_at=one.effective_at, revision=1, backfill=False, upto={})
            await producer.send_and_wait(
                topic, body.value, key=body.key, partition=home_of("c-42", PARTITIONS), headers=list(body.headers)
            )


def settings(bootstrap: str, topic: str) -> Mapping[str, str]:
    return {
        "SEGMENTER_KAFKA_BOOTSTRAP": bootstrap,
        "SEGMENTER_PARTITIONS": str(PARTITIONS),
        "SEGMENTER_TOPICS__CHANGES__NAME": topic,
    }


def test_the_past_is_told_from_the_log_of_changes(
    segmenter: RunCommand, kafka: KafkaCluster, topic: str, redis_url: str
) -> None:
    asyncio.run(log(kafka.bootstrap, topic, [STRANGER, NEW, REPEAT]))
    environment = settings(kafka.bootstrap, topic)

    told = segmenter("customer", "c-42", "--as-of", "2026-01-05T00:00:00Z", "--json", **environment)
    shown = segmenter(
        "customer", "c-42", "--as-of", "2026-01-05T00:00:00Z", "--why", "lifecycle", SEGMENTER_REDIS_URL=redis_url
    )
    nobody = segmenter("customer", "c-43", "--as-of", "2026-01-05T00:00:00Z")

    past = json.loads(told.out)
    assert past["segments"] == [
        {
            "dimension": "lifecycle",
            "segment": "new",
            "since": "2026-01-01T00:00:00.000Z",
            "cause": {"kind": "event", "type": "order.placed", "event_ids": ["e-1"]},
            "reasons": [
                {
                    "dimension": "lifecycle",
                    "condition": "orders",
                    "actual": "1",
                    "threshold": "1",
                    "boundary": None,
                }
            ],
        }
    ]
    assert (past["traits"]["net_revenue"], past["gap"]) == ("10.00", None)
    assert past["next_change"]["effective_at"] == "2026-01-11T00:00:00.000Z"
    assert "lifecycle: new since 2026-01-01T00:00:00.000Z, cause event order.placed e-1\n" in shown.out
    assert (nobody.code, nobody.err) == (1, "nothing was ever told of c-43\n")


def test_a_log_that_was_cut_off_says_that_it_no_longer_reaches_back(
    segmenter: RunCommand, kafka: KafkaCluster, topic: str
) -> None:
    async def cut() -> None:
        await log(kafka.bootstrap, topic, [NEW, REPEAT])
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        place = TopicPartition(topic, home_of("c-42", PARTITIONS))
        await admin.delete_records({place: RecordsToDelete(before_offset=1)})
        await admin.close()

    asyncio.run(cut())

    ran = segmenter(
        "customer", "c-42", "--as-of", "2026-01-05T00:00:00Z", "--json", **settings(kafka.bootstrap, topic)
    )

    past = json.loads(ran.out)
    assert past["gap"].startswith("the log no longer reaches back to 2026-01-05T00:00:00.000Z")
    assert [(s["segment"], s["since"]) for s in past["segments"]] == [("new", None)]
