"""Why a customer stands where he does in one dimension, and what keeps him out of the rest: rule by rule.

The answers are those of the evaluator that moves customers; nothing is worked out twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from segmenter.domain.account_classes import lifecycle_rules, value_notes, value_rules
from segmenter.domain.account_dimensions import (
    care_rules,
    engagement_rules,
    leader_rules,
    rfm_notes,
    rfm_rules,
    rhythm_rules,
)
from segmenter.domain.account_rule import RuleAccount
from segmenter.domain.account_segments import segment_notes, segment_rules
from segmenter.domain.causes import Tick
from segmenter.domain.conditions import CUSTOM_PREFIX, OUT, SHADOW_PREFIX, Definition
from segmenter.domain.dimensions import CARE, CHANNEL, ENGAGEMENT, INTEREST, RFM, RHYTHM
from segmenter.domain.instants import Instant
from segmenter.domain.populations import boundary_for
from segmenter.domain.profile import LIFECYCLE, VALUE, Profile
from segmenter.domain.rulebook import Rulebook
from segmenter.domain.sight import Sight
from segmenter.domain.standing import standing_at
from segmenter.domain.step import step
from segmenter.domain.value import Boundary


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One dimension of one customer: where he is, since when, and every rule with its answer."""

    dimension: str
    title: str
    segment: str | None
    since: Instant | None
    rules: tuple[RuleAccount, ...]
    notes: tuple[str, ...] = ()
    """What holds a move back or keeps a segment silent, a sentence each."""

    def why(self) -> tuple[RuleAccount, ...]:
        """Return the rules that put him where he is; of a declared segment, all there are."""
        return self._rules_of(is_present=True)

    def why_not(self) -> tuple[RuleAccount, ...]:
        """Return the rules of the segments he is not in; of a declared segment, all there are."""
        return self._rules_of(is_present=False)

    def _rules_of(self, *, is_present: bool) -> tuple[RuleAccount, ...]:
        if is_declared_name(self.dimension):
            return self.rules
        return tuple(rule for rule in self.rules if (rule.segment == self.segment) is is_present)


class Inquiry:
    """One customer as of one moment, asked about as often as it takes."""

    def __init__(self, profile: Profile, now: Instant, rulebook: Rulebook, boundary: Boundary | None) -> None:
        """Settle the profile up to `now` as a worker would; the one given stays as it is."""
        settled = step(profile, Tick(now), rulebook, boundary).profile
        self.profile = profile if settled is None else settled
        self.now = max(now, self.profile.settled_at)
        self.rulebook = rulebook
        self.boundary = boundary
        answer = standing_at(self.now, self.profile, rulebook, boundary)
        self.sight = Sight(self.profile, self.now, rulebook, dict(answer.segments), boundary)
        self.sight.scores, self.sight.numbers = answer.scores, answer.numbers

    def account_of(self, dimension: str) -> Account:
        """Return what there is to say of a dimension of this rulebook, by its full name."""
        definition = self._definition(dimension)
        standing = self.profile.present.get(dimension)
        segment = None if standing is None else standing.segment
        if definition is not None and segment is None:
            segment = OUT
        return Account(
            dimension=dimension,
            title="" if definition is None else definition.title,
            segment=segment,
            since=None if standing is None else standing.since,
            rules=self._rules(dimension, definition),
            notes=(*self._notes(dimension, definition), *self._drift(dimension, segment)),
        )

    def _own_boundary(self) -> Boundary | None:
        """Return the boundary of those among whom the customer is ranked."""
        return boundary_for(self.profile, self.rulebook, self.boundary)

    def _definition(self, dimension: str) -> Definition | None:
        return self.rulebook.plan.definition_by_dimension.get(dimension)

    def _rules(self, dimension: str, definition: Definition | None) -> tuple[RuleAccount, ...]:
        if definition is not None:
            return segment_rules(definition, self.sight)
        rules = {
            LIFECYCLE: lambda: lifecycle_rules(self.sight),
            VALUE: lambda: value_rules(self.sight, self._own_boundary()),
            RFM: lambda: rfm_rules(self.sight),
            ENGAGEMENT: lambda: engagement_rules(self.sight),
            INTEREST: lambda: leader_rules(INTEREST, self.sight),
            CHANNEL: lambda: leader_rules(CHANNEL, self.sight),
            CARE: lambda: care_rules(self.sight),
            RHYTHM: lambda: rhythm_rules(self.sight),
        }
        return rules[dimension]()

    def _notes(self, dimension: str, definition: Definition | None) -> Iterable[str]:
        if self.profile.is_excluded:
            yield "excluded by the attribute exclude: kept out of everything"
        if self.profile.is_anonymous:
            yield "known by an anonymous id only: no segments until identified"
        if dimension == VALUE:
            yield from value_notes(self.sight, self._own_boundary())
        if dimension == RFM:
            yield from rfm_notes(self.sight)
        if definition is not None:
            yield from segment_notes(definition, self.sight)

    def _drift(self, dimension: str, stored: str | None) -> Iterable[str]:
        """Say where the stored segment is not what the rules at hand make of him."""
        found = self.sight.segments.get(dimension)
        if is_declared_name(dimension):
            found = found or OUT
        if found != stored:
            yield (
                f"stored is {stored or 'none'}, by this rulebook it would be {found or 'none'}: "
                "he has not been looked at since the rules changed"
            )


def dimensions_in(rulebook: Rulebook) -> tuple[str, ...]:
    """Return the full name of every dimension in which customers move under these rules."""
    further = (
        (RFM, rulebook.rfm),
        (ENGAGEMENT, rulebook.engagement),
        (INTEREST, rulebook.interest),
        (CHANNEL, rulebook.interest),
        (CARE, rulebook.care),
        (RHYTHM, rulebook.rhythm),
    )
    own = (name for name, rule in further if rule is not None)
    return (LIFECYCLE, VALUE, *own, *(definition.dimension for definition in rulebook.plan.definitions))


def is_declared_name(dimension: str) -> bool:
    """Tell whether this is the full name of a segment that somebody declared."""
    return dimension.startswith((CUSTOM_PREFIX, SHADOW_PREFIX))
