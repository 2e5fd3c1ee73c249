# ruff: noqa: E501 - whole sentences, as users see them
import pytest

from segmenter.adapters.rulebook_file import check_rulebook
from segmenter.domain.instants import DAY

RFM = "rfm: {recency: [1d, 2d, 3d, 4d], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4], groups: {best: %s}}"
MANY = ", ".join(f"i{number}" for number in range(39))


def warnings_of(text: str) -> list[str]:
    return list(check_rulebook(f"rulebook: 1\n{text}".encode(), "r.yaml", 400 * DAY).warnings)


@pytest.mark.parametrize(
    ("condition", "warning"),
    [
        ("{measure: orders, at_least: 0}", "can never be false: orders is never below 0"),
        ("{measure: orders, less_than: 0}", "can never be true: orders is never below 0"),
        ("{measure: refunded, less_than: 0.00}", "can never be true: refunded is never below 0"),
        ("{measure: gross_revenue, at_least: -1}", "can never be false: gross_revenue is never below 0"),
        ("{measure: csat, at_most: 0}", "can never be true: csat is from 1 to 5"),
        ("{measure: nps, more_than: 10}", "can never be true: nps is from 0 to 10"),
        ("{measure: discount_share, at_least: 25}", "can never be true: discount_share is from 0 to 1"),
        ("{measure: refund_rate, at_least: 25}", "is a share above 1; 25 % is written as 0.25"),
        ("{measure: refund_rate, between: [0.1, 25]}", "is a share above 1; 25 % is written as 0.25"),
        ("{in: {lifecycle: [prospect, new, repeat, inactive]}}", "can never be false: these are all segments of lifecycle"),
        ("{any: [{in: {lifecycle: [prospect, new]}}, {in: {lifecycle: [repeat, inactive]}}]}", "can never be false: these are all segments of lifecycle"),
        ("{all: [{in: {value: [A]}}, {in: {value: [B, C]}}]}", "can never be true: nothing is among all values of value"),
        ("{all: [{attribute: town, equals: Ulm}, {attribute: town, one_of: [Bonn, Kiel]}]}", "can never be true: nothing is among all values of the attribute town"),
        ("{all: [{measure: clicks, within: 7d, at_least: 5}, {measure: clicks, within: 7d, less_than: 5}]}", "can never be true: no number is within all bounds of clicks"),
        ("{all: [{measure: clicks, at_least: 5}, {all: [{absent: order, for: 9d}, {measure: clicks, less_than: 5}]}]}", "can never be true: no number is within all bounds of clicks"),
        ("{all: [{attribute: size, at_least: 5}, {attribute: size, less_than: 5}]}", "can never be true: no number is within all bounds of size"),
        ("{any: [{measure: clicks, at_least: 2}, {measure: clicks, at_most: 1}]}", "can never be false: every number is within one of the bounds of clicks"),
        ("{all: [{measure: clicks, at_least: 2}, {not: {measure: clicks, at_least: 2}}]}", "can never be true: clicks is asked for, and that it is not"),
        ("{any: [{absent: order, for: 9d}, {not: {absent: order, for: 9d}}]}", "can never be false: the same condition is asked for, or that it is not"),
    ],
)  # fmt: skip
def test_a_condition_that_moves_nobody_is_a_warning_with_its_place(condition: str, warning: str) -> None:
    assert warnings_of(f"segments: {{s: {{when: {condition}}}}}") == [f"r.yaml:2:22: segments.s.when: {warning}"]


@pytest.mark.parametrize(
    "condition",
    [
        "{measure: net_revenue, less_than: 0}",
        "{measure: orders, equals: 0}",
        "{measure: refund_rate, at_least: 0}",
        "{in: {value: [A, B, C]}}",
        "{all: [{measure: clicks, within: 7d, at_least: 5}, {measure: clicks, within: 1d, less_than: 5}]}",
        "{all: [{measure: clicks, at_least: 5}, {measure: clicks, where: {kind: view}, less_than: 5}]}",
        "{all: [{measure: clicks, at_least: 2}, {measure: clicks, at_most: 2}]}",
        "{any: [{measure: clicks, at_least: 3}, {measure: clicks, at_most: 1}]}",
        "{any: [{measure: csat, at_least: 3}, {measure: csat, less_than: 3}]}",
    ],
)
def test_a_condition_that_moves_somebody_is_no_warning(condition: str) -> None:
    assert warnings_of(f"segments: {{s: {{when: {condition}}}}}") == []


