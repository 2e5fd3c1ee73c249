"""`segmenter test`: a file of events played under a virtual clock, and held against what its author expects."""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.event_file import Line, open_events
from segmenter.adapters.expectations import (
    Expectation,
    ExpectedChange,
    ExpectedStanding,
    load_expectations,
)
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.records import JsonEncoder
from segmenter.adapters.records_told import told_change
from segmenter.adapters.rulebook_file import load_rulebook
from segmenter.domain.account import Inquiry
from segmenter.domain.causes import Rejection
from segmenter.domain.instants import BEGINNING, MILLISECOND, Instant, rfc3339
from segmenter.domain.past import ToldChange
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.lane import Services
from segmenter.engine.simulation import Simulation, Step
from segmenter.engine.terms import Terms
from segmenter.errors import ConfigurationError
from segmenter.observability import Metrics
from segmenter.ports import Decoded, OutboxPage, Output
from segmenter.wiring.why import account_lines, dimension_named

Progress = Callable[[int, int | None], None]
_NO_TIME = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one expectation; `why` explains one that was not met, a line each."""

    place: str
    customer: str
    at: Instant | None
    expected: str
    found: str
    is_met: bool
    why: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Played:
    """All that was told while the events were played, by customer, and what was expected."""

    events: int
    until: Instant
    rejected: list[str] = field(default_factory=list)
    """What is no event or was put aside, a sentence each."""
    told: dict[str, list[ToldChange]] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Tell whether an expectation was not met or a record could not be used."""
        return bool(self.rejected) or any(not outcome.is_met for outcome in self.outcomes)


def expectations_beside(rulebook: Path, named: Path | None) -> Path | None:
    """Return the file of expectations: the one that is named, or `shop.expect.yaml` beside `shop.yaml`."""
    if named is not None:
        return named
    beside = rulebook.with_suffix(".expect.yaml")
    return beside if beside.exists() else None


def play(rulebook_path: Path, events: str, expect: Path | None, until: Instant | None, progress: Progress) -> Played:
    """Play events in order of time, and answer every expectation at its instant.

    Raises ConfigurationError for files that cannot be read, with every fault of rulebook and expectations.
    """
    rulebook = load_rulebook(rulebook_path, None)
    expectations = [] if expect is None else load_expectations(expect)
    _check_names(expectations, rulebook)
    try:
        with open_events(events) as file:
            steps, rejected = _steps_of(file.lines(_NO_TIME), file.name)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigurationError([f"{events}: is no gzip file or is cut off ({error}); pack it again"]) from error
    except OSError as error:
        raise ConfigurationError([f"{events}: {error.strerror}; name a file that can be read"]) from error
    instants = [s.at for s in expectations if isinstance(s, ExpectedStanding)]
    end = max([BEGINNING, *instants, *(step.decoded.at for step in steps)]) if until is None else until
    steps = [step for step in steps if step.decoded.at <= end]
    played = Played(events=len(steps), until=end, rejected=rejected)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_Player(rulebook, played, progress).run(steps, expectations))
    finally:
        loop.close()
    return played


def _check_names(expectations: Sequence[Expectation], rulebook: Rulebook) -> None:
    faults: list[str] = []
    for expectation in expectations:
        if isinstance(expectation, ExpectedStanding):
            names = [*expectation.segments, *expectation.other_than]
        else:
            names = [expectation.dimension]
        for name in names:
            try:
                dimension_named(name, rulebook, expectation.place)
            except ConfigurationError as error:
                faults += error.faults
    if faults:
        raise ConfigurationError(faults)


def _steps_of(lines: Iterator[Line], name: str) -> tuple[list[Step], list[str]]:
    """Return the events in order of time, and a sentence for each line that is none."""
    decoder, steps, rejected = JsonDecoder(), list[Step](), list[str]()
    for line in lines:
        match decoder.decode(line):
            case Rejection(reason=reason, detail=detail):
                rejected.append(f"{name}:{line.offset}: {reason}: {detail}")
            case Decoded() as decoded:
                line.timestamp = decoded.at // MILLISECOND
                steps.append(Step(decoded, line, decoded.at))
    return sorted(steps, key=lambda step: step.decoded.at), rejected


