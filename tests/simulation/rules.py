"""The rules a world plays by: few lanes, short spans, small bounds, so that everything happens often."""

import random
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from segmenter.domain.instants import DAY, SECOND, Instant
from segmenter.domain.rulebook import CountsFrom, LifecycleRule, Rulebook, ValueRule
from segmenter.engine.intake import Place
from segmenter.engine.terms import Terms
from segmenter.ports import Output
from tests.oracle.model import Terms as ModelTerms

EPOCH: Instant = 1_767_225_600 * SECOND
PARTITIONS = 3
MAILS = 2
ORDERS, CLICKS, MAIL, REKEYED = "orders", "clicks", "mail", "segmenter.rekeyed"
LANE_TOPICS = (CLICKS, ORDERS, REKEYED)
TOPIC_BY_OUTPUT = {output: f"segmenter.{output}" for output in Output}
RATES = {"USD": Decimal("0.92")}
ALWAYS_LIVE = 2**60
NOBODY_CLASSED = 10**9


class Kind(StrEnum):
    """What a world is about, and so what can be demanded of it."""

    EXACT = "exact"
    """Every customer's events come in their order and no class is told: each change-set is known beforehand."""
    LOOSE = "loose"
    """Late events, classes, lanes that are behind: chains and the end state are known."""
    REWIND = "rewind"
    """As loose, and the store loses what it held."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One set of rules, as the product and as the model have it."""

    kind: Kind
    terms: Terms
    model: ModelTerms
    is_plain: bool
    """Neither band nor dwell: at rest every class is that of a full sort."""


def rules_of(dice: random.Random, kind: Kind) -> Rules:
    """Draw rules."""
    is_exact = kind is Kind.EXACT
    is_plain = dice.random() < 0.5
    silence = dice.choice((10 * SECOND, 20 * SECOND, DAY))
    window = dice.choice((None, 15 * SECOND, 40 * SECOND, 2 * DAY))
    counts_from = dice.choice((CountsFrom.PLACED, CountsFrom.PLACED, CountsFrom.PAID))
    rulebook = Rulebook(
        rates=RATES,
        lifecycle=LifecycleRule(inactive_after=silence, counts_from=counts_from),
        value=ValueRule(
            window=window,
            band=Decimal(0) if is_plain else Decimal("0.05"),
            dwell=0 if is_plain else 5 * SECOND,
            min_ranked=NOBODY_CLASSED if is_exact else dice.choice((1, 4)),
        ),
        dedupe_horizon=None,
        anonymous_expiry=20 * SECOND,
    )
    terms = Terms(
        rulebook=rulebook,
        partitions=PARTITIONS,
        direct=frozenset({ORDERS, CLICKS}),
        others=frozenset({MAIL}),
        rekeyed=REKEYED,
        announce_from=0,
        events_per_commit=dice.choice((2, 7, 1_500)),
        ticks_per_commit=dice.choice((1, 3, 700)),
        sweep_per_commit=dice.choice((1, 2, 700)),
        outbox_entries=dice.choice((20, 200_000, 200_000)),
        live_within=ALWAYS_LIVE if is_exact else 8 * SECOND,
        behind_after=ALWAYS_LIVE if is_exact else 15 * SECOND,
    )
    model = ModelTerms(
        rates=RATES,
        inactive_after=timedelta(microseconds=silence),
        counts_from=str(counts_from),
        window=None if window is None else timedelta(microseconds=window),
    )
    return Rules(kind, terms, model, is_plain)


def mail_places() -> list[Place]:
    """Return the partitions that pass the repartition stage."""
    return [(MAIL, number) for number in range(MAILS)]


def lane_places() -> list[Place]:
    """Return the partitions that are read at home."""
    return [(topic, lane) for topic in LANE_TOPICS for lane in range(PARTITIONS)]
