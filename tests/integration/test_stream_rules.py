"""Rules of the stream that need no broker: timeouts, partition counts, and a poll's way to the engine."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from faust.tables.manager import TableManager

from segmenter.engine.intake import Poll
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import SourceLog
from segmenter.stream.app import build_app
from segmenter.stream.binding import Binding
from segmenter.stream.handoff import Dropped, Failed, Handoff, Taken
from segmenter.stream.ownership import GroupOwnership
from segmenter.stream.partition_counts import count_faults
from segmenter.stream.settings import StreamSettings
from segmenter.stream.source_log import KafkaSourceLog
from tests.bench.process import Child
from tests.integration.recording_engine import RecordingEngine, SystemClock

SETTINGS = StreamSettings(
    bootstrap="127.0.0.1:1",
    group="g",
    lane_topics=("orders", "rekeyed"),
    other_topics=("clicks",),
    partitions=4,
)
EQUAL = {"orders": 4, "rekeyed": 4, "clicks": 7}
NOBODY: SourceLog = KafkaSourceLog("127.0.0.1:1")


def test_the_settings_as_they_come_keep_the_rules() -> None:
    SETTINGS.refuse_faults()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"lane_topics": ()}, "no topic is read at home"),
        ({"other_topics": ("orders",)}, "topics are named twice: orders"),
        ({"request_timeout_s": 60.0}, "the request timeout of 60.0 s must be longer than the rebalance timeout"),
        ({"session_timeout_s": 120.0}, "the session timeout of 120.0 s must be shorter than the request timeout"),
        ({"heartbeat_s": 6.0}, "a heartbeat every 6.0 s is too rare for a session timeout of 10.0 s"),
    ],
)
def test_timeouts_that_would_stop_the_group_are_refused(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        replace(SETTINGS, **changes).refuse_faults()  # type: ignore[arg-type]


def test_all_broken_rules_are_told_at_once() -> None:
    wrong = replace(SETTINGS, lane_topics=(), request_timeout_s=5)

    with pytest.raises(ConfigurationError) as refused:
        wrong.refuse_faults()

    assert len(refused.value.faults) == 3


def test_topics_with_any_key_may_have_any_count() -> None:
    assert count_faults(EQUAL, SETTINGS) == []


def test_topics_that_are_missing_or_of_another_count_are_named() -> None:
    assert count_faults(EQUAL | {"orders": 5, "clicks": 0}, SETTINGS) == [
        "topic clicks does not exist; create it first",
        "topic orders has 5 partitions; every topic read at home must have 4",
    ]


def test_a_lane_that_was_given_in_parts_is_refused() -> None:
    assigned = [("orders", 0), ("rekeyed", 0), ("orders", 2), ("clicks", 6)]

    assert [fault[:48] for fault in count_faults(EQUAL, SETTINGS, assigned)] == [
        "lane 2 was given to this worker without rekeyed:"
    ]


def poll() -> Poll:
    return Poll(generation=1, records={}, evidence={}, begun={})


class Holding(RecordingEngine):
    """Holds polls until it is let go, and may fail."""

    def __init__(self, folder: Path, error: Exception | None = None) -> None:
        super().__init__(folder / "store.db", NOBODY)
        self.error = error
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.times = 0

    async def take(self, poll: Poll) -> None:
        self.times += 1
        self.begun.set()
        await self.may_end.wait()
        if self.error is not None:
            raise self.error


async def test_a_poll_is_taken_once_however_often_it_is_offered(tmp_path: Path) -> None:
    engine = Holding(tmp_path)
    engine.may_end.set()
    handoff = Handoff(engine, poll())

    await handoff.carry_out()
    await handoff.carry_out()

    assert (await handoff.outcome, engine.times) == (Taken(), 1)


async def test_a_poll_that_nobody_has_begun_can_be_taken_back(tmp_path: Path) -> None:
    engine = Holding(tmp_path)
    handoff = Handoff(engine, poll())

    handoff.take_back()
    await handoff.carry_out()

    assert (await handoff.outcome, engine.times) == (Dropped(), 0)


async def test_a_poll_that_is_begun_ends_by_itself(tmp_path: Path) -> None:
    engine = Holding(tmp_path)
    handoff = Handoff(engine, poll())
    agent = asyncio.create_task(handoff.carry_out())
    await engine.begun.wait()

    handoff.take_back()
    assert not handoff.outcome.done()
    engine.may_end.set()
    await agent

    assert await handoff.outcome == Taken()


async def test_the_agent_never_sees_an_error(tmp_path: Path) -> None:
    error = TransientError("the store is away")
    engine = Holding(tmp_path, error)
    engine.may_end.set()
    handoff = Handoff(engine, poll())

    await handoff.carry_out()

    assert await handoff.outcome == Failed(error)


async def test_a_broker_that_is_not_there_is_told_by_its_address() -> None:
    with pytest.raises(TransientError, match="Kafka at 127"):
        await KafkaSourceLog("127.0.0.1:1").partitions("orders")


STOPPING = """
import asyncio
import os
import signal
import sys
from segmenter.stream.run import stopping_on_signals

async def main():
    with stopping_on_signals() as stop:
        print("ready", flush=True)
        await stop.wait()
        print("stopping", flush=True)
        await asyncio.sleep(30)

asyncio.run(main())
"""


async def test_the_first_signal_asks_and_the_second_ends(tmp_path: Path) -> None:
    process = Child([sys.executable, "-c", STOPPING], log=tmp_path / "log")
    process.wait_until_it_says("ready", 20)

    os.kill(process.pid, signal.SIGTERM)
    process.wait_until_it_says("stopping", 5)
    os.kill(process.pid, signal.SIGINT)

    assert process.wait(5) == 128 + signal.SIGINT


async def test_faust_waits_for_no_tables_before_it_joins_the_group(tmp_path: Path) -> None:
    engine = RecordingEngine(tmp_path / "store.db", NOBODY)

    app = build_app(
        Binding(settings=SETTINGS, engine=engine, clock=SystemClock(), ownership=GroupOwnership()), tmp_path
    )

    # Faust's own manager sleeps for a second in which tables may be added.
    assert type(app.tables).on_start is not TableManager.on_start
    assert [agent.name for agent in app.agents.values()] == ["lanes"]
