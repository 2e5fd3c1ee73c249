"""What a consumer with default settings has heard of a world: its output partitions, record by record."""

import json
from collections import defaultdict
from functools import cached_property
from typing import Any

from segmenter.adapters.home import home_of
from segmenter.adapters.kafka_numbered import number_of
from segmenter.ports import Output
from tests.simulation.broker import Broker, LoggedRecord
from tests.simulation.rules import PARTITIONS, TOPIC_BY_OUTPUT

Said = dict[str, Any]


class Heard:
    """The output of all lanes."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def records(self, output: Output, lane: int) -> list[LoggedRecord]:
        """Return what was said on one output partition."""
        log = self._broker.log(TOPIC_BY_OUTPUT[output], lane)
        return log.records_from(0, 10**9)[0]

    @cached_property
    def changes(self) -> dict[str, list[Said]]:
        """Return the change-sets by customer, in the order of the log."""
        told: defaultdict[str, list[Said]] = defaultdict(list)
        for lane in range(PARTITIONS):
            for record in self.records(Output.CHANGES, lane):
                said = json.loads(record.value or b"")
                home = said["customer_id"].partition("/")[2] if "/" in said["customer_id"] else said["customer_id"]
                assert lane in (home_of(home, PARTITIONS), home_of(said["customer_id"], PARTITIONS)), said
                told[said["customer_id"]].append(said)
        return dict(told)

    @cached_property
    def memberships(self) -> dict[str, Said]:
        """Return the newest membership of everybody: what compaction leaves."""
        newest: dict[str, Said] = {}
        for lane in range(PARTITIONS):
            for record in self.records(Output.MEMBERSHIPS, lane):
                newest[(record.key or b"").decode()] = json.loads(record.value or b"")
        return newest

    @cached_property
    def put_aside(self) -> list[str]:
        """Return the places of the records that were put aside: `topic/partition/offset`."""
        found = []
        for lane in range(PARTITIONS):
            for record in self.records(Output.REJECTED, lane):
                told = dict(record.headers)
                found.append("/".join(told[name].decode() for name in ("topic", "partition", "offset")))
        return found

    def gaps(self) -> list[str]:
        """Return where an output partition does not count 1, 2, 3, …, or has more than one writer."""
        found = []
        for output in Output:
            for lane in range(PARTITIONS):
                records = self.records(output, lane)
                numbers = [number_of(record) for record in records]  # type: ignore[arg-type]
                if numbers != list(range(1, len(numbers) + 1)):
                    wrong = next(i for i, number in enumerate(numbers) if number != i + 1)
                    found.append(f"{output}/{lane}: at place {wrong + 1} number {numbers[wrong]}")
                writers = {dict(record.headers)["lane_pid"] for record in records}
                if len(writers) > 1:
                    found.append(f"{output}/{lane}: written by {sorted(writers)}")
        return found
