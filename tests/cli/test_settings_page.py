from segmenter.settings_reader import settings_of
from tests.cli.settings_page import PAGE, page


def test_the_page_lists_every_setting_with_its_default() -> None:
    assert PAGE.read_text() == page(), "docs/settings.md is stale: python -m tests.cli.settings_page"


def test_every_setting_says_what_it_is_for_in_one_sentence() -> None:
    for name, field in settings_of():
        assert field.description, name
        assert field.description.endswith("."), name
