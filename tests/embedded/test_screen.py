import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from segmenter.embedded.screen import DemoScreen, rendered
from segmenter.embedded.screen_frame import DemoFrame, Phase, ShownChange, to_json
from segmenter.embedded.screen_words import ChangeRecord, ReasonRecord, shown_changes

WENT_QUIET = ShownChange(
    customer="c-000731",
    dimension="lifecycle",
    before="repeat",
    after="inactive",
    reason="no order for 180d",
    cause="time",
    latency_ms=212.4,
)
ROSE = ShownChange(
    customer="c-001512",
    dimension="value",
    before=None,
    after="A",
    reason="1,861.00 EUR reaches 812.40",
    cause="order.placed",
    latency_ms=9.06,
)
LIVE = DemoFrame(
    phase=Phase.LIVE,
    elapsed_s=83.42,
    events=128_453,
    events_per_s=57.31,
    changes=5_312,
    sizes={
        "lifecycle": {"prospect": 243, "new": 231, "repeat": 1_203, "inactive": 336},
        "value": {"A": 402, "B": 371, "C": 997},
    },
    last_changes=(WENT_QUIET, ROSE),
    latency_p50_ms=8.2,
    latency_p99_ms=31.4,
    lag=12,
    rejected={"unparseable": 3, "future_time": 2},
    duplicates=41,
    late=22,
)


def drawn(frame: DemoFrame, columns: int, rows: int) -> list[str]:
    console = Console(record=True, width=columns, height=rows, file=io.StringIO(), force_terminal=True)
    console.print(rendered(frame, columns, rows), height=rows)
    return console.export_text().rstrip("\n").split("\n")


@pytest.mark.parametrize(("columns", "rows"), [(100, 30), (80, 24), (140, 50)])
def test_a_frame_fills_the_terminal_and_no_more(columns: int, rows: int) -> None:
    lines = drawn(LIVE, columns, rows)

    assert len(lines) == rows
    assert max(len(line) for line in lines) == columns
    assert lines[-1].startswith("╰")


@pytest.mark.parametrize(
    "found",
    [
        "● live", "1:23", "Ctrl-C",
        "lifecycle  2,013 customers", "repeat", "1,203", "60%",
        "value  1,770 customers",
        "c-000731", "lifecycle repeat → inactive", "no order for 180d", "time", "212 ms",
        "value none → A", "1,861.00 EUR reaches 812.40", "9.1 ms",
        "128,453", "57", "5,312", "8.2 ms", "31 ms", "12",
        "duplicates 41 · late 22 · rejected 5: unparseable 3 · future_time 2",
    ],
)  # fmt: skip
def test_a_frame_shows_everything_it_holds(found: str) -> None:
    assert found in "\n".join(drawn(LIVE, 100, 30))


def test_a_small_terminal_keeps_the_reasons_and_drops_cause_and_latency() -> None:
    text = "\n".join(drawn(LIVE, 80, 24))

    assert "no order for 180d" in text
    assert "212 ms" not in text


def test_a_long_reason_takes_another_line_and_is_not_cut() -> None:
    change = ShownChange(
        customer="c-1", dimension="value", before="A", after="C", reason="so it was " * 10 + "indeed", cause="refund"
    )
    frame = DemoFrame(phase=Phase.LIVE, elapsed_s=1, last_changes=(change,))

    lines = [line for line in drawn(frame, 100, 30) if "so it was" in line]

    assert len(lines) > 1
    assert "indeed" in lines[-1]


def test_an_id_that_looks_like_markup_is_shown_as_it_is() -> None:
    odd = replace(ROSE, customer="[bold]c[/]", cause="[red]")

    text = "\n".join(drawn(replace(LIVE, last_changes=(odd,)), 100, 30))

    assert "[bold]c[/]" in text
    assert "[red]" in text


