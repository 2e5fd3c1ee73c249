"""An engine for tests of the stream: it notes what it takes in SQLite, in one write with its positions.

Several processes may share the file. As in production, a write is refused unless the stored position is the one it
starts from, so what two owners read twice is noted once, and what was passed over is missing.
"""

import asyncio
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import time_ns

from segmenter.domain.instants import Instant
from segmenter.engine.intake import EngineStatus, Evidence, LaneCondition, Place, Poll
from segmenter.ports import SourceLog

_TABLES = """
create table if not exists position (place text primary key, next integer not null);
create table if not exists taken (place text, offset integer, worker text, key text, primary key (place, offset));
"""


class SystemClock:
    """The time it is."""

    def now(self) -> Instant:
        return time_ns() // 1000


@dataclass
class Observed:
    """Counts of what the stream told."""

    records: int = 0
    polls: int = 0
    drops: int = 0
    reseeks: list[Place] = field(default_factory=list)
    rebalances: int = 0
    fetch_errors: list[str] = field(default_factory=list)
    mirror_failures: int = 0

    def polled(self, records: int) -> None:
        self.polls += 1
        self.records += records

    def poll_dropped(self) -> None:
        self.drops += 1

    def reseeked(self, place: Place) -> None:
        self.reseeks.append(place)

    def rebalanced(self) -> None:
        self.rebalances += 1

    def fetch_failed(self, error: str) -> None:
        self.fetch_errors.append(error)

    def mirror_failed(self) -> None:
        self.mirror_failures += 1


class RecordingEngine:
    """Takes polls of all partitions it is assigned."""

    def __init__(self, path: Path, source_log: SourceLog, worker: str = "one", *, keeps_keys: bool = True) -> None:
        self._db = sqlite3.connect(path, timeout=20, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=off")
        self._db.executescript(_TABLES)
        self._source_log = source_log
        self._worker = worker
        self._keeps_keys = keeps_keys
        self._next: dict[Place, int] = {}
        self._busy = asyncio.Lock()
        self.generation: int | None = None
        self.paused: set[Place] = set()
        self.evidence: dict[Place, Evidence] = {}
        self.out_of_range_calls: list[tuple[Place, int, int, int]] = []
        self.take_delay_s = 0.0
        self.events: list[str] = []

    def intake(self) -> Mapping[Place, int]:
        return {place: offset for place, offset in self._next.items() if place not in self.paused}

    async def assigned(self, generation: int, partitions: Collection[Place]) -> None:
        self.events.append("assigned")
        self.generation = generation
        beginnings = await self._source_log.beginnings(partitions)
        self._next = {place: self._stored(place) or beginnings[place] for place in partitions}

    async def revoked(self) -> None:
        self.events.append("revoked")
        async with self._busy:
            self._next.clear()

    async def take(self, poll: Poll) -> None:
        async with self._busy:
            assert poll.generation == self.generation
            self.evidence.update(poll.evidence)
            if self.take_delay_s:
                await asyncio.sleep(self.take_delay_s)
            for place, records in poll.records.items():
                if place in self._next:
                    offsets = [(record.offset, record.key) for record in records]
                    self._commit(place, offsets, poll.evidence[place].position)

    async def out_of_range(self, place: Place, position: int, log_start: int, log_end: int) -> None:
        self.out_of_range_calls.append((place, position, log_start, log_end))
        self.paused.add(place)

    def positions(self) -> Mapping[Place, int]:
        return dict(self._next)

    def rewind(self, place: Place, offset: int) -> None:
        """Want records again, as after a store that lost its last second."""
        self._next[place] = offset

    def status(self) -> EngineStatus:
        lanes = {partition: LaneCondition.RUNNING for _, partition in self._next}
        return EngineStatus(generation=self.generation, lanes=lanes, is_store_reachable=True, last_poll_at=None)

    async def start(self) -> None:
        self.events.append("start")

    async def stop(self) -> None:
        self.events.append("stop")
        self._db.close()

    def _commit(self, place: Place, offsets: list[tuple[int, bytes | None]], after: int) -> None:
        before, text = self._next[place], _text(place)
        assert offsets[0][0] >= before
        self._db.execute("begin immediate")
        if (self._stored(place) or 0) > before:
            self._db.execute("rollback")
            self._next[place] = self._stored(place) or 0
            return
        rows = [(text, o, self._worker, (key or b"").decode()) for o, key in offsets] if self._keeps_keys else []
        self._db.executemany("insert into taken values (?, ?, ?, ?)", rows)
        self._db.execute("insert or replace into position values (?, ?)", (text, after))
        self._db.execute("commit")
        self._next[place] = after

    def _stored(self, place: Place) -> int | None:
        row = self._db.execute("select next from position where place = ?", (_text(place),)).fetchone()
        return None if row is None else int(row[0])


def taken_keys(path: Path) -> list[str]:
    """Return the keys of all records that were taken, sorted."""
    db = sqlite3.connect(path, timeout=20)
    try:
        return sorted(key for (key,) in db.execute("select key from taken"))
    except sqlite3.OperationalError:
        return []
    finally:
        db.close()


def _text(place: Place) -> str:
    return f"{place[0]}/{place[1]}"
