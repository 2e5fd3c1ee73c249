# ruff: noqa: E501 - whole sentences, as users see them
import json
from decimal import Decimal
from pathlib import Path

import pytest

from segmenter.adapters.rulebook_file import default_rulebook, load_rulebook, parse_rulebook
from segmenter.domain.instants import DAY, HOUR
from segmenter.domain.rulebook import CountsFrom, LifecycleRule, Rulebook, ValueRule
from segmenter.errors import ConfigurationError
from tests.cli.running import RunCommand

EXAMPLES = Path(__file__).parents[2] / "examples" / "rulebooks"
KEPT = 400 * DAY


def faults_of(text: str, kept: int | None = KEPT) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        parse_rulebook(text.encode(), "r.yaml", kept)
    return list(refused.value.faults)


def test_the_default_example_is_what_holds_without_a_file() -> None:
    assert load_rulebook(EXAMPLES / "default.yaml", KEPT) == default_rulebook(KEPT) == Rulebook()


RULEBOOKS = sorted(path for path in EXAMPLES.glob("*.yaml") if not path.name.endswith(".expect.yaml"))


@pytest.mark.parametrize("example", RULEBOOKS, ids=lambda path: path.name)
def test_every_example_is_taken(example: Path) -> None:
    assert load_rulebook(example, KEPT).dedupe_horizon == KEPT


