"""What all lanes of a worker share, and what a hold on one is made of."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from segmenter.domain.instants import Instant
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.clock_check import SureClock
from segmenter.engine.ear import OpenEar
from segmenter.engine.lane import Lane, Services
from segmenter.engine.reading import Reader
from segmenter.engine.recovery import Recovery
from segmenter.engine.relay import Relay
from segmenter.engine.rules import FixedRules
from segmenter.engine.terms import Terms
from segmenter.engine.watermark import Watermark
from segmenter.ports import Clock, Decoder, LaneState, OutboxPage, OutputLog, Source, SourceLog, Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Made once a process."""

    terms: Terms
    services: Services
    output: OutputLog
    clock: Clock
    decoder: Decoder
    home_of: Callable[[str], int]
    sources: SourceLog
    tasks: Sequence[str]
    """Every partition that comes over the repartition topic."""
    clock_check: SureClock = field(default_factory=SureClock)
    ear: OpenEar = field(default_factory=OpenEar)
    rules: FixedRules = field(default_factory=FixedRules)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """Who may work on a commit: one lane computes while another waits for the store. With all at once, every answer
    of a server would wait until all lanes have computed, and time-outs would come true of servers that answered."""
    takeovers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    process: str = field(default_factory=lambda: secrets.token_hex(8))
    """A nonce of this process, in which all its tokens begin."""

    def relay(self, lane: int, token: Token) -> Relay:
        """Return a publisher for this owner of a lane, within the bounds of the settings."""
        services = self.services
        relay = Relay(
            lane, token, store=services.store, log=self.output, clock=self.clock, recorder=services.recorder
        )
        relay.bound(self.terms.outbox_entries, self.terms.outbox_bytes)
        return relay

    def lane(
        self, state: LaneState, token: Token, rulebook: Rulebook, publish: Callable[[Sequence[OutboxPage]], None]
    ) -> Lane:
        """Return a lane at this state that decides by these rules, whose stored pages go to `publish`."""
        return Lane(state, token, self.terms, self.services, publish, rulebook)

    def reader(self, lane: int, decoder: Decoder | None = None) -> Reader:
        """Return what reads the records of a lane, by another decoder than ours where one is given."""
        return Reader(lane, self.terms.rekeyed, decoder or self.decoder, self.home_of, self.services.recorder)

    def watermark(self, stored: Instant, direct: Sequence[Source]) -> Watermark:
        """Return the time of a lane that reads these partitions directly."""
        return Watermark(stored, direct, self.tasks, self.terms)

    def recovery(self) -> Recovery:
        """Return what knows how a lane learns from its log."""
        return Recovery(self.services.store, self.services.encoder)
