"""What each guard of the product is for, shown by worlds that go wrong without it.

A guard is taken away by putting a part that lacks it into every worker: a subclass, or a wrapper of a port. Nothing
is patched. `python -m tests.simulation.sabotage` looks for the first world that notices.
"""

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from segmenter.adapters.fence import Claim, Fence, Identity
from segmenter.adapters.kafka_forward import KafkaForwarder
from segmenter.adapters.kafka_log import KafkaLaneLog, KafkaOutputLog
from segmenter.adapters.kafka_numbered import NumberedPartition
from segmenter.adapters.kafka_wire import Partition
from segmenter.domain.instants import Instant
from segmenter.domain.value import Boundary
from segmenter.engine.batch import Batch
from segmenter.engine.ear import OpenEar
from segmenter.engine.hold import Hold
from segmenter.engine.holder import LaneHolder
from segmenter.engine.intake import Evidence, Place, Poll
from segmenter.engine.lane import Lane
from segmenter.engine.pace import FIRST_PAUSE_S, Pauses
from segmenter.engine.reading import Reader, Reading
from segmenter.engine.recovery import Recovery
from segmenter.engine.relay import Reconciliation, Relay
from segmenter.engine.takeover import Takeover
from segmenter.engine.terms import Terms
from segmenter.engine.watermark import FOREVER, Watermark
from segmenter.engine.worker import Engine
from segmenter.engine.workshop import Workshop
from segmenter.errors import TransientError
from segmenter.ports import (
    Commit,
    Decoder,
    Forward,
    LaneNotes,
    LaneState,
    LaneSummary,
    LoggedRecord,
    OutboxEntry,
    OutboxPage,
    Output,
    Record,
    Source,
    Tail,
    Token,
)
from tests.simulation.acts import Theme
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.consumer import Laxness
from tests.simulation.rules import REKEYED, TOPIC_BY_OUTPUT
from tests.simulation.worker import APP, Parts

# ---- the fence in the log


class _Unmarked(Fence):
    async def mark(self, identity: Identity) -> None:
        """Write no markers."""


class _Unmarking(KafkaLaneLog):
    async def _tail(self, output: Output) -> Tail:
        read = self._read[output] = await NumberedPartition.at_its_end(self._wire, self._partitions[output])
        newest = await read.newest(None)
        return Tail(newest.lane_seq, newest.producer_id)


class _WithoutMarkers(KafkaOutputLog):
    lane_log = _Unmarking

    def fence(self, lane: int, partitions: Sequence[Partition]) -> Fence:
        return _Unmarked(self._wire, f"{self._app_id}-{lane}", partitions)


class _Unsuspecting(Fence):
    async def claim(self) -> Claim:
        """Take what (b) gives, whoever came between."""
        claim = await self.claim_once()
        if claim is None:
            raise TransientError("overtaken")
        return claim


class _WithoutSuspicion(KafkaOutputLog):
    lane_log = _Unmarking

    def fence(self, lane: int, partitions: Sequence[Partition]) -> Fence:
        return _Unsuspecting(self._wire, f"{self._app_id}-{lane}", partitions)


class _UnmarkedTails(KafkaOutputLog):
    lane_log = _Unmarking


class _Tailless(KafkaLaneLog):
    async def tails(self) -> Mapping[Output, Tail]:
        await super().tails()
        return {}


class _WithoutTails(KafkaOutputLog):
    lane_log = _Tailless


class _Hasty(KafkaLaneLog):
    async def send(self, entries: Sequence[OutboxEntry]) -> None:
        """Do not wait for the broker's word."""
        sending = asyncio.create_task(super().send(entries))
        sending.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.sleep(0)


class _WithoutAcknowledgement(KafkaOutputLog):
    lane_log = _Hasty


class _HastyForwarder(KafkaForwarder):
    async def forward(self, records: Sequence[Forward]) -> None:
        """Do not wait for the broker's word."""
        sending = asyncio.create_task(super().forward(records))
        sending.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.sleep(0)


def _log(kind: type[KafkaOutputLog]) -> Callable[[SimulatedCluster], KafkaOutputLog]:
    return lambda cluster: kind(cluster, APP, TOPIC_BY_OUTPUT)


# ---- the store


