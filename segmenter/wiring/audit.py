"""`audit`: profiles rebuilt from the input topics, held against what is stored, and what is stored against itself.

Topics that are read directly are read up to the positions of each lane. Topics that come home over the repartition
topic are read at their origin, up to the marks of what each lane has taken: the repartition topic is kept for days
only, and a record that was lost on its way shows this way.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeAlias

from segmenter.adapters.audit_result import AuditResult, keep_result
from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.home import homes_among
from segmenter.adapters.kafka_history import KafkaHistory
from segmenter.adapters.kafka_reach import answering
from segmenter.adapters.redis_audit import LaneSize, RedisAudit
from segmenter.adapters.redis_client import connect
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.audit import Doubt
from segmenter.engine.audit_compare import Difference
from segmenter.errors import ConfigurationError, TransientError
from segmenter.settings import Settings
from segmenter.stream.source_log import KafkaSourceLog
from segmenter.wiring.audit_index import check_counters
from segmenter.wiring.audit_plan import CUSTOMERS_A_PORTION, Portion, plan_all, plan_sample, whole_lanes
from segmenter.wiring.audit_portion import PortionAudit, Surroundings
from segmenter.wiring.rules import rulebook_in_force
from segmenter.wiring.terms import codec_settings_of, terms_of

# Every difference is counted; of a state that is wrong altogether this many are enough to see why.
DIFFERENCES_KEPT = 10_000

Progress: TypeAlias = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """Whom to look at: about `customers`, drawn by `seed`, or everybody where it is None."""

    customers: int | None = None
    seed: int = 1
    customers_at_once: int = CUSTOMERS_A_PORTION


@dataclass(slots=True, kw_only=True)
class AuditReport:
    """What an audit came to."""

    customers: int = 0
    differences: int = 0
    shown: list[Difference] = field(default_factory=list)
    not_auditable: Counter[Doubt] = field(default_factory=Counter)
    lanes_not_counted: list[int] = field(default_factory=list)
    records: int = 0
    passes: int = 0
    seconds: float = 0.0

    def add(self, difference: Difference) -> None:
        """Take a difference."""
        self.differences += 1
        if len(self.shown) < DIFFERENCES_KEPT:
            self.shown.append(difference)

    def as_json(self) -> Mapping[str, object]:
        """Return it as one JSON object."""
        return {
            "customers": self.customers,
            "differences": self.differences,
            "not_auditable": dict(self.not_auditable),
            "lanes_not_counted": self.lanes_not_counted,
            "records": self.records,
            "passes": self.passes,
            "seconds": round(self.seconds, 3),
            "shown": [difference.as_json() for difference in self.shown],
        }


def audit(settings: Settings, options: AuditOptions, progress: Progress) -> AuditReport:
    """Compare, keep the result for the workers to show, and return it; `progress` is told the records read.

    Raises TransientError where a server does not answer, ConfigurationError where lanes are of another partition
    count or logs end before what was read of them.
    """
    return asyncio.run(_audit(settings, options, progress))


async def _audit(settings: Settings, options: AuditOptions, progress: Progress) -> AuditReport:
    started_s, report = time.monotonic(), AuditReport()
    async with AsyncExitStack() as stack:
        client = connect(settings.redis_url.get_secret_value())
        stack.push_async_callback(client.aclose)
        redis = RedisAudit(client, settings.namespace, settings.partitions)
        lanes = await _lanes(redis, settings)
        await stack.enter_async_context(answering(settings.kafka_bootstrap))
        history = await stack.enter_async_context(KafkaHistory(settings.kafka_bootstrap))
        around = await _surroundings(settings, await rulebook_in_force(client, settings), redis, history)
        portions = _planned(lanes, options)
        for portion in portions:
            result = await PortionAudit(portion, around, report.add).run(
                lambda read: progress(report.records + read, None)
            )
            report.passes += 1
            report.customers += result.customers
            report.records += result.records
            report.not_auditable += result.not_auditable
        for lane in whole_lanes(portions, lanes):
            if not await check_counters(redis, lane, report.add):
                report.lanes_not_counted.append(lane)
        report.seconds = time.monotonic() - started_s
        await keep_result(client, settings.namespace, _result(report))
    return report


async def _lanes(redis: RedisAudit, settings: Settings) -> list[LaneSize]:
    try:
        lanes = await redis.lanes()
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error
    if wrong := sorted({lane.partitions for lane in lanes} - {settings.partitions}):
        fault = f"SEGMENTER_PARTITIONS: found {settings.partitions}, but the lanes are stored as {wrong[0]}"
        raise ConfigurationError([f"{fault}; write SEGMENTER_PARTITIONS={wrong[0]}"])
    return lanes


async def _surroundings(
    settings: Settings, rulebook: Rulebook, redis: RedisAudit, history: KafkaHistory
) -> Surroundings:
    terms, codec = terms_of(settings, rulebook), codec_settings_of(settings)
    counts = await KafkaSourceLog(settings.kafka_bootstrap).partition_counts(sorted(terms.others | terms.direct))
    if missing := [topic for topic, count in counts.items() if not count]:
        fix = "create it with `segmenter topics create`"
        raise ConfigurationError(
            [f"topic {topic} does not exist, so nothing can be rebuilt; {fix}" for topic in missing]
        )
    return Surroundings(
        redis=redis,
        history=history,
        decoder=JsonDecoder(codec),
        home_of=homes_among(settings.partitions),
        rulebook=rulebook,
        direct=terms.direct,
        count_by_other={topic: count for topic, count in counts.items() if topic in terms.others},
        future_tolerance=codec.future_tolerance,
    )


def _planned(lanes: Sequence[LaneSize], options: AuditOptions) -> list[Portion]:
    if options.customers is None:
        return plan_all(lanes, options.customers_at_once)
    return plan_sample(lanes, options.customers, options.seed, options.customers_at_once)


def _result(report: AuditReport) -> AuditResult:
    return AuditResult(
        finished_at_s=int(time.time()),
        customers=report.customers,
        differences=report.differences,
        not_auditable=report.not_auditable.total(),
        lanes_not_counted=len(report.lanes_not_counted),
    )
