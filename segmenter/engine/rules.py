"""The rulebook in force and the orders to hold, as a worker knows them: looked up once a second.

A worker that cannot read the revision in force (it was made for a newer release) decides nothing by an older one: its
lanes wait, and say so.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from segmenter.domain.revision import Revision
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.orders import Offer
from segmenter.errors import ConfigurationError, InvariantError
from segmenter.ports import HoldBoard, HoldOrder, RulebookSource

log = logging.getLogger(__name__)

ReadRulebook = Callable[[Revision], Rulebook]
"""Reads the text of a revision. Raises ConfigurationError with all faults."""


class FixedRules:
    """The rules that a worker was started with, and nothing is held: what `simulate` and small tests use."""

    fault = ""
    """Why nothing can be decided now; empty: it can."""
    warning = ""
    """What an operator should know of the rules, though all goes on; empty: nothing."""

    @property
    def offer(self) -> Offer | None:
        """The rulebook that lanes should adopt; None: each goes on by its own."""
        return None

    @property
    def orders(self) -> Mapping[str, HoldOrder]:
        """The newest order of each dimension."""
        return {}

    async def look(self) -> None:
        """Look up what is in force. Raises TransientError."""

    async def rulebook_of(self, revision: int, started_with: Rulebook) -> Rulebook:
        """Return the rules of a revision by which a lane has decided."""
        return started_with

    async def hold(self, order: HoldOrder) -> None:
        """Give an order to hold."""


class Rules(FixedRules):
    """The rules that are kept beside the lanes. `digest` tells the file that a worker was started with, if any."""

    def __init__(self, source: RulebookSource, board: HoldBoard, read: ReadRulebook, digest: str = "") -> None:
        self._source = source
        self._board = board
        self._read = read
        self._digest = digest
        self._offer: Offer | None = None
        self._orders: Mapping[str, HoldOrder] = {}

    @property
    def offer(self) -> Offer | None:
        """The rulebook that lanes should adopt; None: none was ever applied."""
        return self._offer

    @property
    def orders(self) -> Mapping[str, HoldOrder]:
        """The newest order of each dimension."""
        return self._orders

    async def look(self) -> None:
        """Look up what is in force. Raises TransientError."""
        self._orders = await self._board.orders()
        number = await self._source.active()
        if number is None or (self._offer is not None and self._offer.rulebook.revision == number):
            self.fault = ""
            return
        revision = await self._source.revision(number)
        if revision is None:
            raise InvariantError(f"revision {number} of the rulebook is in force, but it is not kept")
        try:
            rulebook = replace(self._read(revision), revision=number)
        except ConfigurationError as error:
            self._note_unreadable(number, error)
            return
        self.fault = ""
        self._offer = Offer(rulebook, revision.is_announced)
        log.info("rulebook_in_force", extra={"revision": number, "digest": revision.digest})
        self._note_difference(revision)

    async def rulebook_of(self, revision: int, started_with: Rulebook) -> Rulebook:
        """Return the rules of a revision by which a lane has decided; those in force where they are not kept."""
        if self._offer is not None and self._offer.rulebook.revision == revision:
            return self._offer.rulebook
        kept = await self._source.revision(revision)
        if kept is None:
            # The lane adopts what is in force before it decides anything.
            return replace(started_with, revision=revision)
        try:
            return replace(self._read(kept), revision=revision)
        except ConfigurationError:
            return replace(started_with, revision=revision)

    async def hold(self, order: HoldOrder) -> None:
        """Give an order to hold, for all lanes of all workers."""
        given = await self._board.order(order)
        self._orders = {**self._orders, given.dimension: given}

    def _note_unreadable(self, number: int, error: ConfigurationError) -> None:
        fault = f"revision {number} of the rulebook cannot be read by this release: {error.faults[0]}"
        if fault != self.fault:
            log.error("rulebook_unreadable", extra={"revision": number, "faults": list(error.faults)})
        self.fault = fault

    def _note_difference(self, revision: Revision) -> None:
        """Say loudly that the file a worker was started with does not hold."""
        if not self._digest or self._digest == revision.digest:
            self.warning = ""
            return
        self.warning = (
            f"the file in SEGMENTER_RULEBOOK differs from revision {revision.number}, which was applied and holds; "
            "apply the file with `segmenter rulebook apply`, or take it out of the settings"
        )
        log.warning("rulebook_file_ignored", extra={"revision": revision.number, "reason": self.warning})
