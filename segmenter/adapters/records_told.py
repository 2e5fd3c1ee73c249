"""Change-sets read back as they were told, with cause and reasons."""

from datetime import datetime
from json import loads

from segmenter.adapters.records_forms import ChangeValue
from segmenter.domain.changes import CauseKind, CauseNote, Change, Reason
from segmenter.domain.instants import Instant, instant_of
from segmenter.domain.past import ToldChange


def told_change(value: bytes) -> ToldChange:
    """Return a change-set as it was told."""
    form: ChangeValue = loads(value)
    cause, next_at = form["cause"], form["next_change_at"]
    return ToldChange(
        life=form["life"],
        sequence=form["sequence"],
        changes=tuple(Change(**change) for change in form["changes"]),
        cause=CauseNote(kind=CauseKind(cause["kind"]), type=cause.get("type"), event_ids=tuple(cause["event_ids"])),
        effective_at=_instant(form["effective_at"]),
        recorded_at=_instant(form["recorded_at"]),
        reasons=tuple(Reason(**reason) for reason in form["reasons"]),
        traits={name: trait for name, trait in form["traits"].items() if isinstance(trait, str | int | None)},
        next_change_at=None if next_at is None else _instant(next_at),
        revision=form["rulebook_revision"],
    )


def _instant(text: str) -> Instant:
    return instant_of(datetime.fromisoformat(text))
