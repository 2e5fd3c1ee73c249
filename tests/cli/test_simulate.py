import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segmenter.domain.rulebook import Rulebook
from segmenter.wiring.written_rules import written_rules
from tests.cli.running import Ran, RunCommand

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "examples" / "events" / "first-day.jsonl"
RULEBOOK = str(ROOT / "examples" / "rulebooks" / "small-shop.yaml")
SUMMER = "2026-06-15T00:00:00Z"

# What the example shows, one line a change-set: when, who, by what cause, and which moves.
TOLD = """
2026-03-02T08:00:00.000Z ada event lifecycle null>prospect
2026-03-02T08:05:00.000Z ada event lifecycle prospect>new
2026-03-02T08:05:00.000Z ada peers value null>A
2026-03-02T09:30:00.000Z ben event lifecycle null>new value null>C
2026-03-02T10:15:00.000Z cleo event lifecycle null>new value null>C
2026-03-02T10:15:00.000Z cleo peers value C>B
2026-03-02T12:45:00.000Z ben event lifecycle new>repeat
2026-03-02T12:45:00.000Z ben peers value C>B
2026-03-02T12:45:00.000Z cleo peers value B>A
2026-03-02T16:00:00.000Z ada refund lifecycle new>prospect value A>null
2026-03-02T16:00:00.000Z ben peers value B>A
2026-04-01T10:15:00.000Z cleo time lifecycle new>inactive
2026-04-01T12:45:00.000Z ben time lifecycle repeat>inactive
2026-05-31T09:30:00.000Z ben time value A>C
2026-05-31T09:30:00.999999Z ben peers value C>A
2026-05-31T10:15:00.000Z cleo time value A>C
2026-05-31T12:45:00.000Z ben time value A>C
"""


def told(lines: str) -> str:
    """Return change-sets in the short form of TOLD."""
    short = []
    for line in lines.splitlines():
        said = json.loads(line)
        moves = [f"{c['dimension']} {c['before'] or 'null'}>{c['after'] or 'null'}" for c in said["changes"]]
        short.append(" ".join([said["effective_at"], said["customer_id"], said["cause"]["kind"], *moves]))
    return "\n".join(["", *short, ""])


def test_the_example_moves_customers_as_shown(segmenter: RunCommand) -> None:
    ran = segmenter("simulate", str(EVENTS), "--rulebook", RULEBOOK, "--until", SUMMER, "--changes", "-")

    assert ran.code == 0
    assert told(ran.out) == TOLD


def test_sequences_have_no_gaps_and_memberships_end_where_changes_do(segmenter: RunCommand, tmp_path: Path) -> None:
    changes, memberships = tmp_path / "changes.jsonl", tmp_path / "memberships.jsonl"

    segmenter(
        *("simulate", str(EVENTS), "--rulebook", RULEBOOK, "--until", SUMMER),
        *("--changes", str(changes), "--memberships", str(memberships)),
    )

    last: dict[str, tuple[int, dict[str, str]]] = {}
    for line in changes.read_text().splitlines():
        said = json.loads(line)
        number, segments = last.get(said["customer_id"], (0, {}))
        moved = segments | {change["dimension"]: change["after"] for change in said["changes"]}
        assert said["sequence"] == number + 1
        last[said["customer_id"]] = said["sequence"], {d: s for d, s in moved.items() if s is not None}
    ends = [json.loads(line) for line in memberships.read_text().splitlines()]
    assert {end["customer_id"]: (end["sequence"], end["segments"]) for end in ends} == last


def test_the_summary_counts_what_came_of_it(segmenter: RunCommand) -> None:
    ran = segmenter("simulate", str(EVENTS), "--rulebook", RULEBOOK, "--until", SUMMER, "--json")

    assert json.loads(ran.out) == {
        "events": 14,
        "left_out": 0,
        "changes": 17,
        "customers": 3,
        "until": "2026-06-15T00:00:00.000Z",
        "rejected": {"negative_amount": 1},
        "sizes": {"lifecycle": {"inactive": 2, "prospect": 1}, "value": {"C": 2}},
    }


