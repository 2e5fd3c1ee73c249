"""The whole path with hostile records: a lane on the memory adapters, as a worker drives it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.memory import MemoryStore
from segmenter.adapters.records import JsonEncoder
from segmenter.domain.instants import SECOND, Instant
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.lane import Lane, Services
from segmenter.engine.leader import Leader
from segmenter.engine.reading import Reader
from segmenter.engine.terms import Terms
from segmenter.observability import Metrics
from segmenter.ports import LaneState, OutboxPage, Output, Token
from tests.fuzz.hostile import Hostile, Hostility

START: Instant = 1_793_527_200 * SECOND
BATCH = 200
OWNER = Token(1, "fuzz")


@dataclass
class Passed:
    """What became of the records: all of them are in one of the two."""

    records: int = 0
    worked_off: Counter[str] = field(default_factory=Counter)
    """By verdict of the step."""
    rejected: Counter[str] = field(default_factory=Counter)
    """By reason on the topic of what is put aside."""
    unexplained: int = 0
    """Put aside without a place and a sentence."""
    changes: int = 0

    def publish(self, pages: Sequence[OutboxPage]) -> None:
        """Take what the lane says."""
        for entry in (entry for page in pages for entry in page.entries):
            if entry.output is Output.CHANGES:
                self.changes += 1
            elif entry.output is Output.REJECTED:
                headers = dict(entry.headers)
                self.rejected[headers["reason"].decode()] += 1
                self.unexplained += not (headers["detail"] and headers["offset"])


async def pass_through(seed: int, count: int) -> Passed:
    """Send hostile records through a lane, batch by batch; raises what stops the lane.

    Raises AssertionError where a batch's records are not all accounted for.
    """
    passed, hostility, metrics, now = Passed(), Hostility(seed), Metrics(), START
    store, decoder = MemoryStore(1, lambda: START), JsonDecoder()
    state = await store.lanes.acquire(0, OWNER, 1)
    assert isinstance(state, LaneState)
    terms = Terms(rulebook=Rulebook(), partitions=1, direct=frozenset({"orders"}), announce_from=0)
    services = Services(store=store.lanes, encoder=JsonEncoder(), recorder=metrics)
    lane = Lane(state, OWNER, terms, services, passed.publish)
    leader = Leader(store.board, OWNER, 1, terms.rulebook.value, metrics)
    reader = Reader(0, "segmenter.rekeyed", decoder, lambda _: 0, metrics)
    while passed.records < count:
        records = [hostility.record(passed.records + n, now) for n in range(min(BATCH, count - passed.records))]
        await _work_off(lane, reader, records, passed, now)
        if (boundary := await leader.round()) is not None:
            await lane.adopt(boundary)
        now += 60 * SECOND
        while True:
            await lane.advance(reader.read([], {}), now - 2 * SECOND, now)
            if not lane.has_more:
                break
        await _forget_published(store, lane)
    return passed


async def _work_off(lane: Lane, reader: Reader, records: Sequence[Hostile], passed: Passed, now: Instant) -> None:
    before, metrics = passed.rejected.total(), lane._services.recorder
    assert isinstance(metrics, Metrics)
    verdicts_before = _verdicts(metrics)
    reading = reader.read(records, {})
    await lane.advance(reading, now - 2 * SECOND, now)
    verdicts = _verdicts(metrics) - verdicts_before
    passed.records += len(records)
    passed.worked_off += verdicts
    rejected = passed.rejected.total() - before
    # What waited too long for its order is put aside too, long after it was worked off: not within these times.
    assert rejected == verdicts["rejected"], (rejected, verdicts)
    assert verdicts.total() == len(records), (verdicts, len(records))


def _verdicts(metrics: Metrics) -> Counter[str]:
    found: Counter[str] = Counter()
    for family in metrics.registry.collect():
        if family.name == "segmenter_events":
            for sample in family.samples:
                found[sample.labels["verdict"]] += int(sample.value)
    return found


async def _forget_published(store: MemoryStore, lane: Lane) -> None:
    published = {output: number - 1 for output, number in lane.state.next_seq.items()}
    await store.lanes.acknowledge(0, OWNER, published, lane.state.next_page)
