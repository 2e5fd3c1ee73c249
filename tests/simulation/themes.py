"""Worlds that are made to bring about one thing: without one guard of the product it goes wrong there.

The dice of a theme are its own, so that a new one shifts no world that was played before.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from segmenter.domain.instants import DAY, MILLISECOND, SECOND, Span
from segmenter.domain.rulebook import CountsFrom
from tests.simulation.acts import (
    READS,
    REDIS,
    Absence,
    Act,
    Away,
    Depose,
    FallSilent,
    FillStore,
    Keep,
    Kill,
    Mute,
    Plan,
    Planned,
    PutBack,
    RefuseOutput,
    Shuffle,
    StrikeAt,
    Theme,
    Write,
)
from tests.simulation.network import Request
from tests.simulation.rules import MAIL, MAILS, ORDERS, PARTITIONS, Kind, Rules, rules_of
from tests.simulation.shop import Habits, Shop

THEMES_IN_A_ROW = 16
THEME_BY_REMAINDER: Mapping[int, Theme] = {
    3: Theme.BACKLOG,
    5: Theme.POSTCARD,
    9: Theme.REWOUND,
    10: Theme.SILENT,
    11: Theme.OVERTAKEN,
    12: Theme.STORM,
    14: Theme.TIGHT,
}
"""Which of so many seeds in a row has which theme; the rarer ones take turns in the place of another."""
TURNS: Mapping[Theme, Theme] = {
    Theme.BACKLOG: Theme.DEATH,
    Theme.REWOUND: Theme.SHUFFLED,
    Theme.OVERTAKEN: Theme.DEPOSED,
    Theme.STORM: Theme.CALM,
    Theme.TIGHT: Theme.FORWARD,
}
# An order is refuted by one that was written so long before: see the laws of checks.
POSTCARD_SILENCE: Span = 60 * SECOND
MAX_SILENCE: Span = 10 * SECOND
OUTBOX = 12
SLOWLY = (1, 1, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What a theme asks for; the rest is drawn."""

    kind: Kind
    length_s: float
    acts: Iterable[tuple[float, Act]]
    habits: Habits = Habits()
    pauses_s: tuple[float, ...] = (0.1, 0.3, 0.3, 1.5)
    at_once: tuple[int, ...] = (1, 1, 2, 3, 12)
    workers: int = 2
    rate: float = 0.0
    reads: tuple[int, ...] = READS
    inactive_after: Span | None = None


def themed(seed: int, theme: Theme) -> Plan:
    """Draw a world of a theme."""
    dice = random.Random(f"{seed} {theme}")
    draft = _DRAFTS[theme](dice)
    rules = _adjusted(rules_of(dice, draft.kind), theme, draft)
    acts = [Planned(at_s, act) for at_s, act in draft.acts]
    shop, at_s = Shop(dice, is_exact=draft.kind is Kind.EXACT, habits=draft.habits), 0.0
    while at_s < draft.length_s:
        for _ in range(dice.choice(draft.at_once)):
            acts += [Planned(at_s, Write(record)) for record in shop.next(at_s)]
        at_s += dice.choice(draft.pauses_s)
    acts.sort(key=lambda planned: planned.at_s)
    return Plan(seed, rules, draft.workers, draft.rate, tuple(acts), theme, draft.reads)


def theme_of(seed: int) -> Theme:
    """Return what the world of a seed is about."""
    theme = THEME_BY_REMAINDER.get(seed % THEMES_IN_A_ROW, Theme.ANYTHING)
    return TURNS.get(theme, theme) if seed // THEMES_IN_A_ROW % 2 else theme


def _adjusted(rules: Rules, theme: Theme, draft: _Draft) -> Rules:
    """Return rules with the spans that a theme needs."""
    terms, model = rules.terms, rules.model
    if draft.inactive_after is not None:
        lifecycle = replace(
            terms.rulebook.lifecycle, inactive_after=draft.inactive_after, counts_from=CountsFrom.PLACED
        )
        terms = replace(terms, rulebook=replace(terms.rulebook, lifecycle=lifecycle))
        span = timedelta(microseconds=draft.inactive_after)
        model = replace(model, inactive_after=span, counts_from=str(CountsFrom.PLACED))
    if not draft.habits.mail_share:
        terms = replace(terms, others=frozenset())
    if theme is Theme.SILENT:
        terms = replace(terms, max_silence={ORDERS: MAX_SILENCE})
    if theme is Theme.STORM:
        bounds = {"outbox_entries": OUTBOX, "events_per_commit": 7, "ticks_per_commit": 3, "sweep_per_commit": 2}
        terms = replace(terms, **bounds)
    return replace(rules, terms=terms, model=model)