class _Lax:
    """A store without one of its checks; the rest is the store's own."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, commit: Commit) -> Any:
        return await self._store.commit(self._eased(commit, self._store._lane(commit.lane)))

    def _eased(self, commit: Commit, held: Any) -> Commit:
        return commit


class _Tokenless(_Lax):
    def _eased(self, commit: Commit, held: Any) -> Commit:
        return replace(commit, token=held.token)


class _Versionless(_Lax):
    def _eased(self, commit: Commit, held: Any) -> Commit:
        return replace(commit, version=held.state.version)


class _Positionless(_Lax):
    def _eased(self, commit: Commit, held: Any) -> Commit:
        stored = held.state.positions
        return replace(commit, positions={s: (stored.get(s), to) for s, (_, to) in commit.positions.items()})


class _Forgetful(_Versionless, _Positionless):
    def _eased(self, commit: Commit, held: Any) -> Commit:
        eased = _Positionless._eased(self, _Versionless._eased(self, commit, held), held)
        return replace(eased, token=held.token)


class _Yielding(_Lax):
    async def renew(self, lane: int, old: Token, new: Token, version: int) -> bool:
        held = self._store._lane(lane)
        return bool(await self._store.renew(lane, held.token or old, new, held.state.version))


class _Welcoming(_Lax):
    async def acquire(self, lane: int, token: Token, partitions: int) -> Any:
        held = self._store._world.lanes.get(lane)
        if held is not None:
            held.token = None
        return await self._store.acquire(lane, token, partitions)


class _Unfrozen:
    """A board on which everybody is live."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def __getattr__(self, name: str) -> Any:
        return getattr(self._board, name)

    async def summaries(self) -> list[LaneSummary]:
        return [replace(s, is_live=True, watermark=2**62) for s in await self._board.summaries()]


class _Unmoved(_Unfrozen):
    async def summaries(self) -> list[LaneSummary]:
        return [replace(summary, rank_version=0) for summary in await self._board.summaries()]


# ---- lanes


class _Unsettled(Lane):
    def _step_arrivals(self, batch: Batch, reading: Reading, settle_limit: Instant) -> None:
        super()._step_arrivals(batch, reading, 0)


class _AlwaysLive(Lane):
    def is_live_at(self, now: Instant) -> bool:
        return True


class _Impatient(Lane):
    def _has_passed(self, reading: Reading, notes: LaneNotes) -> bool:
        return True


class _Talkative(Lane):
    async def _commit(self, commit: Commit) -> None:
        """Publish first, store then."""
        if commit.pages:
            self._publish(commit.pages)
        await super()._commit(commit)


class _Resting(Lane):
    async def adopt(self, boundary: Boundary) -> None:
        """Look at nobody."""
        notes = replace(self.state.notes, boundary=boundary)
        await self._commit(Commit(lane=self.state.lane, token=self.token, version=self.state.version, notes=notes))


class _Homeless(Reader):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._home_of = lambda _: self._lane


class _Repeating(Reader):
    def read(
        self, records: Iterable[Record], taken: Mapping[str, int], markers: Mapping[Source, Instant] = {}
    ) -> Reading:
        return super().read(records, {}, markers)


class _BlindToTasks(Watermark):
    def __init__(self, stored: Instant, sources: Iterable[Source], tasks: Iterable[Source], terms: Terms) -> None:
        super().__init__(stored, sources, (), terms)


class _SureOfTheEnd(Watermark):
    def observe(self, source: Source, evidence: Evidence | None, newest: Instant | None, now: Instant) -> None:
        if evidence is not None:
            evidence = Evidence(evidence.position, evidence.position, now)
        super().observe(source, evidence, newest, now)


class _Presuming(Watermark):
    def advance(
        self, markers: Mapping[Source, Instant], limit: Instant = FOREVER, left_out: Collection[Source] = ()
    ) -> Instant:
        """Do not wait for who has shown nothing yet."""
        unheard = [source for source, time in self.times(markers).items() if time is None]
        return super().advance(markers, limit, [*left_out, *unheard])


class _Prompt(Watermark):
    def __init__(self, stored: Instant, sources: Iterable[Source], tasks: Iterable[Source], terms: Terms) -> None:
        super().__init__(stored, sources, tasks, replace(terms, default_lateness=0))


class _Deaf(Recovery):
    async def reconcile(
        self,
        state: LaneState,
        beyond: Mapping[Output, Sequence[LoggedRecord]],
        unsaid: Sequence[OutboxEntry] = (),
    ) -> Reconciliation:
        return Reconciliation(notes=state.notes)


class _Trusting(Takeover):
    async def own_state(self) -> LaneState:
        """Do not look whose the lane is."""
        return (await self._store.state(self.lane))[1]

    async def _mark(self, state: LaneState, published: Mapping[Output, int], first_page: int) -> None:
        """Note nothing: the store would ask for our token."""


