"""Log lines: a fixed event name and fields, as JSON for machines or as text on a terminal."""

import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from segmenter.domain.instants import rfc3339
from segmenter.settings import LogFormat, LogLevel

# They repeat one sentence several times a second for as long as a broker is away.
NOISY_LOGGERS = ("aiokafka", "kafka", "faust", "mode", "asyncio")
REPEAT_AFTER_S = 10.0
# A logger that formats its messages itself gives a new text each time: do not remember all of them.
REMEMBERED_MESSAGES = 1_000

_STANDARD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def set_up_logging(
    level: LogLevel, form: LogFormat, stream: TextIO | None = None, *, vendors: int = logging.WARNING
) -> None:
    """Send every log line of the process to `stream` (standard error), in this form and from this level on.

    Libraries are heard from `vendors` on, and on every level when debugging.
    """
    target = sys.stderr if stream is None else stream
    is_text = form is LogFormat.TEXT or (form is LogFormat.AUTO and target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(_TextFormatter() if is_text else _JsonFormatter())
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if level is LogLevel.DEBUG else vendors)


class RepeatFilter(logging.Filter):
    """Lets the same line of a noisy logger pass once every ten seconds, with the count of those left out."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._passed_at: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line is to be written."""
        if record.name.partition(".")[0] not in NOISY_LOGGERS:
            return True
        line = (record.name, str(record.msg))
        now = self._monotonic()
        if now - self._passed_at.get(line, -REPEAT_AFTER_S) < REPEAT_AFTER_S:
            self._left_out[line] = self._left_out.get(line, 0) + 1
            return False
        if len(self._passed_at) >= REMEMBERED_MESSAGES:
            self._passed_at.clear()
            self._left_out.clear()
        self._passed_at[line] = now
        if left_out := self._left_out.pop(line, 0):
            record.repeated = left_out
        return True


def _fields_of(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD_FIELDS}


def _instant_text(record: logging.LogRecord) -> str:
    return rfc3339(int(record.created * 1_000) * 1_000)


class _JsonFormatter(JsonFormatter):
    """One JSON object a line: time, level, logger, event, and the line's own fields."""

    def add_fields(
        self, log_data: dict[str, object], record: logging.LogRecord, message_dict: dict[str, object]
    ) -> None:
        """Put the fields of a line together, in reading order."""
        log_data["time"] = _instant_text(record)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["event"] = record.getMessage()
        log_data.update(_fields_of(record))
        if record.exc_info:
            log_data["error"] = self.formatException(record.exc_info)


class _TextFormatter(logging.Formatter):
    """A line for people: time, level, event, then `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = "".join(f" {name}={value}" for name, value in _fields_of(record).items())
        line = f"{_instant_text(record)} {record.levelname:<7} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