class _Player:
    """Drives the engine from one expectation to the next."""

    def __init__(self, rulebook: Rulebook, played: Played, progress: Progress) -> None:
        self._rulebook = rulebook
        self._played = played
        self._progress = progress
        self._store = MemoryStore(1, lambda: played.until)
        terms = Terms(rulebook=rulebook, partitions=1, announce_from=BEGINNING, breaks_storms=False)
        services = Services(store=self._store.lanes, encoder=JsonEncoder(), recorder=Metrics())
        self._simulation = Simulation(terms, services, self._store.board, self._publish)

    async def run(self, steps: Sequence[Step], expectations: Sequence[Expectation]) -> None:
        """Play all, stopping at every instant at which something is expected."""
        await self._simulation.begin()
        standings = sorted((e for e in expectations if isinstance(e, ExpectedStanding)), key=lambda e: e.at)
        place = 0
        for expected in standings:
            upto = next((n for n in range(place, len(steps)) if steps[n].decoded.at > expected.at), len(steps))
            await self._simulation.work(steps[place:upto])
            place = upto
            await self._simulation.pass_time(min(expected.at, self._played.until))
            await self._answer(expected)
            self._progress(place, len(steps))
        await self._simulation.work(steps[place:])
        await self._simulation.pass_time(self._played.until)
        self._progress(len(steps), len(steps))
        for change in (e for e in expectations if isinstance(e, ExpectedChange)):
            await self._answer_change(change)

    def _publish(self, pages: Sequence[OutboxPage]) -> None:
        for entry in (entry for page in pages for entry in page.entries):
            if entry.output is Output.CHANGES and entry.value is not None:
                customer = (entry.key or b"").decode()
                self._played.told.setdefault(customer, []).append(told_change(entry.value))
            elif entry.output is Output.REJECTED:
                headers = {name: text.decode() for name, text in entry.headers}
                place = f"{headers['topic']}:{headers['offset']}"
                self._played.rejected.append(f"{place}: {headers['reason']}: {headers['detail']}")

    async def _inquiry(self, customer: str, at: Instant) -> Inquiry | None:
        [profile] = await self._store.lanes.load(0, [customer])
        _, state = await self._store.lanes.state(0)
        return None if profile is None else Inquiry(profile, at, self._rulebook, state.notes.boundary)

    async def _answer(self, expected: ExpectedStanding) -> None:
        inquiry = await self._inquiry(expected.customer, expected.at)
        wanted = [(name, segment, True) for name, segment in expected.segments.items()]
        wanted += [(name, segment, False) for name, segment in expected.other_than.items()]
        for name, segment, is_in in wanted:
            told = f"{name} {'' if is_in else 'not '}{segment}"
            if inquiry is None:
                found, is_met, why = "nobody by that id", not is_in, tuple[str, ...]()
            else:
                account = inquiry.account_of(dimension_named(name, self._rulebook, expected.place))
                found, is_met = account.segment or "none", (account.segment == segment) is is_in
                asked = [rule for rule in account.rules if rule.segment in (segment, account.segment)]
                why = () if is_met else tuple(account_lines(account, asked))
            outcome = Outcome(
                place=expected.place,
                customer=expected.customer,
                at=expected.at,
                expected=told,
                found=found,
                is_met=is_met,
                why=why,
            )
            self._played.outcomes.append(outcome)

    async def _answer_change(self, expected: ExpectedChange) -> None:
        dimension = dimension_named(expected.dimension, self._rulebook, expected.place)
        moves = _moves(self._played.told.get(expected.customer, ()), dimension)
        is_met = any(_is_as_expected(expected, told, before, after) for told, before, after in moves)
        why: tuple[str, ...] = ()
        if not is_met:
            inquiry = await self._inquiry(expected.customer, self._played.until)
            account = None if inquiry is None else inquiry.account_of(dimension)
            why = () if account is None else tuple(account_lines(account, account.rules))
        by = "" if expected.cause is None else f" by {expected.cause}"
        before = "" if expected.before is None else f"{expected.before} "
        outcome = Outcome(
            place=expected.place,
            customer=expected.customer,
            at=expected.at,
            expected=f"{expected.dimension} {before}→ {expected.after}{by}",
            found=", ".join(_told(*move) for move in moves) or "no change there",
            is_met=is_met,
            why=why,
        )
        self._played.outcomes.append(outcome)


def _moves(told: Sequence[ToldChange], dimension: str) -> list[tuple[ToldChange, str | None, str | None]]:
    return [(t, c.before, c.after) for t in told for c in t.changes if c.dimension == dimension]


def _is_as_expected(expected: ExpectedChange, told: ToldChange, before: str | None, after: str | None) -> bool:
    return (
        after == expected.after
        and expected.before in (None, before)
        and expected.at in (None, told.effective_at)
        and expected.cause in (None, told.cause.kind)
    )


def _told(told: ToldChange, before: str | None, after: str | None) -> str:
    return f"{before or 'none'} → {after or 'none'} at {rfc3339(told.effective_at)} by {told.cause.kind}"
