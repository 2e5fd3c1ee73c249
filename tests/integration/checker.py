"""Reads back what lanes have said, as any consumer with default settings does, and holds it to what is promised."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

from segmenter.adapters.codec_types import event_validator
from segmenter.domain.events import Event
from segmenter.domain.instants import Instant
from segmenter.domain.profile import Profile
from segmenter.ports import Output
from segmenter.settings import Settings
from segmenter.wiring.simulation import SimulationOptions, simulate
from tests.oracle.jsonl import JsonEvent, write_jsonl
from tests.oracle.model import Terms, classes_at, figures_at

Told = dict[str, Any]
"""The value of a record, as JSON has it."""


@dataclass(frozen=True)
class Heard:
    """All records of the output topics, by topic, in the order of each partition."""

    records: Mapping[Output, Sequence[ConsumerRecord]]

    @cached_property
    def changes(self) -> list[Told]:
        """Return the change-sets."""
        return [json.loads(record.value) for record in self.records[Output.CHANGES]]

    @cached_property
    def memberships(self) -> dict[str, Told]:
        """Return the last membership of each customer: what is left after compaction."""
        last = {record.key: record.value for record in self.records[Output.MEMBERSHIPS]}
        return {key.decode(): json.loads(value) for key, value in last.items() if value is not None}

    @property
    def rejected(self) -> list[ConsumerRecord]:
        """Return what was put aside."""
        return list(self.records[Output.REJECTED])


async def hear(bootstrap: str, topics: Mapping[Output, str]) -> Heard:
    """Read the output topics from their beginning to their present end."""
    consumer = AIOKafkaConsumer(*topics.values(), bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = sorted(consumer.assignment())
        assert {place.topic for place in places} == set(topics.values())
        ends = await consumer.end_offsets(places)
        heard: dict[str, list[ConsumerRecord]] = defaultdict(list)
        async with asyncio.timeout(60):
            while [place for place in places if await consumer.position(place) < ends[place]]:
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    heard[place.topic] += records
        return Heard({output: heard[topic] for output, topic in topics.items()})
    finally:
        await consumer.stop()


def check(heard: Heard) -> None:
    """Check what holds of every output whatever has happened."""
    for output, records in heard.records.items():
        check_numbers(output, records)
    check_sequences(heard.changes)
    check_memberships(heard)


def check_numbers(output: Output, records: Iterable[ConsumerRecord]) -> None:
    """Check that each partition counts its records from 1 without gap or repeat, under one producer id."""
    by_partition: dict[int, list[ConsumerRecord]] = defaultdict(list)
    for record in records:
        by_partition[record.partition].append(record)
    for partition, found in by_partition.items():
        numbers = [int(dict(record.headers)["lane_seq"]) for record in found]
        wrong = [(at, number) for at, number in enumerate(numbers, start=1) if at != number]
        assert not wrong, f"{output} {partition}: record number {wrong[0][0]} says {wrong[0][1]}"
        producers = {dict(record.headers)["lane_pid"] for record in found}
        assert len(producers) == 1, f"{output} {partition}: written by {producers}"


def check_sequences(changes: Iterable[Told]) -> None:
    """Check that each customer's sets are numbered from 1, and that each begins where the one before ended."""
    by_customer: dict[str, list[Told]] = defaultdict(list)
    for change in changes:
        by_customer[change["customer_id"]].append(change)
    for customer, told in by_customer.items():
        numbers = [change["sequence"] for change in told]
        assert numbers == list(range(1, len(told) + 1)), f"{customer}: {numbers}"
        standing: dict[str, str | None] = {}
        for change in told:
            for move in change["changes"]:
                dimension = move["dimension"]
                assert move["before"] == standing.get(dimension), f"{customer}: {move} after {standing}"
                assert move["before"] != move["after"], f"{customer}: {move}"
                standing[dimension] = move["after"]
    ids = Counter(change["change_id"] for told in by_customer.values() for change in told)
    assert [change_id for change_id, count in ids.items() if count > 1] == []