def test_every_rule_is_read_exactly() -> None:
    text = b"""
rulebook: 1
currency: GBP
rates: {USD: "0.79", JPY: 0.0053}
lifecycle: {inactive_after: 36h, counts_from: delivered}
value: {window: all, a: 0.7, b: 0.9, band: 0, dwell: 0, min_ranked: 1}
"""

    assert parse_rulebook(text, "r.yaml", None) == Rulebook(
        currency="GBP",
        rates={"USD": Decimal("0.79"), "JPY": Decimal("0.0053")},
        lifecycle=LifecycleRule(inactive_after=36 * HOUR, counts_from=CountsFrom.DELIVERED),
        value=ValueRule(window=None, a=Decimal("0.7"), b=Decimal("0.9"), band=Decimal(0), dwell=0, min_ranked=1),
        dedupe_horizon=None,
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "r.yaml:1:1: is empty, expected at least `rulebook: 1`"),
        ("currency: EUR", "r.yaml:1:1: rulebook: is missing; begin with `rulebook: 1`, the version of this form"),
        ("rulebook: 2", "r.yaml:1:11: rulebook: found '2', expected 1, the version of this form"),
        ("rulebook: 1\ncurency: EUR", "r.yaml:2:1: curency: no such name; did you mean currency?"),
        ("rulebook: 1\nzzz: EUR", "r.yaml:2:1: zzz: no such name; expected one of rulebook, currency, rates, calendar, lifecycle, value, rfm, engagement, interest, care, rhythm, storm, segments"),
        ("rulebook: 1\nrulebook: 1", "r.yaml:2:1: rulebook: is there twice; remove one of them"),
        ("rulebook: 1\nsegmnts: {}", "r.yaml:2:1: segmnts: no such name; did you mean segments?"),
        ("rulebook: 1\ncurrency: euro", "r.yaml:2:11: currency: found 'euro', expected an ISO 4217 code such as EUR"),
        ("rulebook: 1\ncurrency: EUX", "r.yaml:2:11: currency: found 'EUX', expected an ISO 4217 code such as EUR"),
        ("rulebook: 1\ncurrency:", "r.yaml:2:10: currency: found nothing, expected an ISO 4217 code such as EUR"),
        ("rulebook: 1\nrates: [USD]", "r.yaml:2:8: rates: found a list, expected a section with a rate for each currency"),
        ("rulebook: 1\nrates: {usd: 1}", "r.yaml:2:14: rates.usd: is no currency, expected an ISO 4217 code such as USD"),
        ("rulebook: 1\nrates: {EUR: 1}", "r.yaml:2:14: rates.EUR: is the currency of this rulebook, whose rate is 1; remove it"),
        ("rulebook: 1\nrates: {USD: 0}", "r.yaml:2:14: rates.USD: found '0', expected what one USD is worth in EUR, such as \"0.92\", at most 18 digits"),
        ("rulebook: 1\nrates: {USD: 1e3}", "r.yaml:2:14: rates.USD: found '1e3', expected what one USD is worth in EUR, such as \"0.92\", at most 18 digits"),
        ("rulebook: 1\nrates: {USD: 1, USD: 2}", "r.yaml:2:17: rates.USD: is there twice; remove one of them"),
        ("rulebook: 1\nlifecycle: 180d", "r.yaml:2:12: lifecycle: found '180d', expected a section with inactive_after, counts_from"),
        ("rulebook: 1\nlifecycle: {inactive_after: 180}", "r.yaml:2:29: lifecycle.inactive_after: found '180', expected a duration such as 90d, 36h or 15m, from 1ms to 36500d"),
        ("rulebook: 1\nlifecycle: {inactive_after: 0d}", "r.yaml:2:29: lifecycle.inactive_after: found '0d', expected a duration such as 90d, 36h or 15m, from 1ms to 36500d"),
        ("rulebook: 1\nlifecycle: {inactiv_after: 9d}", "r.yaml:2:13: lifecycle.inactiv_after: no such name; did you mean inactive_after?"),
        ("rulebook: 1\nlifecycle: {counts_from: payed}", "r.yaml:2:26: lifecycle.counts_from: found 'payed', expected one of placed, paid, delivered"),
        ("rulebook: 1\nlifecycle: {counts_from: [paid]}", "r.yaml:2:26: lifecycle.counts_from: found a list, expected one of placed, paid, delivered"),
        ("rulebook: 1\nvalue:\n  window: 500d", "r.yaml:3:11: value.window: window of 500d is longer than the 400d we keep; raise SEGMENTER_DEDUPE_HORIZON or use `all`"),
        ("rulebook: 1\nvalue: {window: year}", "r.yaml:2:17: value.window: found 'year', expected a duration such as 90d, 36h or 15m, from 1ms to 36500d or `all`"),
        ("rulebook: 1\nvalue: {a: 0}", "r.yaml:2:12: value.a: found '0', expected a share above 0, at most 1, such as 0.80"),
        ("rulebook: 1\nvalue: {a: 80%}", "r.yaml:2:12: value.a: found '80%', expected a share above 0, at most 1, such as 0.80"),
        ("rulebook: 1\nvalue: {a: .nan}", "r.yaml:2:12: value.a: found '.nan', expected a share above 0, at most 1, such as 0.80"),
        ("rulebook: 1\nvalue: {b: 1.01}", "r.yaml:2:12: value.b: found '1.01', expected a share above 0, at most 1, such as 0.80"),
        ("rulebook: 1\nvalue: {a: 0.95}", "r.yaml:2:12: value.a: found 0.95, expected less than b, which is 0.95"),
        ("rulebook: 1\nvalue: {band: 1}", "r.yaml:2:15: value.band: found '1', expected a share of at least 0 and below 1, such as 0.02"),
        ("rulebook: 1\nvalue: {dwell: -1d}", "r.yaml:2:16: value.dwell: found '-1d', expected a duration such as 90d, 36h or 15m, from 0d to 36500d"),
        ("rulebook: 1\nvalue: {min_ranked: 0}", "r.yaml:2:21: value.min_ranked: found '0', expected a whole number of at least 1"),
        ("rulebook: 1\nvalue: {min_ranked: 2.5}", "r.yaml:2:21: value.min_ranked: found '2.5', expected a whole number of at least 1"),
        ("a: &x [1]\nb: *x", "r.yaml:2:4: found the alias *x; write the value out, aliases are not read"),
        ("[" * 60 + "]" * 60, "r.yaml:1:51: is nested deeper than 50 levels; flatten it"),
        ('a: "', "r.yaml:1:5: is not YAML: found unexpected end of stream (while scanning a quoted scalar)"),
        ("a: 1\n---\nb: 1", "r.yaml:2:1: is not YAML: but found another document (expected a single document in the stream)"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place_and_what_is_expected(text: str, fault: str) -> None:
    assert faults_of(text) == [fault]


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    faults = faults_of("rulebook: 3\nordrs: 1\nvalue:\n  a: 2\n  b: 0.5\n  band: 3\nlifecycle: {counts_from: x}\n")

    assert [fault.split(" ")[:2] for fault in faults] == [
        ["r.yaml:1:11:", "rulebook:"],
        ["r.yaml:2:1:", "ordrs:"],
        ["r.yaml:4:6:", "value.a:"],
        ["r.yaml:6:9:", "value.band:"],
        ["r.yaml:7:26:", "lifecycle.counts_from:"],
    ]


def test_the_default_window_has_to_fit_a_short_horizon_too() -> None:
    assert faults_of("rulebook: 1", 100 * DAY) == [
        "r.yaml:1:1: value.window: window of 365d is longer than the 100d we keep; raise SEGMENTER_DEDUPE_HORIZON or use `all`"
    ]


def test_without_a_horizon_any_window_fits() -> None:
    assert parse_rulebook(b"rulebook: 1\nvalue: {window: 3650d}", "r.yaml", None).value.window == 3650 * DAY


def test_a_file_beyond_a_mebibyte_is_refused_unread() -> None:
    assert faults_of("#" * (1024 * 1024 + 1)) == ["r.yaml: is 1048577 bytes, expected at most 1048576; split it up"]


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"r\.yaml: is not UTF-8 at byte 3; save it as UTF-8"):
        parse_rulebook(b"a: \xff", "r.yaml", None)


