import json
from pathlib import Path

import pytest

from tests.cli.running import RunCommand

EXAMPLES = Path(__file__).parents[2] / "examples" / "rulebooks"
KITS = sorted(file.name.removesuffix(".expect.yaml") for file in EXAMPLES.glob("*.expect.yaml"))

RULES = """
rulebook: 1
value: {min_ranked: 1}
segments:
  keen: {when: {all: [{measure: orders, at_least: 2}, {absent: order, for: 2d}]}}
"""
EVENTS = [
    # Not in order of time: the kit plays them as they happened.
    {"type": "order.placed", "customer_id": "c1", "occurred_at": "2026-03-05T10:00:00Z", "order_id": "o2"},
    {"type": "order.placed", "customer_id": "c1", "occurred_at": "2026-03-01T10:00:00Z", "order_id": "o1"},
]


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A rulebook with events beside it; its expectations are the test's."""
    (tmp_path / "rules.yaml").write_text(RULES)
    lines = [json.dumps({"amount": "10.00", "currency": "EUR", **event}) for event in EVENTS]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def expecting(kit: Path, *expected: str) -> tuple[str, ...]:
    (kit / "rules.expect.yaml").write_text("expect:\n" + "".join(f"  - {one}\n" for one in expected))
    return ("test", str(kit / "rules.yaml"), "--events", str(kit / "events.jsonl"))


@pytest.mark.parametrize("name", KITS)
def test_the_examples_do_what_their_authors_expect(segmenter: RunCommand, name: str) -> None:
    ran = segmenter("test", str(EXAMPLES / f"{name}.yaml"), "--events", str(EXAMPLES / f"{name}.jsonl"), "--json")

    told = json.loads(ran.out)
    assert [one for one in told["expectations"] if not one["is_met"]] == []
    assert (ran.code, told["rejected"]) == (0, [])
    assert len(told["expectations"]) >= 25


def test_there_is_an_example_for_a_shop_a_supplier_and_a_saas() -> None:
    assert KITS == ["b2b-supplier", "saas", "shop"]


@pytest.mark.parametrize("name", KITS)
def test_the_examples_check_without_a_fault(segmenter: RunCommand, name: str) -> None:
    ran = segmenter("rulebook", "check", str(EXAMPLES / f"{name}.yaml"), "--json")

    assert (ran.code, json.loads(ran.out)["faults"]) == (0, [])


def test_a_timeline_says_when_by_which_cause_what_moved_and_why(segmenter: RunCommand, kit: Path) -> None:
    command = expecting(kit, "{at: 2026-03-07T10:00:00Z, customer: c1, in: [keen]}")

    told = segmenter(*command, "--json")
    shown = segmenter(*command)

    [customer] = json.loads(told.out)["customers"]
    moves = [
        (change["effective_at"], change["cause"]["kind"], [(c["dimension"], c["after"]) for c in change["changes"]])
        for change in customer["timeline"]
    ]
    assert moves == [
        ("2026-03-01T10:00:00.000Z", "event", [("lifecycle", "new")]),
        ("2026-03-01T10:00:00.000Z", "peers", [("value", "A")]),
        ("2026-03-05T10:00:00.000Z", "event", [("lifecycle", "repeat")]),
        ("2026-03-07T10:00:00.000Z", "time", [("custom.keen", "in")]),
    ]
    assert "orders: 2, asked >= 2; no order for 2d: 2d, asked >= 2d" in shown.out
    assert shown.out.endswith(
        "2 events, 1 customers moved, up to 2026-03-07T10:00:00.000Z, 1 of 1 expectations met\n"
    )
    assert (told.code, shown.code) == (0, 0)


def test_an_expectation_holds_to_the_microsecond(segmenter: RunCommand, kit: Path) -> None:
    command = expecting(
        kit,
        "{at: 2026-03-07T09:59:59.999999Z, customer: c1, not_in: [keen], in: {lifecycle: repeat}}",
        "{at: 2026-03-07T10:00:00Z, customer: c1, in: {keen: in}}",
        "change: {customer: c1, dimension: keen, before: out, after: in, at: 2026-03-07T10:00:00Z, cause: time}",
    )

    assert segmenter(*command).code == 0


