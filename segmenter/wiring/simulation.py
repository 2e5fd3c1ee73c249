"""`simulate`: the engine of the workers on one lane in memory, driven by a file of events."""

import asyncio
import gzip
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TypeAlias

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.codec_limits import END_OF_TIME
from segmenter.adapters.event_file import EventFile, open_events
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.records import JsonEncoder
from segmenter.adapters.rulebook_file import Checked, check_file, default_rulebook
from segmenter.domain.causes import Rejection
from segmenter.domain.instants import BEGINNING, MICROSECOND, MILLISECOND, Instant, instant_of, rfc3339
from segmenter.engine.lane import Services
from segmenter.engine.simulation import Simulation, Step
from segmenter.engine.terms import Terms
from segmenter.errors import ConfigurationError
from segmenter.observability import Metrics
from segmenter.ports import Decoded, OutboxPage, Output
from segmenter.settings import Settings
from segmenter.wiring.rules import log_warnings

STANDARD_OUTPUT = "-"
_LEFT_OUT: Instant = -1
_NO_TIME = -1
_EXAMPLE = "2026-01-01T00:00:00Z"

Progress: TypeAlias = Callable[[int, int | None], None]
"""Told how many lines are done, and of how many, once that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """What to simulate, and where to write what would have been published; `-` is standard output."""

    events: str
    rulebook: Path | None = None
    until: Instant | None = None
    """None: the time of the file's newest event."""
    changes: str | None = None
    memberships: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationResult:
    """What came of it."""

    events: int
    left_out: int
    changes: int
    customers: int
    until: Instant
    rejected: Mapping[str, int]
    first_rejected: Mapping[str, str]
    """By reason, where in the file it was met first, and what was found and expected."""
    sizes: Mapping[tuple[str, str], int]

    def as_json(self) -> Mapping[str, object]:
        """Return it as one JSON object; sizes by dimension, then by segment."""
        sizes: dict[str, dict[str, int]] = {}
        for (dimension, segment), count in sorted(self.sizes.items()):
            sizes.setdefault(dimension, {})[segment] = count
        return {
            "events": self.events,
            "left_out": self.left_out,
            "changes": self.changes,
            "customers": self.customers,
            "until": rfc3339(self.until),
            "rejected": dict(self.rejected),
            "sizes": sizes,
        }


def simulate(options: SimulationOptions, settings: Settings, progress: Progress) -> SimulationResult:
    """Work off the events in file order and let time pass up to `until`.

    Orders are kept for ever and any event may be late, so files of any order can be read. Raises
    ConfigurationError for files that cannot be read or written and for a faulty rulebook.
    """
    terms = _terms(options, settings)
    try:
        with open_events(options.events) as file, ExitStack() as opened:
            said = _Said(_opened_output(options.changes, opened))
            result = _run(file, terms, options.until, said, progress)
            if (stream := _opened_output(options.memberships, opened)) is not None:
                stream.writelines(line + b"\n" for _, line in sorted(said.membership_by_key.items()))
            return result
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        fault = f"{options.events}: is no gzip file or is cut off ({error}); pack it again"
        raise ConfigurationError([fault]) from error
    except BrokenPipeError:
        raise  # whoever reads our output has seen enough
    except OSError as error:
        fault = f"{error.filename or options.events}: {error.strerror}; name files that can be read and written"
        raise ConfigurationError([fault]) from error


def instant_in(text: str, option: str = "--until") -> Instant:
    """Read the instant of an option, as RFC 3339 with a zone. Raises ConfigurationError."""
    try:
        until = instant_of(datetime.fromisoformat(text))
    except (ValueError, TypeError):
        until = None
    # Deadlines are queued up to the year 2255: time that went on beyond would find them due for ever.
    if until is None or not BEGINNING <= until < END_OF_TIME:
        fault = f"{option}: found {text!r}, expected an instant with its zone, from 1970 to 2200, such as {_EXAMPLE}"
        raise ConfigurationError([fault])
    return until


def _terms(options: SimulationOptions, settings: Settings) -> Terms:
    path = options.rulebook or settings.rulebook
    checked = Checked(default_rulebook(None)) if path is None else check_file(path, None)
    log_warnings(checked.warnings)
    announce_from = settings.announce_from
    return Terms(
        rulebook=checked.rulebook,
        partitions=1,
        # A file is not a backlog: nothing in it is history unless the settings say so.
        announce_from=BEGINNING if announce_from is None else instant_of(announce_from),
        announce_horizon=settings.announce_horizon // MICROSECOND,
        breaks_storms=False,
    )


