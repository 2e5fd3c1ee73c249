"""Writes what a lane says as records: change-sets and memberships as CloudEvents in binary mode, and bad input.

The numbers of the log (`lane_seq`, `lane_pid`) are put on by the relay.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from json import loads

from pydantic_core import to_json

from segmenter.adapters.records_forms import (
    ChangeForm,
    ChangeValue,
    MembershipValue,
    ReasonForm,
    RejectedHeaders,
    TraitsForm,
)
from segmenter.domain.causes import Rejection
from segmenter.domain.changes import Change, ChangeSet, Membership, Reason, Traits
from segmenter.domain.instants import Instant, rfc3339
from segmenter.errors import InvariantError
from segmenter.ports import STUB_HEADER, Body, Headers, LoggedChange, Record, Source

CHANGED = "io.segmenter.changed.v1"
MEMBERSHIP = "io.segmenter.membership.v1"
UPTO_HEADER = "upto"
ORIGINAL_PREFIX = "original."
# A record put aside stays well below the 1 MiB that brokers take by default.
VALUE_KEPT = 256 * 1_024
KEY_KEPT = 64 * 1_024
HEADERS_KEPT = 64 * 1_024

# A set and the membership after it tell the same instants, and so does a batch: most are written once.
_written = lru_cache(maxsize=4_096)(rfc3339)


class JsonEncoder:
    """Writes records as JSON, and reads our change-sets back. `source` is the CloudEvents source, a URI reference."""

    def __init__(self, source: str = "/segmenter") -> None:
        self._source = source.encode()
        self._last_upto: tuple[Mapping[Source, int], bytes] = ({}, b"{}")

    def change_record(
        self, said: ChangeSet, *, recorded_at: Instant, revision: int, backfill: bool, upto: Mapping[Source, int]
    ) -> Body:
        """Return a change-set as a record; `upto` are positions and watermark of the commit that stores it."""
        change_id, effective_at = said.change_id, _written(said.effective_at)
        value: ChangeValue = {
            "change_id": change_id,
            "customer_id": said.customer,
            "life": said.life,
            "sequence": said.sequence,
            "changes": [_change_form(change) for change in said.changes],
            "cause": {"kind": said.cause.kind, "event_ids": list(said.cause.event_ids)},
            "effective_at": effective_at,
            "recorded_at": _written(recorded_at),
            "reasons": [_reason_form(reason) for reason in said.reasons],
            "traits": _traits_form(said.traits),
            "next_change_at": _moment(said.next_change_at),
            "backfill": backfill,
            "rulebook_revision": revision,
        }
        if said.cause.type is not None:
            value["cause"]["type"] = said.cause.type
        key = said.customer.encode()
        headers = self._headers(CHANGED, change_id, effective_at, key)
        return Body(key, to_json(value), (*headers, (UPTO_HEADER, self._upto(upto))))

    def membership_record(self, membership: Membership) -> Body:
        """Return a membership as a record. Its CloudEvents id stands for its content: a repeat has the same."""
        as_of = _written(membership.as_of)
        value: MembershipValue = {
            "customer_id": membership.customer,
            "as_of": as_of,
            "life": membership.life,
            "sequence": membership.sequence,
            "segments": dict(membership.segments),
            "since": {dimension: _written(at) for dimension, at in membership.since},
            "traits": _traits_form(membership.traits),
            "next_change_at": _moment(membership.next_change_at),
        }
        key, written = membership.customer.encode(), to_json(value)
        content_id = hashlib.blake2b(written, digest_size=16).hexdigest()
        return Body(key, written, self._headers(MEMBERSHIP, content_id, as_of, key))

    def rejected_record(self, record: Record, rejection: Rejection, rejected_at: Instant) -> Body:
        """Return a record put aside: its own bytes, with the reason, its place and its own headers as headers."""
        told: RejectedHeaders = {
            "reason": rejection.reason,
            "detail": rejection.detail,
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
            "timestamp": str(record.timestamp),
            "rejected_at": _written(rejected_at),
        }
        key, value = record.key, record.value
        if value is not None and len(value) > VALUE_KEPT:
            told["length"], told["sha256"] = str(len(value)), hashlib.sha256(value).hexdigest()
            value = value[:VALUE_KEPT]
        if key is not None and len(key) > KEY_KEPT:
            told["key_length"] = str(len(key))
            key = key[:KEY_KEPT]
        originals = _original_headers(record)
        if len(originals) < len(record.headers):
            told["headers_left_out"] = str(len(record.headers) - len(originals))
        headers = tuple((name, str(text).encode(errors="backslashreplace")) for name, text in told.items())
        return Body(key, value, headers + originals)

    def read_change(self, value: bytes, headers: Headers) -> LoggedChange | None:
        """Return what a record of the change topic said; None for the stub of one that the broker refused.

        Raises InvariantError for what we cannot have written.
        """
        if any(name == STUB_HEADER for name, _ in headers):
            return None
        try:
            told: ChangeValue = loads(value)
            upto: dict[Source, int] = next((loads(found) for name, found in headers if name == UPTO_HEADER), {})
            return LoggedChange(
                customer=told["customer_id"],
                life=told["life"],
                sequence=told["sequence"],
                before={change["dimension"]: change["before"] for change in told["changes"]},
                after={change["dimension"]: change["after"] for change in told["changes"]},
                upto=upto,
            )
        except (ValueError, TypeError, KeyError) as error:
            raise InvariantError(f"a record of {len(value)} bytes on the change topic is no change-set") from error

    def _upto(self, upto: Mapping[Source, int]) -> bytes:
        """Return positions as JSON; all sets of a commit are given the same."""
        if self._last_upto[0] is not upto:
            self._last_upto = upto, to_json(upto)
        return self._last_upto[1]

    def _headers(self, kind: str, identifier: str, time: str, key: bytes) -> Headers:
        return (
            ("ce_specversion", b"1.0"),
            ("ce_id", identifier.encode()),
            ("ce_source", self._source),
            ("ce_type", kind.encode()),
            ("ce_time", time.encode()),
            ("ce_partitionkey", key),
            ("content-type", b"application/json"),
        )


def _change_form(change: Change) -> ChangeForm:
    return {"dimension": change.dimension, "before": change.before, "after": change.after}


def _reason_form(reason: Reason) -> ReasonForm:
    form: ReasonForm = {
        "dimension": reason.dimension,
        "condition": reason.condition,
        "actual": reason.actual,
        "threshold": reason.threshold,
    }
    if reason.boundary is not None:
        form["boundary"] = reason.boundary
    return form


def _traits_form(traits: Traits) -> TraitsForm:
    form: TraitsForm = {
        "orders": traits.orders,
        "net_revenue": traits.net_revenue,
        "value_revenue": traits.value_revenue,
        "currency": traits.currency,
        "first_order_at": _moment(traits.first_order_at),
        "last_order_at": _moment(traits.last_order_at),
    }
    if traits.over_refund is not None:
        form["over_refund"] = traits.over_refund
    if traits.scores is not None:
        form["r"], form["f"], form["m"] = traits.scores
    if traits.first_channel is not None:
        form["first_channel"] = traits.first_channel
    return form


def _moment(instant: Instant | None) -> str | None:
    return None if instant is None else _written(instant)


def _original_headers(record: Record) -> Headers:
    """Return the record's own headers, from the first on, as long as they are not too large together."""
    kept: list[tuple[str, bytes]] = []
    size = 0
    for name, found in record.headers:
        size += len(name.encode(errors="backslashreplace")) + len(found or b"")
        if size > HEADERS_KEPT:
            break
        kept.append((ORIGINAL_PREFIX + name, found or b""))
    return tuple(kept)