class _Unconfirmed(Relay):
    def __init__(self, lane: int, token: Token, **services: Any) -> None:
        super().__init__(lane, token, **services)
        self._takeover = _Trusting(lane, token, services["store"], services["log"])


class _Dropping(Engine):
    def continued(self, poll: Poll) -> Poll:
        """Take a poll as it comes, wherever it was begun."""
        return poll


def _with_lane(kind: type[Lane]) -> type[Workshop]:
    class _Shop(Workshop):
        def lane(self, state: LaneState, token: Token, publish: Callable[[Sequence[OutboxPage]], None]) -> Lane:
            return kind(state, token, self.terms, self.services, publish)

    return _Shop


def _with_reader(kind: type[Reader]) -> type[Workshop]:
    class _Shop(Workshop):
        def reader(self, lane: int, decoder: Decoder | None = None) -> Reader:
            return kind(lane, self.terms.rekeyed, decoder or self.decoder, self.home_of, self.services.recorder)

    return _Shop


def _with_watermark(kind: type[Watermark]) -> type[Workshop]:
    class _Shop(Workshop):
        def watermark(self, stored: Instant, direct: Sequence[Source]) -> Watermark:
            return kind(stored, direct, self.tasks, self.terms)

    return _Shop


class _DeafShop(Workshop):
    def recovery(self) -> Recovery:
        return _Deaf(self.services.store, self.services.encoder)


class _Unbounded(Relay):
    def bound(self, entries: int, size_bytes: int) -> None:
        """Take whatever comes."""
        super().bound(2**31, 2**62)


class _Impetuous(Relay):
    async def _recover(self, error: TransientError) -> None:
        """Try again as soon after the tenth failure as after the first."""
        await super()._recover(error)
        self._pause_s = FIRST_PAUSE_S


class _ImpetuousHold(Hold):
    def _pause(self, reason: str) -> None:
        super()._pause(reason)
        self._again_at = 0.0


class _ImpetuousHolder(LaneHolder):
    hold = _ImpetuousHold


class _ImpetuousEngine(Engine):
    holder = _ImpetuousHolder


class _Hasty(Engine):
    async def assigned(self, generation: int, partitions: Collection[Place]) -> None:
        """Renew what stays at once, whatever is in hand."""
        working, self._working = self._working, asyncio.Lock()
        try:
            await super().assigned(generation, partitions)
        finally:
            self._working = working


class _TrustingHolder(LaneHolder):
    async def renew(self, generation: int) -> None:
        """Take the generation before for the last one that was heard of."""
        self._generation = generation - 1
        await super().renew(generation)


class _TrustingEngine(Engine):
    holder = _TrustingHolder


class _NoPauses(Pauses):
    def after_failure(self, what: Hashable) -> float:
        """Wait for nothing."""
        return 0.0


class _Restless(Engine):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._pauses = _NoPauses()


def _with_relay(kind: type[Relay]) -> type[Workshop]:
    class _Shop(Workshop):
        def relay(self, lane: int, token: Token) -> Relay:
            services = self.services
            relay = kind(
                lane, token, store=services.store, log=self.output, clock=self.clock, recorder=services.recorder
            )
            relay.bound(self.terms.outbox_entries, self.terms.outbox_bytes)
            return relay

    return _Shop


_UNFINISHED_WORK = "stream: work is finished before a rebalance, and a renewal waits for it"
_STALE_POLLS = "stream: polls of another generation are dropped, and the engine takes only what goes on"

