"""The pages of a worker at work: ready, alive, and every query of rules and dashboard finds its metrics."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.error import HTTPError
from urllib.request import urlopen

from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from segmenter.domain.rulebook import Rulebook
from segmenter.observability import Metrics
from segmenter.settings import InputTopic, Keyed, OutputTopic, Settings, Topics
from segmenter.wiring.worker import Circumstances, SystemClock, work
from tests.bench.kafka import KafkaCluster
from tests.deploy.queries import dashboard_queries, rule_queries, unknown_in

LANES = 2
PATIENCE_S = 120
INPUTS = ("orders", "clicks", "support", "customers")
OUTPUTS = ("rekeyed", "changes", "memberships", "rejected")


async def test_queries_find_their_metrics_on_a_worker_at_work(
    kafka: KafkaCluster,
    redis_url: str,
    unique: Callable[[str], str],
    make_topics: Callable[[dict[str, int]], Awaitable[None]],
) -> None:
    await make_topics({unique(name): LANES for name in (*INPUTS, *OUTPUTS)})
    settings = _settings(kafka.bootstrap, redis_url, unique)
    await _publish(kafka.bootstrap, unique("orders"))
    async with _worker(settings):
        # Each is shown once it was measured: the lag once a second, the boundary with the first order.
        page = await _page(settings, "/metrics", "segmenter_boundary_version{", "segmenter_lag_records{")
        ready = await _page(settings, "/health/ready", '"ready": true')
        live = await _page(settings, "/health/live")

    # Nothing flaps where no segment is declared; a series of it begins with the first that would have.
    page += 'segmenter_flaps_total{dimension="custom.vip"} 0.0\n'
    queries = {**rule_queries(), **dashboard_queries()}
    assert {name: unknown for name, query in queries.items() if (unknown := unknown_in(query, page))} == {}
    assert json.loads(ready)["lanes"].keys() == {"0", "1"}
    assert json.loads(live)["live"] is True
    assert 'segmenter_rejected_total{reason="negative_amount"} 1.0' in page
    assert "c-1" not in page


def _settings(bootstrap: str, redis_url: str, unique: Callable[[str], str]) -> Settings:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    inputs = {name: InputTopic(name=unique(name), keyed=Keyed.OTHER) for name in INPUTS}
    outputs = {name: OutputTopic(name=unique(name)) for name in OUTPUTS}
    return Settings(
        kafka_bootstrap=bootstrap,
        redis_url=SecretStr(redis_url),
        app_id=unique("app"),
        partitions=LANES,
        topics=Topics.model_validate(inputs | outputs),
        web_bind=f"127.0.0.1:{port}",
    )


async def _publish(bootstrap: str, topic: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for number, amount in enumerate(("10.00", "20.00", "-1.00")):
            order = {"type": "order.placed", "order_id": f"o{number}", "amount": amount, "currency": "EUR"}
            event = {**order, "customer_id": f"c-{number}", "event_id": f"e{number}", "occurred_at": now}
            await producer.send_and_wait(topic, json.dumps(event).encode(), key=b"not the customer")
    finally:
        await producer.stop()


@asynccontextmanager
async def _worker(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    circumstances = Circumstances(clock=SystemClock(), metrics=Metrics(), rulebook=Rulebook())
    running = asyncio.create_task(work(settings, circumstances, stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def _page(settings: Settings, path: str, *until: str) -> str:
    """Return a page once it holds all of these texts."""
    deadline, page = time.monotonic() + PATIENCE_S, ""
    while time.monotonic() < deadline:
        page = await asyncio.to_thread(_read, f"http://{settings.web_bind}{path}")
        if page and all(text in page for text in until):
            return page
        await asyncio.sleep(0.2)
    raise AssertionError(f"{path} never showed {until!r}: {page[:2000]}")


def _read(url: str) -> str:
    try:
        with urlopen(url, timeout=5) as answer:
            text: bytes = answer.read()
    except HTTPError as error:
        text = error.read()
    except OSError:
        return ""
    return text.decode()
