"""Rules in words: what two rulebooks differ in is told, whichever rule it is."""

import pytest

from segmenter.adapters.rulebook_file import parse_rulebook
from segmenter.domain.instants import DAY
from segmenter.wiring.rulebook_difference import difference_between


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
    before, after = (parse_rulebook(f"rulebook: 1\n{text}".encode(), "r.yaml", 400 * DAY) for text in ("", section))

    assert sentence in difference_between(before, after).as_sentences()