def _opened_output(path: str | None, opened: ExitStack) -> IO[bytes] | None:
    if path is None:
        return None
    return sys.stdout.buffer if path == STANDARD_OUTPUT else opened.enter_context(Path(path).open("wb"))


@dataclass(slots=True)
class _Refusals:
    """Counts what is put aside by reason, and keeps the first of each."""

    by_reason: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, line: int, reason: str, detail: str) -> None:
        """Take one line of the file that cannot be used."""
        self.by_reason[reason] += 1
        self.first.setdefault(reason, f"line {line}: {detail}")


@dataclass(slots=True)
class _Said:
    """Takes what the lane publishes: writes changes as they come, keeps the last membership of each customer."""

    changes_file: IO[bytes] | None
    changes: int = 0
    membership_by_key: dict[bytes, bytes] = field(default_factory=dict)
    refusals: _Refusals = field(default_factory=_Refusals)

    def publish(self, pages: Sequence[OutboxPage]) -> None:
        """Take the pages of one commit."""
        for entry in (entry for page in pages for entry in page.entries):
            match entry.output:
                case Output.CHANGES:
                    self.changes += 1
                    if self.changes_file is not None:
                        self.changes_file.write((entry.value or b"") + b"\n")
                case Output.MEMBERSHIPS if entry.value is None:
                    self.membership_by_key.pop(entry.key or b"", None)
                case Output.MEMBERSHIPS:
                    self.membership_by_key[entry.key or b""] = entry.value or b""
                case Output.REJECTED:
                    told = {name: text.decode() for name, text in entry.headers}
                    self.refusals.add(int(told["offset"]), told["reason"], told["detail"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    """What the first reading of a file found: the time of each line (or _LEFT_OUT)."""

    times: "array[int]"
    left_out: int
    newest: Instant


def _run(file: EventFile, terms: Terms, until: Instant | None, said: _Said, progress: Progress) -> SimulationResult:
    decoder = JsonDecoder()
    survey = _surveyed(file, decoder, until, said.refusals, progress)
    end = survey.newest if until is None else until
    store = MemoryStore(1, lambda: end)
    services = Services(store=store.lanes, encoder=JsonEncoder(), recorder=Metrics())
    simulation = Simulation(terms, services, store.board, said.publish)
    # Not asyncio.run: nothing here waits, so its way to interrupt would wait for the end.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(simulation.run(_steps(file, decoder, survey, end, progress), lambda: end))
        _, state = loop.run_until_complete(store.lanes.state(0))
    finally:
        loop.close()
    return SimulationResult(
        events=sum(1 for at in survey.times if at != _LEFT_OUT),
        left_out=survey.left_out,
        changes=said.changes,
        customers=len(said.membership_by_key),
        until=end,
        rejected=said.refusals.by_reason,
        first_rejected=said.refusals.first,
        sizes={place: count for place, count in state.sizes.items() if count},
    )


def _surveyed(
    file: EventFile, decoder: JsonDecoder, until: Instant | None, refusals: _Refusals, progress: Progress
) -> _Survey:
    times = array("q")
    left_out = 0
    # Without a time of its own no record is from the future: what is beyond `until` is left out, not rejected.
    for line in file.lines(_NO_TIME):
        match decoder.decode(line):
            case Rejection(reason=reason, detail=detail):
                refusals.add(line.offset, reason, detail)
                times.append(_LEFT_OUT)
            case Decoded(at=at) if until is not None and at > until:
                left_out += 1
                times.append(_LEFT_OUT)
            case Decoded(at=at):
                times.append(at)
        if len(times) % 1_000 == 0:
            progress(len(times), None)
    newest = max(times, default=BEGINNING)
    return _Survey(times=times, left_out=left_out, newest=max(BEGINNING, newest))


def _steps(
    file: EventFile, decoder: JsonDecoder, survey: _Survey, end: Instant, progress: Progress
) -> Iterator[Step]:
    """Give every event that happens by `end`, with the least time that is still to come in the file."""
    none_before = array("q", survey.times)
    least = end
    for place in range(len(none_before) - 1, -1, -1):
        if survey.times[place] != _LEFT_OUT:
            least = min(least, survey.times[place])
        none_before[place] = least
    for place, line in enumerate(file.lines(end // MILLISECOND)):
        if survey.times[place] == _LEFT_OUT:
            continue
        decoded = decoder.decode(line)
        if isinstance(decoded, Decoded):
            yield Step(decoded, line, none_before[place])
        if place % 1_000 == 0:
            progress(place, len(survey.times))