def test_the_command_shows_the_rules_of_a_good_rulebook(segmenter: RunCommand) -> None:
    ran = segmenter("rulebook", "check", str(EXAMPLES / "default.yaml"), "--json")

    assert ran.code == 0
    assert json.loads(ran.out)["faults"] == []
    assert json.loads(ran.out)["rules"]["lifecycle.inactive_after"] == "180d"
    assert "180d" in segmenter("rulebook", "check", str(EXAMPLES / "default.yaml")).out


def test_the_command_tells_what_is_most_likely_not_meant_and_ends_with_0(
    segmenter: RunCommand, tmp_path: Path
) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("rulebook: 1\nsegments: {s: {title: All, when: {measure: orders, at_least: 0}}}\n")

    plain, as_json = segmenter("rulebook", "check", str(file)), segmenter("rulebook", "check", str(file), "--json")

    warning = f"{file}:2:34: segments.s.when: can never be false: orders is never below 0"
    assert plain.out.splitlines()[-2:] == ["ok", f"warning: {warning}"]
    assert json.loads(as_json.out)["warnings"] == [warning]
    assert json.loads(as_json.out)["rules"]["segments.s"] == "live: All"
    assert (plain.code, as_json.code) == (0, 0)


def test_the_command_shows_every_section_that_is_there(segmenter: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        "rulebook: 1\ncalendar: Europe/Berlin\ncare: {}\nengagement: {weights: {view: 2}}\n"
        "rfm: {window: 90d, recency: [1d, 2d, 3d, 4d], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4.5]}\n"
    )

    rules = json.loads(segmenter("rulebook", "check", str(file), "--json").out)["rules"]

    assert rules["rfm.window"] == "90d of Europe/Berlin"
    assert (rules["rfm.recency"], rules["rfm.monetary"]) == ("1d, 2d, 3d, 4d", "1.00, 2.00, 3.00, 4.50")
    assert (rules["care.returns"], rules["care.unhappy_for"]) == ("3", "30d")
    assert rules["engagement.weights"] == "view: 2"


def test_the_command_tells_every_fault_and_ends_with_1(segmenter: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("rulebook: 2\nvalu: 1\n")

    plain, as_json = segmenter("rulebook", "check", str(file)), segmenter("rulebook", "check", str(file), "--json")

    assert plain.out.splitlines() == json.loads(as_json.out)["faults"]
    assert len(plain.out.splitlines()) == 2
    assert (plain.code, as_json.code) == (1, 1)


def test_the_command_holds_the_window_against_the_setting(segmenter: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("rulebook: 1\nvalue: {window: 500d}\n")

    assert segmenter("rulebook", "check", str(file)).code == 1
    assert segmenter("rulebook", "check", str(file), SEGMENTER_DEDUPE_HORIZON="500d").code == 0


def test_a_rulebook_that_is_not_there_is_wrong_use(segmenter: RunCommand) -> None:
    ran = segmenter("rulebook", "check", "missing.yaml")

    assert ran.code == 2
    assert "missing.yaml" in ran.err
