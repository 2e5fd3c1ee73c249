"""Puts by hand: where they have a customer, for how long, and what comes after them."""

from datetime import datetime, timedelta

from segmenter.adapters.profile_codec import decode, encode
from segmenter.adapters.rulebook_file import parse_rulebook
from segmenter.domain.causes import Arrived, Tick, Transition
from segmenter.domain.changes import CauseKind, Change, ChangeSet
from segmenter.domain.events import CustomerPut, Event, OrderPlaced
from segmenter.domain.instants import instant_of
from segmenter.domain.profile import Profile
from segmenter.domain.puts import PUTS_KEPT
from segmenter.domain.step import step

NOON = datetime.fromisoformat("2026-05-04T12:00:00Z")
RULES = parse_rulebook(
    b"""
rulebook: 1
segments:
  vip:
    when: {measure: orders, at_least: 2}
    stay_at_least: 1d
    cooldown: 1d
  followed: {when: {segment: vip}}
""",
    "rules",
    None,
)


class Shop:
    """One customer, whose profile is packed between two causes."""

    def __init__(self) -> None:
        self.profile = Profile(customer="c-1")
        self.told: list[ChangeSet] = []

    def take(self, event: Event) -> Transition:
        at = instant_of(event.occurred_at)
        return self._step(Arrived(event=event, at=at, event_id=event.event_id or "", settle_to=at))

    def come_to(self, hours: float) -> Transition:
        return self._step(Tick(instant_of(NOON + timedelta(hours=hours))))

    def _step(self, cause: Arrived | Tick) -> Transition:
        transition = step(self.profile, cause, RULES)
        assert transition.profile is not None
        self.profile = decode("c-1", encode(transition.profile))
        self.told += [said for said in transition.said if isinstance(said, ChangeSet)]
        return transition

    def vip_moves(self) -> list[tuple[Change, CauseKind]]:
        return [(c, said.cause.kind) for said in self.told for c in said.changes if c.dimension == "custom.vip"]


def put(to: str, *, hours: float = 0, until: float | None = None, event_id: str = "p-1", name: str = "vip") -> Event:
    return CustomerPut(
        customer_id="c-1",
        event_id=event_id,
        occurred_at=NOON + timedelta(hours=hours),
        segment=name,
        to=to,  # type: ignore[arg-type]
        until=None if until is None else NOON + timedelta(hours=until),
        because="promised on the phone",
        by="mara",
    )


def order(number: int, hours: float) -> Event:
    at = NOON + timedelta(hours=hours)
    return OrderPlaced(
        customer_id="c-1",
        event_id=f"o-{number}",
        occurred_at=at,
        order_id=f"o-{number}",
        amount=10,  # type: ignore[arg-type]
        currency="EUR",
    )


def moved(before: str, after: str) -> Change:
    return Change(dimension="custom.vip", before=before, after=after)


def test_a_put_moves_at_once_with_cause_manual_and_ends_by_itself_at_its_instant() -> None:
    shop = Shop()
    shop.take(order(1, -1))

    shop.take(put("in", until=5))
    by_hand = shop.told[-1]
    shop.come_to(5)

    assert shop.vip_moves() == [
        (moved("out", "in"), CauseKind.MANUAL),
        (moved("in", "out"), CauseKind.TIME),
    ]
    assert by_hand.cause.event_ids == ("p-1",)
    assert [(r.condition, r.actual, r.threshold) for r in by_hand.reasons if r.dimension == "custom.vip"] == [
        ("put in by hand", "promised on the phone", "until 2026-05-04T17:00:00.000Z")
    ]
    assert by_hand.next_change_at == shop.told[-1].effective_at == instant_of(NOON + timedelta(hours=5))


def test_segments_that_name_the_one_move_in_the_same_set() -> None:
    shop = Shop()

    shop.take(put("in", until=5))

    assert {change.dimension for change in shop.told[-1].changes} >= {"custom.vip", "custom.followed"}


def test_who_is_in_by_the_rules_when_the_put_ends_stays_in_and_nothing_is_told() -> None:
    shop = Shop()
    shop.take(put("in", until=5))
    shop.take(order(1, 1))
    shop.take(order(2, 2))

    shop.come_to(6)

    assert len(shop.vip_moves()) == 1
    assert shop.profile.segment_in("custom.vip") == "in"
    assert not shop.profile.puts["vip"].is_open


def test_a_put_out_goes_before_the_rules_and_neither_stay_nor_cooldown_hold_what_it_asks_for() -> None:
    shop = Shop()
    shop.take(order(1, -3))
    shop.take(order(2, -2))
    shop.take(put("out", until=1))

    out_at = shop.profile.segment_in("custom.vip")
    shop.come_to(1)

    assert (out_at, shop.profile.segment_in("custom.vip")) == ("out", "in")


def test_auto_lifts_a_put_early() -> None:
    shop = Shop()
    shop.take(order(1, -1))
    shop.take(put("in", until=500))

    shop.take(put("auto", hours=1, event_id="p-2"))

    assert shop.vip_moves()[-1] == (moved("in", "out"), CauseKind.MANUAL)
    assert shop.profile.wake_at != instant_of(NOON + timedelta(hours=500))


def test_the_newest_word_by_time_and_id_counts_in_whatever_order_they_come() -> None:
    one, other = put("in", until=50), put("auto", hours=1, event_id="p-2")
    in_order, turned = Shop(), Shop()
    for shop, events in ((in_order, (one, other)), (turned, (other, one))):
        for event in events:
            shop.take(event)

    assert in_order.profile.segment_in("custom.vip") == "out"
    assert turned.profile.segment_in("custom.vip") is None
    assert {name: (p.event_id, p.is_open) for name, p in turned.profile.puts.items()} == {"vip": ("p-2", False)}


def test_a_put_that_comes_again_changes_nothing_even_when_its_id_is_no_longer_remembered() -> None:
    shop = Shop()
    shop.take(put("in", until=50))
    again = shop.take(put("in", until=50))
    shop.take(put("auto", hours=1, event_id="p-2"))
    for number in range(20):
        shop.take(put("auto", hours=2, event_id=f"p-3{number:02d}", name="other"))

    much_later = shop.take(put("in", until=50))

    assert again.said == ()
    assert not any(isinstance(said, ChangeSet) for said in much_later.said)
    assert shop.profile.segment_in("custom.vip") == "out"


def test_one_for_a_segment_that_is_not_declared_waits_for_it() -> None:
    shop = Shop()

    shop.take(put("in", until=50, name="later"))

    assert shop.profile.puts["later"].is_open
    assert shop.profile.segment_in("custom.later") is None


def test_no_more_segments_than_can_be_declared_are_kept_and_those_that_are_over_make_room() -> None:
    shop = Shop()
    for number in range(PUTS_KEPT):
        shop.take(put("in", until=10, event_id=f"p-{number:03d}", name=f"s{number}"))

    refused = shop.take(put("in", until=10, event_id="q-1", name="one_more"))
    shop.take(put("auto", hours=1, event_id="q-2", name="s7"))
    shop.take(put("in", hours=1, until=10, event_id="q-3", name="one_more"))

    assert refused.rejection is not None
    assert refused.rejection.detail == (
        "segment: 200 segments are kept in which this customer is put by hand, and this is another; "
        "expected at most 200"
    )
    assert "one_more" in shop.profile.puts