def _backlog(dice: random.Random) -> _Draft:
    """Everybody is away for longer than a silence takes, then reads record by record."""
    return _Draft(
        kind=Kind.EXACT,
        length_s=55,
        acts=[(dice.uniform(8, 14), Absence(dice.uniform(25, 35)))],
        habits=Habits(mail_share=0.0),
        pauses_s=(0.2, 0.3, 0.5),
        at_once=(1, 1, 2),
        reads=SLOWLY,
        inactive_after=10 * SECOND,
    )


def _postcard(dice: random.Random) -> _Draft:
    """An order lies in a backlog, in a partition that is read late or not at all for long; clicks are ahead."""
    places = [*((ORDERS, lane) for lane in range(PARTITIONS)), *((MAIL, number) for number in range(MAILS))]
    mutes: list[tuple[float, Act]] = [(0.0, Mute(dice.choice(places), 150.0))] if dice.random() < 0.5 else []
    return _Draft(
        kind=Kind.LOOSE,
        length_s=200,
        acts=mutes or [(dice.uniform(5, 15), Absence(dice.uniform(120, 170)))],
        pauses_s=(0.5, 1.0, 3.0),
        at_once=(1, 1, 2),
        reads=SLOWLY,
        inactive_after=POSTCARD_SILENCE,
    )


def _tight(dice: random.Random) -> _Draft:
    """Silences are short, events as late as is allowed, and answers lie in sockets of workers that stand still."""
    strikes = [
        (dice.uniform(0, 25), StrikeAt(dice.randrange(2), "kafka fetch", dice.randint(1, 3), Request.EXECUTED, 4.5))
        for _ in range(4)
    ]
    return _Draft(
        kind=Kind.EXACT,
        length_s=30,
        acts=strikes,
        habits=Habits(latest=1_900 * MILLISECOND, mail_share=0.0),
        pauses_s=(0.2, 0.5),
        at_once=(1, 2),
        inactive_after=dice.choice((3, 5)) * SECOND,
    )


def _death(dice: random.Random) -> _Draft:
    """A commit is lost on its way, and its worker dies before it sends it again."""
    acts: list[tuple[float, Act]] = []
    for began_s in (4, 12, 20, 28):
        slot = dice.randrange(2)
        at_s = began_s + dice.uniform(0, 3)
        acts.append((at_s, StrikeAt(slot, "commit", dice.randint(1, 3), Request.NEVER_SENT, 0.0)))
        acts.append((at_s + dice.uniform(0.4, 1.8), Kill(slot, 0.5)))
    return _Draft(
        kind=Kind.EXACT,
        length_s=40,
        acts=acts,
        pauses_s=(0.1, 0.3),
        at_once=(1, 2, 3),
        inactive_after=10 * SECOND,
    )


def _overtaken(dice: random.Random) -> _Draft:
    """Owners stand still within their claim, until another owner is at work, whose records are slow too."""
    acts: list[tuple[float, Act]] = []
    for began_s in (0.0, 14.0, 28.0):
        slot, count = dice.randrange(2), dice.randint(1, 3)
        frozen_s = dice.choice((7.5, 8.0, 8.5, 9.0))
        acts.append((began_s, StrikeAt(slot, "kafka end", count, Request.EXECUTED, frozen_s)))
        acts += [
            (
                began_s + frozen_s - dice.uniform(0.2, 1.5),
                StrikeAt(1 - slot, "kafka produce segmenter.changes", dice.randint(1, 3), Request.ADRIFT, 0.0),
            )
            for _ in range(2)
        ]
        if began_s:
            acts.append((began_s + 0.1, Shuffle()))
    return _Draft(
        kind=dice.choice((Kind.EXACT, Kind.LOOSE)),
        length_s=42,
        acts=acts,
        pauses_s=(0.1, 0.3),
        at_once=(1, 2, 3),
        rate=dice.choice((0.0, 0.05)),
    )


def _deposed(dice: random.Random) -> _Draft:
    """An owner dies who has just written, and his successor asks a leader that leads no more."""
    acts: list[tuple[float, Act]] = []
    for began_s in (5.0, 25.0):
        slot, at_s = dice.randrange(2), began_s + dice.uniform(0, 4)
        acts.append((at_s - dice.uniform(0.1, 0.9), Depose(1 - slot, 12.0)))
        acts.append((at_s, Kill(slot, 20.0)))
    return _Draft(kind=Kind.EXACT, length_s=45, acts=acts, pauses_s=(0.1, 0.3), at_once=(1, 2, 3))


