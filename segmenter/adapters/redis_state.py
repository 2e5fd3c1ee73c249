"""The small state of a lane as fields of its hash, and the boundary as text."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from segmenter.adapters.lane_limits import is_ranking_anew
from segmenter.domain.conditions import Score
from segmenter.domain.quintiles import Cuts
from segmenter.domain.revision import FIRST
from segmenter.domain.value import Boundary, Marks
from segmenter.errors import InvariantError
from segmenter.ports import Aside, LaneNotes, LaneState, Output, Sweep, Token, Walk

# Stands between dimension and segment; neither holds a control character.
_BETWEEN = "\x1f"

Fields = Mapping[bytes, bytes]


def pack_notes(notes: LaneNotes) -> list[bytes]:
    """Return the notes as fields and values; what the leader reads of a lane stands in fields of its own."""
    rest: dict[str, object] = {
        "sweep": None if notes.sweep is None else _sweep_form(notes.sweep),
        "announce_from": notes.announce_from,
        "recover_upto": dict(notes.recover_upto),
    }
    if notes.aside:
        rest["aside"] = {customer: [found.error, found.since] for customer, found in notes.aside.items()}
    return [
        *(b"watermark", b"%d" % notes.watermark),
        *(b"live", b"1" if notes.is_live else b"0"),
        *(b"rank_version", b"%d" % notes.rank_version),
        *(b"boundary", b"" if notes.boundary is None else pack_boundary(notes.boundary)),
        *(b"notes", _json({**rest, **_rarely(notes)})),
        *(() if notes.revision == FIRST else (b"rules", b"" if is_ranking_anew(notes) else b"%d" % notes.revision)),
    ]


def unpack_rules(packed: bytes | None) -> int | None:
    """Return by which revision all customers of a lane are ranked; None: a walk is on its way to rank them anew."""
    return FIRST if packed is None else int(packed) if packed else None


def _rarely(notes: LaneNotes) -> dict[str, Any]:
    """Return what most lanes have nothing of: notes of up to 64 bytes leave the lane's hash in its small form."""
    unlike = LaneNotes()
    found: dict[str, Any] = {}
    if notes.revision != unlike.revision:
        found["revision"] = notes.revision
    if notes.walk is not None:
        found["walk"] = _walk_form(notes.walk)
    if notes.further_sweeps:
        found["further_sweeps"] = {ranking: _sweep_form(sweep) for ranking, sweep in notes.further_sweeps.items()}
    if notes.orders or notes.held:
        found |= {"orders": notes.orders, "held": notes.held}
    return found


def unpack_notes(fields: Fields) -> LaneNotes:
    """Return the notes of a lane's hash."""
    if b"notes" not in fields:
        return LaneNotes()
    rest = json.loads(fields[b"notes"])
    return LaneNotes(
        watermark=int(fields[b"watermark"]),
        is_live=fields[b"live"] == b"1",
        rank_version=int(fields[b"rank_version"]),
        boundary=unpack_boundary(fields[b"boundary"]) if fields[b"boundary"] else None,
        sweep=None if rest["sweep"] is None else _sweep(rest["sweep"]),
        further_sweeps={int(ranking): _sweep(form) for ranking, form in rest.get("further_sweeps", {}).items()},
        announce_from=rest["announce_from"],
        recover_upto=rest["recover_upto"],
        # A lane that was stored by an older release has none of these.
        revision=rest.get("revision", FIRST),
        walk=None if rest.get("walk") is None else _walk(rest["walk"]),
        orders=rest.get("orders", 0),
        held=tuple(rest.get("held", ())),
        aside={
            customer: Aside(error=error, since=since) for customer, (error, since) in rest.get("aside", {}).items()
        },
    )


# Every commit writes the boundary of its lane, which is the same for minutes.
@lru_cache(maxsize=64)
def pack_boundary(boundary: Boundary) -> bytes:
    """Return a boundary as text."""
    return _json(_boundary_form(boundary))


def _boundary_form(boundary: Boundary) -> dict[str, Any]:
    marks = boundary.marks
    form = {
        "number": boundary.number,
        "marks": [marks.a, marks.a_stay, marks.b, marks.b_stay],
        "ranked": boundary.ranked,
        "total": boundary.total,
        "seen": boundary.seen,
        "shares": boundary.shares,
        "is_announced": boundary.is_announced,
    }
    if boundary.cuts is not None:
        form["cuts"] = _cuts_form(boundary.cuts)
    if boundary.parts:
        form["parts"] = [[ranking, _boundary_form(part)] for ranking, part in boundary.parts]
    return form


def _cuts_form(cuts: Cuts) -> dict[str, Any]:
    return {"bounds": cuts.bounds, "ranked": cuts.ranked, "is_announced": cuts.is_announced}


