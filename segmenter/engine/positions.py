"""Positions that cannot be right, in words, and how an operator puts them elsewhere. Nothing resets by itself."""

import secrets
from collections.abc import Sequence
from dataclasses import replace

from segmenter.domain.instants import MINUTE, SECOND, Span
from segmenter.engine.intake import Place
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import Commit, LaneStore, Refused, Source, TaskStore, Token

# Three heartbeats: who has missed them all is gone, or has stopped the lane.
ALIVE_WITHIN: Span = 3 * MINUTE


def fault_of(place: Place, position: int, log_start: int, log_end: int) -> str:
    """Return why a stored position cannot be right, and what to do; empty where it can."""
    source = f"{place[0]}/{place[1]}"
    command = f"segmenter positions set {source}"
    if position < log_start:
        lost = log_start - position
        return (
            f"{source} is read up to offset {position}, but its log begins at {log_start}: up to {lost} unread "
            f"events were deleted. Raise the retention of the topic; to go on without them: {command} beginning"
        )
    if position > log_end:
        return (
            f"{source} is read up to offset {position}, but its log ends at {log_end}: the topic was made anew, or "
            f"the broker has lost its end. To read it from its beginning: {command} beginning; to skip what it "
            f"holds: {command} end"
        )
    return ""


def fault_of_anew(topic: str, partitions: Sequence[int]) -> str:
    """Return what to do about a topic that was made anew since these partitions were read."""
    which = ", ".join(f"{topic}/{partition}" for partition in partitions)
    command = f"segmenter positions set {topic}/{partitions[0]}"
    return (
        f"topic {topic} was made anew since these were read, and stored offsets mean nothing in it: {which}. To read "
        f"one from its beginning: {command} beginning; to skip what it holds: {command} end"
    )


async def set_lane_position(store: LaneStore, lane: int, source: Source, offset: int, partitions: int) -> int | None:
    """Put a source of a lane to this offset and return where it was; None: it was never read.

    It takes the lane like an owner, so whoever held it cannot write any more, and gives it up at once. Raises
    ConfigurationError for a lane that a live worker holds.
    """
    await refuse_alive(store, lane)
    before, _ = await store.state(lane)
    token = Token(0 if before is None else before.generation, f"operator-{secrets.token_hex(4)}")
    state = await store.acquire(lane, token, partitions)
    if isinstance(state, Refused):
        raise ConfigurationError([f"lane {lane} cannot be taken: {state.detail}"])
    # After a rewind the lane waits until it comes to where it was: in a log made anew it would wait for ever.
    upto = {known: reached for known, reached in state.notes.recover_upto.items() if known != source}
    stored = await store.commit(
        Commit(
            lane=lane,
            token=token,
            version=state.version,
            notes=replace(state.notes, recover_upto=upto),
            positions={source: (state.positions.get(source), offset)},
        )
    )
    await store.release(lane, token)
    if isinstance(stored, Refused):
        raise TransientError(f"lane {lane} was not changed: {stored.detail}")
    return state.positions.get(source)


async def set_task_position(tasks: TaskStore, source: Source, offset: int) -> int | None:
    """Put a repartition task to this offset and return where it was. Put back, its events count as new ones at home.

    Where they were taken before they are recognised by their own ids, as any repeat is.
    """
    before = await tasks.position(source)
    is_back = before is not None and offset < before
    await tasks.put(source, offset, await tasks.incarnation(source) + is_back)
    return before


async def refuse_alive(store: LaneStore, lane: int) -> None:
    """Raise ConfigurationError where a live worker holds the lane."""
    silence = await store.silence(lane)
    if silence is not None and silence < ALIVE_WITHIN:
        owner, _ = await store.state(lane)
        raise ConfigurationError(
            [
                f"lane {lane} is held by a worker that lives: {owner} gave a sign {max(0, silence) // SECOND} s ago; "
                f"stop the workers and try again, or wait {ALIVE_WITHIN // MINUTE} min where they were killed"
            ]
        )
