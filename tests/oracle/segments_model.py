"""A naive customer: after every event and at every instant at which anything could change, all is answered anew.

It remembers only what the rules themselves speak of: in which segment he is, and since when. Value classes are set
aside, as they need the peers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from segmenter.domain.conditions import Definition, State
from segmenter.domain.events import Event
from segmenter.domain.rulebook import EngagementRule, Rulebook
from tests.oracle.segments_conditions import Look, counts, holds, silence_of, warmth_at
from tests.oracle.segments_facts import Facts, at_of, facts_of, micros, sameness
from tests.oracle.segments_moments import moments_between

# Two weights this near to each other are the same but for the rounding of their sums.
_NEARLY = 1e-9


@dataclass(frozen=True, slots=True)
class Place:
    """A segment, since when, and when he last left it, where that is known."""

    segment: str
    since: int
    left_at: int | None = None


class ModelCustomer:
    """One customer, from his first event on."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.rulebook = rulebook
        self.events: list[Event] = []
        self.now = 0
        self.places: dict[str, Place] = {}
        self._known: set[object] = set()
        self._beneath: dict[str, bool] = {}
        """Where the rules have him in segments in which somebody has put him by hand."""

    def take(self, event: Event, settle_to: int) -> None:
        """Let time come, then take an event in; what is reported again changes nothing."""
        self.come_to(settle_to)
        if sameness(event) in self._known:
            return
        self._known.add(sameness(event))
        self.events.append(event)
        self._stand(facts_of(self.events, self.rulebook), max(self.now, at_of(event)))

    def come_to(self, now: int) -> None:
        """Let time come to an instant."""
        if now <= self.now:
            return
        if self.events:
            facts = facts_of(self.events, self.rulebook)
            for at in self._moments(facts, now):
                self.now = at
                self._stand(facts, at)
        self.now = now

    def _moments(self, facts: Facts, until: int) -> Iterator[int]:
        """Yield every instant up to `until` at which something may change by time alone."""
        ahead = sorted(moments_between(facts, self.rulebook, self.now, until))
        now = self.now
        while True:
            held = [at for at in self._held_until() if at > now]
            now = min([*(at for at in ahead if at > now), *held], default=until + 1)
            if now > until:
                return
            yield now

    def _held_until(self) -> Iterator[int]:
        for definition in self.rulebook.segments:
            place = self.places.get(definition.dimension)
            if place is not None:
                yield place.since + definition.stay_at_least
                yield (place.left_at or place.since) + definition.cooldown

    def segments(self) -> dict[str, str]:
        """Return where he stands, by dimension."""
        return {dimension: place.segment for dimension, place in self.places.items()}

    def _stand(self, facts: Facts, effective_at: int) -> None:
        """Answer everything anew."""
        found = {} if facts.attributes.get("exclude") is True else self._answers(facts)
        before, self.places = self.places, {}
        for dimension, segment in found.items():
            place = before.get(dimension)
            if place is not None and place.segment == segment:
                self.places[dimension] = place
            else:
                has_left = place is not None and place.segment == "in"
                self.places[dimension] = Place(segment, effective_at, effective_at if has_left else None)

    def _answers(self, facts: Facts) -> dict[str, str]:
        rulebook = self.rulebook
        look = Look(now=self.now, facts=facts, rulebook=rulebook, segments={}, scores={})
        look.segments["lifecycle"] = _lifecycle(look)
        if rulebook.rfm is not None:
            _put(look, "rfm", _rfm(look))
        if rulebook.engagement is not None:
            _put(look, "engagement", engagement_of(rulebook.engagement, facts, self.now))
        if rulebook.interest is not None:
            _put(look, "interest", self._leader("interest", _topics(facts)))
            _put(look, "channel", self._leader("channel", _channels(facts)))
        if rulebook.care is not None:
            _put(look, "care", _care(look))
        if rulebook.rhythm is not None:
            _put(look, "rhythm", _rhythm(look))
        for definition in rulebook.segments:
            if definition.state in (State.LIVE, State.SHADOW):
                _put(look, definition.dimension, self._membership(definition, look))
        return look.segments

    def _membership(self, definition: Definition, look: Look) -> str | None:
        """Return in or out; None for who has never been in. A word by hand goes before the rules until it ends."""
        place, name = self.places.get(definition.dimension), definition.name
        put = look.facts.puts.get(name)
        is_put = put is not None and put.to != "auto" and put.until is not None and look.now < micros(put.until)
        if not is_put and name not in self._beneath:
            return self._ruled(definition, look)
        was_in = self._beneath.pop(name, place is not None and place.segment == "in")
        leaves = definition.leave_when is not None and holds(definition.leave_when, look)
        if was_in and definition.leave_when is not None:
            is_in = not leaves
        else:
            is_in = holds(definition.when, look) and not leaves
        if is_put and put is not None:
            self._beneath[name] = is_in
            is_in = put.to == "in"
        return "in" if is_in else "out" if place is not None else None

    def _ruled(self, definition: Definition, look: Look) -> str | None:
        """Return in or out by the rules alone."""
        place = self.places.get(definition.dimension)
        leaves = definition.leave_when is not None and holds(definition.leave_when, look)
        if place is not None and place.segment == "in":
            if definition.leave_when is None:
                leaves = not holds(definition.when, look)
            return "out" if leaves and look.now >= place.since + definition.stay_at_least else "in"
        left_at = None if place is None else place.left_at
        is_free = left_at is None or look.now >= left_at + definition.cooldown
        if holds(definition.when, look) and not leaves and is_free:
            return "in"
        return "out" if place is not None else None

    def _leader(self, dimension: str, words: Iterable[tuple[int, str]]) -> str | None:
        """Return the heaviest word; the present one while none weighs more than so many times as much."""
        rule = self.rulebook.interest
        assert rule is not None
        met = list(words)
        newest = max((at for at, _ in met), default=0)
        weights = {
            word: sum(2.0 ** ((at - newest) / rule.half_life) for at, other in met if other == word)
            for _, word in met
        }
        if not weights:
            return None
        place = self.places.get(dimension)
        most = max(weights.values())
        if place is not None and most <= float(rule.margin) * weights[place.segment] * (1 + _NEARLY):
            return place.segment
        return min(word for word, weight in weights.items() if weight >= most * (1 - _NEARLY))


