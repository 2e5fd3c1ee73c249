import io
import json
import logging
from collections.abc import Iterator

import pytest

from segmenter.logs import RepeatFilter, set_up_logging
from segmenter.settings import LogFormat, LogLevel


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers, root.level = handlers, level


def test_a_line_is_one_json_object_with_its_fields(stream: io.StringIO) -> None:
    set_up_logging(LogLevel.INFO, LogFormat.JSON, stream)

    logging.getLogger("segmenter.engine.lane").info("batch_committed", extra={"partition": 3, "events": 512})

    line = json.loads(stream.getvalue())
    assert list(line) == ["time", "level", "logger", "event", "partition", "events"]
    assert (line["level"], line["logger"], line["event"]) == ("info", "segmenter.engine.lane", "batch_committed")
    assert (line["partition"], line["events"]) == (3, 512)
    assert line["time"].endswith("Z")


def test_off_a_terminal_lines_are_json_by_themselves(stream: io.StringIO) -> None:
    set_up_logging(LogLevel.INFO, LogFormat.AUTO, stream)

    logging.getLogger("segmenter").warning("lane_behind")

    assert json.loads(stream.getvalue())["event"] == "lane_behind"


def test_text_is_for_people(stream: io.StringIO) -> None:
    set_up_logging(LogLevel.INFO, LogFormat.TEXT, stream)

    logging.getLogger("segmenter").info("batch_committed", extra={"partition": 3})

    assert stream.getvalue().endswith(" INFO    batch_committed partition=3\n")


def test_an_error_carries_its_traceback_in_one_field(stream: io.StringIO) -> None:
    set_up_logging(LogLevel.INFO, LogFormat.JSON, stream)

    try:
        int("broken")
    except ValueError:
        logging.getLogger("segmenter").exception("lane_stopped")

    assert json.loads(stream.getvalue())["error"].endswith("invalid literal for int() with base 10: 'broken'")


@pytest.mark.parametrize(("level", "is_heard"), [(LogLevel.INFO, False), (LogLevel.DEBUG, True)])
def test_libraries_are_quiet_until_one_debugs(stream: io.StringIO, level: LogLevel, is_heard: bool) -> None:
    set_up_logging(level, LogFormat.TEXT, stream)

    logging.getLogger("aiokafka.consumer").info("Heartbeat failed")

    assert bool(stream.getvalue()) is is_heard


def test_a_library_that_repeats_itself_is_heard_once_in_ten_seconds() -> None:
    seconds = [0.0]
    repeats = RepeatFilter(lambda: seconds[0])
    heard: list[tuple[float, int]] = []

    for tenth in range(250):
        seconds[0] = tenth / 10
        record = logging.makeLogRecord(
            {"name": "aiokafka.client", "msg": "Unable to connect to %s", "args": (tenth,)}
        )
        if repeats.filter(record):
            heard.append((seconds[0], getattr(record, "repeated", 0)))

    assert heard == [(0.0, 0), (10.0, 99), (20.0, 99)]


def test_our_own_lines_are_never_left_out() -> None:
    repeats = RepeatFilter(lambda: 0.0)
    record = logging.makeLogRecord({"name": "segmenter.engine", "msg": "batch_committed"})

    assert all(repeats.filter(record) for _ in range(3))
