"""What must hold when everything has come to rest, whatever had happened."""

import json
from collections import defaultdict

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.home import home_of
from segmenter.adapters.lane_limits import queued_at
from segmenter.domain.events import ANONYMOUS_PREFIX, Event, identity_of
from segmenter.domain.profile import VALUE, Profile
from segmenter.domain.value import grade, histogram, sorted_marks
from segmenter.ports import Decoded, Output
from tests.engine.chaos_group import World
from tests.engine.chaos_shop import CUSTOMERS, PARTITIONS, Said
from tests.engine.memory_worker import LoggedRecord
from tests.oracle.model import classes_at
from tests.properties.comparing import assert_like_model, moment_of

_EVERYTHING = 10**9


class Checks:
    """A world at rest, looked at from all sides."""

    def __init__(self, world: World, profiles: dict[str, Profile]) -> None:
        self._world = world
        self._profiles = profiles
        self._known = self._events()

    async def all_hold(self) -> None:
        """Look at everything."""
        self.the_log_is_contiguous()
        self.every_customer_was_told_of_in_one_chain()
        self.memberships_are_profiles()
        await self.deadlines_are_those_of_the_profiles()
        await self.ranks_and_sizes_are_those_of_the_profiles()
        self.facts_are_those_of_the_model()
        self.classes_are_those_of_a_sort()

    def _events(self) -> dict[str, list[Event]]:
        decoder, known = JsonDecoder(), defaultdict[str, list[Event]](list)
        for number, said in enumerate(self._world.told):
            record = LoggedRecord(
                topic="told", partition=0, offset=number, timestamp=10**14, value=json.dumps(said).encode()
            )
            decoded = decoder.decode(record)
            assert isinstance(decoded, Decoded), decoded
            known[identity_of(decoded.event)].append(decoded.event)
        return known

    def the_log_is_contiguous(self) -> None:
        """Each output partition counts 1, 2, 3, …"""
        for (output, lane), records in self._world.output.records.items():
            numbers = [record.lane_seq for record in records]
            assert numbers == list(range(1, len(numbers) + 1)), (output, lane)

    def told_of(self) -> dict[str, list[Said]]:
        """Return the change-sets by customer, in the order of the log."""
        told: defaultdict[str, list[Said]] = defaultdict(list)
        for lane in range(PARTITIONS):
            for record in self._world.output.records[Output.CHANGES, lane]:
                said = json.loads(record.value or b"")
                assert home_of(said["customer_id"], PARTITIONS) == lane
                told[said["customer_id"]].append(said)
        return told

    def every_customer_was_told_of_in_one_chain(self) -> None:
        """Sequences count from 1, each change begins where the last one ended, and the chain ends at the profile."""
        for customer, sets in self.told_of().items():
            profile = self._profiles[customer]
            assert [said["sequence"] for said in sets] == list(range(1, len(sets) + 1)), customer
            assert profile.sequence == len(sets), customer
            announced: dict[str, str | None] = {}
            for change in (change for said in sets for change in said["changes"]):
                dimension = change["dimension"]
                assert change["before"] == announced.get(dimension), (customer, change)
                assert change["before"] != change["after"], (customer, change)
                announced[dimension] = change["after"]
            for dimension in announced.keys() | profile.present.keys():
                if dimension not in profile.unannounced:
                    assert announced.get(dimension) == profile.segment_in(dimension), (customer, dimension)
                else:
                    assert dimension == VALUE, customer
                    assert announced.get(dimension) == profile.unannounced[dimension], customer

    def memberships_are_profiles(self) -> None:
        """The newest membership of everybody says where he stands, under the number that was told last."""
        newest: dict[str, Said] = {}
        for lane in range(PARTITIONS):
            for record in self._world.output.records[Output.MEMBERSHIPS, lane]:
                newest[(record.key or b"").decode()] = json.loads(record.value or b"")
        for customer, profile in self._profiles.items():
            assert not profile.is_held, customer
            present = {dimension: standing.segment for dimension, standing in profile.present.items()}
            said = newest.pop(customer, None)
            assert (said["segments"] if said else {}) == present, customer
            assert said is None or said["sequence"] == profile.sequence, customer
        assert not newest

    async def deadlines_are_those_of_the_profiles(self) -> None:
        """The queue holds every deadline and nothing else, and none has come already."""
        for lane in range(PARTITIONS):
            _, state = await self._world.store.lanes.state(lane)
            queue = {(due.at, due.customer) for due in await self._world.store.lanes.due(lane, 2**53, _EVERYTHING)}
            mine = self._at_home(lane)
            assert queue == {(queued_at(p.wake_at), c) for c, p in mine.items() if p.wake_at is not None}
            assert all(at > state.notes.watermark for at, _ in queue)
            assert await self._world.store.lanes.held(lane, _EVERYTHING) == []
            assert not state.notes.recover_upto
            assert state.notes.sweep is None

    async def ranks_and_sizes_are_those_of_the_profiles(self) -> None:
        """Ranks, histograms and the counts of segments are what the profiles add up to."""
        lanes, board = self._world.store.lanes, self._world.store.board
        for lane in range(PARTITIONS):
            mine = self._at_home(lane)
            revenues = {c: p.ranked_revenue for c, p in mine.items() if p.ranked_revenue is not None}
            assert {c: r for r, c in await lanes.ranked(lane, 0, 2**62, None, _EVERYTHING)} == revenues
            expected = histogram(revenue for revenue in revenues.values() if revenue > 0)
            fine = await board.fine(lane, list(await board.coarse(lane)))
            assert {bucket: (part.count, part.total) for bucket, part in fine.items()} == dict(expected)
            sizes: defaultdict[tuple[str, str], int] = defaultdict(int)
            for profile in mine.values():
                for dimension, standing in profile.present.items():
                    sizes[dimension, standing.segment] += 1
            _, state = await lanes.state(lane)
            assert dict(state.sizes) == dict(sizes)

    def facts_are_those_of_the_model(self) -> None:
        """Every event counted once: numbers and lifecycle are those of the whole history."""
        expected = {customer for customer in self._known if not customer.startswith(ANONYMOUS_PREFIX)}
        assert sorted(self._profiles) == sorted(expected)
        for customer, profile in self._profiles.items():
            assert_like_model(profile, self._known[customer], self._world.rules.model)

    def classes_are_those_of_a_sort(self) -> None:
        """At rest the classes are those of a full sort; with a band, those that the marks allow."""
        rules = self._world.rules
        revenues = [p.ranked_revenue for p in self._profiles.values() if p.ranked_revenue]
        marks = sorted_marks(revenues, rules.terms.rulebook.value)
        for customer, profile in self._profiles.items():
            if marks is not None and profile.ranked_revenue is not None:
                present = profile.segment_in(VALUE)
                assert present == grade(profile.totals.window_net, present, marks), customer
        if rules.is_plain and marks is not None:
            now = max(profile.settled_at for profile in self._profiles.values())
            expected = classes_at(self._known, moment_of(now), rules.model)
            found = {customer: profile.segment_in(VALUE) for customer, profile in self._profiles.items()}
            assert found == {customer: expected[customer] for customer in found}

    def _at_home(self, lane: int) -> dict[str, Profile]:
        return {c: p for c, p in self._profiles.items() if home_of(c, PARTITIONS) == lane}


def everybody() -> list[str]:
    """Return all who may be stored."""
    return [*CUSTOMERS, *(f"{ANONYMOUS_PREFIX}cookie-{number}" for number in range(3))]
