from hypothesis import given
from hypothesis import strategies as st

from segmenter.adapters.rulebook_file import check_rulebook, parse_rulebook
from segmenter.domain.instants import DAY
from segmenter.domain.rulebook import Rulebook
from segmenter.errors import ConfigurationError
from tests.properties.rulebook_text import yaml_of
from tests.properties.rulebooks import rulebooks


@given(rulebooks())
def test_what_is_written_is_read_back_equal(rulebook: Rulebook) -> None:
    read = parse_rulebook(yaml_of(rulebook).encode(), "r.yaml", None)

    assert read == rulebook
    # 1, 1.0 and true are equal in Python.
    assert repr(read.segments) == repr(rulebook.segments)


@given(rulebooks(most=2), st.data())
def test_a_file_that_is_damaged_anywhere_is_refused_with_places_or_read(
    rulebook: Rulebook, data: st.DataObject
) -> None:
    text = yaml_of(rulebook)
    place = data.draw(st.integers(0, len(text)))
    damaged = (
        text[:place] + data.draw(st.sampled_from(["", "x", ": ", "- ", "[", "'", "\n", "#", "~"])) + text[place + 1 :]
    )

    faults = faults_of(damaged)

    assert all(fault.startswith("r.yaml:") for fault in faults)


def faults_of(text: str) -> tuple[str, ...]:
    try:
        check_rulebook(text.encode(), "r.yaml", 400 * DAY)
    except ConfigurationError as error:
        return error.faults
    return ()
