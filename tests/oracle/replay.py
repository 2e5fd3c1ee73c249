"""The engine over real events, one lane in memory: works on until a date, comes to rest, and shows its profiles."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.event_file import Line
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.records import JsonEncoder
from segmenter.domain.instants import HOUR, MILLISECOND, Instant, instant_of
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.lane import Lane, Services
from segmenter.engine.leader import Leader
from segmenter.engine.reading import Reading
from segmenter.engine.terms import Terms
from segmenter.observability import Metrics
from segmenter.ports import Decoded, LaneNotes, OutboxPage, Record, Refused, Token
from tests.oracle.jsonl import JsonEvent

OWNER = Token(1, "replay")
SOURCE = "events/0"
# A record stamped after every event: nothing in it is from the future.
_LONG_AFTER_MS = 2**62 // MILLISECOND


class Replay:
    """One lane and the leader. Boundaries are renewed at each rest only: at rest that makes no difference."""

    def __init__(self, rulebook: Rulebook, events: Sequence[JsonEvent]) -> None:
        self._terms = Terms(rulebook=rulebook, partitions=1, announce_from=0)
        self._store = MemoryStore(1)
        self._services = Services(store=self._store.lanes, encoder=JsonEncoder(), recorder=Metrics())
        recorder, scores = self._services.recorder, rulebook.cut_scores
        self._leader = Leader(self._store.board, OWNER, 1, rulebook.value, recorder, scores)
        self._arrivals = _decoded(events)
        self._next = 0
        self._lane: Lane | None = None

    async def until(self, moment: datetime) -> dict[str, Profile]:
        """Take every event up to this moment (naive UTC) and let time come to it; return everybody, by id.

        Events are taken hour by hour and settle their profiles as in a live lane.
        """
        end = instant_of(moment.replace(tzinfo=UTC))
        lane = self._lane = self._lane or await self._opened()
        while self._next < len(self._arrivals) and self._arrivals[self._next][0].at <= end:
            await self._take_an_hour(lane, end)
        await self._work(lane, end)
        while await self._leader.round() is not None:
            boundary = await self._store.board.boundary()
            assert boundary is not None
            await lane.adopt(boundary)
            await self._work(lane, end)
        customers = list(dict.fromkeys(decoded.customer for decoded, _ in self._arrivals[: self._next]))
        loaded = await self._store.lanes.load(0, customers)
        return {c: profile for c, profile in zip(customers, loaded, strict=True) if profile is not None}

    @property
    def notes(self) -> LaneNotes:
        """Return what the lane keeps beside its customers."""
        assert self._lane is not None
        return self._lane.state.notes

    async def _opened(self) -> Lane:
        state = await self._store.lanes.acquire(0, OWNER, 1)
        assert not isinstance(state, Refused)
        return Lane(state, OWNER, self._terms, self._services, self._publish)

    def _publish(self, pages: Sequence[OutboxPage]) -> None:
        self._pages = pages

    async def _take_an_hour(self, lane: Lane, end: Instant) -> None:
        """Let time come to the next event, then take all events of the hour that follows."""
        at = self._arrivals[self._next][0].at
        await self._work(lane, at)
        first = self._next
        while self._next < len(self._arrivals) and self._arrivals[self._next][0].at <= min(end, at + HOUR - 1):
            self._next += 1
        reading = Reading(arrivals=self._arrivals[first : self._next], positions={SOURCE: self._next})
        await lane.advance(reading, at, at)

    async def _work(self, lane: Lane, now: Instant) -> None:
        await lane.advance(Reading(), now, now)
        while lane.has_more:
            await lane.advance(Reading(), now, now)
        published = {output: number - 1 for output, number in lane.state.next_seq.items()}
        await self._store.lanes.acknowledge(0, OWNER, published, lane.state.next_page)


def _decoded(events: Sequence[JsonEvent]) -> list[tuple[Decoded, Record]]:
    decoder, arrivals = JsonDecoder(), list[tuple[Decoded, Record]]()
    for number, event in enumerate(events):
        line = Line("events", 0, number, _LONG_AFTER_MS, None, json.dumps(event).encode())
        decoded = decoder.decode(line)
        assert isinstance(decoded, Decoded), decoded
        arrivals.append((decoded, line))
    return arrivals
