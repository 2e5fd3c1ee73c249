"""The engine on one lane and a virtual clock: a file of events in, everything that would have been published out.

Time goes as the file goes. An event settles its own customer; deadlines fire up to the least time that is
still to come in the file, so no conclusion is drawn from silence that a later line refutes. Boundaries renew
after each second of event time that moved a ranking, and at the end.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from segmenter.domain.instants import SECOND, Instant
from segmenter.engine.lane import Lane, Services
from segmenter.engine.leader import Leader
from segmenter.engine.reading import Reading
from segmenter.engine.terms import Terms
from segmenter.errors import InvariantError
from segmenter.ports import Decoded, GlobalBoard, OutboxPage, Record, Refused, Token

SIMULATOR = Token(1, "simulation")


@dataclass(slots=True)
class Step:
    """One event in file order, and the least time that it or any later line has: no earlier one will come."""

    decoded: Decoded
    record: Record
    none_before: Instant


class Simulation:
    """Drives one lane. `publish` takes what it has to say, in order."""

    def __init__(
        self, terms: Terms, services: Services, board: GlobalBoard, publish: Callable[[Sequence[OutboxPage]], None]
    ) -> None:
        self._terms = terms
        self._services = services
        self._board = board
        self._publish = publish
        self._now: Instant = 0
        # A lane stores its time once a second; between, what a boundary moves moves at the time that has come.
        self._reached: Instant = 0
        self._ranks_at_round = 0

    async def run(self, steps: Iterable[Step], until: Callable[[], Instant]) -> None:
        """Work off all events, then let time pass until `until()`, which is asked when the last was read."""
        await self.begin()
        await self.work(steps)
        await self.pass_time(until())

    async def begin(self) -> None:
        """Take the lane; comes before all else, once."""
        acquired = await self._services.store.acquire(0, SIMULATOR, 1)
        if isinstance(acquired, Refused):
            raise InvariantError(f"a fresh store refused its lane: {acquired.detail}")
        self._lane = Lane(acquired, SIMULATOR, self._terms, self._services, self._publish)
        rules, recorder = self._terms.rulebook, self._services.recorder
        self._leader = Leader(self._board, SIMULATOR, 1, rules.value, recorder, rules.cut_scores)

    async def work(self, steps: Iterable[Step]) -> None:
        """Work off events; can go on after time has passed."""
        for now, chunk in _by_second(steps):
            await self._pass_time(chunk[0].none_before)
            self._now = max(self._now, now)
            arrivals = [(step.decoded, step.record) for step in chunk]
            await self._lane.advance(Reading(arrivals=arrivals, positions=self._position(arrivals)), 0, self._now)
            await self._renew_boundary()
            await self._acknowledge()

    async def pass_time(self, to: Instant) -> None:
        """Let time pass up to an instant, with every deadline on the way."""
        await self._pass_time(to)
        await self._renew_boundary()

    async def _acknowledge(self) -> None:
        """Let the store forget what was published."""
        state = self._lane.state
        published = {output: number - 1 for output, number in state.next_seq.items()}
        await self._services.store.acknowledge(0, SIMULATOR, published, state.next_page)

    def _position(self, arrivals: Sequence[tuple[Decoded, Record]]) -> dict[str, int]:
        record = arrivals[-1][1]
        return {f"{record.topic}/{record.partition}": record.offset + 1}

    async def _pass_time(self, to: Instant) -> None:
        """Play every deadline up to `to`, renewing the boundary after each second that moved a ranking."""
        store = self._services.store
        while (due := await store.next_due(0)) is not None and due <= to:
            at = min(to, due - due % SECOND + SECOND - 1)
            await self._advance(at)
            await self._renew_boundary()
        await self._advance(to)

    async def _advance(self, to: Instant) -> None:
        """Let the lane work until nothing is left to do by `to`."""
        self._now, self._reached = max(self._now, to), max(self._reached, to)
        await self._lane.advance(Reading(), to, self._now)
        while self._lane.has_more:
            await self._lane.advance(Reading(), to, self._now)

    async def _renew_boundary(self) -> None:
        """Hold a leader's round where a ranking moved, and look at everybody whom the new boundary can move."""
        notes = self._lane.state.notes
        # While lines of an earlier time are still to come the lane is behind, and boundaries are frozen.
        if not notes.is_live or notes.rank_version == self._ranks_at_round:
            return
        self._ranks_at_round = notes.rank_version
        boundary = await self._leader.round()
        if boundary is not None:
            await self._lane.adopt(boundary)
            await self._advance(self._reached)


def _by_second(steps: Iterable[Step]) -> Iterator[tuple[Instant, list[Step]]]:
    """Yield the events of each second, in file order; a second lasts until a later one has begun."""
    newest = 0

    def second_of(step: Step) -> int:
        nonlocal newest
        newest = max(newest, step.decoded.at)
        return newest // SECOND

    for _, group in groupby(steps, key=second_of):
        chunk = list(group)
        yield max(step.decoded.at for step in chunk), chunk