@pytest.mark.parametrize(
    ("phase", "found"), [(Phase.STARTING, "starting …"), (Phase.LOADING, "history"), (Phase.LIVE, "nobody has moved")]
)
def test_an_empty_frame_says_what_is_being_waited_for(phase: Phase, found: str) -> None:
    assert found in "\n".join(drawn(DemoFrame(phase=phase, elapsed_s=0), 80, 24))


def test_the_last_frame_stays_when_the_screen_closes() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100, height=30, legacy_windows=False)

    with DemoScreen(console) as screen:
        screen.show(DemoFrame(phase=Phase.STARTING, elapsed_s=0))
        screen.show(LIVE)

    _, _, after = written.getvalue().rpartition("\x1b[?1049l")
    assert "128,453" in after


def test_json_has_one_line_and_the_promised_keys() -> None:
    line = to_json(LIVE)

    assert "\n" not in line
    assert json.loads(line) == {
        "phase": "live",
        "elapsed_s": 83.4,
        "events": 128_453,
        "events_per_s": 57.3,
        "changes": 5_312,
        "sizes": LIVE.sizes,
        "latency_ms": {"p50": 8.2, "p99": 31.4},
        "lag": 12,
        "rejected": {"unparseable": 3, "future_time": 2},
        "duplicates": 41,
        "late": 22,
        "last_change": {
            "customer": "c-000731",
            "dimension": "lifecycle",
            "before": "repeat",
            "after": "inactive",
            "reason": "no order for 180d",
            "cause": "time",
            "latency_ms": 212.4,
        },
    }


def test_json_of_an_empty_frame_has_nulls_where_nothing_is_known() -> None:
    values = json.loads(to_json(DemoFrame(phase=Phase.STARTING, elapsed_s=0)))

    assert values["last_change"] is None
    assert values["latency_ms"] == {"p50": None, "p99": None}
    assert values["sizes"] == {}


def record(reason: ReasonRecord, revenue: str = "861.00") -> ChangeRecord:
    return {
        "customer_id": "c-42",
        "changes": [{"dimension": "value", "before": "B", "after": "A"}],
        "cause": {"kind": "event", "type": "order.placed"},
        "reasons": [reason],
        "traits": {"currency": "EUR", "net_revenue": "999.00", "value_revenue": revenue},
    }


def reason(condition: str, actual: str, threshold: str, boundary: str | None = None) -> ReasonRecord:
    return {
        "dimension": "value",
        "condition": condition,
        "actual": actual,
        "threshold": threshold,
        "boundary": boundary,
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (record(reason("silence", "181d", "180d")), "no order for 180d"),
        (record(reason("orders", "0", "1")), "no order that counts"),
        (record(reason("orders", "1", "1")), "1 order"),
        (record(reason("orders", "1204", "2")), "1,204 orders"),
        (record(reason("cumulative_share", "0.793", "0.80", "812.40")), "861.00 EUR reaches 812.40"),
        (record(reason("cumulative_share", "0.990", "0.80", "812.40"), "11.10"), "11.10 EUR is below 812.40"),
        (record(reason("cumulative_share", "0.990", "0.80")), "cumulative share 0.990, threshold 0.80"),
        (record(reason("open_tickets", "2", "1")), "open tickets 2, threshold 1"),
    ],
)
def test_a_change_set_says_why_in_a_sentence(given: ChangeRecord, said: str) -> None:
    (change,) = shown_changes(given, latency_ms=7.0)

    assert change.reason == said
    assert (change.customer, change.before, change.after) == ("c-42", "B", "A")
    assert (change.cause, change.latency_ms) == ("order.placed", 7.0)


def test_a_move_without_a_reason_is_told_by_its_cause() -> None:
    moved = record(reason("orders", "1", "1"))
    moved["reasons"] = []
    moved["cause"] = {"kind": "peers"}

    (change,) = shown_changes(moved, latency_ms=None)

    assert (change.reason, change.cause) == ("peers", "peers")
