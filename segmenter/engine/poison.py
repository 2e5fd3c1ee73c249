"""Records that make our own code raise: found by halving what one commit takes, and put aside one by one.

Each part is tried against what the store holds then, so a stored commit contains the effect of a record or its
rejection, never both and never neither. A record is blamed only where the commit works without it: if that raises
too, the fault is not the record's, and the lane stops.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from segmenter.domain.causes import Rejection, RejectReason
from segmenter.engine.reading import place_of
from segmenter.errors import InvariantError, SegmenterError
from segmenter.ports import Decoded, Record

log = logging.getLogger(__name__)

Attempt: TypeAlias = Callable[[Sequence[Record], Rejection | None], Awaitable[None]]
"""Works records off in one commit, or puts them aside with this rejection. Leaves nothing behind when it raises."""

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Refusing:
    """A decoder that reads nothing: all records are put aside for one reason."""

    rejection: Rejection

    def decode(self, record: Record) -> Decoded | Rejection:
        """Return the rejection."""
        return self.rejection


async def work_around(records: Sequence[Record], attempt: Attempt) -> None:
    """Attempt all of the records, in order; those that our own code cannot bear are put aside.

    Raises whatever the attempt raises of ours (a server is away, the lane is lost), with the parts before it
    stored; and InvariantError where the fault is not that of a record.
    """
    try:
        await attempt(records, None)
    except SegmenterError:
        raise
    except Exception as error:  # our own bug: it costs one record, not the lane
        if len(records) > 1:
            middle = len(records) // 2
            await work_around(records[:middle], attempt)
            await work_around(records[middle:], attempt)
        elif records:
            await _put_aside(records[0], error, attempt)
        else:
            raise InvariantError(f"{said_of(error)}, beside any record") from error


async def _put_aside(record: Record, error: Exception, attempt: Attempt) -> None:
    rejection = Rejection(RejectReason.INTERNAL_ERROR, f"{said_of(error)}; the record is kept and can be sent again")
    try:
        await attempt([record], rejection)
    except SegmenterError:
        raise
    except Exception as again:
        raise InvariantError(f"{said_of(again)}, with or without {place_of(record)}") from again
    log.error("record_put_aside", extra={"place": place_of(record), "error": said_of(error)})


def said_of(error: BaseException) -> str:
    """Return type and place of an error in our code. What it says may quote a customer, and is left out."""
    place = _place_of(error.__traceback__)
    return f"unexpected {type(error).__name__}" + (f" at {place}" if place else "")


def _place_of(trace: TracebackType | None) -> str:
    """Return module and line of the innermost frame that is ours."""
    place = ""
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(_PACKAGE):
            place = f"{file.relative_to(_PACKAGE).with_suffix('')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
