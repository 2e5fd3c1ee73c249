"""Value classes: A, B and C by cumulative net revenue, exactly, from ranks kept in log buckets.

Sort all ranked customers by revenue, highest first; equal revenues are one tie group and share a class. A is
the shortest run of whole tie groups whose cumulative share reaches `a`, B the further run that reaches `b`.
A boundary is therefore a revenue: who has at least that much is in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import groupby

from segmenter.domain.quintiles import Cuts
from segmenter.domain.rulebook import ValueRule

A, B, C = "A", "B", "C"
# Each factor of two is cut into 48 parts: a bucket is about 1.5 % wide.
FINE = 48
# The bucket of buyers with nothing left in the window: indexed, so that a sweep finds them, but not ranked.
UNRANKED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The least revenue, in minor units, with which one enters A and B, or stays in them (band)."""

    a: int
    a_stay: int
    b: int
    b_stay: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """A published version of the marks.

    `number` rises with each publication; `seen` are the rank versions of all lanes it was computed from;
    `shares` are (least revenue, share of revenue held by those with more) at known points, highest first, from
    which a customer's own share is estimated; classes are announced only from `min_ranked` customers on.
    """

    number: int
    marks: Marks
    ranked: int
    total: int
    seen: tuple[int, ...] = ()
    shares: tuple[tuple[int, float], ...] = ()
    is_announced: bool = True
    cuts: Cuts | None = None
    """The quintiles of RFM, where the rulebook asks for them."""
    parts: "tuple[tuple[int, Boundary], ...]" = ()
    """By ranking, the boundary of each population that is ranked apart; where there are any, they alone class."""

    @property
    def content(self) -> tuple[object, ...]:
        """What decides classes and scores: two versions with equal content judge alike."""
        parts = tuple((ranking, part.content) for ranking, part in self.parts)
        whole = () if parts else (self.marks, self.is_announced)
        return whole, parts, None if self.cuts is None else self.cuts.content

    def part_of(self, ranking: int) -> "Boundary | None":
        """Return the boundary of a population; None: nobody of it was ever ranked."""
        return next((part for other, part in self.parts if other == ranking), None)


def grade(revenue: int, present: str | None, marks: Marks) -> str:
    """Return the class of a buyer with this net revenue of the window, band applied, dwell not."""
    if revenue >= marks.a or (present == A and revenue >= marks.a_stay):
        return A
    if revenue >= marks.b or (present == B and revenue >= marks.b_stay):
        return B
    return C


def is_fall(before: str | None, after: str) -> bool:
    """Tell whether this move goes down, and so has to wait for the dwell."""
    return before is not None and after > before


def targets_of(rule: ValueRule) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Return the cumulative shares to reach: a, a + band, b, b + band; a band ends at the whole."""
    whole = Decimal(1)
    shares = (rule.a, min(whole, rule.a + rule.band), rule.b, min(whole, rule.b + rule.band))
    a, a_stay, b, b_stay = (Fraction(share) for share in shares)
    return a, a_stay, b, b_stay


def reaches(cumulative: int, total: int, target: Fraction) -> bool:
    """Tell exactly whether a cumulative sum is at least this share of the total."""
    return cumulative * target.denominator >= target.numerator * total


def bucket_of(revenue: int) -> int:
    """Return the log bucket of a revenue: 48 a factor of two, rising with it; -1 for buyers who hold none."""
    if revenue <= 0:
        return UNRANKED
    power = revenue.bit_length() - 1
    return power * FINE + (((revenue - (1 << power)) * FINE) >> power)


def bucket_floor(bucket: int) -> int:
    """Return the least revenue of a bucket. Narrow ones below 48 may hold none."""
    power, part = divmod(bucket, FINE)
    return (1 << power) + -((-part << power) // FINE)


def coarse_of(bucket: int) -> int:
    """Return the factor of two a bucket belongs to."""
    return bucket // FINE


def sorted_marks(revenues: Iterable[int], rule: ValueRule) -> Marks | None:
    """Return the marks by a full sort: the definition, slow and obvious. None without ranked customers."""
    ranked = sorted((revenue for revenue in revenues if revenue > 0), reverse=True)
    if not ranked:
        return None
    total = sum(ranked)
    marks: list[int] = []
    for target in targets_of(rule):
        cumulative = 0
        for revenue, ties in groupby(ranked):
            cumulative += sum(ties)
            if reaches(cumulative, total, target):
                marks.append(revenue)
                break
    a, a_stay, b, b_stay = marks
    return Marks(a=a, a_stay=a_stay, b=b, b_stay=b_stay)


def share_above(revenue: int, shares: tuple[tuple[int, float], ...]) -> float:
    """Return about which share of all revenue is held by customers with more than this.

    Exact at the known points, linear between them.
    """
    upper_revenue, upper_share = None, 0.0
    for known_revenue, known_share in shares:
        if revenue >= known_revenue:
            if upper_revenue is None or upper_revenue == known_revenue:
                return known_share
            part = (revenue - known_revenue) / (upper_revenue - known_revenue)
            return known_share + (upper_share - known_share) * part
        upper_revenue, upper_share = known_revenue, known_share
    return 1.0 if not shares else upper_share


def histogram(revenues: Iterable[int]) -> Mapping[int, tuple[int, int]]:
    """Return count and sum by bucket."""
    buckets: dict[int, tuple[int, int]] = {}
    for revenue in revenues:
        bucket = bucket_of(revenue)
        count, total = buckets.get(bucket, (0, 0))
        buckets[bucket] = (count + 1, total + revenue)
    return buckets
