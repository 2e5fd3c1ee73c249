"""A customer as of a moment that is gone: what the change topic tells of it, in words and as JSON."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from segmenter.adapters.kafka_changes import changes_of
from segmenter.domain.changes import Reason
from segmenter.domain.instants import Instant, instant_of, rfc3339
from segmenter.domain.past import Past, PastStanding, ToldChange, past_at
from segmenter.errors import ConfigurationError
from segmenter.settings import Settings
from segmenter.wiring.customers import home_lanes_of


def past_of(
    settings: Settings, identity: str, at: Instant, progress: Callable[[int, int | None], None]
) -> Past | None:
    """Return where a customer stood at an instant; None: the log is whole and knows nobody by that id.

    Raises ConfigurationError for an instant to come, TransientError when Kafka does not answer.
    """
    if at > instant_of(datetime.now(UTC)):
        raise ConfigurationError([f"--as-of: {rfc3339(at)} is still to come; expected an instant that has passed"])
    lanes = home_lanes_of(identity, settings.partitions)
    topic = settings.topics.changes.name
    told = asyncio.run(changes_of(settings.kafka_bootstrap, topic, lanes, identity, progress))
    if not told.changes and told.log_begins_at is None:
        return None
    return past_at(at, told.changes, told.log_begins_at)


def past_json(identity: str, past: Past, dimension: str | None) -> Mapping[str, object]:
    """Return it as one JSON object, of one dimension or of all."""
    return {
        "customer_id": identity,
        "as_of": rfc3339(past.at),
        "segments": [_standing_json(standing) for standing in _shown(past, dimension)],
        "traits": None if past.last is None else dict(past.last.traits),
        "last_change": None if past.last is None else told_json(past.last),
        "next_change": None if past.following is None else told_json(past.following),
        "gap": past.gap,
    }


def past_lines(identity: str, past: Past, dimension: str | None) -> Iterator[str]:
    """Return it as lines of text."""
    yield f"{identity} as of {rfc3339(past.at)}, by what was told"
    if past.gap is not None:
        yield f"note: {past.gap}"
    for standing in _shown(past, dimension):
        by = "" if standing.by is None else f" since {rfc3339(standing.by.effective_at)}, {_cause(standing.by)}"
        yield f"{standing.dimension}: {standing.segment}{by}"
        for reason in standing.reasons:
            boundary = "" if reason.boundary is None else f", boundary {reason.boundary}"
            yield f"   {reason.condition}: {reason.actual}, asked {reason.threshold}{boundary}"
    if past.following is not None:
        moves = ", ".join(f"{c.dimension} {c.before} → {c.after}" for c in past.following.changes)
        yield f"next change after it: {rfc3339(past.following.effective_at)}, {_cause(past.following)}: {moves}"


def _shown(past: Past, dimension: str | None) -> list[PastStanding]:
    return [standing for standing in past.standings if dimension in (None, standing.dimension)]


def _standing_json(standing: PastStanding) -> Mapping[str, object]:
    by = standing.by
    return {
        "dimension": standing.dimension,
        "segment": standing.segment,
        "since": None if by is None else rfc3339(by.effective_at),
        "cause": None if by is None else _cause_json(by),
        "reasons": [_reason_json(reason) for reason in standing.reasons],
    }


def told_json(told: ToldChange) -> Mapping[str, object]:
    """Return a change-set as JSON, with its reasons."""
    return {
        "sequence": told.sequence,
        "effective_at": rfc3339(told.effective_at),
        "recorded_at": rfc3339(told.recorded_at),
        "cause": _cause_json(told),
        "changes": [{"dimension": c.dimension, "before": c.before, "after": c.after} for c in told.changes],
        "reasons": [_reason_json(reason) for reason in told.reasons],
        "rulebook_revision": told.revision,
    }


def _reason_json(reason: Reason) -> Mapping[str, object]:
    return {
        "dimension": reason.dimension,
        "condition": reason.condition,
        "actual": reason.actual,
        "threshold": reason.threshold,
        "boundary": reason.boundary,
    }


def _cause_json(told: ToldChange) -> Mapping[str, object]:
    return {"kind": told.cause.kind, "type": told.cause.type, "event_ids": list(told.cause.event_ids)}


def _cause(told: ToldChange) -> str:
    kind = f"cause {told.cause.kind}"
    if told.cause.type is None:
        return kind
    return f"{kind} {told.cause.type} {' '.join(told.cause.event_ids)}".rstrip()
