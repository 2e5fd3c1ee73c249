"""What commands ask about the life of the rulebook: apply, compare, list, go back, and how far the lanes are."""

import asyncio
import getpass
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from segmenter.adapters.kafka_rulebook import mirror
from segmenter.adapters.redis_client import Client, connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.adapters.redis_rules import RedisRulebookSource
from segmenter.adapters.rulebook_file import parse_rulebook, written_conditions
from segmenter.domain.instants import MICROSECOND, rfc3339
from segmenter.domain.revision import FIRST, Revision
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.walking import share_walked
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import LaneState
from segmenter.settings import Settings
from segmenter.wiring.rulebook_difference import Difference, Written, difference_between
from segmenter.wiring.rules import read_text, rulebook_in

DEFAULT_TEXT = "rulebook: 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A revision that was put in force; `mirror_fault` says why it is not on its topic."""

    revision: Revision
    difference: Difference
    mirror_fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneProgress:
    """By which revision a lane decides, and how much of its pass over stored customers is done."""

    lane: int
    revision: int
    share_done: float
    held: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is in force, and how far each lane is."""

    active: Revision | None
    lanes: tuple[LaneProgress, ...]

    @property
    def is_done(self) -> bool:
        """Tell whether every lane decides by what is in force, for every customer."""
        number = FIRST if self.active is None else self.active.number
        return all(lane.revision == number and lane.share_done == 1 for lane in self.lanes)


def apply_file(settings: Settings, path: Path, *, is_announced: bool, comment: str) -> Applied:
    """Put a file in force as the next revision.

    Raises ConfigurationError with all faults of the file, where it changes nothing, or where it changes the currency;
    TransientError when Redis does not answer.
    """
    rulebook_in(path, settings)
    return asyncio.run(_apply(settings, read_text(path), str(path), is_announced=is_announced, comment=comment))


def roll_back(settings: Settings, number: int, *, is_announced: bool, comment: str) -> Applied:
    """Put the text of an older revision in force, as a new one. Raises as `apply_file` does."""
    return asyncio.run(_roll_back(settings, number, is_announced=is_announced, comment=comment))


def list_revisions(settings: Settings) -> list[Revision]:
    """Return the revisions that are kept, newest first. Raises TransientError when Redis does not answer."""

    async def listed() -> list[Revision]:
        async with _client(settings) as client:
            return (await RedisRulebookSource(client, settings.namespace).history())[::-1]

    return asyncio.run(listed())


def compare(settings: Settings, before: str | None, after: str | None) -> Difference:
    """Return in what two rulebooks differ, each a file or a revision's number.

    Without the second, the first is compared with what is in force; without both, what is in force with the one
    before it.
    """
    return asyncio.run(_compare(settings, before, after))


def status_of(settings: Settings) -> Status:
    """Return how far the lanes are. Raises TransientError when Redis does not answer."""
    return asyncio.run(_status(settings))


async def _apply(settings: Settings, text: str, file: str, *, is_announced: bool, comment: str) -> Applied:
    async with _client(settings) as client:
        source = RedisRulebookSource(client, settings.namespace)
        in_force, is_stored = await _in_force(source, settings)
        before, after = _read(in_force.text, "what is in force", settings), _read(text, file, settings)
        difference = difference_between(before, after)
        _refuse(difference, before.rulebook, after.rulebook, file, in_force.number)
        revision = Revision(
            number=in_force.number + 1,
            text=text,
            at=time.time_ns() // 1_000,
            by=_user(),
            comment=comment,
            is_announced=is_announced,
        )
        if not await source.activate(revision, None if is_stored else in_force):
            raise ConfigurationError(
                [f"{file}: somebody else has applied a rulebook meanwhile; look at it, and try again"]
            )
        # All of them: where the topic or Kafka was away, the next revision brings those along that are missing.
        kept = await source.history()
    try:
        await mirror(settings.kafka_bootstrap, settings.topics.rulebook.name, kept)
    except (TransientError, ConfigurationError) as error:
        return Applied(revision=revision, difference=difference, mirror_fault=str(error))
    return Applied(revision=revision, difference=difference)


def _refuse(difference: Difference, before: Rulebook, after: Rulebook, file: str, number: int) -> None:
    if before.currency != after.currency:
        found = f"found {after.currency}, but the revenue that is stored is in {before.currency}"
        raise ConfigurationError([f"{file}: currency: {found}; begin anew under another SEGMENTER_NAMESPACE"])
    if difference.is_empty:
        raise ConfigurationError([f"{file}: says the same as revision {number}, which is in force; nothing to apply"])


async def _roll_back(settings: Settings, number: int, *, is_announced: bool, comment: str) -> Applied:
    async with _client(settings) as client:
        kept = await RedisRulebookSource(client, settings.namespace).revision(number)
    if kept is None:
        fault = f"revision {number} is not kept; `segmenter rulebook history` shows those that are"
        raise ConfigurationError([fault])
    why = comment or f"back to revision {number}"
    return await _apply(settings, kept.text, f"revision {number}", is_announced=is_announced, comment=why)


async def _compare(settings: Settings, before: str | None, after: str | None) -> Difference:
    async with _client(settings) as client:
        source = RedisRulebookSource(client, settings.namespace)
        in_force, is_stored = await _in_force(source, settings)
        if before is None and not is_stored:
            raise ConfigurationError(["no rulebook was ever applied, so there is none before it; name a file"])
        if after is None and before is not None:
            texts = in_force.text, await _text_of(before, source)
        elif before is not None and after is not None:
            texts = await _text_of(before, source), await _text_of(after, source)
        else:
            texts = await _text_of(str(max(FIRST, in_force.number - 1)), source), in_force.text
    one, other = (_read(text, "rulebook", settings) for text in texts)
    return difference_between(one, other)


async def _text_of(name: str, source: RedisRulebookSource) -> str:
    """Return the text of a revision by its number, or of a file."""
    if not name.isdecimal():
        return read_text(Path(name))
    kept = await source.revision(int(name))
    if kept is None:
        raise ConfigurationError([f"revision {name} is not kept; `segmenter rulebook history` shows those that are"])
    return kept.text


async def _in_force(source: RedisRulebookSource, settings: Settings) -> tuple[Revision, bool]:
    """Return what is in force, and whether it was applied: else it is the file of the settings, or the default."""
    number = await source.active()
    kept = None if number is None else await source.revision(number)
    if kept is not None:
        return kept, True
    text = DEFAULT_TEXT if settings.rulebook is None else read_text(settings.rulebook)
    by = "the default rules" if settings.rulebook is None else "SEGMENTER_RULEBOOK"
    return Revision(number=FIRST, text=text, at=time.time_ns() // 1_000, by=by), False


async def _status(settings: Settings) -> Status:
    async with _client(settings) as client:
        source, store = RedisRulebookSource(client, settings.namespace), RedisLaneStore(client, settings.namespace)
        number = await source.active()
        active = None if number is None else await source.revision(number)
        states = [(await store.state(lane))[1] for lane in range(settings.partitions)]
    return Status(active=active, lanes=tuple(_progress_of(state) for state in states if state.version))


def _progress_of(state: LaneState) -> LaneProgress:
    walk = state.notes.walk
    share = 1.0 if walk is None else share_walked(walk.cursor)
    return LaneProgress(lane=state.lane, revision=state.notes.revision, share_done=share, held=state.notes.held)


def _read(text: str, name: str, settings: Settings) -> Written:
    rulebook = parse_rulebook(text.encode(), name, settings.dedupe_horizon // MICROSECOND)
    return Written(rulebook, written_conditions(text))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def row_of(revision: Revision) -> tuple[str, ...]:
    """Return a revision as a row of the table."""
    told = "announced" if revision.is_announced else "silent"
    at = rfc3339(revision.at)
    return str(revision.number), at, revision.by, told, revision.digest[:12], revision.comment


def json_of(revision: Revision) -> dict[str, object]:
    """Return a revision as one JSON object."""
    return {
        "revision": revision.number,
        "at": rfc3339(revision.at),
        "by": revision.by,
        "comment": revision.comment,
        "announced": revision.is_announced,
        "digest": revision.digest,
    }


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[Client]:
    client = connect(settings.redis_url.get_secret_value())
    try:
        yield client
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error
    finally:
        await client.aclose()