def _cuts(form: Mapping[str, Any]) -> Cuts:
    bounds = {Score(name): (b[0], b[1], b[2], b[3]) for name, b in form["bounds"].items()}
    return Cuts(bounds=bounds, ranked=form["ranked"], is_announced=form["is_announced"])


def unpack_boundary(packed: bytes) -> Boundary:
    """Return the boundary that `pack_boundary` packed."""
    return _boundary(json.loads(packed))


def _boundary(form: Mapping[str, Any]) -> Boundary:
    a, a_stay, b, b_stay = form["marks"]
    return Boundary(
        number=form["number"],
        marks=Marks(a=a, a_stay=a_stay, b=b, b_stay=b_stay),
        ranked=form["ranked"],
        total=form["total"],
        seen=tuple(form["seen"]),
        shares=tuple((revenue, share) for revenue, share in form["shares"]),
        is_announced=form["is_announced"],
        cuts=_cuts(form["cuts"]) if "cuts" in form else None,
        parts=tuple((ranking, _boundary(part)) for ranking, part in form.get("parts", ())),
    )


def pack_outputs(prefix: bytes, number_by_output: Mapping[Output, int]) -> list[bytes]:
    """Return numbers by output as fields of a lane's hash."""
    packed = []
    for output, number in number_by_output.items():
        packed += [prefix + output.encode(), b"%d" % number]
    return packed


def size_field(place: tuple[str, str]) -> bytes:
    """Return the field that counts a dimension's segment."""
    return _BETWEEN.join(place).encode()


def unpack_state(lane: int, fields: Fields, mappings: Sequence[Fields]) -> LaneState:
    """Return the state of a lane from its hash, and the hashes of positions, taken, markers and sizes."""
    positions, taken, markers, sizes = mappings
    return LaneState(
        lane=lane,
        partitions=int(fields.get(b"partitions", 0)),
        version=int(fields.get(b"version", 0)),
        positions=_numbers(positions),
        taken=_numbers(taken),
        markers=_numbers(markers),
        notes=unpack_notes(fields),
        next_seq={output: int(fields.get(b"seq:" + output.encode(), 1)) for output in Output},
        published={output: int(fields.get(b"published:" + output.encode(), 0)) for output in Output},
        first_page=int(fields.get(b"first_page", 0)),
        next_page=int(fields.get(b"next_page", 0)),
        outbox_entries=int(fields.get(b"entries", 0)),
        outbox_bytes=int(fields.get(b"bytes", 0)),
        sizes={_place(field): int(size) for field, size in sizes.items()},
    )


def unpack_token(packed: bytes | None) -> Token | None:
    """Return the token that `str(token)` gave."""
    if packed is None:
        return None
    generation, colon, nonce = packed.decode().partition(":")
    if not colon:
        raise InvariantError(f"token of a lane is {packed!r}; expected generation:nonce")
    return Token(int(generation), nonce)


def _numbers(fields: Fields) -> dict[str, int]:
    return {name.decode(): int(number) for name, number in fields.items()}


def _place(field: bytes) -> tuple[str, str]:
    dimension, _, segment = field.decode().partition(_BETWEEN)
    return dimension, segment


def _json(form: object) -> bytes:
    return json.dumps(form, separators=(",", ":")).encode()


def _sweep_form(sweep: Sweep) -> dict[str, Any]:
    return {
        "ranges": sweep.ranges,
        "cursor": sweep.cursor,
        "until": sweep.until,
        "has_wrapped": sweep.has_wrapped,
        "is_first": sweep.is_first,
    }


def _sweep(form: Mapping[str, Any]) -> Sweep:
    return Sweep(
        ranges=tuple((low, high) for low, high in form["ranges"]),
        cursor=_pair(form["cursor"]),
        until=_pair(form["until"]),
        has_wrapped=form["has_wrapped"],
        is_first=form["is_first"],
    )


def _walk_form(walk: Walk) -> dict[str, Any]:
    return {
        "at": walk.at,
        "cursor": walk.cursor,
        "is_redefining": walk.is_redefining,
        "is_announced": walk.is_announced,
        "is_named_anew": walk.is_named_anew,
        "dropped": walk.dropped,
        "released": walk.released,
    }


def _walk(form: Mapping[str, Any]) -> Walk:
    return Walk(
        at=form["at"],
        cursor=_pair(form["cursor"]),
        is_redefining=form["is_redefining"],
        is_announced=form["is_announced"],
        is_named_anew=form.get("is_named_anew", False),
        dropped=tuple(form["dropped"]),
        released=tuple(form["released"]),
    )


def _pair(form: list[Any] | None) -> tuple[int, str] | None:
    return None if form is None else (form[0], form[1])
