"""Packed profiles: every field comes back exactly, and little is said in few bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmenter.adapters.profile_codec import VERSION_WITH_MORE, decode, encode
from segmenter.domain.behaviour import Behaviour, Rating, Ticket, Trail, Warmth
from segmenter.domain.ledger import Amended, Details, Folded, Ledger, Line, LooseRefund, Order, Totals
from segmenter.domain.profile import Attribute, Profile, Standing
from segmenter.domain.puts import Put
from segmenter.errors import InvariantError
from tests.domain.profiles import profile_of

INSTANTS = st.integers(0, 2**62)
MOMENTS = st.none() | INSTANTS
HASHES = st.integers(0, 2**64 - 1)
SHORT_HASHES = st.integers(0, 2**32 - 1)
COUNTS = st.integers(0, 2**32 - 1)
SIGNED_AMOUNTS = st.integers(-(10**30), 10**30) | st.integers(-500, 500)
AMOUNTS = SIGNED_AMOUNTS.map(abs)
TEXTS = st.text(max_size=12) | st.just("x" * 300)
DIMENSIONS = st.sampled_from(["lifecycle", "value", "custom.vip"]) | st.text(max_size=8)
SEGMENTS = st.sampled_from(["prospect", "A", "in", "champions"]) | st.text(max_size=8)
AMENDMENTS = st.none() | st.builds(Amended, INSTANTS, TEXTS, TEXTS)

DECIMALS = st.none() | st.decimals(0, 10**12, places=3)
LINES = st.builds(Line, TEXTS, st.none() | TEXTS, AMOUNTS, DECIMALS)
BY = st.none() | st.tuples(INSTANTS, TEXTS)
DETAILS = st.none() | st.builds(
    Details,
    channel=st.none() | TEXTS,
    campaign=st.none() | TEXTS,
    coupon=st.none() | TEXTS,
    discount=DECIMALS,
    tax=DECIMALS,
    shipping=DECIMALS,
    cost=DECIMALS,
    lines=st.lists(LINES, max_size=3).map(tuple),
    lines_by=BY,
    discount_by=BY,
)

ORDERS = st.builds(
    Order,
    placed_at=MOMENTS,
    paid_at=MOMENTS,
    delivered_at=MOMENTS,
    cancelled_at=MOMENTS,
    gross=SIGNED_AMOUNTS,
    quoted=TEXTS,
    amount=AMENDMENTS,
    currency=AMENDMENTS,
    refunds=st.lists(st.tuples(HASHES, AMOUNTS, INSTANTS), max_size=3).map(tuple),
    waiting_since=MOMENTS,
    place=TEXTS,
    details=DETAILS,
)
FOLDED = st.builds(
    Folded,
    orders=COUNTS,
    net=SIGNED_AMOUNTS,
    first_at=MOMENTS,
    last_at=MOMENTS,
    over_refund=AMOUNTS,
    gross=AMOUNTS,
    sold=AMOUNTS,
    refunds=COUNTS,
    refunded=AMOUNTS,
    items=AMOUNTS,
    discount=AMOUNTS,
    discounted=COUNTS,
    deliveries=COUNTS,
    ids=st.lists(SHORT_HASHES, max_size=4).map(tuple),
)
LEDGERS = st.builds(
    Ledger,
    orders=st.dictionaries(HASHES, ORDERS, max_size=3),
    loose_refunds=st.dictionaries(HASHES, st.builds(LooseRefund, INSTANTS, SIGNED_AMOUNTS), max_size=3),
    folded=FOLDED,
)
TOTALS = st.builds(
    Totals,
    orders=COUNTS,
    first_order_at=MOMENTS,
    last_order_at=MOMENTS,
    net=SIGNED_AMOUNTS,
    window_net=SIGNED_AMOUNTS,
    leaves_at=MOMENTS,
    over_refund=AMOUNTS,
    waiting_since=MOMENTS,
)
BUCKETS = st.dictionaries(st.integers(0, 2**31), st.integers(1, 2**32 - 1), max_size=3).map(
    lambda counts: tuple(sorted(counts.items()))
)
WARMTHS = st.builds(Warmth, INSTANTS, st.floats(0, 10**6))
TOPICS = st.dictionaries(TEXTS, WARMTHS, max_size=3)
RATINGS = st.builds(Rating, INSTANTS, TEXTS, st.just("csat"), st.integers(1, 5)) | st.builds(
    Rating, INSTANTS, TEXTS, st.just("nps"), st.integers(0, 10)
)
TICKETS = st.builds(Ticket, MOMENTS, MOMENTS, st.none() | TEXTS, st.none() | TEXTS, st.none() | TEXTS)
TRAILS = st.builds(
    Trail, st.lists(st.tuples(INSTANTS, st.integers(0, 2**16 - 1)), max_size=3).map(tuple), st.booleans()
)
BEHAVIOURS = st.builds(
    Behaviour,
    tallies=st.dictionaries(SHORT_HASHES, BUCKETS, max_size=3),
    tickets=st.dictionaries(HASHES, TICKETS, max_size=3),
    ratings=st.lists(RATINGS, max_size=3).map(tuple),
    trails=st.dictionaries(SHORT_HASHES, TRAILS, max_size=2),
    clicked_at=MOMENTS,
    contacted_at=MOMENTS,
    warmth=st.none() | WARMTHS,
    topics=TOPICS,
    channels=TOPICS,
    first_channel=st.none() | st.tuples(INSTANTS, TEXTS),
    held=st.lists(TEXTS, max_size=3).map(tuple),
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
PUTS = st.builds(
    Put,
    INSTANTS,
    TEXTS,
    st.sampled_from(["in", "out", "auto"]),
    INSTANTS,
    TEXTS,
    TEXTS,
    st.sampled_from([None, False, True]),
)
PROFILES = st.builds(
    profile_of,
    st.just("c-42"),
    life=COUNTS,
    sequence=COUNTS,
    settled_at=INSTANTS,
    first_seen_at=MOMENTS,
    last_seen_at=MOMENTS,
    ledger=LEDGERS,
    totals=TOTALS,
    present=st.dictionaries(DIMENSIONS, st.builds(Standing, SEGMENTS, INSTANTS), max_size=3),
    unannounced=st.dictionaries(DIMENSIONS, st.none() | SEGMENTS, max_size=3),
    recent_ids=st.lists(SHORT_HASHES, max_size=16).map(tuple),
    attributes=st.dictionaries(TEXTS, st.builds(Attribute, INSTANTS, TEXTS, VALUES), max_size=3),
    puts=st.dictionaries(TEXTS, PUTS, max_size=3),
    wake_at=MOMENTS,
    is_held=st.booleans(),
    behaviour=BEHAVIOURS,
)


@settings(max_examples=400, deadline=None)
@given(PROFILES)
def test_every_field_of_any_profile_comes_back(profile: Profile) -> None:
    unpacked = decode("c-42", encode(profile))

    assert unpacked == profile
    assert repr(unpacked) == repr(profile)  # equality takes True for 1 and 1 for 1.0


def test_only_a_profile_with_a_put_takes_the_form_that_older_releases_refuse() -> None:
    put = Put(1, "e", "in", 2, "asked for", "mara", True)

    assert encode(profile_of("c"))[0] == 2
    assert encode(profile_of("c", puts={"vip": put}))[0] == 3


def test_a_lone_surrogate_of_an_attribute_comes_back() -> None:
    profile = profile_of("c", attributes={"\ud800": Attribute(1, "e", "\udfff")})

    assert decode("c", encode(profile)) == profile


def test_a_prospect_with_a_few_clicks_takes_at_most_100_bytes() -> None:
    prospect = profile_of(
        "c",
        first_seen_at=1,
        last_seen_at=2,
        present={"lifecycle": Standing("prospect", 1)},
        recent_ids=(1, 2, 3, 4, 5, 6, 7, 8),
    )

    assert len(encode(prospect)) <= 100


def test_a_plain_order_takes_at_most_24_bytes() -> None:
    few = {n: Order(placed_at=10**15, gross=5_000) for n in range(10)}
    many = {n: Order(placed_at=10**15, gross=5_000) for n in range(20)}

    sizes = [len(encode(profile_of("c", ledger=Ledger(orders=orders)))) for orders in (few, many)]

    assert sizes[1] - sizes[0] <= 24 * 10


def test_a_form_of_another_release_is_refused() -> None:
    packed = bytes((VERSION_WITH_MORE + 1,)) + encode(Profile(customer="c"))[1:]

    with pytest.raises(InvariantError, match=f"form {VERSION_WITH_MORE + 1}"):
        decode("c", packed)
