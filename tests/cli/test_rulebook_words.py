"""Rules in words: what two rulebooks differ in is told, whichever rule it is."""

import pytest

from segmenter.adapters.rulebook_file import parse_rulebook, written_conditions
from segmenter.domain.instants import DAY
from segmenter.wiring.rulebook_difference import Written, difference_between


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("value: {measure: margin}", "value.measure is new: margin"),
        (
            "value: {population: {attribute: kind, values: [b2c, b2b]}}",
            "value.population is new: kind: b2b, b2c",
        ),
        (
            "rfm: {recency: quintiles, frequency: quintiles, monetary: quintiles}",
            "rfm.recency is new: quintiles",
        ),
    ],
)
def test_a_rule_that_is_not_the_default_is_a_difference(section: str, sentence: str) -> None:
    before, after = (_written(f"rulebook: 1\n{text}") for text in ("", section))

    assert sentence in difference_between(before, after).as_sentences()


def _written(text: str) -> Written:
    return Written(parse_rulebook(text.encode(), "r.yaml", 400 * DAY), written_conditions(text))
