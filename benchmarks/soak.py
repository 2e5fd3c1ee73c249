"""An hour of a shop: does anything grow that should not? Memory of worker and Redis, outbox, and latency by minute.

400 events a second: clicks, orders, refunds, cancellations, tickets; two customers a second that nobody knew. Silence
counts after two minutes and revenue for ten, so a hundred deadlines come each second. `--scale` is in hours.
"""

import json
import time
import urllib.error
from dataclasses import asdict
from datetime import datetime

from redis import Redis

from benchmarks.bench import Servers, Worker, servers, unpublished, wait_until
from benchmarks.figures import Result, expect, quantile
from benchmarks.live import TOPICS, Seen, Watch, wait_until_live
from benchmarks.machine import cpu_seconds, load_average, resident_mib
from benchmarks.readback import check_profiles, read_log
from benchmarks.soak_load import Load
from benchmarks.soak_result import SAMPLED_EVERY_S, Minute, Sample, result_of
from segmenter.domain.instants import SECOND, instant_of

_LEAST_S = 60.0
_LATENESS_S = 2
_READ_WITHIN_S = 60.0
_RULEBOOK = "rulebook: 1\nlifecycle: {inactive_after: 2m}\nvalue: {window: 10m, dwell: 30s}\nstorm: off\n"


def run(scale: float) -> Result:
    """Return what an hour, or this share of one, came to."""
    seconds = max(_LEAST_S, 3_600 * scale)
    with servers(TOPICS) as at:
        rulebook = at.directory / "rulebook.yaml"
        rulebook.write_text(_RULEBOOK)
        with Worker(at, rulebook=rulebook) as worker, at.client() as redis:
            wait_until_live(worker)
            with Load(at.kafka.bootstrap) as load, Watch(at.kafka.bootstrap) as watch:
                soak = _Soak(worker, redis, load, watch)
                soak.last(seconds)
                load.stop()
                wait_until(load.sent_to, redis, _READ_WITHIN_S)
            worker.stop()
        check = _checked(at, load)
    return result_of(soak.samples, soak.minutes, load, check, soak.missed)


class _Soak:
    """Looks at everything now and then, for as long as it lasts."""

    def __init__(self, worker: Worker, redis: Redis, load: Load, watch: Watch) -> None:
        self.samples: list[Sample] = []
        self.minutes: list[Minute] = []
        self.missed = 0
        self._worker, self._redis, self._load, self._watch = worker, redis, load, watch
        self._began = time.monotonic()

    def last(self, seconds: float) -> None:
        """Return when the time is over; raises RuntimeError where the worker, or the load, ended before."""
        until = self._began + seconds
        next_sample, next_minute = self._began + SAMPLED_EVERY_S, self._began + 60
        while (now := time.monotonic()) < until:
            time.sleep(max(0.0, min(next_sample, until) - now))
            self._load.raise_what_ended_it()
            self._sample()
            next_sample += SAMPLED_EVERY_S
            if time.monotonic() >= next_minute:
                self._close_minute()
                next_minute += 60

    def _sample(self) -> None:
        try:
            metrics = self._worker.metrics()
            self.samples.append(
                Sample(
                    minute=self._minute(),
                    worker_mib=resident_mib(self._worker.pid),
                    redis_mib=int(self._redis.info("memory")["used_memory"]) / 2**20,
                    customers=round(metrics.sum("segmenter_segment_customers", dimension="lifecycle")),
                    orders=self._load.orders,
                    outbox=round(metrics.sum("segmenter_outbox_entries")),
                    cpu_s=cpu_seconds(self._worker.pid),
                    load=load_average(),
                )
            )
        except (urllib.error.URLError, TimeoutError):
            # A machine that is busy for half a minute spoils a sample, no more.
            self.missed += 1

    def _close_minute(self) -> None:
        """Write down what the changes read since the last minute say about time."""
        after_event: list[float] = []
        after_deadline: list[float] = []
        for seen in self._watch.take():
            sent_at = [self._load.sent_at(event_id) for event_id in seen.event_ids]
            if sent_at:
                after_event.append((seen.at - max(sent_at)) / 1_000)
            elif seen.value["cause"]["kind"] == "time":
                after_deadline.append(_ms_after_deadline(seen))
        if after_event:
            self.minutes.append(_minute_of(self._minute(), after_event, after_deadline or [0.0]))
        print(f"  {json.dumps(asdict(self.samples[-1]) | asdict(self.minutes[-1]))}", flush=True)

    def _minute(self) -> float:
        return round((time.monotonic() - self._began) / 60, 3)


def _ms_after_deadline(seen: Seen) -> float:
    return (seen.at - instant_of(datetime.fromisoformat(seen.value["effective_at"])) - _LATENESS_S * SECOND) / 1_000


def _minute_of(minute: float, after_event: list[float], after_deadline: list[float]) -> Minute:
    return Minute(
        minute=minute,
        changes=len(after_event),
        p50=quantile(after_event, 0.5),
        p99=quantile(after_event, 0.99),
        deadlines=len(after_deadline),
        deadline_p50=quantile(after_deadline, 0.5),
        deadline_p99=quantile(after_deadline, 0.99),
        load=load_average(),
    )


def _checked(at: Servers, load: Load) -> str:
    """Hold the log and every customer against the books; CheckError unless all is there, once."""
    with at.client() as redis:
        expect("records left in the outboxes", unpublished(redis), 0)
    log = read_log(at.kafka.bootstrap)
    count = check_profiles(at.redis.url, load.purses, log.sequence_by_customer)
    return (
        f"{load.sent:,} events, {count:,} customers: orders and net revenue equal the books; "
        f"{log.changes:,} changes read back, numbered without gaps"
    )