def _rewound(dice: random.Random) -> _Draft:
    """The store goes back over a change of owners, while polls and commits are under way."""
    acts: list[tuple[float, Act]] = []
    for began_s in (4.0, 18.0, 32.0):
        kept_s = began_s + dice.uniform(0, 3)
        lost_s = kept_s + dice.uniform(0.3, 2.0)
        acts.append((kept_s, Keep()))
        if dice.random() < 0.6:
            acts.append((kept_s + 0.1, Shuffle()))
            lost_s += dice.uniform(1.0, 3.0)
        for call in dice.sample(("commit", "kafka fetch"), dice.randint(1, 2)):
            slot, count = dice.randrange(2), dice.randint(1, 3)
            acts.append((lost_s - 0.4, StrikeAt(slot, call, count, Request.ADRIFT, dice.choice((0.0, 0.0, None)))))
        acts.append((lost_s, PutBack(dice.choice((0.05, 0.3)))))
    return _Draft(kind=Kind.REWIND, length_s=45, acts=acts, pauses_s=(0.1, 0.3), at_once=(1, 2, 3))


def _forward(dice: random.Random) -> _Draft:
    """The store goes back while first and second orders are told, in a shop where nothing is ever taken back."""
    acts: list[tuple[float, Act]] = []
    for began_s in (4.0, 14.0):
        kept_s = began_s + dice.uniform(0, 3)
        acts += [(kept_s, Keep()), (kept_s + dice.uniform(2.0, 4.0), PutBack(dice.choice((0.05, 0.3))))]
    return _Draft(
        kind=Kind.REWIND,
        length_s=25,
        acts=acts,
        habits=Habits(only_adds=True),
        pauses_s=(0.3, 0.5),
        at_once=(1, 1, 2),
        reads=(1, 3, 10),
        inactive_after=DAY,
    )


def _shuffled(dice: random.Random) -> _Draft:
    """Lanes go to another worker and come back, while one poll is under way."""
    acts: list[tuple[float, Act]] = []
    for at_s in range(4, 40, 6):
        acts += [(at_s, StrikeAt(slot, "kafka fetch", 1, Request.ADRIFT, 0.0)) for slot in range(2)]
        acts += [(at_s + 0.4, Shuffle()), (at_s + dice.uniform(1.8, 2.6), Shuffle())]
    return _Draft(kind=dice.choice((Kind.EXACT, Kind.LOOSE)), length_s=42, acts=acts, pauses_s=(0.1, 0.3))


def _calm(dice: random.Random) -> _Draft:
    """One worker keeps all it has, over rebalances during which the store is slow."""
    acts: list[tuple[float, Act]] = []
    for began_s in (4.0, 11.0, 18.0, 25.0):
        at_s = began_s + dice.uniform(0, 2)
        acts.append((at_s, Away(REDIS, dice.uniform(0.5, 1.4))))
        acts.append((at_s + dice.uniform(-0.8, 0.2), Shuffle()))
    return _Draft(kind=Kind.EXACT, length_s=32, acts=acts, workers=1, pauses_s=(0.1, 0.3), at_once=(1, 2, 3))


def _silent(dice: random.Random) -> _Draft:
    """What feeds a topic is dead for longer than a silence takes, while clicks go on."""
    return _Draft(
        kind=Kind.LOOSE,
        length_s=160,
        acts=[(dice.uniform(15, 30), FallSilent(ORDERS, dice.uniform(80, 110)))],
        habits=Habits(mail_share=0.0),
        pauses_s=(0.3, 1.0, 2.0),
        at_once=(1, 1, 2),
        inactive_after=60 * SECOND,
    )


def _storm(dice: random.Random) -> _Draft:
    """All that is produced is refused for long, or all that is to be stored, while much is written by the shop."""
    seconds = dice.uniform(16, 20)
    return _Draft(
        kind=Kind.LOOSE,
        length_s=26,
        acts=[(dice.uniform(2, 4), dice.choice((FillStore(seconds), RefuseOutput(seconds))))],
        pauses_s=(0.3, 0.5),
        at_once=(4, 6, 12),
        habits=Habits(bad_share=0.5),
    )


_DRAFTS: Mapping[Theme, Callable[[random.Random], _Draft]] = {
    Theme.BACKLOG: _backlog,
    Theme.POSTCARD: _postcard,
    Theme.TIGHT: _tight,
    Theme.DEATH: _death,
    Theme.OVERTAKEN: _overtaken,
    Theme.DEPOSED: _deposed,
    Theme.REWOUND: _rewound,
    Theme.FORWARD: _forward,
    Theme.SHUFFLED: _shuffled,
    Theme.CALM: _calm,
    Theme.SILENT: _silent,
    Theme.STORM: _storm,
}
