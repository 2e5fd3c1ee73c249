"""The page on rulebooks says what is so: its examples are read, its table of buckets is the code's."""

import re
from pathlib import Path
from textwrap import indent

import pytest

from segmenter.adapters.rulebook_file import check_rulebook
from segmenter.adapters.rulebook_filters import FIELDS_OF_MEASURE
from segmenter.domain.conditions import Measure
from segmenter.domain.instants import DAY, SECOND, span_of, span_text
from segmenter.domain.windows import Window

PAGE = (Path(__file__).parents[2] / "docs" / "rulebook.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
OTHER = "segments:\n  other_segment: {when: {measure: clicks, at_least: 1}}\n"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.startswith("rulebook")])
def test_the_files_on_the_page_are_read_without_a_warning(block: str) -> None:
    assert check_rulebook(block.encode(), "page", 400 * DAY).warnings == ()


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.startswith("-")])
def test_the_conditions_on_the_page_are_read(block: str) -> None:
    segment = f"  s:\n    when:\n      any:\n{indent(block, '        ')}"

    checked = check_rulebook(f"rulebook: 1\ncare: {{}}\n{OTHER}{segment}".encode(), "page", 400 * DAY)

    assert checked.rulebook.segments[-1].name == "s"


def test_the_widths_of_buckets_are_those_on_the_page() -> None:
    rows = re.findall(r"^\| (\d+[a-z]) \| (\d+[a-z]) \|$", PAGE, re.MULTILINE)
    spans = [span_of(text) for text, _ in rows]

    assert [span_text(Window(span).width) for span in spans] == [width for _, width in rows]
    narrower = [span_text(Window(span - SECOND).width) for span in spans[:-1]]
    assert narrower == [width for _, width in rows[1:]]


def test_every_measure_has_a_row_with_its_filters() -> None:
    section = PAGE.partition("### Measures")[2].partition("###")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    before: set[str] = set()
    told: dict[str, set[str]] = {}
    for names, *_, where in rows:
        fields = before if where.startswith("the same") else set(re.findall(r"[a-z]+", where))
        before = fields
        told |= dict.fromkeys(re.findall(r"`([a-z_]+)`", names), fields)

    assert told == {
        measure.value: {field.value for field in FIELDS_OF_MEASURE.get(measure, ())} for measure in Measure
    }
