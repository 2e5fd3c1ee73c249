import json
import random
from dataclasses import replace
from typing import Any

import pytest

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.packed_profiles import PackedProfiles
from segmenter.adapters.redis_audit import LaneSize
from segmenter.domain.causes import Arrived, Tick
from segmenter.domain.instants import DAY, HOUR, MILLISECOND, Instant, rfc3339
from segmenter.domain.profile import Profile, Standing
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.step import step
from segmenter.engine.audit import Doubt, Rebuilder
from segmenter.engine.audit_compare import differences
from segmenter.ports import Decoded
from segmenter.wiring.audit_plan import plan_all, plan_sample, whole_lanes
from tests.engine.memory_worker import LoggedRecord, day, event, order

RULES = Rulebook()
DECODER = JsonDecoder()
Logged = tuple[Decoded, LoggedRecord]


def logged(value: bytes, offset: int = 0, recorded_at: Instant | None = None) -> Logged:
    """Return an event as it was read."""
    at = 0 if recorded_at is None else recorded_at
    record = LoggedRecord(topic="orders", partition=0, offset=offset, timestamp=at // MILLISECOND, value=value)
    decoded = DECODER.decode(record if recorded_at is not None else replace(record, timestamp=-1))
    assert isinstance(decoded, Decoded), decoded
    return decoded, record


def lived(events: list[Logged], until: Instant) -> Profile:
    """Return the profile of a live lane: events in this order, each settling up to its time, then time alone."""
    profile: Profile | None = None
    for decoded, _ in events:
        at, event_id = decoded.at, decoded.event_id
        cause = Arrived(event=decoded.event, at=at, event_id=event_id, settle_to=at, watermark=at)
        profile = step(profile or Profile(customer=decoded.customer), cause, RULES).profile
    assert profile is not None
    settled = step(profile, Tick(until), RULES).profile
    assert settled is not None
    return settled


def rebuilt(events: list[Logged]) -> Rebuilder:
    rebuilder = Rebuilder(RULES, PackedProfiles())
    for decoded, record in events:
        rebuilder.take(decoded, record)
    return rebuilder


def history(rng: random.Random) -> list[Logged]:
    """Some months of one customer: orders, what becomes of them, clicks and attributes."""
    values = [event("customer.updated", "c", day(rng.uniform(0, 300)), attributes={"city": "Ulm"})]
    for number in range(rng.randint(1, 6)):
        at, own = day(rng.uniform(0, 380)), {"order_id": f"o{number}"}
        values.append(order("c", at, amount=f"{rng.randint(1, 900)}.00", **own))
        later = at + rng.randint(-DAY, 9 * DAY)
        kind: dict[str, dict[str, Any]] = {
            "order.cancelled": own,
            "order.refunded": {**own, "refund_id": f"r{number}", "amount": "1.00", "currency": "EUR"},
            "order.updated": {**own, "amount": "5.00"},
            "click": {"kind": "view"},
        }
        name = rng.choice(sorted(kind))
        values.append(event(name, "c", max(day(0), later), **kind[name]))
    return [logged(value, offset) for offset, value in enumerate(values)]


@pytest.mark.parametrize("seed", range(60))
def test_a_sound_profile_equals_what_is_rebuilt_in_another_order(seed: int) -> None:
    rng = random.Random(seed)
    events = history(rng)
    arrival = sorted(events, key=lambda one: one[0].at + rng.randint(0, 3 * DAY))
    until = day(rng.uniform(380, 900))

    live = lived(arrival, until)

    rebuilder = rebuilt(events)
    found = rebuilder.settled("c", live.settled_at)
    assert list(differences(live, found, RULES, until)) == []
    assert rebuilder.doubt_of("c", live, found) is None


def test_an_order_that_is_lost_differs_in_ledger_and_totals() -> None:
    events = [logged(order("c", day(n), order_id=f"o{n}"), n) for n in range(3)]
    live = lived(events[:2], day(9))

    fields = {name.partition(" ")[0] for name, _, _ in _compared(live, events, day(9))}

    assert fields == {"order", "totals", "last_seen_at", "wake_at"}


def test_a_put_that_is_lost_differs() -> None:
    own = {"segment": "vip", "to": "in", "until": rfc3339(day(5)), "because": "asked for"}
    events = [logged(order("c", day(0))), logged(event("customer.put", "c", day(1), event_id="p-1", **own), 1)]
    whole, lost = lived(events, day(2)), lived(events[:1], day(2))

    assert _compared(whole, events, day(2)) == []
    assert ("put vip", None, f"in by p-1 until {rfc3339(day(5))}") in _compared(lost, events, day(2))


def test_a_deadline_that_ends_a_dwell_is_no_difference() -> None:
    events = [logged(order("c", day(0)))]
    live = lived(events, day(1))
    live.present = {**live.present, "value": Standing("B", day(1))}

    live.wake_at = day(1) + RULES.value.dwell
    assert _compared(live, events, day(1)) == []
    live.wake_at = day(1) + RULES.value.dwell + HOUR
    assert [name for name, _, _ in _compared(live, events, day(1))] == ["wake_at"]


def test_one_whom_only_the_log_has_named_is_no_difference() -> None:
    held = Profile(customer="c", sequence=4, is_held=True)

    assert list(differences(held, None, RULES, day(0))) == []


def test_a_customer_who_is_not_stored_is_one_difference() -> None:
    found = rebuilt([logged(order("c", day(0)))]).settled("c", day(1))

    assert list(differences(None, found, RULES, day(1))) == [("profile", None, "known")]


def test_orders_too_old_on_arrival_are_in_doubt() -> None:
    now = day(0)
    old = logged(order("c", now - 401 * DAY), 0, recorded_at=now)
    young = logged(order("d", now - 399 * DAY), 1, recorded_at=now)

    rebuilder = rebuilt([old, young])

    assert rebuilder.doubt_by_customer == {"c": Doubt.OLDER_THAN_HORIZON}


def test_a_fact_about_an_order_that_may_have_been_folded_is_in_doubt() -> None:
    placed = logged(order("c", day(0), order_id="o"), 0, recorded_at=day(0))
    paid = logged(event("order.paid", "c", day(401), order_id="o"), 1, recorded_at=day(401))

    assert rebuilt([placed, paid]).doubt_by_customer == {"c": Doubt.OLDER_THAN_HORIZON}


def test_a_stranger_seen_again_after_his_expiry_is_in_doubt() -> None:
    times = (day(0), day(31))
    values = [json.loads(event("click", "c", at, kind="view")) for at in times]
    events = [
        logged(json.dumps({**value, "customer_id": None, "anonymous_id": "x"}).encode(), n)
        for n, value in enumerate(values)
    ]
    rebuilder = rebuilt(events)

    assert rebuilder.doubt_of("anon:x", None, rebuilder.settled("anon:x", day(31))) is Doubt.FORGOTTEN_BETWEEN


def test_portions_hold_everybody_and_are_bounded() -> None:
    lanes = [LaneSize(0, 10_000, 64, 2), LaneSize(1, 500, 64, 2)]

    portions = plan_all(lanes, 3_000)

    taken = [(lane, bucket) for p in portions for lane, buckets in p.buckets_by_lane.items() for bucket in buckets]
    assert sorted(taken) == [(lane, bucket) for lane in (0, 1) for bucket in range(64)]
    assert max(portion.customers for portion in portions) <= 3_000
    assert whole_lanes(portions, lanes) == [0, 1]


def test_a_sample_is_the_same_for_the_same_seed_only() -> None:
    lanes = [LaneSize(lane, 10_000, 64, 4) for lane in range(4)]

    drawn = [plan_sample(lanes, 1_000, seed, 100_000)[0].buckets_by_lane for seed in (1, 1, 2)]

    assert drawn[0] == drawn[1] != drawn[2]
    assert sum(len(buckets) for buckets in drawn[0].values()) == 7
    assert whole_lanes(plan_sample(lanes, 1_000, 1, 100_000), lanes) == []


def _compared(live: Profile, events: list[Logged], watermark: Instant) -> list[Any]:
    return list(differences(live, rebuilt(events).settled("c", live.settled_at), RULES, watermark))
