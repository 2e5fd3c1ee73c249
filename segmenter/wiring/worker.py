"""A worker, put together: Kafka and Redis behind the engine's ports, the stream around it, its pages beside it."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.home import homes_among
from segmenter.adapters.kafka_forward import KafkaForwarder
from segmenter.adapters.kafka_log import KafkaOutputLog
from segmenter.adapters.kafka_topics import check, count_faults
from segmenter.adapters.records import JsonEncoder
from segmenter.adapters.redis_board import RedisBoard
from segmenter.adapters.redis_client import Client, check_server, connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_tasks import RedisTaskStore
from segmenter.domain.instants import Instant
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.lane import Services
from segmenter.engine.repartition import Stage
from segmenter.engine.worker import Engine
from segmenter.engine.workshop import Workshop
from segmenter.errors import ConfigurationError, TransientError
from segmenter.observability import Metrics
from segmenter.ports import Clock
from segmenter.settings import Settings
from segmenter.stream.binding import Binding
from segmenter.stream.ownership import GroupOwnership
from segmenter.stream.run import run_stream, stopping_on_signals
from segmenter.stream.source_log import KafkaSourceLog
from segmenter.web.health import Health, health_site
from segmenter.wiring.kafka import topic_plans
from segmenter.wiring.rules import rulebook_of
from segmenter.wiring.terms import codec_settings_of, output_topics_of, stream_settings_of, terms_of

log = logging.getLogger(__name__)


class SystemClock:
    """The clock of this machine."""

    def now(self) -> Instant:
        """Return the instant it is."""
        return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a worker is given beside its settings: tests hold the clock, the demo brings its own rules and broker."""

    clock: Clock
    metrics: Metrics
    rulebook: Rulebook
    is_embedded: bool = False


def run_worker(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    asyncio.run(_run_until_signalled(settings))


async def _run_until_signalled(settings: Settings) -> None:
    circumstances = Circumstances(clock=SystemClock(), metrics=Metrics(), rulebook=rulebook_of(settings))
    _look_for_cycles_rarely()
    with stopping_on_signals() as stop:
        await work(settings, circumstances, stop)


def _look_for_cycles_rarely() -> None:
    """Leave garbage in cycles lying longer: we make little of it, and hold 200,000 records of a poll at a time.

    By default Python looks through all of them again and again, for a third of the CPU
    time of a worker that catches up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def work(settings: Settings, circumstances: Circumstances, stop: asyncio.Event) -> None:
    """Run a worker until `stop` is set.

    Raises ConfigurationError for what cannot be used, TransientError where a server does not answer at the start,
    and OwnershipError when another process works under this one's name.
    """
    async with _engine(settings, circumstances) as (engine, binding):
        health = Health(
            status=engine.status,
            watchdog_age_s=binding.pulse.age_s,
            registry=circumstances.metrics.registry,
        )
        async with health_site(settings.web_bind, health) as address:
            log.info("worker_started", extra={"web": address, "partitions": settings.partitions})
            ending = asyncio.create_task(_stop_on_fatal(engine, stop), name="fatal")
            try:
                await run_stream(binding, stop)
            finally:
                ending.cancel()
            if engine.fatal.done():
                engine.fatal.result()
            log.info("worker_stopped")


async def _stop_on_fatal(engine: Engine, stop: asyncio.Event) -> None:
    with suppress(Exception):  # it is raised where the stream has ended
        await asyncio.shield(engine.fatal)
    stop.set()


@asynccontextmanager
async def _engine(settings: Settings, circumstances: Circumstances) -> AsyncIterator[tuple[Engine, Binding]]:
    """Give the engine and what binds it to the stream; everything is closed in reverse order."""
    async with AsyncExitStack() as stack:
        client = connect(settings.redis_url.get_secret_value())
        stack.push_async_callback(client.aclose)
        await _refuse_unfit(client, settings)
        await _refuse_unfit_topics(settings)
        if not circumstances.is_embedded:
            await _refuse_forgetful_brokers(settings)
        output = KafkaOutputLog(
            settings.kafka_bootstrap,
            settings.app_id,
            output_topics_of(settings),
            plain=circumstances.is_embedded,
        )
        rekeyed = settings.topics.rekeyed.name
        forwarder = KafkaForwarder(settings.kafka_bootstrap, rekeyed, settings.app_id)
        await stack.enter_async_context(output)
        await stack.enter_async_context(forwarder)
        ownership = GroupOwnership()
        engine = Engine(
            await _workshop(settings, circumstances, client, output),
            _stage(settings, circumstances, client, forwarder),
            RedisBoard(client, settings.namespace, settings.partitions),
            ownership,
        )
        stream = stream_settings_of(settings, is_embedded=circumstances.is_embedded)
        yield (
            engine,
            Binding(
                settings=stream,
                engine=engine,
                clock=circumstances.clock,
                ownership=ownership,
                observer=circumstances.metrics,
            ),
        )


async def _refuse_unfit(client: Client, settings: Settings) -> None:
    """Raise for a Redis that cannot keep lanes, or cannot be reached."""
    try:
        faults = await check_server(client)
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error
    if faults:
        raise ConfigurationError(faults)


async def _refuse_unfit_topics(settings: Settings) -> None:
    """Raise for topics that are missing or of another partition count, before anything relies on them."""
    plans = topic_plans(settings)
    try:
        counts = await KafkaSourceLog(settings.kafka_bootstrap).partition_counts([plan.name for plan in plans])
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_KAFKA_BOOTSTRAP"
        raise TransientError(f"{error}; {fix}") from error
    if faults := [fault for plan in plans for fault in count_faults(plan, counts[plan.name])]:
        raise ConfigurationError(faults)


async def _refuse_forgetful_brokers(settings: Settings) -> None:
    """Raise for brokers that forget a fence, or an id, sooner than its holder renews it."""
    if faults := await check(settings.kafka_bootstrap, []):
        raise ConfigurationError(faults)


async def _workshop(
    settings: Settings, circumstances: Circumstances, client: Client, output: KafkaOutputLog
) -> Workshop:
    terms = terms_of(settings, circumstances.rulebook)
    sources = KafkaSourceLog(settings.kafka_bootstrap)
    counts = await sources.partition_counts(sorted(terms.others)) if terms.others else {}
    return Workshop(
        terms=terms,
        services=Services(
            store=RedisLaneStore(client, settings.namespace),
            encoder=JsonEncoder(),
            recorder=circumstances.metrics,
        ),
        output=output,
        clock=circumstances.clock,
        decoder=JsonDecoder(codec_settings_of(settings)),
        home_of=homes_among(settings.partitions),
        sources=sources,
        tasks=[f"{topic}/{partition}" for topic, count in counts.items() for partition in range(count)],
    )


def _stage(settings: Settings, circumstances: Circumstances, client: Client, forwarder: KafkaForwarder) -> Stage:
    return Stage(
        terms=terms_of(settings, circumstances.rulebook),
        decoder=JsonDecoder(codec_settings_of(settings)),
        home_of=homes_among(settings.partitions),
        forwarder=forwarder,
        tasks=RedisTaskStore(client, settings.namespace),
        recorder=circumstances.metrics,
    )
