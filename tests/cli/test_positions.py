"""`segmenter positions` on a real Kafka and Redis: shown, refused, put elsewhere, taken over."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_origin import RedisOrigin, StateOrigin
from segmenter.adapters.redis_tasks import RedisTaskStore
from segmenter.engine.intake import Place
from segmenter.errors import ConfigurationError
from segmenter.ports import Commit, LaneNotes, LaneState, Token
from segmenter.settings import Settings
from segmenter.settings_reader import read_settings
from segmenter.wiring.origin import refuse_foreign_state
from segmenter.wiring.topic_ids import refuse_topics_made_anew, watch_topics
from tests.bench.kafka import KafkaCluster
from tests.bench.process import free_ports
from tests.bench.topics import create_topics
from tests.cli.running import RunCommand

pytestmark = pytest.mark.kafka
PARTITIONS = 2
ROLES = ("orders", "clicks", "support", "customers", "rekeyed", "changes", "memberships", "rejected")
OWNER = Token(3, "worker")


@pytest.fixture
def environment(kafka: KafkaCluster, redis_url: str, unique: Callable[[str], str]) -> dict[str, str]:
    """Orders are read by their lanes, the other topics by repartition tasks."""
    names = {f"SEGMENTER_TOPICS__{role.upper()}__NAME": unique(role) for role in ROLES}
    return {
        "SEGMENTER_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "SEGMENTER_REDIS_URL": redis_url,
        "SEGMENTER_APP_ID": unique("app"),
        "SEGMENTER_PARTITIONS": str(PARTITIONS),
        "SEGMENTER_TOPICS__ORDERS__KEYED": "customer",
        **names,
    }


@pytest.fixture
def on_topics(segmenter: RunCommand, environment: Mapping[str, str]) -> RunCommand:
    """Run commands on topics that are there, ten records in each partition of orders and clicks."""
    assert segmenter("topics", "create", **environment).code == 0
    asyncio.run(_fill(environment))
    return segmenter


async def _fill(environment: Mapping[str, str]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=environment["SEGMENTER_KAFKA_BOOTSTRAP"])
    await producer.start()
    for role in ("ORDERS", "CLICKS"):
        for partition in range(PARTITIONS):
            for _ in range(10):
                await producer.send(environment[f"SEGMENTER_TOPICS__{role}__NAME"], b"{}", partition=partition)
    await producer.stop()


def in_redis(environment: Mapping[str, str], deed: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        client = connect(environment["SEGMENTER_REDIS_URL"])
        try:
            return await deed(client)
        finally:
            await client.aclose()

    return asyncio.run(run())


def read_up_to(environment: Mapping[str, str], offset: int, *, alive: bool = False) -> None:
    """Let lane 1 have read its orders, and the task of clicks/1 its clicks, up to here."""

    async def deed(client: Any) -> None:
        store = RedisLaneStore(client, "seg")
        state = await store.acquire(1, OWNER, PARTITIONS)
        assert isinstance(state, LaneState)
        positions = {f"{environment['SEGMENTER_TOPICS__ORDERS__NAME']}/1": (None, offset)}
        await store.commit(Commit(lane=1, token=OWNER, version=0, notes=LaneNotes(), positions=positions))
        await RedisTaskStore(client, "seg").advance(f"{environment['SEGMENTER_TOPICS__CLICKS__NAME']}/1", offset)
        if not alive:
            await store.release(1, OWNER)

    in_redis(environment, deed)


async def delete_before(environment: Mapping[str, str], offset: int) -> None:
    """Let retention take the first orders of partition 1."""
    admin = AIOKafkaAdminClient(bootstrap_servers=environment["SEGMENTER_KAFKA_BOOTSTRAP"])
    await admin.start()
    place = TopicPartition(environment["SEGMENTER_TOPICS__ORDERS__NAME"], 1)
    await admin.delete_records({place: RecordsToDelete(before_offset=offset)})
    await admin.close()


def shown(out: str) -> dict[str, dict[str, Any]]:
    return {position["source"]: position for position in json.loads(out)["positions"]}


def test_what_cannot_be_right_is_shown_and_put_right(
    on_topics: RunCommand, environment: dict[str, str], unique: Callable[[str], str]
) -> None:
    orders, clicks = f"{unique('orders')}/1", f"{unique('clicks')}/1"
    read_up_to(environment, 3)
    fine = on_topics("positions", "show", "--json")
    asyncio.run(delete_before(environment, 7))

    wrong = on_topics("positions", "show", "--json")
    told = on_topics("positions", "show")
    moved = on_topics("positions", "set", orders, "beginning", "--yes", "--json")
    right = on_topics("positions", "show", "--json")

    assert fine.code == 0
    assert shown(fine.out)[orders] == {
        "source": orders,
        "stored": 3,
        "log_start": 0,
        "log_end": 10,
        "unread": 7,
        "fault": None,
    }
    assert shown(fine.out)[clicks]["stored"] == 3
    assert shown(fine.out)[f"{unique('rekeyed')}/0"]["stored"] is None
    assert (wrong.code, right.code) == (1, 0)
    assert "4 unread events were deleted" in shown(wrong.out)[orders]["fault"]
    assert f"segmenter positions set {orders} beginning" in told.out
    assert json.loads(moved.out) == {"source": orders, "before": 3, "after": 7}


def test_a_task_beyond_the_end_of_its_log_is_put_back_as_a_new_incarnation(
    on_topics: RunCommand, environment: dict[str, str], unique: Callable[[str], str]
) -> None:
    read_up_to(environment, 10_000, alive=True)
    clicks = f"{unique('clicks')}/1"

    moved = on_topics("positions", "set", clicks, "beginning", "--yes")
    again = on_topics("positions", "set", clicks, "end", "--yes")

    assert moved.code == 0
    assert f"{clicks} was read up to 10000; it is read on from 0" in moved.out
    assert in_redis(environment, lambda client: RedisTaskStore(client, "seg").incarnation(clicks)) == 1
    assert (again.code, "held by a worker that lives" in again.err) == (2, True)


def test_what_a_live_worker_holds_is_left_alone(
    on_topics: RunCommand, environment: dict[str, str], unique: Callable[[str], str]
) -> None:
    read_up_to(environment, 3, alive=True)

    moved = on_topics("positions", "set", f"{unique('orders')}/1", "end", "--yes")
    adopted = on_topics("positions", "adopt", "--yes")

    assert (moved.code, adopted.code) == (2, 2)
    assert "held by a worker that lives" in moved.err
    assert in_redis(environment, lambda client: RedisLaneStore(client, "seg").state(1))[0] == OWNER


def test_nobody_is_moved_without_being_asked(on_topics: RunCommand, unique: Callable[[str], str]) -> None:
    ran = on_topics("positions", "set", f"{unique('orders')}/1", "end")

    assert ran.code == 2
    assert "--yes" in ran.err


@pytest.mark.parametrize(
    ("source", "to", "says"),
    [
        ("orders", "end", "is no partition"),
        ("mails/1", "end", "is not read"),
        ("{orders}/77", "end", "there is no such partition"),
        ("{orders}/1", "11", "holds offsets 0 to 10; found 11"),
        ("{orders}/1", "middle", "expected beginning, end or an offset"),
    ],
)
def test_what_cannot_be_set_is_refused(
    on_topics: RunCommand, unique: Callable[[str], str], source: str, to: str, says: str
) -> None:
    ran = on_topics("positions", "set", source.format(orders=unique("orders")), to, "--yes")

    assert ran.code == 2
    assert says in ran.err


def test_the_state_of_another_cluster_or_name_is_refused_until_it_is_adopted(
    on_topics: RunCommand, environment: dict[str, str]
) -> None:
    def start() -> str:
        settings = read_settings(None)
        try:
            in_redis(environment, lambda client: refuse_foreign_state(client, settings))
        except ConfigurationError as error:
            return str(error)
        return ""

    first, again = start(), start()
    in_redis(environment, lambda client: RedisOrigin(client, "seg").adopt(StateOrigin("far-away", "other")))
    refused = start()
    shown_first = on_topics("positions", "show")
    adopted = on_topics("positions", "adopt", "--yes", "--json")

    assert (first, again) == ("", "")
    assert "are of Kafka cluster far-away" in refused
    assert "SEGMENTER_APP_ID=other" in refused
    assert (shown_first.code, "far-away" in shown_first.out) == (1, True)
    assert len(json.loads(adopted.out)["faults_before"]) == 2
    assert start() == ""


def test_another_partition_count_is_refused_with_the_one_that_is_stored(
    on_topics: RunCommand, environment: dict[str, str]
) -> None:
    async def deed(client: Any) -> None:
        await RedisLaneStore(client, "seg").acquire(0, OWNER, 7)
        await refuse_foreign_state(client, _settings_of(environment))

    with pytest.raises(ConfigurationError, match="SEGMENTER_PARTITIONS=7"):
        in_redis(environment, deed)


def _settings_of(environment: Mapping[str, str]) -> Settings:
    return Settings.model_validate({"kafka_bootstrap": environment["SEGMENTER_KAFKA_BOOTSTRAP"], "partitions": 2})


AWAY = pytest.param(("positions", "show"), id="show"), pytest.param(("positions", "adopt", "--yes"), id="adopt")


@pytest.mark.parametrize("command", AWAY)
def test_a_redis_that_is_away_is_told_with_its_address_and_setting(
    on_topics: RunCommand, command: tuple[str, ...]
) -> None:
    url = f"redis://127.0.0.1:{free_ports(1)[0]}/0"

    ran = on_topics(*command, SEGMENTER_REDIS_URL=url)

    assert ran.code == 3
    assert ran.err.startswith(f"Redis at {url} does not answer; start it, or name another with SEGMENTER_REDIS_URL")


def test_a_kafka_that_is_away_is_told_with_its_address_and_setting(segmenter: RunCommand) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"

    ran = segmenter("positions", "set", "orders/1", "end", "--yes", SEGMENTER_KAFKA_BOOTSTRAP=address)

    assert ran.code == 3
    assert ran.err.startswith(
        f"Kafka at {address} does not answer; start it, or name another with SEGMENTER_KAFKA_BO"
    )


def test_what_is_no_partition_and_no_position_is_told_before_anybody_is_asked(segmenter: RunCommand) -> None:
    ran = segmenter("positions", "set", "orders", "begining")

    assert ran.code == 2
    assert ran.err.splitlines() == [
        "'orders' is no partition; expected one like segmenter.rekeyed/0",
        "'begining' is no position; expected beginning, end or an offset",
    ]


async def make_orders_anew(environment: Mapping[str, str]) -> None:
    """Delete the topic of orders, make it again, and let it outgrow what it was."""
    topic = environment["SEGMENTER_TOPICS__ORDERS__NAME"]
    admin = AIOKafkaAdminClient(bootstrap_servers=environment["SEGMENTER_KAFKA_BOOTSTRAP"])
    await admin.start()
    await admin.delete_topics([topic])
    async with asyncio.timeout(20):
        while topic in await admin.list_topics():  # noqa: ASYNC110  # a server tells no event
            await asyncio.sleep(0.1)
    await admin.close()
    await create_topics(environment["SEGMENTER_KAFKA_BOOTSTRAP"], {topic: PARTITIONS})
    await _fill(environment)


def refuse_start(environment: Mapping[str, str]) -> list[str]:
    """Return why a worker of these settings would not start."""
    settings = read_settings(environment=environment)

    async def start(client: Any) -> list[str]:
        try:
            await refuse_topics_made_anew(client, settings)
        except ConfigurationError as error:
            return list(error.faults)
        return []

    found: list[str] = in_redis(environment, start)
    return found


def test_a_topic_made_anew_is_refused_even_where_it_has_outgrown_what_was_read(
    on_topics: RunCommand, environment: dict[str, str], unique: Callable[[str], str]
) -> None:
    orders = unique("orders")
    read_up_to(environment, 3)
    at_first = refuse_start(environment)
    asyncio.run(make_orders_anew(environment))

    refused = refuse_start(environment)
    wrong = on_topics("positions", "show", "--json")
    moved = [on_topics("positions", "set", f"{orders}/{lane}", "beginning", "--yes") for lane in range(PARTITIONS)]
    right = on_topics("positions", "show", "--json")

    assert at_first == []
    assert len(refused) == 1
    assert f"{orders}/0, {orders}/1" in refused[0]
    assert f"segmenter positions set {orders}/0 beginning" in refused[0]
    assert (wrong.code, right.code) == (1, 0)
    assert "was made anew" in shown(wrong.out)[f"{orders}/1"]["fault"]
    assert [each.code for each in moved] == [0, 0]
    assert shown(right.out)[f"{orders}/1"]["stored"] == 0
    assert refuse_start(environment) == []


def test_a_running_worker_stops_what_was_made_anew(
    on_topics: RunCommand, environment: dict[str, str], unique: Callable[[str], str]
) -> None:
    orders = unique("orders")
    read_up_to(environment, 3)
    refuse_start(environment)
    asyncio.run(make_orders_anew(environment))
    stopped: dict[Place, str] = {}

    async def watch(client: Any) -> None:
        settings = read_settings(environment=environment)
        watching = asyncio.create_task(watch_topics(client, settings, stopped.__setitem__, every_s=0.05))
        async with asyncio.timeout(20):
            while len(stopped) < PARTITIONS:  # noqa: ASYNC110  # it tells no event
                await asyncio.sleep(0.05)
        watching.cancel()

    in_redis(environment, watch)

    assert set(stopped) == {(orders, lane) for lane in range(PARTITIONS)}
    assert f"segmenter positions set {orders}/1 beginning" in stopped[orders, 1]


def test_a_topic_that_got_more_partitions_is_the_same(
    on_topics: RunCommand, environment: dict[str, str], unique: Callable[[str], str]
) -> None:
    clicks = unique("clicks")
    refuse_start(environment)

    async def grow() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=environment["SEGMENTER_KAFKA_BOOTSTRAP"])
        await admin.start()
        await admin.create_partitions({clicks: NewPartitions(total_count=PARTITIONS + 1)})
        await admin.close()

    asyncio.run(grow())

    assert refuse_start(environment) == []