def test_what_is_not_met_says_expected_found_and_why(segmenter: RunCommand, kit: Path) -> None:
    command = expecting(kit, "{at: 2026-03-06T10:00:00Z, customer: c1, in: {keen: in}}")

    ran = segmenter(*command)

    place = f"{kit / 'rules.expect.yaml'}:2:5"
    assert f"{place}: c1 at 2026-03-06T10:00:00.000Z: expected keen in, found out\n" in ran.out
    assert "no  no order for 2d: 1d, asked >= 2d, until 2026-03-07T10:00:00.000Z" in ran.out
    assert "0 of 1 expectations met" in ran.out
    assert ran.code == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "change: {customer: c1, dimension: lifecycle, after: inactive}",
        "change: {customer: c1, dimension: lifecycle, before: prospect, after: repeat}",
        "change: {customer: c1, dimension: lifecycle, after: repeat, at: 2026-03-05T10:00:01Z}",
        "change: {customer: c1, dimension: lifecycle, after: repeat, cause: time}",
        "{at: 2026-03-06T10:00:00Z, customer: c1, not_in: {lifecycle: repeat}}",
        "{at: 2026-03-06T10:00:00Z, customer: nobody, in: {lifecycle: repeat}}",
    ],
)
def test_every_part_of_an_expectation_counts(segmenter: RunCommand, kit: Path, wrong: str) -> None:
    ran = segmenter(*expecting(kit, wrong))

    assert ran.code == 1
    assert "0 of 1 expectations met" in ran.out


def test_a_change_that_did_not_come_lists_those_that_did(segmenter: RunCommand, kit: Path) -> None:
    ran = segmenter(*expecting(kit, "change: {customer: c1, dimension: lifecycle, after: inactive}"))

    found = "none → new at 2026-03-01T10:00:00.000Z by event, new → repeat at 2026-03-05T10:00:00.000Z by event"
    assert f"expected lifecycle → inactive, found {found}\n" in ran.out


def test_faults_of_expectations_are_told_all_at_once_with_line_and_column(segmenter: RunCommand, kit: Path) -> None:
    command = expecting(
        kit,
        "{at: yesterday, customer: c1, in: {lifecycle: new}}",
        "{at: 2026-03-06T10:00:00Z, costumer: c1, in: [keen]}",
        "{at: 2026-03-06T10:00:00Z, customer: c1}",
        "change: {customer: c1, dimension: lifecycle, after: new, cause: magic}",
    )

    ran = segmenter(*command)

    file = kit / "rules.expect.yaml"
    kinds = "event, time, peers, refund, late_event, recovery, definition, backfill, manual"
    assert ran.code == 2
    assert ran.err.splitlines() == [
        f"{file}:2:10: expect[0].at: found 'yesterday', expected an instant with its zone, such as "
        "2026-03-01T00:00:00Z",
        f"{file}:3:5: expect[1].customer: is missing, expected a text",
        f"{file}:3:32: expect[1].costumer: no such name; did you mean customer?",
        f"{file}:4:5: expect[2]: expects nothing; write `in`, `not_in` or `change`",
        f"{file}:5:69: expect[3].change.cause: found 'magic', expected one of {kinds}",
    ]


def test_an_expectation_of_a_segment_that_there_is_not_names_the_nearest(segmenter: RunCommand, kit: Path) -> None:
    ran = segmenter(*expecting(kit, "{at: 2026-03-06T10:00:00Z, customer: c1, in: [kean]}"))

    assert ran.code == 2
    assert ran.err == (f"{kit / 'rules.expect.yaml'}:2:5: found 'kean', which is no segment; did you mean keen?\n")


def test_a_line_that_is_no_event_fails_the_test(segmenter: RunCommand, kit: Path) -> None:
    with (kit / "events.jsonl").open("a") as events:
        events.write('{"type": "order.placed", "customer_id": "c1"}\n')

    ran = segmenter("test", str(kit / "rules.yaml"), "--events", str(kit / "events.jsonl"))

    assert ran.code == 1
    assert "rejected: events.jsonl:3: " in ran.out


def test_a_file_that_is_not_there_is_told(segmenter: RunCommand, kit: Path) -> None:
    ran = segmenter("test", str(kit / "rules.yaml"), "--events", str(kit / "none.jsonl"))

    assert ran.code == 2
    assert ran.err == f"{kit / 'none.jsonl'}: No such file or directory; name a file that can be read\n"
