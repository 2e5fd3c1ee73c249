"""`rulebook preview`: what a rulebook would make of everybody who is stored, without touching anything."""

import asyncio
import json
from array import array
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TextIO

from segmenter.adapters.keys import bucket_of_customer
from segmenter.adapters.redis_audit import LaneSize, RedisAudit, read_profile
from segmenter.adapters.redis_client import connect
from segmenter.adapters.redis_lanes import RedisLaneStore
from segmenter.domain.account import is_declared_name
from segmenter.domain.conditions import CUSTOM_PREFIX, SHADOW_PREFIX
from segmenter.domain.foresight import Foresight
from segmenter.domain.instants import Instant
from segmenter.domain.profile import Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.value import Boundary
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import LaneStore
from segmenter.settings import Settings
from segmenter.wiring.preview_survey import Survey
from segmenter.wiring.rules import rulebook_in_force

Progress = Callable[[int, int | None], None]


@dataclass(slots=True, kw_only=True)
class Page:
    """Some customers of one lane, all as of one moment, and the boundary that it has adopted."""

    profiles: Sequence[Profile]
    watermark: Instant
    boundary: Boundary | None
    unreadable: int = 0


@dataclass(slots=True, kw_only=True)
class Preview:
    """What was found, and the rulebook it was found for."""

    survey: Survey
    foresight: Foresight
    planned: Rulebook
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> Mapping[str, object]:
        """Return it as one JSON object."""
        survey = self.survey
        return {
            "customers": survey.customers,
            "unreadable": survey.unreadable,
            "segments": list(self.segments()),
            "moves": [
                {"dimension": dimension, "before": before, "after": after, "customers": count}
                for (dimension, before, after), count in sorted(survey.moves.items(), key=str)
            ],
            "overlap": list(self.overlap()),
            "samples": {
                f"{dimension}.{segment}" if not is_declared_name(dimension) else dimension: [c for _, c in members]
                for (dimension, segment), members in sorted(survey.members.items())
            },
            "movers": [mover.as_json() for _, movers in sorted(survey.movers.items()) for mover in movers],
            "notes": self.notes,
        }

    def segments(self) -> Iterator[Mapping[str, object]]:
        """Give every segment with its size now and then, and how many come and go."""
        survey, empty = self.survey, {(d.dimension, "in") for d in self.foresight.planned.plan.definitions}
        states = {d.name: d.state.value for d in self.planned.segments}
        for dimension, segment in sorted(survey.now.keys() | survey.then.keys() | empty):
            enters = sum(n for (d, _, after), n in survey.moves.items() if (d, after) == (dimension, segment))
            leaves = sum(n for (d, before, _), n in survey.moves.items() if (d, before) == (dimension, segment))
            name = dimension.removeprefix(CUSTOM_PREFIX).removeprefix(SHADOW_PREFIX)
            yield {
                "dimension": dimension,
                "segment": segment,
                "state": states.get(name, "gone") if is_declared_name(dimension) else None,
                "now": survey.now[dimension, segment],
                "then": survey.then[dimension, segment],
                "enters": enters,
                "leaves": leaves,
            }

    def overlap(self) -> Iterator[Mapping[str, object]]:
        """Give how many of each declared segment are in each other place too, and which share that is."""
        for (dimension, place), count in sorted(self.survey.overlap.items()):
            whole = self.survey.then[dimension, "in"]
            other = place[0] if is_declared_name(place[0]) else f"{place[0]}.{place[1]}"
            yield {"segment": dimension, "with": other, "customers": count, "share": round(count / whole, 4)}


async def previewed(
    foresight: Foresight,
    planned: Rulebook,
    pages: Callable[[], AsyncIterator[Page]],
    sample: int,
    moves: TextIO | None = None,
) -> Preview:
    """Return what a rulebook would make of all customers of these pages, which are read twice if it ranks anew."""
    preview = Preview(survey=Survey(sample), foresight=foresight, planned=planned, notes=_notes(foresight))
    is_anew = foresight.ranks_anew
    new_boundary = await _ranked(foresight, pages) if is_anew else None
    async for page in pages():
        preview.survey.unreadable += page.unreadable
        boundary = new_boundary if is_anew else page.boundary
        for profile in page.profiles:
            foreseen = foresight.seen(profile, page.watermark, page.boundary, boundary)
            moved = preview.survey.add(foreseen, partial(foresight.why, foreseen, planned=boundary))
            if moves is not None:
                moves.writelines(_line(profile.customer, *move) for move in moved)
    return preview


