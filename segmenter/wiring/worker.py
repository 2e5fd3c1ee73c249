"""A worker, put together: Kafka and Redis behind the engine's ports, the stream around it, its pages beside it."""

import asyncio
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from segmenter import __version__
from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.home import homes_among
from segmenter.adapters.kafka_forward import KafkaForwarder
from segmenter.adapters.kafka_log import KafkaOutputLog
from segmenter.adapters.kafka_topics import check, count_faults
from segmenter.adapters.records import JsonEncoder
from segmenter.adapters.redis_board import RedisBoard
from segmenter.adapters.redis_client import Client, check_server, connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_rules import RedisHoldBoard, RedisRulebookSource
from segmenter.adapters.redis_sources import RedisSourceBoard, RedisTime
from segmenter.adapters.redis_tasks import RedisTaskStore
from segmenter.domain.instants import Instant
from segmenter.domain.revision import digest_of
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.clock_check import ClockCheck
from segmenter.engine.ear import Ear
from segmenter.engine.lane import Services
from segmenter.engine.repartition import Stage
from segmenter.engine.rules import Rules
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
from segmenter.wiring.audit_watch import watch_audit
from segmenter.wiring.bytecode import warn_of_uncompiled_code
from segmenter.wiring.kafka import topic_plans
from segmenter.wiring.origin import refuse_foreign_state
from segmenter.wiring.rules import checked_rulebook_of, log_warnings, read_text, rulebook_in_revision
from segmenter.wiring.terms import codec_settings_of, output_topics_of, stream_settings_of, terms_of
from segmenter.wiring.topic_ids import refuse_topics_made_anew, watch_topics

log = logging.getLogger(__name__)


def system_time() -> Instant:
    """Return the instant it is by this machine."""
    return time.time_ns() // 1_000


