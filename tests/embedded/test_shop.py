import json
import re
from collections import Counter, defaultdict
from dataclasses import fields
from decimal import Decimal
from itertools import pairwise, takewhile
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter

from segmenter.domain.causes import RejectReason
from segmenter.domain.events import Event
from segmenter.domain.instants import DAY, MINUTE, SECOND, Instant, instant_of
from segmenter.embedded.shop import INACTIVE_AFTER, WINDOW, Shop, history, open_shop
from segmenter.embedded.shop_faults import FUTURE_BY
from segmenter.embedded.shop_live import live
from segmenter.embedded.shop_records import TOPIC_BY_TYPE, Manifest, Oddity, ShopRecord
from segmenter.embedded.shop_roster import Fate

ENDS_AT: Instant = 1_795_000_000 * SECOND
CUSTOMERS = 200


@pytest.fixture(scope="module")
def shop() -> Shop:
    return open_shop(7, ENDS_AT, customers=CUSTOMERS)


@pytest.fixture(scope="module")
def past(shop: Shop) -> list[ShopRecord]:
    return list(history(shop))


@pytest.fixture(scope="module")
def five_minutes(shop: Shop) -> list[tuple[Instant, ShopRecord]]:
    end = ENDS_AT + 5 * MINUTE
    return list(takewhile(lambda due: due[0] <= end, live(shop, ENDS_AT, rate=40)))


def manifest_of(records: list[ShopRecord]) -> Manifest:
    manifest = Manifest()
    for record in records:
        manifest.add(record)
    return manifest


def test_the_same_seed_gives_the_same_shop(past: list[ShopRecord]) -> None:
    assert list(history(open_shop(7, ENDS_AT, customers=CUSTOMERS))) == past
    assert list(history(open_shop(8, ENDS_AT, customers=CUSTOMERS))) != past


def test_the_same_seed_gives_the_same_live_traffic(five_minutes: list[tuple[Instant, ShopRecord]]) -> None:
    again = live(open_shop(7, ENDS_AT, customers=CUSTOMERS), ENDS_AT, rate=40)

    assert [next(again) for _ in five_minutes] == five_minutes


def test_history_is_ordered_good_and_each_once(past: list[ShopRecord]) -> None:
    times = [record.occurred_at for record in past]
    ids = [json.loads(record.value)["event_id"] for record in past]

    assert times == sorted(times)
    assert times[0] >= ENDS_AT - 365 * DAY
    assert times[-1] < ENDS_AT
    assert {record.oddity for record in past} == {None}
    assert len(set(ids)) == len(ids)


def test_a_year_has_the_planned_size_and_all_types(past: list[ShopRecord]) -> None:
    manifest = manifest_of(past)

    assert manifest.by_type.keys() == TOPIC_BY_TYPE.keys()
    assert 7 <= manifest.by_type["order.placed"] / CUSTOMERS <= 10
    assert 25 <= manifest.by_type["click"] / CUSTOMERS <= 45
    assert manifest.records == sum(manifest.by_type.values()) == len(past)