def test_a_warning_names_the_part_that_is_meant() -> None:
    text = "segments:\n  s:\n    when:\n      any:\n        - {absent: order, for: 9d}\n        - not: {measure: orders, less_than: 0}\n"

    assert warnings_of(text) == [
        "r.yaml:7:16: segments.s.when.any[1].not: can never be true: orders is never below 0"
    ]


def test_one_of_several_dimensions_that_lets_everybody_in_is_a_warning() -> None:
    everyone = "[prospect, new, repeat, inactive]"

    assert warnings_of(f"segments: {{s: {{when: {{in: {{value: [A], lifecycle: {everyone}}}}}}}}}") == [
        "r.yaml:2:51: segments.s.when.in.lifecycle: can never be false: these are all segments of lifecycle"
    ]


@pytest.mark.parametrize(
    ("when", "leave_when"),
    [
        ("{measure: orders, at_least: 3}", "{measure: orders, at_least: 1}"),
        ("{all: [{absent: click, for: 9d}, {measure: orders, equals: 3}]}", "{measure: orders, between: [2, 4]}"),
        ("{absent: order, for: 9d}", "{absent: order, for: 9d}"),
        ("{in: {value: [A]}}", "{in: {value: [A, B]}}"),
    ],
)
def test_a_segment_into_which_nobody_comes_is_a_warning(when: str, leave_when: str) -> None:
    text = f"segments:\n  s:\n    when: {when}\n    leave_when: {leave_when}\n"

    assert warnings_of(text) == [
        "r.yaml:5:17: segments.s.leave_when: holds wherever `when` does, so that nobody comes in"
    ]


@pytest.mark.parametrize(
    ("when", "leave_when"),
    [
        ("{measure: orders, at_least: 3}", "{measure: orders, within: 9d, at_least: 1}"),
        ("{measure: orders, at_least: 3}", "{measure: orders, less_than: 2}"),
        ("{measure: orders, at_least: 1}", "{measure: orders, at_least: 3}"),
        ("{any: [{absent: order, for: 9d}, {segment: t}]}", "{absent: order, for: 9d}"),
        ("{in: {value: [A, B]}}", "{in: {value: [A]}}"),
    ],
)
def test_a_segment_into_which_somebody_comes_is_no_warning(when: str, leave_when: str) -> None:
    other = "  t: {when: {measure: clicks, at_least: 1}}\n"

    assert warnings_of(f"segments:\n{other}  s:\n    when: {when}\n    leave_when: {leave_when}\n") == []


@pytest.mark.parametrize(
    ("group", "warning"),
    [
        ('{r: ">5"}', "can never be true: a score is from 1 to 5"),
        ('{r: "<1"}', "can never be true: a score is from 1 to 5"),
        ('{all: [{r: ">=4"}, {r: "<3"}]}', "can never be true: no number is within all bounds of r"),
    ],
)
def test_a_group_in_which_nobody_can_be_is_a_warning(group: str, warning: str) -> None:
    assert warnings_of(RFM % group) == [f"r.yaml:2:98: rfm.groups.best: {warning}"]


def test_a_definition_that_costs_more_than_all_others_is_a_warning() -> None:
    text = f"""segments:
  cheap: {{when: {{all: [{{measure: clicks, at_least: 9}}, {{measure: clicks, within: 7d, at_least: 9}}]}}}}
  chain: {{when: {{sequence: [{{event: click}}, {{event: click}}, {{event: order}}], within: 1d}}}}
  dear: {{when: {{measure: clicks, at_least: 3, where: {{item: [{MANY}]}}}}}}
"""

    assert warnings_of(text) == ["r.yaml:5:9: segments.dear: costs 83 % of what a click costs: 40 of 48 look-ups"]


def test_what_two_definitions_ask_alike_is_nobodys_alone() -> None:
    dear = f"{{measure: clicks, at_least: %s, where: {{item: [{MANY}]}}}}"

    assert warnings_of(f"segments:\n  a: {{when: {dear % 3}}}\n  b: {{when: {dear % 5}}}\n") == []


def test_a_definition_in_which_nobody_moves_costs_nothing() -> None:
    text = f"segments:\n  a: {{state: paused, when: {{measure: clicks, at_least: 3, where: {{item: [{MANY}]}}}}}}\n"

    assert warnings_of(text) == []