class SystemClock:
    """The clock of this machine."""

    def now(self) -> Instant:
        """Return the instant it is."""
        return system_time()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a worker is given beside its settings: tests hold the clock, the demo brings its own rules and broker.

    `system_time` is what is held against the clock of Redis, whatever the clock of the worker shows.
    """

    clock: Clock
    metrics: Metrics
    rulebook: Rulebook
    is_embedded: bool = False
    system_time: Callable[[], Instant] = system_time


def run_worker(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    log.info("worker_starting", extra={"version": __version__, "pid": os.getpid()})
    warn_of_uncompiled_code()
    asyncio.run(_run_until_signalled(settings))


async def _run_until_signalled(settings: Settings) -> None:
    look_for_cycles_rarely()
    checked = checked_rulebook_of(settings)
    log_warnings(checked.warnings)
    circumstances = Circumstances(clock=SystemClock(), metrics=Metrics(), rulebook=checked.rulebook)
    with stopping_on_signals() as stop:
        await work(settings, circumstances, stop)


def look_for_cycles_rarely() -> None:
    """Leave garbage in cycles lying longer: we make little of it, and hold 200,000 records of a poll at a time.

    By default Python looks through all of them again and again, for a third of the CPU
    time of a worker that catches up. What importing has left, 0.9 MiB, is not worth looking
    through all modules for, which takes 0.1 s.
    """
    gc.freeze()
    gc.enable()
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
        counts = await _refuse_unusable(client, settings, is_embedded=circumstances.is_embedded)
        watching = asyncio.create_task(watch_audit(client, settings.namespace, circumstances.metrics), name="audit")
        stack.callback(watching.cancel)
        output = KafkaOutputLog(
            settings.kafka_bootstrap,
            settings.app_id,
            output_topics_of(settings),
            plain=circumstances.is_embedded,
        )
        forwarder = KafkaForwarder(settings.kafka_bootstrap, settings.topics.rekeyed.name, settings.app_id)
        await stack.enter_async_context(output)
        await stack.enter_async_context(forwarder)
        ownership = GroupOwnership()
        workshop = await _workshop(settings, circumstances, client, output, counts)
        engine = Engine(
            workshop,
            _stage(workshop, client, settings, forwarder),
            RedisBoard(client, settings.namespace, settings.partitions),
            ownership,
        )
        if not circumstances.is_embedded:
            looking = asyncio.create_task(watch_topics(client, settings, engine.stop_reading), name="topics")
            stack.callback(looking.cancel)
        stream = stream_settings_of(settings, is_embedded=circumstances.is_embedded)
        yield (
            engine,
            Binding(
                settings=stream,
                engine=engine,
                clock=circumstances.clock,
                ownership=ownership,
                observer=circumstances.metrics,
                are_topics_checked=True,
            ),
        )


async def _refuse_unusable(client: Client, settings: Settings, *, is_embedded: bool) -> Mapping[str, int]:
    """Return the partition counts of all topics; raise for servers, topics or state that cannot be worked with."""
    await _refuse_unfit(client, settings)
    counts = await _refuse_unfit_topics(settings)
    if not is_embedded:
        await _all_at_once(
            _refuse_forgetful_brokers(settings),
            refuse_foreign_state(client, settings),
            refuse_topics_made_anew(client, settings),
        )
    return counts


async def _refuse_unfit(client: Client, settings: Settings) -> None:
    """Raise for a Redis that cannot keep lanes, or cannot be reached."""
    try:
        faults = await check_server(client)
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error
    if faults:
        raise ConfigurationError(faults)


async def _all_at_once(*checks: Coroutine[None, None, None]) -> None:
    """Make these checks side by side; raises for the first in this order that fails."""
    outcomes = await asyncio.gather(*checks, return_exceptions=True)
    for failure in outcomes:
        if failure is not None:
            raise failure


async def _refuse_unfit_topics(settings: Settings) -> Mapping[str, int]:
    """Return the partition counts; raise for topics that are missing or have another than expected."""
    plans = topic_plans(settings)
    counts = await KafkaSourceLog(settings.kafka_bootstrap).partition_counts([plan.name for plan in plans])
    if faults := [fault for plan in plans for fault in count_faults(plan, counts[plan.name])]:
        raise ConfigurationError(faults)
    return counts


async def _refuse_forgetful_brokers(settings: Settings) -> None:
    """Raise for brokers that forget a fence, or an id, sooner than its holder renews it."""
    if faults := await check(settings.kafka_bootstrap, []):
        raise ConfigurationError(faults)


async def _workshop(
    settings: Settings,
    circumstances: Circumstances,
    client: Client,
    output: KafkaOutputLog,
    counts: Mapping[str, int],
) -> Workshop:
    terms, metrics = terms_of(settings, circumstances.rulebook), circumstances.metrics
    rules = _rules(settings, circumstances, client)
    await rules.look()
    return Workshop(
        terms=terms,
        rules=rules,
        services=Services(
            store=RedisLaneStore(client, settings.namespace),
            encoder=JsonEncoder(),
            recorder=metrics,
        ),
        output=output,
        clock=circumstances.clock,
        decoder=JsonDecoder(codec_settings_of(settings)),
        home_of=homes_among(settings.partitions),
        sources=KafkaSourceLog(settings.kafka_bootstrap),
        tasks=[f"{topic}/{partition}" for topic in sorted(terms.others) for partition in range(counts[topic])],
        clock_check=ClockCheck(circumstances.system_time, RedisTime(client, settings.namespace), metrics),
        ear=Ear(terms, RedisSourceBoard(client, settings.namespace), metrics),
    )


def _rules(settings: Settings, circumstances: Circumstances, client: Client) -> Rules:
    digest = "" if settings.rulebook is None else digest_of(read_text(settings.rulebook))
    return Rules(
        RedisRulebookSource(client, settings.namespace),
        RedisHoldBoard(client, settings.namespace),
        lambda revision: rulebook_in_revision(revision, settings),
        digest,
    )


def _stage(workshop: Workshop, client: Client, settings: Settings, forwarder: KafkaForwarder) -> Stage:
    return Stage(
        terms=workshop.terms,
        decoder=JsonDecoder(codec_settings_of(settings)),
        home_of=homes_among(settings.partitions),
        forwarder=forwarder,
        tasks=RedisTaskStore(client, settings.namespace),
        recorder=workshop.services.recorder,
        clock_check=workshop.clock_check,
        ear=workshop.ear,
    )
