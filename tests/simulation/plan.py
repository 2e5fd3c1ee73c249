"""What will happen in a world, drawn from its seed before it begins: rules, records, faults, each at its second.

Most worlds bring whatever the dice want; of sixteen seeds in a row some have a theme, see `themes`.
"""

import random
from collections.abc import Callable

from tests.simulation.acts import (
    KAFKA,
    REDIS,
    Away,
    Cut,
    Fault,
    Freeze,
    Keep,
    Kill,
    Night,
    Plan,
    Planned,
    PutBack,
    Shuffle,
    Stop,
    StrikeAt,
    Theme,
    Write,
)
from tests.simulation.network import Request
from tests.simulation.rules import Kind, rules_of
from tests.simulation.shop import Shop
from tests.simulation.themes import theme_of, themed

# What is worth being struck at, and how many such calls a worker does in a few seconds.
CALLS = (
    ("", 60),
    ("kafka produce segmenter.changes", 4),
    ("kafka produce segmenter.memberships", 4),
    ("kafka produce segmenter.rekeyed", 6),
    ("kafka init", 4),
    ("kafka end", 8),
    ("kafka read", 3),
    ("commit", 10),
    ("acquire", 2),
    ("state", 3),
    ("acknowledge", 3),
    ("renew", 2),
    ("advance", 5),
    ("publish", 2),
)


def plan_of(seed: int, theme: Theme | None = None) -> Plan:
    """Draw a world; one of this theme where one is given."""
    theme = theme or theme_of(seed)
    return _anything(seed) if theme is Theme.ANYTHING else themed(seed, theme)


def _anything(seed: int) -> Plan:
    dice = random.Random(seed)
    kind = dice.choice((Kind.EXACT, Kind.EXACT, Kind.LOOSE, Kind.REWIND))
    rules = rules_of(dice, kind)
    workers = dice.choice((1, 2, 2, 3))
    length_s = dice.uniform(15, 35)
    acts = [*_faults(dice, kind, workers, length_s)]
    acts += _writes(dice, kind, length_s, acts)
    acts.sort(key=lambda planned: planned.at_s)
    return Plan(seed, rules, workers, dice.choice((0.0, 0.0, 0.01, 0.05, 0.15)), tuple(acts))


def _writes(dice: random.Random, kind: Kind, length_s: float, faults: list[Planned]) -> list[Planned]:
    """Let the shop write now and then, at times much at once, and also while everybody sleeps."""
    shop, acts = Shop(dice, is_exact=kind is Kind.EXACT), list[Planned]()
    nights = sorted((p.at_s, p.act.seconds) for p in faults if isinstance(p.act, Night))
    at_s = 0.0
    while at_s < length_s:
        slept_s = sum(seconds for began_s, seconds in nights if began_s <= at_s)
        for _ in range(dice.choice((1, 1, 2, 3, 12))):
            acts += [Planned(at_s, Write(record)) for record in shop.next(at_s + slept_s)]
        at_s += dice.choice((0.1, 0.3, 0.3, 1.5))
    return acts


def _strike(dice: random.Random, workers: int) -> StrikeAt:
    call, most = dice.choice(CALLS)
    frozen_s = dice.choice((None, None, 3.0, 8.0, 14.0))
    return StrikeAt(dice.randrange(workers), call, dice.randint(1, most), dice.choice(list(Request)), frozen_s)


def _faults(dice: random.Random, kind: Kind, workers: int, length_s: float) -> list[Planned]:
    makers: list[tuple[int, Callable[[], Fault]]] = [
        (3, lambda: Kill(dice.randrange(workers), dice.choice((0.5, 3.0, 9.0)))),
        (8, lambda: _strike(dice, workers)),
        (1, lambda: Stop(dice.randrange(workers), dice.choice((0.5, 5.0)))),
        (4, lambda: Freeze(dice.randrange(workers), dice.choice((0.4, 3.0, 8.0, 14.0)))),
        (2, lambda: Cut(dice.randrange(workers), dice.choice((REDIS, KAFKA)), dice.choice((1.0, 4.0, 12.0)))),
        (1, lambda: Away(dice.choice((REDIS, KAFKA)), dice.choice((0.5, 3.0, 10.0)))),
        (2, Shuffle),
        (1, lambda: Night(dice.choice((20.0, 60.0, 90_000.0, 260_000.0)))),
    ]
    weights = [weight for weight, _ in makers]
    acts = []
    for _ in range(dice.choice((0, 1, 2, 4, 6, 8))):
        _, make = dice.choices(makers, weights)[0]
        acts.append(Planned(dice.uniform(0, length_s), make()))
    if kind is Kind.REWIND:
        for _ in range(dice.choice((1, 1, 2))):
            kept_s = dice.uniform(1, length_s - 1)
            back_s = min(length_s, kept_s + dice.choice((0.3, 1.0, 1.0, 6.0, 20.0)))
            acts += [Planned(kept_s, Keep()), Planned(back_s, PutBack(dice.choice((0.1, 1.0, 4.0))))]
    return acts