def _put(look: Look, dimension: str, segment: str | None) -> None:
    if segment is not None:
        look.segments[dimension] = segment


def _lifecycle(look: Look) -> str:
    times = [at for at, _ in look.facts.counted]
    if not times:
        return "prospect"
    if look.now >= max(times) + look.rulebook.lifecycle.inactive_after:
        return "inactive"
    return "new" if len(times) == 1 else "repeat"


def _rfm(look: Look) -> str | None:
    rule, orders = look.rulebook.rfm, look.facts.counted
    assert rule is not None
    if not orders:
        return None
    silence = look.now - max(at for at, _ in orders)
    inside = [order for at, order in orders if counts(at, rule.window, look.now)]
    loose = [amount for at, amount in look.facts.loose_refunds if counts(at, rule.window, look.now)]
    net = sum(order.net for order in inside) - sum(loose)
    look.scores = {
        "r": 5 - sum(silence > bound for bound in rule.recency),
        "f": 1 + sum(len(inside) > bound for bound in rule.frequency),
        "m": 1 + sum(net > bound for bound in rule.monetary),
    }
    return next((name for name, group in rule.groups if holds(group, look)), "others")


def engagement_of(rule: EngagementRule, facts: Facts, now: int) -> str:
    """Return how warm the clicks have made him."""
    warmth = warmth_at(rule, facts, now)
    return "hot" if warmth >= float(rule.hot) else "warm" if warmth >= float(rule.warm) else "cold"


def _topics(facts: Facts) -> Iterator[tuple[int, str]]:
    return ((at, click.category) for at, click in facts.clicks if click.category is not None)


def _channels(facts: Facts) -> Iterator[tuple[int, str]]:
    for at, event in facts.timeline:
        if event.type in ("click", "order.placed") and event.channel is not None:  # type: ignore[union-attr]
            yield at, event.channel  # type: ignore[union-attr]


def _care(look: Look) -> str:
    rule, facts, now = look.rulebook.care, look.facts, look.now
    assert rule is not None
    for scale, worst in (("csat", rule.csat_at_most), ("nps", rule.nps_at_most)):
        answers = [(at, by, rated.score) for at, by, rated in facts.ratings if rated.scale == scale]
        if answers and max(answers)[2] <= worst and now < max(answers)[0] + rule.unhappy_for:
            return "unhappy"
    if sum(now < at + rule.returns_within for at, _ in facts.refunds) >= rule.returns:
        return "unhappy"
    is_open = any(ticket.opened is not None and not ticket.is_closed for ticket in facts.tickets)
    return "open_issue" if is_open else "none"


def _rhythm(look: Look) -> str:
    rule = look.rulebook.rhythm
    assert rule is not None
    times = [at for at, _ in look.facts.counted]
    if not times:
        return "none"
    return "at_risk" if look.now >= max(times) + silence_of(rule, times) else "regular"
