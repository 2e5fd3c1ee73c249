"""What must hold when a world has come to rest, whatever had befallen it."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from segmenter.adapters.home import home_of
from segmenter.adapters.lane_limits import queued_at
from segmenter.adapters.memory_lanes import Lane
from segmenter.domain.events import ANONYMOUS_PREFIX, Event, OrderPlaced
from segmenter.domain.instants import SECOND, instant_of
from segmenter.domain.profile import VALUE, WAITING, Profile
from segmenter.domain.rulebook import CountsFrom
from segmenter.domain.value import grade, histogram, sorted_marks
from segmenter.engine.reading import MARKER_HEADER
from tests.oracle.model import ORDER_EVENTS, classes_at
from tests.properties.comparing import assert_like_model, moment_of
from tests.simulation.broker import PartitionLog
from tests.simulation.heard import Heard
from tests.simulation.oracle import compared, expected_changes, known_by_customer
from tests.simulation.rules import LANE_TOPICS, MAIL, MAILS, PARTITIONS, Kind
from tests.simulation.shop import Fate, everybody
from tests.simulation.themed_checks import TornError, laws_for
from tests.simulation.world import World

FOREVER = 2**53


class BrokenError(AssertionError):
    """What does not hold will never hold again."""


class Checks:
    """A world at rest, looked at from all sides."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rules = world.plan.rules
        self._heard = Heard(world.cluster.broker)
        self._lanes: dict[int, Lane] = world.redis.store._world.lanes
        self._known = known_by_customer(world.placed)
        self._events: dict[str, list[Event]] = {c: [e.event for e in known] for c, known in self._known.items()}
        self._profiles: dict[str, Profile] = {}
        self.is_hopeless = False
        """Something is broken that no time can mend."""

    def violations(self) -> list[str]:
        """Return what does not hold, a line for each law that is broken."""
        found = []
        for law in self._laws():
            try:
                law()
            except AssertionError as error:
                self.is_hopeless = self.is_hopeless or isinstance(error, BrokenError | TornError)
                found.append(f"{law.__name__}: {error}".replace("\n", " ")[:3_000])
        return found

    def _laws(self) -> Iterator[Callable[[], None]]:
        yield self.the_log_is_contiguous
        yield self.everything_is_read
        yield self.everybody_lives_in_one_lane
        yield self.nothing_is_left_to_say
        yield self.every_customer_was_told_of_in_one_chain
        yield self.memberships_are_profiles
        yield self.deadlines_are_those_of_the_profiles
        yield self.ranks_and_sizes_are_those_of_the_profiles
        yield self.facts_are_those_of_the_model
        yield self.classes_are_those_of_a_sort
        yield self.bad_input_was_put_aside
        if self._rules.kind is Kind.EXACT:
            yield self.exactly_what_is_expected_was_told
        yield self.nobody_was_inactive_whose_order_was_in_the_pipe
        yield from laws_for(self._world, self._heard, self._events)

    def the_log_is_contiguous(self) -> None:
        """Each output partition counts 1, 2, 3, … and has one writer."""
        if gaps := self._heard.gaps():
            raise BrokenError(gaps)

    def everything_is_read(self) -> None:
        """Every source partition was read to its end, at home and on the way home."""
        broker = self._world.cluster.broker
        for lane in range(PARTITIONS):
            assert lane in self._lanes, f"lane {lane} was never taken"
            positions = self._lanes[lane].state.positions
            for topic in LANE_TOPICS:
                end = _end_of_data(broker.log(topic, lane))
                assert positions.get(f"{topic}/{lane}", 0) >= end, f"{topic}/{lane}: {positions}, end {end}"
        # A task's stored position may be put back by a request that comes late; what counts is what came home.
        for number in range(MAILS):
            home = max(lane.state.taken.get(f"{MAIL}/{number}@0", -1) for lane in self._lanes.values())
            end = broker.log(MAIL, number).end
            assert home == end - 1, f"{MAIL}/{number}: home is up to {home}, end {end}"

    def everybody_lives_in_one_lane(self) -> None:
        """Nobody is stored in two lanes, and everybody at home."""
        self._profiles = {}
        for number, lane in self._lanes.items():
            for customer in lane.profiles:
                if customer in self._profiles or _home(customer) != number:
                    raise BrokenError(f"{customer} lives in lane {number}, where he is not at home")
                self._profiles[customer] = _load(self._world, number, customer)
        assert set(self._profiles) <= set(everybody())

    def nothing_is_left_to_say(self) -> None:
        """What is stored is published, nobody is held, no walk is unfinished."""
        for number, lane in self._lanes.items():
            state = lane.state
            for output, following in state.next_seq.items():
                assert len(self._heard.records(output, number)) == following - 1, f"{output}/{number}: {following}"
            assert not lane.held, f"lane {number} holds {sorted(lane.held)}"
            assert not state.notes.recover_upto
            assert state.notes.sweep is None

    def every_customer_was_told_of_in_one_chain(self) -> None:
        """Sequences count from 1, each change begins where the last one ended, and the chain ends at the profile."""
        for customer, sets in self._heard.changes.items():
            profile = self._profiles.get(customer)
            assert profile is not None, f"{customer} was told of and is not stored"
            numbers = [said["sequence"] for said in sets]
            if numbers != list(range(1, len(sets) + 1)):
                raise BrokenError(f"{customer}: {numbers}")
            assert profile.sequence == len(sets), f"{customer}: {profile.sequence} of {len(sets)}"
            announced: dict[str, str | None] = {}
            for change in (change for said in sets for change in said["changes"]):
                dimension = change["dimension"]
                if change["before"] != announced.get(dimension) or change["before"] == change["after"]:
                    raise BrokenError(f"{customer}: {change} after {announced}")
                announced[dimension] = change["after"]
            for dimension in announced.keys() | profile.present.keys():
                if dimension in profile.unannounced:
                    assert dimension == VALUE, customer
                    assert announced.get(dimension) == profile.unannounced[dimension], customer
                else:
                    assert announced.get(dimension) == profile.segment_in(dimension), f"{customer}: {dimension}"

    def memberships_are_profiles(self) -> None:
        """The newest membership of everybody says where he stands, under the number that was told last."""
        newest = dict(self._heard.memberships)
        for customer, profile in self._profiles.items():
            assert not profile.is_held, customer
            present = {dimension: standing.segment for dimension, standing in profile.present.items()}
            said = newest.pop(customer, None)
            assert (said["segments"] if said else {}) == present, f"{customer}: {said}, is {present}"
            assert said is None or said["sequence"] == profile.sequence, f"{customer}: {said}"
        assert not newest

    def deadlines_are_those_of_the_profiles(self) -> None:
        """The queue holds every deadline and nothing else, and none has come already."""
        for number, lane in self._lanes.items():
            queue = set(lane.deadlines.between(0, FOREVER))
            mine = self._at_home(number)
            assert queue == {(queued_at(p.wake_at), c) for c, p in mine.items() if p.wake_at is not None}
            watermark = lane.state.notes.watermark
            assert all(at > watermark for at, _ in queue), f"lane {number}: a deadline before {watermark}"

    def ranks_and_sizes_are_those_of_the_profiles(self) -> None:
        """Ranks, histograms and the counts of segments are what the profiles add up to."""
        for number, lane in self._lanes.items():
            mine = self._at_home(number)
            revenues = {c: p.ranked_revenue for c, p in mine.items() if p.ranked_revenue is not None}
            assert {c: r for r, c in lane.ranks(0).between(0, 2**62)} == revenues, f"lane {number}"
            expected = histogram(revenue for revenue in revenues.values() if revenue > 0)
            found = {
                bucket: sums
                for factor in lane.ranks(0).group_sums()
                for bucket, sums in lane.ranks(0).sums_of(factor)
            }
            assert {bucket: sums for bucket, sums in found.items() if bucket >= 0 and sums[0]} == dict(expected)
            sizes = Counter((d, s.segment) for profile in mine.values() for d, s in profile.present.items())
            sizes.update((WAITING, d) for profile in mine.values() for d in profile.unannounced)
            assert {place: count for place, count in lane.state.sizes.items() if count} == dict(sizes)

    def facts_are_those_of_the_model(self) -> None:
        """Every event counted once: numbers and lifecycle are those of the whole history."""
        expected = {customer for customer in self._events if not customer.startswith(ANONYMOUS_PREFIX)}
        found = {customer for customer in self._profiles if not customer.startswith(ANONYMOUS_PREFIX)}
        assert found == expected, f"missing {expected - found}, surplus {found - expected}"
        for customer in sorted(found):
            try:
                assert_like_model(self._profiles[customer], self._events[customer], self._rules.model)
            except AssertionError as error:
                raise AssertionError(f"{customer}: {error}") from None

    def classes_are_those_of_a_sort(self) -> None:
        """At rest the classes are those of a full sort; with a band, those that the marks allow."""
        revenues = [p.ranked_revenue for p in self._profiles.values() if p.ranked_revenue]
        marks = sorted_marks(revenues, self._rules.terms.rulebook.value)
        for customer, profile in self._profiles.items():
            if marks is not None and profile.ranked_revenue is not None:
                present = profile.segment_in(VALUE)
                assert present == grade(profile.totals.window_net, present, marks), f"{customer}: {present}, {marks}"
        if self._rules.is_plain and marks is not None:
            now = max(profile.settled_at for profile in self._profiles.values())
            expected = classes_at(self._events, moment_of(now), self._rules.model)
            found = {customer: profile.segment_in(VALUE) for customer, profile in self._profiles.items()}
            assert found == {customer: expected.get(customer) for customer in found}

    def bad_input_was_put_aside(self) -> None:
        """What is no event is on the rejected topic: once, but for a store that was put back."""
        aside = [item for item in self._world.placed if item.record.fate is Fate.ASIDE]
        expected = Counter(f"{i.record.place[0]}/{i.record.place[1]}/{i.offset}" for i in aside)
        found = Counter(self._heard.put_aside)
        if self._world.redis.rewinds:
            found = Counter(dict.fromkeys(found, 1))
        if found - expected:
            raise BrokenError(f"surplus {found - expected}")
        assert found == expected, f"missing {expected - found}"

    def exactly_what_is_expected_was_told(self) -> None:
        """Every change-set, with its cause, time, reasons and numbers, is the one that the events alone lead to."""
        for customer, known in self._known.items():
            until = self._lanes[_home(customer)].state.notes.watermark
            expected = expected_changes(known, self._rules.terms.rulebook, until)
            found = [compared(said) for said in self._heard.changes.get(customer, [])]
            for number, (wanted, told) in enumerate(zip(expected, found, strict=False)):
                if told != wanted:
                    raise BrokenError(f"{customer}, set {number + 1}: expected {wanted}, found {told}")
            assert len(found) == len(expected), f"{customer}: {len(found)} sets, expected {len(expected)}"

    def nobody_was_inactive_whose_order_was_in_the_pipe(self) -> None:
        """No silence was concluded at a moment at which an order that refutes it had long been in its topic."""
        rulebook = self._rules.terms.rulebook
        if rulebook.lifecycle.counts_from is not CountsFrom.PLACED:
            return
        slack = self._rules.terms.behind_after + 5 * SECOND
        orders = self._plain_orders()
        for customer, sets in self._heard.changes.items():
            for said in sets:
                if not any(change["after"] == "inactive" for change in said["changes"]):
                    continue
                at = instant_of(datetime.fromisoformat(said["effective_at"]))
                for placed_at, written_at in orders.get(customer, ()):
                    is_refuted = placed_at <= at < placed_at + rulebook.lifecycle.inactive_after
                    if is_refuted and written_at <= at - slack:
                        raise BrokenError(f"{customer} at {said['effective_at']}, ordered at {placed_at}")

    def _plain_orders(self) -> dict[str, list[tuple[int, int]]]:
        """Return, of orders of which nothing else is known, when they were placed and written."""
        facts: Counter[str] = Counter()
        for events in self._events.values():
            facts.update(e.order_id for e in events if isinstance(e, ORDER_EVENTS) and e.order_id is not None)
        found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        written_at = {
            json.loads(item.record.value or b"{}").get("event_id"): item.at
            for item in self._world.placed
            if item.record.fate is Fate.KNOWN
        }
        for customer, known in self._known.items():
            for decoded in known:
                event = decoded.event
                if isinstance(event, OrderPlaced) and facts[event.order_id] == 1 and event.amount >= 1:
                    found[customer].append((decoded.at, written_at[decoded.event_id]))
        return found

    def _at_home(self, lane: int) -> dict[str, Profile]:
        return {c: p for c, p in self._profiles.items() if _home(c) == lane}


def _end_of_data(log: PartitionLog) -> int:
    """Return the offset behind the last record that is no marker of time; of those there is one a second."""
    for batch in reversed(log.batches):
        for record in reversed(batch.records):
            if not (record.headers and record.headers[0][0] == MARKER_HEADER):
                return record.offset + 1
    return 0


def _home(customer: str) -> int:
    """Return the lane of a stored customer; shops are named before a slash, visitors behind a prefix."""
    return home_of(customer.removeprefix(ANONYMOUS_PREFIX), PARTITIONS)


def _load(world: World, lane: int, customer: str) -> Profile:
    found: Any = world.redis.store.lanes.load(lane, [customer])
    try:
        found.send(None)
    except StopIteration as end:
        [profile] = end.value
        assert profile is not None
        return profile  # type: ignore[no-any-return]
    raise AssertionError("the memory store waited for something")