def test_few_customers_place_many_of_the_orders(past: list[ShopRecord]) -> None:
    orders = Counter(record.key for record in past if record.type == "order.placed")

    hottest = sum(count for _, count in orders.most_common(len(orders) // 10))

    assert hottest > 0.3 * orders.total()


def test_weekends_and_evenings_see_more_orders_than_nights(past: list[ShopRecord]) -> None:
    hours = Counter(record.occurred_at // (60 * MINUTE) % 24 for record in past if record.type == "order.placed")

    assert sum(hours[hour] for hour in range(18, 22)) > 5 * sum(hours[hour] for hour in range(4))


def test_fading_customers_turn_inactive_every_few_seconds_after_the_end(shop: Shop, past: list[ShopRecord]) -> None:
    last_order_at = {record.key: record.occurred_at for record in past if record.type == "order.placed"}
    fading = [one for one in shop.shoppers if one.fate is Fate.FADING]

    turns = sorted(last_order_at[one.customer_id.encode()] + INACTIVE_AFTER for one in fading)

    assert turns == sorted(one.turns_at or 0 for one in fading)
    assert turns[0] == ENDS_AT + 5 * SECOND
    assert all(SECOND <= later - earlier <= 3 * SECOND for earlier, later in pairwise(turns))


def test_dear_orders_leave_the_window_soon_after_the_end(shop: Shop, past: list[ShopRecord]) -> None:
    amounts = defaultdict(list)
    for record in past:
        if record.type == "order.placed":
            amounts[record.key].append((record.occurred_at, float(json.loads(record.value)["amount"])))

    for one in (one for one in shop.shoppers if one.fate is Fate.LEAVING):
        (first_at, dear), *later = amounts[one.customer_id.encode()]
        assert first_at + WINDOW == one.turns_at
        assert ENDS_AT < (one.turns_at or 0) < ENDS_AT + 5 * MINUTE
        assert dear >= 400
        assert all(at > ENDS_AT - INACTIVE_AFTER for at, _ in later)


def test_a_short_history_plans_no_deadline_it_cannot_show() -> None:
    shop = open_shop(7, ENDS_AT, customers=50, days=30)

    assert {one.fate for one in shop.shoppers} == {Fate.REGULAR, Fate.ONCE, Fate.BROWSING}
    assert all(ENDS_AT - 30 * DAY <= record.occurred_at < ENDS_AT for record in history(shop))


@pytest.mark.parametrize("rate", [20.0, 200.0])
def test_live_traffic_comes_at_its_rate_and_in_order(shop: Shop, rate: float) -> None:
    # The first minute fills up: an order's delivery comes after the order.
    end = ENDS_AT + 4 * MINUTE
    dues = [at for at, _ in takewhile(lambda due: due[0] <= end, live(shop, ENDS_AT, rate))]

    assert dues == sorted(dues)
    steady = sum(1 for at in dues if at > ENDS_AT + MINUTE)
    assert 0.85 * rate <= steady / 180 <= 1.15 * rate


def test_live_events_happen_when_due_but_for_late_ones_and_duplicates(
    five_minutes: list[tuple[Instant, ShopRecord]],
) -> None:
    for due_at, record in five_minutes:
        match record.oddity:
            case Oddity.LATE:
                assert 2 * MINUTE <= due_at - record.occurred_at <= 3 * DAY
            case Oddity.DUPLICATE:
                assert 0 <= due_at - record.occurred_at < 5 * SECOND
            case _:
                assert due_at == record.occurred_at


def test_a_duplicate_repeats_the_bytes_of_a_record_before_it(
    five_minutes: list[tuple[Instant, ShopRecord]],
) -> None:
    seen = set()
    repeats = 0
    for _, record in five_minutes:
        if record.oddity is Oddity.DUPLICATE:
            assert record.value in seen
            repeats += 1
        seen.add(record.value)

    assert 0.005 <= repeats / len(five_minutes) <= 0.02


def test_every_kind_of_bad_input_comes_early_and_again(five_minutes: list[tuple[Instant, ShopRecord]]) -> None:
    kinds = {
        RejectReason.UNPARSEABLE,
        RejectReason.UNKNOWN_TYPE,
        RejectReason.NO_CUSTOMER,
        RejectReason.NOT_A_NUMBER,
        RejectReason.NEGATIVE_AMOUNT,
        RejectReason.FUTURE_TIME,
        RejectReason.NAIVE_TIME,
        RejectReason.UNKNOWN_CURRENCY,
        RejectReason.NO_RATE,
    }

    early = manifest_of([record for at, record in five_minutes if at <= ENDS_AT + 2 * MINUTE])

    assert early.refused.keys() == kinds
    assert max(early.refused.values()) - min(early.refused.values()) <= 1


def test_two_minutes_show_every_lifecycle_move(shop: Shop, past: list[ShopRecord]) -> None:
    end = ENDS_AT + 2 * MINUTE
    watched = [record for at, record in takewhile(lambda due: due[0] <= end, live(shop, ENDS_AT, rate=40))]
    known = {one.customer_id.encode(): one.fate for one in shop.shoppers}
    orders = Counter(record.key for record in watched if record.type == "order.placed")
    cancelled = {record.key for record in watched if record.type == "order.cancelled"}

    assert [key for key in orders if key not in known]  # prospect → new
    assert [key for key, count in orders.items() if key not in known and count > 1]  # new → repeat
    assert [key for key in orders if known.get(key) is Fate.FADING]  # inactive → repeat
    assert [key for key in cancelled if known[key] is Fate.BROWSING]  # new → prospect


def test_nobody_fading_orders_before_the_deadline(shop: Shop, five_minutes: list[tuple[Instant, ShopRecord]]) -> None:
    turns_at = {one.customer_id.encode(): one.turns_at for one in shop.shoppers if one.fate is Fate.FADING}

    back = [
        (at, turns_at[record.key])
        for at, record in five_minutes
        if "order.placed" in record.type and record.key in turns_at
    ]

    assert back
    assert all(at >= (turn or at) + 8 * SECOND for at, turn in back)


def test_every_good_record_is_a_canonical_event_with_nothing_unknown_in_it(
    past: list[ShopRecord], five_minutes: list[tuple[Instant, ShopRecord]]
) -> None:
    reader: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])

    for record in past + [record for _, record in five_minutes]:
        if isinstance(record.oddity, RejectReason):
            continue
        event = reader.validate_json(record.value)
        written = json.loads(record.value)
        assert written.keys() <= {field.name for field in fields(event)}
        assert all(item.keys() == {"item", "category", "quantity", "amount"} for item in written.get("items", ()))
        assert TOPIC_BY_TYPE[event.type] == record.topic
        assert event.type == record.type
        assert (event.customer_id or "").encode() == record.key
        assert instant_of(event.occurred_at) == record.occurred_at


def test_amounts_are_decimal_strings_and_items_and_discount_add_up(past: list[ShopRecord]) -> None:
    for record in past:
        if record.type != "order.placed":
            continue
        order = json.loads(record.value)
        amounts = [order["amount"], order.get("discount", "0.00"), *(item["amount"] for item in order["items"])]
        assert all(re.fullmatch(r"\d+\.\d\d", amount) for amount in amounts)
        amount, discount, *items = map(Decimal, amounts)
        assert amount == sum(items) - discount
        assert order["currency"] == "EUR"


def test_a_refund_is_never_more_than_its_order(past: list[ShopRecord]) -> None:
    amount_by_order = {}
    for record in past:
        event = json.loads(record.value)
        if record.type == "order.placed":
            amount_by_order[event["order_id"]] = float(event["amount"])
        if record.type == "order.refunded":
            assert 0 < float(event["amount"]) <= amount_by_order[event["order_id"]]


def test_a_record_from_the_future_is_far_beyond_every_tolerance() -> None:
    assert FUTURE_BY > 5 * MINUTE


def test_customers_are_numbers_and_keys_are_customers(past: list[ShopRecord]) -> None:
    for record in past:
        event = json.loads(record.value)
        assert event["customer_id"].encode() == record.key
        assert event["customer_id"][:2] == "c-"
        assert event["customer_id"][2:].isdigit()