def test_of_each_reason_the_first_line_is_told_with_what_was_expected(segmenter: RunCommand, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    order = {"type": "order.placed", "customer_id": "c-1", "occurred_at": "2026-03-02T08:00:00Z", "currency": "EUR"}
    dollars = order | {"order_id": "1", "amount": "5.00", "currency": "USD"}
    comma = order | {"order_id": "2", "amount": "5,00"}
    events.write_text("\n".join(json.dumps(each) for each in ("", dollars, comma, comma)) + "\n")

    ran = segmenter("simulate", str(events))

    assert ran.out.splitlines()[-3:] == [
        "1 rejected: no_rate; first line 2: currency USD has no rate; the rulebook knows EUR",
        '2 rejected: not_a_number; first line 3: amount is "5,00", expected a decimal number such as 12.50',
        "1 rejected: unparseable; first line 1: value is a text, expected a JSON object",
    ]


def test_what_happens_after_until_is_left_out(segmenter: RunCommand) -> None:
    ran = segmenter("simulate", str(EVENTS), "--rulebook", RULEBOOK, "--until", "2026-03-02T10:00:00Z", "--json")

    assert json.loads(ran.out)["left_out"] == 10
    assert json.loads(ran.out)["sizes"]["lifecycle"] == {"new": 2}


def test_without_until_time_ends_with_the_newest_event(segmenter: RunCommand) -> None:
    assert json.loads(segmenter("simulate", str(EVENTS), "--json").out)["until"] == "2026-03-02T19:00:00.000Z"


def test_any_order_of_the_file_ends_in_the_same_segments(segmenter: RunCommand, tmp_path: Path) -> None:
    backwards = tmp_path / "backwards.jsonl.gz"
    backwards.write_bytes(gzip.compress(b"\n".join(reversed(EVENTS.read_bytes().splitlines()))))

    forth = segmenter("simulate", str(EVENTS), "--rulebook", RULEBOOK, "--until", SUMMER, "--json")
    back = segmenter("simulate", str(backwards), "--rulebook", RULEBOOK, "--until", SUMMER, "--json")

    assert json.loads(back.out)["sizes"] == json.loads(forth.out)["sizes"]


def test_a_packed_file_is_known_by_its_content(segmenter: RunCommand, tmp_path: Path) -> None:
    packed = tmp_path / "events.jsonl"
    packed.write_bytes(gzip.compress(EVENTS.read_bytes()))

    assert segmenter("simulate", str(packed), "--json") == segmenter("simulate", str(EVENTS), "--json")


def test_a_pipe_with_a_name_is_read_like_a_file(segmenter: RunCommand, tmp_path: Path) -> None:
    pipe = tmp_path / "events"
    os.mkfifo(pipe)
    with subprocess.Popen(["cp", str(EVENTS), str(pipe)]):
        ran = segmenter("simulate", str(pipe), "--json")

    assert ran == segmenter("simulate", str(EVENTS), "--json")


def test_a_file_without_events_has_no_time_and_no_segments(segmenter: RunCommand, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n \n")

    assert segmenter("simulate", str(empty)) == Ran(0, "0 events, 0 changes, 0 customers\n", "")


def test_what_was_left_out_is_told(segmenter: RunCommand) -> None:
    ran = segmenter("simulate", str(EVENTS), "--until", "2026-03-01T00:00:00Z")

    assert "\n14 later events left out\n" in ran.out


def test_standard_input_is_read_like_a_file() -> None:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("SEGMENTER_")}

    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "segmenter",
            "simulate",
            "-",
            "--rulebook",
            RULEBOOK,
            "--until",
            SUMMER,
            "--changes",
            "-",
        ],
        input=EVENTS.read_bytes(),
        capture_output=True,
        check=True,
        env=clean,
    )

    assert told(ran.stdout.decode()) == TOLD


def test_an_empty_file_moves_nobody(segmenter: RunCommand, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()

    assert json.loads(segmenter("simulate", str(empty), "--json").out)["customers"] == 0


@pytest.mark.parametrize(
    "until",
    ["tomorrow", "2026-01-01", "2026-01-01T00:00:00", "1969-12-31T23:59:59Z", "2201-01-01T00:00:00Z"],
)
def test_until_has_to_be_an_instant_of_our_time_with_its_zone(segmenter: RunCommand, until: str) -> None:
    ran = segmenter("simulate", str(EVENTS), "--until", until)

    expected = "expected an instant with its zone, from 1970 to 2200, such as 2026-01-01T00:00:00Z"
    assert ran == Ran(2, "", f"--until: found {until!r}, {expected}\n")


@pytest.mark.parametrize(
    ("events", "option", "fault"),
    [
        ("missing.jsonl", (), "missing.jsonl: No such file or directory; name files that can be read and written\n"),
        (
            str(EVENTS),
            ("--changes", "no/such/folder.jsonl"),
            "no/such/folder.jsonl: No such file or directory; name files that can be read and written\n",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    segmenter: RunCommand, events: str, option: tuple[str, ...], fault: str
) -> None:
    assert segmenter("simulate", events, *option) == Ran(2, "", fault)


@pytest.mark.parametrize("content", [b"no gzip at all", gzip.compress(b'{"type": "click"}\n' * 1_000)[:-20]])
def test_a_gzip_that_is_none_or_cut_off_is_told(segmenter: RunCommand, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "events.jsonl.gz"
    file.write_bytes(content)

    ran = segmenter("simulate", str(file))

    assert ran.code == 2
    assert ran.err.startswith(f"{file}: is no gzip file or is cut off (")
    assert ran.err.endswith("); pack it again\n")


def test_the_rulebook_page_names_every_rule_with_its_default() -> None:
    page = (ROOT / "docs" / "rulebook.md").read_text()

    for rule, default in written_rules(Rulebook()).items():
        assert f"| `{rule}` | `{default}` |" in page


def test_what_is_most_likely_not_meant_is_told_beside_the_result(segmenter: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        "rulebook: 1\nrfm: {recency: [1d, 2d, 3d, 4d], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4],"
        " groups: {best: {r: '>5'}}}\n"
    )

    ran = segmenter("simulate", str(EVENTS), "--rulebook", str(file))

    assert ran.code == 0
    assert json.loads(ran.err.splitlines()[0])["warning"] == (
        f"{file}:2:98: rfm.groups.best: can never be true: a score is from 1 to 5"
    )
