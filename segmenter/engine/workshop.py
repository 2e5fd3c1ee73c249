"""What all lanes of a worker share."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from segmenter.engine.clock_check import SureClock
from segmenter.engine.ear import OpenEar
from segmenter.engine.lane import Services
from segmenter.engine.relay import Relay
from segmenter.engine.terms import Terms
from segmenter.ports import Clock, Decoder, OutputLog, SourceLog, Token


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
