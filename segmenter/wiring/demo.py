"""The demo: a shop, a Kafka, a Redis and a worker in one process tree, and a screen that shows what moves."""

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import quantiles

from aiokafka import AIOKafkaConsumer
from pydantic import SecretStr

from segmenter.domain.changes import CauseKind
from segmenter.domain.holding import NEVER_HELD
from segmenter.domain.instants import MILLISECOND, Instant, instant_of
from segmenter.domain.rulebook import Rulebook, ValueRule
from segmenter.embedded.kafka import EmbeddedKafka
from segmenter.embedded.publisher import ShopPublisher
from segmenter.embedded.redis import EmbeddedRedis
from segmenter.embedded.screen import DemoScreen
from segmenter.embedded.screen_frame import DemoFrame, Phase, ShownChange, to_json
from segmenter.embedded.screen_words import shown_changes
from segmenter.embedded.shop import history, open_shop
from segmenter.embedded.shop_live import live
from segmenter.observability import Metrics
from segmenter.settings import InputTopic, Keyed, Settings, Topics
from segmenter.stream.run import stopping_on_signals
from segmenter.wiring.demo_numbers import Numbers, numbers_of
from segmenter.wiring.worker import Circumstances, SystemClock, work

PARTITIONS = 8
EVENTS_PER_S = 60.0
FRAMES_PER_S = 2.0
# A percentile of the last so many changes: about a minute of them.
LATENCIES_KEPT = 500
CHANGES_SHOWN = 30
# Later than this an event was late in the shop, which says nothing of ours.
TIMELY: Instant = 10_000 * MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line asks for. `seconds` None: until Ctrl-C."""

    seconds: float | None
    seed: int
    customers: int
    is_json: bool


def run_demo(options: DemoOptions) -> None:
    """Run the demo to its end, and leave nothing behind."""
    with EmbeddedRedis() as redis, EmbeddedKafka() as kafka:
        settings = _settings(kafka.bootstrap, redis.url)
        names = [topic.name for topic in settings.topics.inputs] + [topic.name for topic in settings.topics.outputs]
        for name in names:
            kafka.create_topic(name, PARTITIONS)
        asyncio.run(_Demo(options, settings).run())


def _settings(bootstrap: str, redis_url: str) -> Settings:
    return Settings(
        kafka_bootstrap=bootstrap,
        redis_url=SecretStr(redis_url),
        partitions=PARTITIONS,
        topics=Topics(
            orders=InputTopic(name="orders", keyed=Keyed.CUSTOMER),
            clicks=InputTopic(name="clicks", keyed=Keyed.CUSTOMER),
            support=InputTopic(name="support", keyed=Keyed.CUSTOMER),
            customers=InputTopic(name="customers", keyed=Keyed.CUSTOMER),
        ),
        web_bind="127.0.0.1:0",
        session_timeout=timedelta(seconds=6),
        heartbeat_interval=timedelta(seconds=1),
        rebalance_timeout=timedelta(seconds=8),
        request_timeout=timedelta(seconds=15),
    )


class _Demo:
    """One run: the shop sends, the worker works, the watcher listens, the screen shows."""

    def __init__(self, options: DemoOptions, settings: Settings) -> None:
        self._options = options
        self._settings = settings
        self._clock = SystemClock()
        self._metrics = Metrics()
        self._phase = Phase.STARTING
        self._started_at = time.monotonic()
        self._changes: deque[ShownChange] = deque(maxlen=CHANGES_SHOWN)
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._rate = 0.0
        self._counted: tuple[float, int] = (self._started_at, 0)
        self._is_history_sent = asyncio.Event()

    async def run(self) -> None:
        """Run until the time is up or a signal comes."""
        with stopping_on_signals() as stop, self._shown() as show:
            async with asyncio.TaskGroup() as group:
                shop = group.create_task(self._run_shop(), name="shop")
                watcher = group.create_task(self._watch(), name="watcher")
                worker = group.create_task(self._run_worker(stop), name="worker")
                await self._show_until(stop, show)
                stop.set()
                shop.cancel()
                watcher.cancel()
                if not self._is_history_sent.is_set():
                    worker.cancel()

    async def _show_until(self, stop: asyncio.Event, show: "_Show") -> None:
        """Draw a frame now and then until `stop` is set or the time is up."""
        period_s = 1.0 if show.is_json else 1 / FRAMES_PER_S
        while not stop.is_set() and not self._is_over():
            await asyncio.to_thread(show.frame, self._frame())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(period_s):
                    await stop.wait()
        await asyncio.to_thread(show.frame, self._frame())

    def _is_over(self) -> bool:
        seconds = self._options.seconds
        return seconds is not None and time.monotonic() - self._started_at >= seconds

    async def _run_shop(self) -> None:
        """Send a year of history, then live traffic."""
        shop = open_shop(self._options.seed, self._clock.now(), self._options.customers)
        async with ShopPublisher(self._settings.kafka_bootstrap, PARTITIONS, self._clock) as publisher:
            self._phase = Phase.LOADING
            await publisher.load(history(shop))
            self._is_history_sent.set()
            await publisher.stream(live(shop, self._clock.now(), EVENTS_PER_S))

    async def _run_worker(self, stop: asyncio.Event) -> None:
        # A dwell of a week would hide every fall of a class from somebody who watches for minutes, and a shop that
        # has hardly begun moves its classes as only a storm does later.
        rulebook = Rulebook(value=replace(ValueRule(), dwell=0), storm=NEVER_HELD)
        # A worker that had seen the topics empty would take a year-old order for a late one.
        await self._is_history_sent.wait()
        circumstances = Circumstances(clock=self._clock, metrics=self._metrics, rulebook=rulebook, is_embedded=True)
        await work(self._settings, circumstances, stop)

    async def _watch(self) -> None:
        """Listen to the changes as marketing automation would, and take their latency."""
        async with _consumer(self._settings) as consumer:
            async for record in consumer:
                if record.value is None:
                    continue
                value = json.loads(record.value)
                if value["backfill"]:
                    continue
                latency_ms = self._latency_of(value)
                if latency_ms is not None:
                    self._latencies_ms.append(latency_ms)
                self._changes.extendleft(shown_changes(value, latency_ms))

    def _latency_of(self, value: Mapping[str, object]) -> float | None:
        """Return the time from an event to its change as read here; None where it would say nothing."""
        cause, effective_at = value["cause"], _instant(value["effective_at"])
        age = self._clock.now() - effective_at
        is_timely = isinstance(cause, dict) and cause["kind"] in (CauseKind.EVENT, CauseKind.REFUND)
        return age / MILLISECOND if is_timely and 0 <= age < TIMELY else None

    def _frame(self) -> DemoFrame:
        numbers = numbers_of(self._metrics)
        if numbers.live_lanes == PARTITIONS:
            self._phase = Phase.LIVE
        self._note_rate(numbers)
        p50, p99 = _percentiles(self._latencies_ms)
        return DemoFrame(
            phase=self._phase,
            elapsed_s=time.monotonic() - self._started_at,
            events=numbers.events,
            events_per_s=self._rate,
            changes=numbers.changes,
            sizes=numbers.sizes,
            last_changes=tuple(self._changes),
            latency_p50_ms=p50,
            latency_p99_ms=p99,
            lag=numbers.lag,
            rejected=numbers.rejected,
            duplicates=numbers.duplicates,
            late=numbers.late,
        )

    def _note_rate(self, numbers: Numbers) -> None:
        now, (before_at, before) = time.monotonic(), self._counted
        if now - before_at >= 1:
            self._rate = (numbers.events - before) / (now - before_at)
            self._counted = now, numbers.events

    @contextmanager
    def _shown(self) -> Iterator["_Show"]:
        """Give what draws frames: the screen on a terminal, a line of JSON a second elsewhere."""
        logging.getLogger().setLevel(logging.CRITICAL)
        if self._options.is_json or not sys.stdout.isatty():
            yield _Show(None)
            return
        with DemoScreen() as screen:
            yield _Show(screen)


class _Show:
    """Draws frames."""

    def __init__(self, screen: DemoScreen | None) -> None:
        self._screen = screen

    @property
    def is_json(self) -> bool:
        """Tell whether frames are lines of JSON."""
        return self._screen is None

    def frame(self, frame: DemoFrame) -> None:
        """Draw one."""
        if self._screen is None:
            print(to_json(frame), flush=True)  # noqa: T201
        else:
            self._screen.show(frame)


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        settings.topics.changes.name,
        bootstrap_servers=settings.kafka_bootstrap,
        auto_offset_reset="earliest",
        check_crcs=False,
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def _instant(text: object) -> Instant:
    return instant_of(datetime.fromisoformat(str(text)))


def _percentiles(values: "deque[float]") -> tuple[float | None, float | None]:
    """Return the median and the 99th percentile."""
    if len(values) < 2:
        return None, None
    cuts = quantiles(values, n=100)
    return cuts[49], cuts[98]