def check_memberships(heard: Heard) -> None:
    """Check that the last membership of who was spoken of agrees with his last set."""
    memberships = heard.memberships
    announced: dict[str, dict[str, str | None]] = defaultdict(dict)
    sequences: dict[str, int] = {}
    for change in heard.changes:
        customer = change["customer_id"]
        sequences[customer] = change["sequence"]
        announced[customer] |= {move["dimension"]: move["after"] for move in change["changes"]}
    for customer, sequence in sequences.items():
        found = memberships[customer]
        assert found["sequence"] == sequence, f"{customer}: {found} after set {sequence}"
        for dimension, segment in announced[customer].items():
            assert found["segments"].get(dimension) == segment, f"{customer}: {found}, told {announced[customer]}"


async def expected_changes(
    events: Iterable[JsonEvent], rulebook: Path, until: Instant, directory: Path
) -> dict[tuple[str, int], Told]:
    """Return by customer and sequence what `simulate` says of these events."""
    ordered = sorted(events, key=lambda event: (event["occurred_at"], event["event_id"]))
    file, changes = write_jsonl(directory / "expected.jsonl", ordered), directory / "expected-changes.jsonl"
    options = SimulationOptions(events=str(file), rulebook=rulebook, until=until, changes=str(changes))
    await asyncio.to_thread(simulate, options, Settings(), lambda _done, _of: None)
    return by_sequence(json.loads(line) for line in changes.read_text().splitlines())


def by_sequence(changes: Iterable[Told]) -> dict[tuple[str, int], Told]:
    """Return what each set says that depends on the events alone.

    When it was recorded does not, nor the next change: that may be of a class, which waits for its peers.
    """
    told = ("changes", "cause", "effective_at", "reasons", "traits", "change_id")
    return {(change["customer_id"], change["sequence"]): {name: change[name] for name in told} for change in changes}


def differences(expected: Mapping[tuple[str, int], Told], found: Mapping[tuple[str, int], Told]) -> list[str]:
    """Return a line for each set that is missing, surplus or other than expected."""
    lines = [f"missing {place}: {expected[place]}" for place in sorted(expected.keys() - found.keys())]
    lines += [f"surplus {place}: {found[place]}" for place in sorted(found.keys() - expected.keys())]
    both = sorted(expected.keys() & found.keys())
    return lines + [f"{p}: expected {expected[p]}, found {found[p]}" for p in both if expected[p] != found[p]]


def check_at_rest(heard: Heard, profiles: Mapping[str, Profile | None]) -> None:
    """Check that everybody's last membership is what is stored of him, and that nothing is left to say."""
    memberships = heard.memberships
    assert memberships.keys() == profiles.keys()
    for customer, profile in profiles.items():
        assert profile is not None, customer
        present = {dimension: standing.segment for dimension, standing in profile.present.items()}
        found = memberships[customer]
        assert (found["segments"], found["sequence"]) == (present, profile.sequence), f"{customer}: {profile}"
        assert (profile.is_held, dict(profile.unannounced)) == (False, {}), f"{customer}: {profile}"


def against_model(events: Iterable[JsonEvent], profiles: Mapping[str, Profile | None], terms: Terms) -> list[str]:
    """Return a line for each customer whose numbers, lifecycle or class are not those of the naive model."""
    read = event_validator("forbid").validate_json
    by_customer: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_customer[event["customer_id"]].append(read(json.dumps(event)))
    now = max(event.occurred_at for facts in by_customer.values() for event in facts) + timedelta(hours=1)
    classes = classes_at(by_customer, now, terms)
    lines = []
    for customer, facts in by_customer.items():
        figures, profile = figures_at(facts, now, terms), profiles[customer]
        assert profile is not None, customer
        segments = {"lifecycle": figures.lifecycle, "value": classes[customer]}
        expected = (figures.orders, figures.net, {d: segment for d, segment in segments.items() if segment})
        present = {dimension: standing.segment for dimension, standing in profile.present.items()}
        found = (profile.totals.orders, profile.totals.net, present)
        if found != expected:
            lines.append(f"{customer}: expected {expected}, found {found}")
    return lines
