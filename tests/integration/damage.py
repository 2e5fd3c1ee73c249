"""Puts faults into what is stored, as a bug or a slip of hands would: each tells where it must be found."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from struct import pack, unpack

from redis import Redis

from segmenter.adapters import profile_codec
from segmenter.adapters.keys import LaneKeys, bucket_of_customer, held_slice
from segmenter.domain.ledger import Ledger
from segmenter.domain.profile import Attribute, Profile, Standing
from segmenter.domain.value import bucket_of, coarse_of

Found = tuple[str | None, str]
"""A customer, or None for the lane's own numbers, and the field that must be told."""


class Lane:
    """One lane of a Redis without owner."""

    def __init__(self, redis: Redis, lane: int) -> None:
        self.redis = redis
        self.keys = LaneKeys("seg", lane)
        self._buckets = int(redis.hget(self.keys.lane, "buckets") or 64)

    def profiles(self) -> Iterator[Profile]:
        """Give all stored profiles, always in the same order."""
        for bucket in range(self._buckets):
            for name, packed in sorted(self.redis.hgetall(f"{self.keys.profiles}{bucket}").items()):
                yield profile_codec.decode(name.decode(), packed)

    def put(self, customer: str, packed: bytes) -> None:
        """Store a profile as bytes."""
        self.redis.hset(self.bucket(customer), customer, packed)

    def bucket(self, customer: str) -> str:
        """Return the key of a customer's bucket."""
        return f"{self.keys.profiles}{bucket_of_customer(customer.encode(), self._buckets)}"

    def page(self, family: str, customer: str) -> str:
        """Return the page of an index that holds a customer."""
        pages = self.redis.scan_iter(f"{family}:*:*", 1_000)
        return next(page.decode() for page in pages if self.redis.zscore(page, customer) is not None)


def order_lost(lane: Lane, profile: Profile) -> Found:
    key, *_ = profile.ledger.orders
    orders = {other: order for other, order in profile.ledger.orders.items() if other != key}
    _change(lane, profile, ledger=_ledger(profile, orders))
    return profile.customer, f"order {key:016x}"


def amount_off(lane: Lane, profile: Profile) -> Found:
    key, *_ = profile.ledger.orders
    order = profile.ledger.orders[key]
    orders = {**profile.ledger.orders, key: replace(order, gross=order.gross + 1)}
    _change(lane, profile, ledger=_ledger(profile, orders))
    return profile.customer, f"order {key:016x} gross"


def total_off(lane: Lane, profile: Profile) -> Found:
    _change(lane, profile, totals=replace(profile.totals, net=profile.totals.net + 100))
    return profile.customer, "totals net"


def lifecycle_wrong(lane: Lane, profile: Profile) -> Found:
    wrong = "prospect" if profile.segment_in("lifecycle") != "prospect" else "new"
    since = profile.present["lifecycle"].since
    _change(lane, profile, present={**profile.present, "lifecycle": Standing(wrong, since)})
    return profile.customer, "lifecycle"


def seen_wrong(lane: Lane, profile: Profile) -> Found:
    _change(lane, profile, last_seen_at=(profile.last_seen_at or 0) - 1)
    return profile.customer, "last_seen_at"


def attribute_wrong(lane: Lane, profile: Profile) -> Found:
    _change(lane, profile, attributes={**profile.attributes, "city": Attribute(1, "e", "Atlantis")})
    return profile.customer, "attribute city"


def deadline_forgotten(lane: Lane, profile: Profile) -> Found:
    lane.redis.zrem(lane.page(lane.keys.due, profile.customer), profile.customer)
    return profile.customer, "index deadline"


def deadline_off(lane: Lane, profile: Profile) -> Found:
    lane.redis.zincrby(lane.page(lane.keys.due, profile.customer), 1, profile.customer)
    return profile.customer, "index deadline"


def wake_off(lane: Lane, profile: Profile) -> Found:
    """Wrong in the profile and in the queue alike: only the facts tell."""
    lane.redis.zincrby(lane.page(lane.keys.due, profile.customer), 1, profile.customer)
    _change(lane, profile, wake_at=(profile.wake_at or 0) + 1)
    return profile.customer, "wake_at"


def rank_off(lane: Lane, profile: Profile) -> Found:
    lane.redis.zincrby(lane.page(lane.keys.ranks, profile.customer), 1, profile.customer)
    return profile.customer, "index rank"


def profile_lost(lane: Lane, profile: Profile) -> Found:
    lane.redis.hdel(lane.bucket(profile.customer), profile.customer)
    return profile.customer, "profile"


def profile_broken(lane: Lane, profile: Profile) -> Found:
    lane.put(profile.customer, profile_codec.encode(profile)[:50])
    return profile.customer, "profile"


def held_for_nothing(lane: Lane, profile: Profile) -> Found:
    slot = f"{lane.keys.held}:{_held_slice(profile.customer)}:0"
    lane.redis.zadd(slot, {profile.customer: 0})
    lane.redis.zadd(lane.keys.held, {str(_held_slice(profile.customer)): _held_slice(profile.customer)})
    return profile.customer, "index held"


def histogram_off(lane: Lane, profile: Profile) -> Found:
    bucket = bucket_of(profile.ranked_revenue or 0)
    key = f"{lane.keys.fine}{coarse_of(bucket)}"
    packed = lane.redis.hget(key, str(bucket))
    assert packed is not None
    customers, low, high = unpack("<ddd", packed)
    lane.redis.hset(key, str(bucket), pack("<ddd", customers + 7, low, high))
    return None, f"histogram {bucket} customers"


def size_off(lane: Lane, _: Profile) -> Found:
    lane.redis.hincrby(lane.keys.sizes, "lifecycle\x1finactive", 7)
    return None, "size lifecycle.inactive"


def class_count_off(lane: Lane, profile: Profile) -> Found:
    segment = profile.segment_in("value")
    lane.redis.hincrby(lane.keys.sizes, f"value\x1f{segment}", 7)
    return None, f"size value.{segment}"


def customers_off(lane: Lane, _: Profile) -> Found:
    lane.redis.hincrby(lane.keys.lane, "customers", 7)
    return None, "customers"


DAMAGES: tuple[Callable[[Lane, Profile], Found], ...] = (
    order_lost,
    amount_off,
    total_off,
    lifecycle_wrong,
    seen_wrong,
    attribute_wrong,
    deadline_forgotten,
    deadline_off,
    wake_off,
    rank_off,
    profile_lost,
    profile_broken,
    held_for_nothing,
    histogram_off,
    size_off,
    class_count_off,
    customers_off,
)


def is_suitable(profile: Profile) -> bool:
    """Tell whether a customer has all that can be damaged."""
    has_order = any(order.net > 0 for order in profile.ledger.orders.values())
    is_ranked = profile.ranked_revenue is not None and profile.ranked_revenue > 0
    return has_order and is_ranked and profile.wake_at is not None and profile.segment_in("value") is not None


def _change(lane: Lane, profile: Profile, **parts: object) -> None:
    changed = profile.copy()
    for name, part in parts.items():
        setattr(changed, name, part)
    lane.put(profile.customer, profile_codec.encode(changed))


def _ledger(profile: Profile, orders: dict) -> Ledger:  # type: ignore[type-arg]
    return Ledger(orders=orders, loose_refunds=profile.ledger.loose_refunds, folded=profile.ledger.folded)


def _held_slice(customer: str) -> int:
    return held_slice(customer.encode())