def _line(customer: str, dimension: str, before: str | None, after: str | None) -> str:
    told = {"customer_id": customer, "dimension": dimension, "before": before, "after": after}
    return json.dumps(told, ensure_ascii=False) + "\n"


async def _ranked(foresight: Foresight, pages: Callable[[], AsyncIterator[Page]]) -> Boundary | None:
    """Return the boundary that would hold, from the revenue of everybody."""
    revenues = array("q")
    places: dict[int, array[int]] = {}
    async for page in pages():
        found = (foresight.revenue_of(profile, page.watermark) for profile in page.profiles)
        revenues.extend(revenue for revenue in found if revenue)
        if not foresight.planned.ranks_further:
            continue
        for profile in page.profiles:
            for ranking, place in foresight.places_of(profile, page.watermark).items():
                places.setdefault(ranking, array("q")).append(place)
    return foresight.boundary_of(revenues, places)


def _notes(foresight: Foresight) -> list[str]:
    """Say what of the preview is not what it seems."""
    notes = []
    for definition in foresight.planned.segments:
        uncounted = foresight.uncounted(definition.name) if definition.is_evaluated else ()
        if uncounted:
            what = " and ".join(uncounted)
            notes.append(f"{definition.name}: {what} is not counted by the rules that hold, and begins with this one")
    if foresight.ranks_anew:
        what = "classes and quintiles are" if foresight.planned.cut_scores else "classes are"
        notes.append(f"value: its rule differs, so {what} by a boundary made from all revenues as they are now")
    return notes


def preview(settings: Settings, planned: Rulebook, sample: int, moves: Path | None, progress: Progress) -> Preview:
    """Return what a rulebook would make of everybody stored in Redis; `moves` takes every move, a line each.

    Reads only. Raises TransientError when Redis does not answer, ConfigurationError when lanes are of another count
    or the file cannot be written.
    """
    try:
        with ExitStack() as stack:
            file = None if moves is None else stack.enter_context(moves.open("w", encoding="utf-8"))
            return asyncio.run(_preview(settings, planned, (sample, file), progress))
    except OSError as error:
        raise ConfigurationError([f"--moves: {moves}: {error.strerror}; name a file that can be written"]) from error


async def _preview(
    settings: Settings, planned: Rulebook, out: tuple[int, TextIO | None], progress: Progress
) -> Preview:
    client = connect(settings.redis_url.get_secret_value())
    try:
        async with aclosing(client):
            audit = RedisAudit(client, settings.namespace, settings.partitions)
            store = RedisLaneStore(client, settings.namespace)
            lanes = await audit.lanes()
            if wrong := sorted({lane.partitions for lane in lanes} - {settings.partitions}):
                fault = f"SEGMENTER_PARTITIONS: found {settings.partitions}, but the lanes are stored as {wrong[0]}"
                raise ConfigurationError([f"{fault}; write SEGMENTER_PARTITIONS={wrong[0]}"])
            if not lanes:
                raise ConfigurationError([f"no lane is stored in namespace {settings.namespace}; start a worker"])
            foresight = Foresight(await rulebook_in_force(client, settings), planned)
            return await previewed(foresight, planned, partial(stored, audit, store, lanes, progress), *out)
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error


async def stored(
    audit: RedisAudit, store: LaneStore, lanes: Sequence[LaneSize], progress: Progress
) -> AsyncIterator[Page]:
    """Give all customers of these lanes, a bucket of about 1,000 at a time, each customer once."""
    done, total = 0, sum(lane.customers for lane in lanes)
    for size in lanes:
        _, state = await store.state(size.lane)
        count_by_bucket: dict[int, int] = {}
        number, buckets = 0, size.buckets
        while number < buckets:
            bucket = await audit.bucket(size.lane, number)
            fresh = {n: packed for n, packed in bucket.packed.items() if not _was_read(n, count_by_bucket)}
            profiles = [read_profile(name, packed) for name, packed in fresh.items()]
            known = [profile for profile in profiles if profile is not None]
            yield Page(
                profiles=known,
                watermark=bucket.watermark,
                boundary=state.notes.boundary,
                unreadable=len(profiles) - len(known),
            )
            count_by_bucket[number], buckets, number = bucket.buckets, bucket.buckets, number + 1
            done += len(profiles)
            progress(done, max(done, total))


def _was_read(name: bytes, count_by_bucket: Mapping[int, int]) -> bool:
    """Tell whether a customer was in a bucket that was read before the lane grew and moved him on."""
    counts = set(count_by_bucket.values())
    return any(count_by_bucket.get(bucket_of_customer(name, count)) == count for count in counts)