GUARDS: Mapping[str, Parts] = {
    "fence: markers in the log": Parts(output=_log(_WithoutMarkers)),
    "fence: nobody came between, and token is asked for behind it": Parts(
        output=_log(_WithoutSuspicion), workshop=_with_relay(_Unconfirmed)
    ),
    "fence: tails show our marker": Parts(output=_log(_UnmarkedTails)),
    "takeover: tails are read": Parts(output=_log(_WithoutTails)),
    "relay: acknowledged before dropped": Parts(output=_log(_WithoutAcknowledgement)),
    "relay: a full outbox stops intake": Parts(workshop=_with_relay(_Unbounded)),
    "relay: pauses grow": Parts(workshop=_with_relay(_Impetuous)),
    "hold: a store that is full is left alone": Parts(engine=_ImpetuousEngine),
    "repartition: pauses grow": Parts(engine=_Restless),
    "store: token": Parts(store=_Tokenless),
    "store: version": Parts(store=_Versionless),
    "store: token, version and positions": Parts(store=_Forgetful),
    "store: renewal only of our own": Parts(store=_Yielding),
    "store: an older generation is refused": Parts(store=_Welcoming),
    "lane: stored before published": Parts(workshop=_with_lane(_Talkative)),
    "lane: settled before recorded": Parts(workshop=_with_lane(_Unsettled)),
    "lane: settles only to the watermark while behind": Parts(workshop=_with_lane(_AlwaysLive)),
    "lane: sweeps after a boundary": Parts(workshop=_with_lane(_Resting)),
    "home: strays are put aside": Parts(workshop=_with_reader(_Homeless)),
    "repartition: origins taken are remembered": Parts(workshop=_with_reader(_Repeating)),
    "repartition: position after acknowledgement": Parts(forwarder=lambda cluster: _HastyForwarder(cluster, REKEYED)),
    "repartition: markers of time": Parts(workshop=_with_watermark(_BlindToTasks)),
    "time: only at the end of a source": Parts(workshop=_with_watermark(_SureOfTheEnd)),
    "time: every source has spoken": Parts(workshop=_with_watermark(_Presuming)),
    "time: lateness is allowed": Parts(workshop=_with_watermark(_Prompt)),
    "time: as of the request": Parts(laxness=Laxness(takes_evidence_at_the_answer=True)),
    "time: a topic that is silent holds it": Parts(ear=lambda *_: OpenEar()),
    "leader: frozen while a lane is behind": Parts(board=_Unfrozen),
    "leader: computes when a ranking moved": Parts(board=_Unmoved),
    "recovery: the log's records are facts": Parts(workshop=_DeafShop),
    "recovery: held until the lane has passed": Parts(workshop=_with_lane(_Impatient)),
    "stream: reads where the engine wants": Parts(laxness=Laxness(trusts_its_position=True)),
    _STALE_POLLS: Parts(laxness=Laxness(hands_over_stale_polls=True), engine=_Dropping),
    _UNFINISHED_WORK: Parts(laxness=Laxness(does_not_wait_for_work=True), engine=_Hasty),
    "engine: polls go on where the lane is": Parts(engine=_Dropping),
    "engine: a renewal waits for the work in hand": Parts(engine=_Hasty),
    "engine: only the next generation renews": Parts(engine=_TrustingEngine),
}
"""By name, the parts that lack it."""

COVERED: Mapping[str, str] = {
    # Who is overtaken between (a) and (b) has lost the lane: he meets another's token behind the fence. And who asks
    # for none, but has an unbroken claim, is the only writer, reads the tails, and says what the store holds.
    "fence: nobody came between": "fence: nobody came between, and token is asked for behind it",
    "takeover: token is read behind the fence": "fence: nobody came between, and token is asked for behind it",
    # Token and version name one history of a lane, and its positions are those the lane knows: an assertion.
    "store: positions": "store: token, version and positions",
    # What was read from the offset that is wanted is the same whoever was assigned what meanwhile.
    "stream: polls of another generation are dropped": _STALE_POLLS,
    # A renewal waits for the work in hand as well, as a worker that is late may not have been told of the rebalance.
    "stream: work is finished before a rebalance": _UNFINISHED_WORK,
}
"""Guards kept as a second defence: the loss of one alone changes nothing, that of all in the named entry does."""

THEMES: Mapping[str, Theme] = {
    "fence: nobody came between, and token is asked for behind it": Theme.OVERTAKEN,
    "fence: tails show our marker": Theme.DEPOSED,
    "relay: a full outbox stops intake": Theme.STORM,
    "relay: pauses grow": Theme.STORM,
    "hold: a store that is full is left alone": Theme.STORM,
    "repartition: pauses grow": Theme.STORM,
    "store: token": Theme.REWOUND,
    "lane: stored before published": Theme.DEATH,
    "lane: settles only to the watermark while behind": Theme.POSTCARD,
    "time: only at the end of a source": Theme.BACKLOG,
    "time: every source has spoken": Theme.POSTCARD,
    "time: lateness is allowed": Theme.TIGHT,
    "time: as of the request": Theme.TIGHT,
    "time: a topic that is silent holds it": Theme.SILENT,
    "recovery: held until the lane has passed": Theme.FORWARD,
    _STALE_POLLS: Theme.SHUFFLED,
    _UNFINISHED_WORK: Theme.CALM,
    "engine: a renewal waits for the work in hand": Theme.CALM,
    "engine: only the next generation renews": Theme.REWOUND,
    "engine: polls go on where the lane is": Theme.REWOUND,
}
"""The worlds in which a guard has something to do; the others are looked for in whatever the seeds bring."""
