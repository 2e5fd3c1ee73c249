"""Populations: customers who are classed apart by an attribute; who has none of its values is among his like."""

from segmenter.domain.profile import Profile
from segmenter.domain.ranking import BY_POPULATION
from segmenter.domain.rulebook import Population, Rulebook
from segmenter.domain.value import Boundary


def population_of(profile: Profile, population: Population) -> str | None:
    """Return the value by which a customer is ranked apart; None: he is among all who have none of them."""
    attribute = profile.attributes.get(population.attribute)
    value = None if attribute is None else attribute.value
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if value is not None and text in population.values else None


def ranking_of(value: str | None, population: Population) -> int:
    """Return the ranking of a population."""
    return BY_POPULATION if value is None else BY_POPULATION + 1 + population.values.index(value)


def rankings_of(population: Population | None) -> range:
    """Return the rankings of all populations."""
    return range(0) if population is None else range(BY_POPULATION, BY_POPULATION + 1 + len(population.values))


def boundary_for(profile: Profile, rulebook: Rulebook, boundary: Boundary | None) -> Boundary | None:
    """Return the boundary of those among whom a customer is ranked; None: there is none yet."""
    population = rulebook.value.population
    if population is None or boundary is None:
        return boundary
    return boundary.part_of(ranking_of(population_of(profile, population), population))
